"""Roles and advisory locks have one home for Python and SQL: `myproperty.database.roles` and `.locks`."""

import ast
import datetime
import re
import uuid
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest
from psycopg import sql

from myproperty.database import locks
from myproperty.database.roles import ORIGINFD_ROLE, ROLES
from oltp_schema.migrate import MIGRATIONS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "benchmarks",
    "commands",
    "dagster_project",
    "data",
    "docs",
    "expectations",
    "myproperty",
    "oltp_schema",
)
HOMES = {ROOT / "myproperty" / "database" / name for name in ("roles.py", "locks.py")}
NAMES = {role.name for role in ROLES}
TENANT = uuid.UUID(int=7)
DATES = [datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)]


def migrations() -> str:
    """The text of all migrations."""
    return "\n".join(path.read_text() for path in sorted((MIGRATIONS / "sql").glob("*.sql")))


def places_in_code(words: Collection[str], pattern: str) -> Iterator[str]:
    """Each place of a string in the program, without docstrings, in which the pattern is found.

    A file with none of `words` has no such string, and is not parsed.
    """
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path in HOMES:
                continue
            text = path.read_text()
            if not any(word in text for word in words):
                continue
            tree = ast.parse(text)
            statements = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
            for node in ast.walk(tree):
                if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                    continue
                if node not in statements and re.search(pattern, node.value):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}"


def test_every_role_of_the_migrations_is_a_role_of_the_platform() -> None:
    text = migrations()
    named = set(re.findall(r"\bmyproperty_[a-z]+\b", text))
    taken = set(re.findall(r"^set local role (\w+);", text, re.MULTILINE))
    owning = set(re.findall(r"\bauthorization (\w+);", text))
    assert named | taken | owning | {ORIGINFD_ROLE} == NAMES


def test_no_other_python_file_writes_the_name_of_a_role() -> None:
    role = rf"\b(?:{'|'.join(NAMES - {ORIGINFD_ROLE})})\b|\brole {ORIGINFD_ROLE}\b"
    assert list(places_in_code(NAMES, role)) == []


def test_the_migrations_take_no_other_lock() -> None:
    taken = re.findall(r"pg_(?:try_)?advisory_\w+\((.*?), (?:\w+) - date '(.*?)'\)", migrations())
    assert taken == [
        (str(locks.READING_DATES), locks.DAY_ZERO),
        (str(locks.LANDING_DATES), locks.DAY_ZERO),
    ]
    assert len(re.findall("advisory", migrations())) == len(taken)


def test_no_other_python_file_takes_an_advisory_lock() -> None:
    words = ("advisory_", "hashtextextended")
    assert list(places_in_code(words, "|".join(words))) == []


@pytest.mark.parametrize(
    ("take", "statement"),
    [
        (locks.lock_migrations, "select pg_advisory_xact_lock(7305001)"),
        (locks.lock_dbt_of_session, "select pg_advisory_lock(7310, 0)"),
        (
            lambda c: locks.lock_file(c, TENANT, "abc"),
            f"select pg_advisory_xact_lock(hashtextextended('file abc of {TENANT}', 0))",
        ),
        (
            lambda c: locks.lock_meters(c, TENANT),
            f"select pg_advisory_xact_lock(hashtextextended('meters of {TENANT}', 0))",
        ),
        (
            locks.lock_billing,
            "select pg_advisory_xact_lock(hashtextextended("
            "'billing of ' || current_setting('app.tenant_id')::uuid::text, 0))",
        ),
        (
            lambda c: locks.share_billing(c, TENANT),
            f"select pg_advisory_xact_lock_shared(hashtextextended('billing of {TENANT}', 0))",
        ),
        (
            lambda c: locks.lock_reading_dates(c, DATES),
            "select pg_advisory_xact_lock(7305, day - '2000-01-01'::date) "
            "from unnest('{2026-01-01,2026-01-02}'::date[]::date[]) as day order by day",
        ),
        (
            lambda c: locks.share_reading_dates_of_session(c, DATES),
            "select pg_advisory_lock_shared(7305, day - '2000-01-01'::date) "
            "from unnest('{2026-01-01,2026-01-02}'::date[]::date[]) as day order by day",
        ),
        (
            lambda c: locks.lock_data_keys(c, TENANT),
            f"select pg_advisory_xact_lock(hashtextextended('data keys {TENANT}', 0))",
        ),
        (
            lambda c: locks.lock_landing(c, "units"),
            "select pg_advisory_xact_lock(hashtextextended('landing of units', 0))",
        ),
        (
            lambda c: locks.lock_landing_of_session(c, "units"),
            "select pg_advisory_lock(hashtextextended('landing of units', 0))",
        ),
        (
            lambda c: locks.lock_raw_schema(c, "raw"),
            "select pg_advisory_xact_lock(hashtextextended('raw', 0))",
        ),
        (
            lambda c: locks.lock_raw_partition(c, "raw", "units", None),
            "select pg_advisory_xact_lock(hashtextextended('raw.units None', 0))",
        ),
    ],
)
def test_each_lock_has_its_key(take: Callable[[locks.Connection], None], statement: str) -> None:
    sent: list[str] = []

    class Recorder:
        def execute(self, query: sql.Composed, /) -> None:
            sent.append(query.as_string())

    take(Recorder())
    assert sent == [statement]
