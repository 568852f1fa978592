"""Who may read which tenant in `bi`, as the seed `tenant_readers` says.

Here: the file and its rules. Not here: the logins of readers (`data.raw.rights`), or the filter of the views
(`macros/readers.sql`).
"""

import csv
import re
from pathlib import Path

from myproperty.database.roles import WAREHOUSE_DASHBOARDS, WAREHOUSE_LOGINS, WAREHOUSE_READER
from myproperty.errors import PlatformError

SEED = Path(__file__).parent / "seeds" / "tenant_readers.csv"
COLUMNS = ["reader", "tenant_id"]
# All tenants, and what belongs to none.
EVERY_TENANT = "*"
# A login of PostgreSQL, or an e-mail address; in lower case, since logins are exact and addresses are not.
_NAME = re.compile(r"[a-z][a-z0-9_.+-]*(@[a-z0-9-]+(\.[a-z0-9-]+)+)?")
# PostgreSQL cuts longer names.
_LONGEST = 63
_RESERVED = ("myproperty_", "pg_", "postgres", "public", "originfd")
_JOBS = {login.name for login in WAREHOUSE_LOGINS}
# Logins of the platform that are for people.
_STAFF = (WAREHOUSE_READER.name, WAREHOUSE_DASHBOARDS.name)


class ReadersRefused(PlatformError):
    """The seed of the readers is not as it has to be, or does not have a reader."""


def list_readers(seed: Path = SEED) -> dict[str, list[str]]:
    """Return the tenants of each reader. Raises `ReadersRefused`, which names the line and the remedy."""
    found: dict[str, list[str]] = {}
    with seed.open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file, strict=True)
        if next(lines, None) != COLUMNS:
            raise ReadersRefused(f"{seed.name}:1: write the header {','.join(COLUMNS)}")
        for row in lines:
            where = f"{seed.name}:{lines.line_num}"
            if len(row) != len(COLUMNS) or not all(row):
                raise ReadersRefused(
                    f"{where}: write a reader and a tenant's id, or {EVERY_TENANT} for all tenants"
                )
            reader, tenant = row
            _check_name(where, reader)
            if tenant in found.setdefault(reader, []):
                raise ReadersRefused(f"{where}: {reader} has {tenant} already: take one of the lines out")
            found[reader].append(tenant)
    return found


def list_own_logins(seed: Path = SEED) -> list[str]:
    """Return the readers that are no login of the platform: each needs one."""
    return [name for name in list_readers(seed) if name not in _JOBS]


def check_reader(name: str, seed: Path = SEED) -> None:
    """Raise `ReadersRefused` unless people may ask as this login."""
    known = [*_STAFF, *list_own_logins(seed)]
    if name not in known:
        raise ReadersRefused(
            f"no reader is called {name!r}: there are {', '.join(known)}. Add a line to {seed.name}, run "
            "`myproperty dbt seed --select tenant_readers`, and on PostgreSQL `myproperty migrate`."
        )


def _check_name(where: str, name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise ReadersRefused(
            f"{where}: {name!r} is no reader: write a login or an e-mail address, in lower case and at most "
            f"{_LONGEST} characters"
        )
    if name not in _JOBS and name.startswith(_RESERVED):
        raise ReadersRefused(f"{where}: {name!r} begins as roles of the server do: choose another name")


def list_views() -> dict[str, bool]:
    """Return the views of `bi`, and whether each has rows of tenants. dbt refuses one without a rule."""
    models = sorted((SEED.parents[1] / "models" / "bi").glob("*.sql"))
    return {path.stem: "{{ for_readers_of(" in path.read_text() for path in models}
