"""Carry a database of the 22 revisions before release 0.2.0 over to the revisions that replaced them.

`OLD_HEAD` and `NEW_HEAD` are the same schema, apart from comments and the messages of functions. So those
texts are written again, and the schema is compared with its checksum. `oltp_schema.migrate` then records
`NEW_HEAD`.
"""

import re
from pathlib import Path

import psycopg

from myproperty.errors import PlatformError
from oltp_schema.fingerprint import take_fingerprint

SQL = Path(__file__).resolve().parent / "migrations" / "sql"
OLD_HEAD = "0022_land_the_rest"
NEW_HEAD = "0009_landing"
# `take_fingerprint` of a database at NEW_HEAD. The files up to NEW_HEAD never change, so neither does this.
FINGERPRINT = "458fd50e18edc6524463a551c46e1deb3ce0c32e198c1b72ef7d58625fd46a14"

_DIFFERS = f"it is at {OLD_HEAD}, and its schema differs from the schema of that revision"
_REMEDY = (
    "Run `python -m oltp_schema.fingerprint DSN` on it and on a new database, compare the two outputs, "
    "undo the differences that are not comments or messages, and migrate again"
)
# Roles, functions and comments, in the order of the files. A function ends with its body: quoted, atomic or
# one value.
_TEXTS = re.compile(
    r"""
      ^set\ local\ role\ \w+;$
    | ^reset\ role;$
    | ^create\ function\ [^$]*?(?: as\ \$\$.*?^\$\$ | ^begin\ atomic.*?^end | ^return\ [^;]* );$
    | ^comment\ on\ .*?';$
    """,
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)

# The tables of history got the comments of their columns from `create table (like ... including comments)`.
_COPY_COMMENTS = """
do $$
declare
    c record;
begin
    for c in
        select h.oid::regclass as history, a.attname, col_description(t.oid, b.attnum) as comment
        from unnest(array['invoices', 'ledger_entries']) as n (name)
        join pg_class as t on t.oid = format('myproperty.%I', n.name)::regclass
        join pg_class as h on h.oid = format('audit.%I', n.name || '_history')::regclass
        join pg_attribute as a on a.attrelid = h.oid
        join pg_attribute as b on b.attrelid = t.oid and b.attname = a.attname
        where a.attnum > 0 and col_description(t.oid, b.attnum) is not null
    loop
        execute format('comment on column %s.%I is %L', c.history, c.attname, c.comment);
    end loop;
end;
$$
"""


class SquashError(PlatformError):
    """A database cannot be carried over; the message says why and what to do."""


def adopt_old_head(connection: psycopg.Connection) -> None:
    """Give a database at `OLD_HEAD` the texts of `NEW_HEAD`; the caller commits and records the revision.

    Raises `SquashError` if anything else differs from the schema of `NEW_HEAD`.
    """
    try:
        for statement in [*text_statements(), _COPY_COMMENTS]:
            connection.execute(statement.encode())
    except psycopg.Error as error:
        raise SquashError(f"{_DIFFERS} ({error.diag.message_primary}). {_REMEDY}") from error
    if take_fingerprint(connection) != FINGERPRINT:
        raise SquashError(f"{_DIFFERS}. {_REMEDY}")


def text_statements() -> list[str]:
    """Return the statements up to `NEW_HEAD` that set roles, functions and comments, in a form to repeat."""
    files = [file for file in sorted(SQL.glob("*.sql")) if file.stem <= NEW_HEAD]
    found = [match[0] for file in files for match in _TEXTS.finditer(file.read_text(encoding="utf-8"))]
    return [re.sub(r"^create function", "create or replace function", statement) for statement in found]
