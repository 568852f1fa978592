"""The login of readers on PostgreSQL: it reads the published layers and can do nothing else.

A person's query never runs as the login that builds the warehouse, which may be a superuser. Not here: which
tenant a reader may see.
"""

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data.ingest.errors import QueryRefused
from myproperty.database.locks import lock_raw_schema
from myproperty.database.roles import READER_ROLE
from myproperty.database.session import Session, make_table, transaction

PUBLISHED = ("bi", "marts", "core")
TIMEOUT_SECONDS = 60
_LIMITS = (
    ("default_transaction_read_only", "on"),
    ("statement_timeout", f"{TIMEOUT_SECONDS}s"),
    ("lock_timeout", "5s"),
    ("idle_session_timeout", "5min"),
    ("temp_file_limit", "1GB"),
    ("work_mem", "32MB"),
)
_SET_BY_SUPERUSERS = ("temp_file_limit",)
# What every login may do by default and a reader must not: keep a lock that a run waits for, write a large
# object, or read which large objects there are.
_FUNCTIONS = """
select p.oid::regprocedure::text from pg_proc as p
where p.pronamespace = 'pg_catalog'::regnamespace
  and (p.proname like 'pg\\_%advisory\\_%lock%' or p.proname like 'lo\\_%'
       or p.proname in ('loread', 'lowrite', 'pg_notify', 'pg_sleep', 'pg_sleep_for', 'pg_sleep_until'))
  and exists (
      select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a where a.grantee = 0
  )
"""
_UNREADABLE = """
select n.nspname, c.relname
from pg_class as c inner join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = any($1::text[]) and c.relkind in ('r', 'p', 'v', 'm')
  and not has_table_privilege($2::text, c.oid, 'select')
"""
_UNUSABLE = """
select n.nspname from pg_namespace as n
where n.nspname = any($1::text[]) and not has_schema_privilege($2::text, n.oid, 'usage')
"""


def ask_as_reader(reader: str, statement: str, most: int) -> pa.Table:
    """Return at most `most` rows of one statement, run by the reader's login; `reader` is its DSN.

    The statement goes alone by the extended protocol, in a read-only transaction with a timeout. Raises
    `QueryRefused`.
    """
    try:
        with _connect(reader) as connection, psycopg.RawCursor(connection) as cursor:
            rows = []
            for row in cursor.stream(statement.encode()):
                rows.append(row)
                if len(rows) == most:
                    break
            return make_table(connection, _describe_columns(connection, statement), rows)
    except psycopg.ProgrammingError as error:
        # psycopg's own words for a statement without rows, such as SET.
        raise QueryRefused("the statement gives no rows" if error.sqlstate is None else error) from error
    except psycopg.Error as error:
        raise QueryRefused(error) from error


@contextmanager
def _connect(reader: str) -> Iterator[psycopg.Connection]:
    options = " ".join(f"-c {name}={value}" for name, value in _LIMITS if name not in _SET_BY_SUPERUSERS)
    connection = psycopg.connect(reader, autocommit=True, options=f"{options} -c timezone=UTC")
    try:
        yield connection
    finally:
        connection.close()


def _describe_columns(connection: psycopg.Connection, statement: str) -> list[tuple[str, int]]:
    """Return name and type of each column: a stream does not describe a result without rows."""
    connection.pgconn.prepare(b"question", statement.encode())
    described = connection.pgconn.describe_prepared(b"question")
    return [((described.fname(n) or b"").decode(), described.ftype(n)) for n in range(described.nfields)]


def prepare_reader(dsn: str, prefix: str = "") -> str:
    """Make the reader's login and its rights, if they are missing; return its DSN.

    `dsn` must be allowed to make logins, else QueryRefused says what to set. New tables of the owner are
    readable by default privileges, so that dbt may create them again.
    """
    given = conninfo_to_dict(dsn)
    password = _derive_password(str(given.get("password") or ""))
    schemas = [f"{prefix}{schema}" for schema in PUBLISHED]
    try:
        with transaction(dsn) as session:
            lock_raw_schema(session, READER_ROLE)
            _make_login(session, password)
            _restrict_public(session)
            _grant_schemas(session, schemas)
    except psycopg.errors.InsufficientPrivilege as error:
        raise QueryRefused(
            f"{error}\nThe login of MYPROPERTY_WAREHOUSE_DSN may not make the login {READER_ROLE}: make one "
            f"that may read {', '.join(schemas)}, and give its DSN in MYPROPERTY_WAREHOUSE_READER_DSN"
        ) from error
    return make_conninfo(dsn, user=READER_ROLE, password=password)


def _derive_password(secret: str) -> str:
    """Return a password that follows from the builder's: nothing more to store, and no way back."""
    return hmac.new(secret.encode(), READER_ROLE.encode(), hashlib.sha256).hexdigest()


def _make_login(session: Session, password: str) -> None:
    name = sql.Identifier(READER_ROLE)
    if not session.rows("select from pg_roles where rolname = $1", (READER_ROLE,)):
        session.execute(sql.SQL("create role {} noinherit").format(name))
        for setting, value in _LIMITS:
            session.execute(
                sql.SQL("alter role {} set {} = {}").format(name, sql.Identifier(setting), sql.Literal(value))
            )
    # Says which password was set, so that a query does not set it again.
    mark = hashlib.sha256(password.encode()).hexdigest()[:16]
    ((is_ready,),) = session.rows(
        "select rolcanlogin and shobj_description(oid, 'pg_authid') is not distinct from $2"
        " and not (rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls)"
        " from pg_roles where rolname = $1",
        (READER_ROLE, mark),
    )
    if not is_ready:
        session.execute(
            sql.SQL(
                "alter role {} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls"
                " connection limit 20 password {}"
            ).format(name, sql.Literal(password))
        )
        session.execute(sql.SQL("comment on role {} is {}").format(name, sql.Literal(mark)))


def _restrict_public(session: Session) -> None:
    """Take from everybody, once, what no reader needs; not where the operational roles use it."""
    ((is_shared, database, has_temporary),) = session.rows(
        "select to_regnamespace('myproperty') is not null, current_database(),"
        " has_database_privilege('public', current_database(), 'temporary')"
    )
    if is_shared:
        return
    if has_temporary:
        session.execute(
            sql.SQL("revoke temporary on database {} from public").format(sql.Identifier(database))
        )
    for (function,) in session.rows(_FUNCTIONS):
        session.execute(sql.SQL("revoke execute on function {} from public").format(sql.SQL(function)))


def _grant_schemas(session: Session, schemas: list[str]) -> None:
    reader = sql.Identifier(READER_ROLE)
    for (schema,) in session.rows(_UNUSABLE, (schemas, READER_ROLE)):
        session.execute(sql.SQL("grant usage on schema {} to {}").format(sql.Identifier(schema), reader))
        session.execute(
            sql.SQL("alter default privileges in schema {} grant select on tables to {}").format(
                sql.Identifier(schema), reader
            )
        )
    for schema, table in session.rows(_UNREADABLE, (schemas, READER_ROLE)):
        session.execute(sql.SQL("grant select on {} to {}").format(sql.Identifier(schema, table), reader))
