"""What the database still holds on disk after an erasure: pages with dead rows, statistics, and the log.

Here: writing tables anew, so that their pages, indexes and statistics lose the former texts, and where the
write-ahead log will have lost them. Not here: erasing (`erasure`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from myproperty.database.roles import MAINTAINER_ROLE
from myproperty.personal import FIELDS, Protection

LOCK_TIMEOUT = "10s"
# Beside the tables of `FIELDS`; written with every erasure.
PEOPLE = ("myproperty.users", "myproperty.notification_preferences")
# Holds samples of the values of each column.
_STATISTICS = "pg_catalog.pg_statistic"
_STILL_SEEN = re.compile(r"([1-9]\d*) dead row versions cannot be removed yet")


@dataclass(frozen=True)
class Remains:
    """What is left for a time.

    `kept`: tables whose pages still hold former texts, each with the reason. `log_until`: the position of the
    write-ahead log at which all of its present files are written over; None on a server that does not tell.
    """

    kept: dict[str, str]
    log_until: str | None


def tables_with_texts() -> list[str]:
    """Return the tables in which an erasure clears texts, those of people first."""
    cleared = (Protection.CLEARED, Protection.MENTIONS)
    tables = [field.column.rpartition(".")[0] for field in FIELDS if field.protection in cleared]
    return [*dict.fromkeys([*PEOPLE, *tables])]


def write_anew(dsn: str, tables: Iterable[str]) -> Remains:
    """Write the tables and their indexes to new files without the dead rows, and gather their statistics.

    Readers and writers of a table wait while it is written. A table that others keep busy for 10 s stays as
    it is.
    """
    notices: list[str] = []
    with psycopg.connect(dsn, autocommit=True, application_name="myproperty keys") as connection:
        connection.add_notice_handler(
            lambda notice: notices.append(f"{notice.message_primary} {notice.message_detail}")
        )
        tables = [*tables, _STATISTICS]
        try:
            connection.execute(
                "select set_config('lock_timeout', %s, false), set_config('role', %s, false)",
                (LOCK_TIMEOUT, MAINTAINER_ROLE),
            )
        except errors.InsufficientPrivilege:
            reason = f"this login may not act as {MAINTAINER_ROLE}: use the login of MYPROPERTY_KEYS_DSN"
            return Remains(dict.fromkeys(tables, reason), _log_until(connection))
        kept = {}
        for table in tables:
            notices.clear()
            if (found := _write_table(connection, table, notices)) is not None:
                kept[table] = found
        return Remains(kept, _log_until(connection))


def _write_table(connection: psycopg.Connection[Any], table: str, notices: list[str]) -> str | None:
    """Write one table anew; return the reason why it still holds dead rows, or None."""
    options = sql.SQL("full, verbose" if table == _STATISTICS else "full, analyze, verbose")
    name = sql.Identifier(*table.split("."))
    try:
        connection.execute(sql.SQL("vacuum ({}) {}").format(options, name))
    except errors.LockNotAvailable:
        return f"others have kept it busy for {LOCK_TIMEOUT}"
    # Without the right PostgreSQL only warns.
    if any("permission denied" in notice for notice in notices):
        return f"this login may not write it anew: run `vacuum (full, analyze) {table}` as a superuser"
    if any(_STILL_SEEN.search(notice) for notice in notices):
        return "an older transaction still sees the former rows"
    return None


def _log_until(connection: psycopg.Connection[Any]) -> str | None:
    """Return the position at which twice the largest size of the log has been written over it.

    A file of the log is kept or used again for the next `max_wal_size` at most.
    """
    query = """
        select (pg_current_wal_lsn() + 2 * pg_size_bytes(current_setting('max_wal_size')))::text
        where not pg_is_in_recovery()
    """
    row = connection.execute(query).fetchone()
    return None if row is None else str(row[0])
