"""The rights of each login in a warehouse on PostgreSQL.

`raw` belongs to the login that loads it, every other layer to dbt's; the others only read. Rights on tables
that do not exist yet are default privileges of their owners, so dbt may drop and create them again. Not here:
which tenant a reader sees, by which the views of `bi` filter (`data.warehouse.readers`).
"""

from collections.abc import Iterable

import psycopg
from psycopg import sql

from myproperty.database.roles import (
    READER_LIMITS,
    WAREHOUSE_DASHBOARDS,
    WAREHOUSE_DBT,
    WAREHOUSE_GATES,
    WAREHOUSE_RAW,
    WAREHOUSE_READER,
    WAREHOUSE_TENANT_READERS,
    Login,
)
from oltp_schema.logins import ensure_login, ensure_member, restrict_public

RAW = "raw"
PUBLISHED = ("bi", "marts", "core")
LAYERS = ("staging", "snapshots", *PUBLISHED)
# reader -> the schemas that it reads, besides its own
READS: dict[Login, tuple[str, ...]] = {
    WAREHOUSE_DBT: (RAW,),
    WAREHOUSE_GATES: (RAW, *LAYERS),
    WAREHOUSE_READER: PUBLISHED,
    WAREHOUSE_DASHBOARDS: ("bi",),
    WAREHOUSE_TENANT_READERS: ("bi",),
}
# (owner, reader): a run with another prefix makes its own schemas, which the next step must read.
BUILDERS = (
    (WAREHOUSE_RAW, WAREHOUSE_DBT),
    (WAREHOUSE_RAW, WAREHOUSE_GATES),
    (WAREHOUSE_DBT, WAREHOUSE_GATES),
)
OWNS: dict[Login, tuple[str, ...]] = {WAREHOUSE_RAW: (RAW,), WAREHOUSE_DBT: LAYERS}
_OTHERS = """
select c.relkind, n.nspname, c.relname
from pg_catalog.pg_class as c inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = %s and c.relkind in ('r', 'p', 'v', 'm', 'S') and c.relowner <> %s::regrole
    -- A sequence of a column follows its table.
    and not exists (select from pg_catalog.pg_depend as d where d.objid = c.oid and d.deptype in ('a', 'i'))
"""
_KINDS = {"v": "view", "m": "materialized view", "S": "sequence"}


def prepare_warehouse(
    connection: psycopg.Connection,
    prefix: str = "",
    passwords: dict[str, str] | None = None,
    readers: Iterable[str] = (),
) -> None:
    """Make the logins, the schemas with this prefix, and all rights; the caller commits.

    `readers` are logins besides those of the jobs: each may read `bi`, whose views show it its tenants.

    What another login made, such as a superuser of an earlier release, passes to the owner of its layer. A
    second call changes nothing. `passwords` are those of the logins, by name. Raises
    `psycopg.errors.InsufficientPrivilege` if the login of the connection may not do this.
    """
    database = connection.info.dbname
    for login in {*OWNS, *READS}:
        ensure_login(connection, login, database, (passwords or {}).get(login.name))
    for name in readers:
        ensure_member(connection, name, WAREHOUSE_TENANT_READERS, READER_LIMITS, (passwords or {}).get(name))
    owners = [login.name for login in OWNS]
    # Both make temporary tables, and schemas for another prefix.
    restrict_public(connection, database, with_temporary=owners, with_locks=owners)
    for owner in owners:
        connection.execute(
            sql.SQL("grant create on database {} to {}").format(
                sql.Identifier(database), sql.Identifier(owner)
            )
        )
    owner_of = {schema: login.name for login, schemas in OWNS.items() for schema in schemas}
    for schema, owner in owner_of.items():
        _own_schema(connection, f"{prefix}{schema}", owner)
    for reader, schemas in READS.items():
        for schema in schemas:
            _grant_reading(connection, f"{prefix}{schema}", owner_of[schema], reader.name)
    for builder, reader in BUILDERS:
        _grant_reading_everywhere(connection, builder.name, reader.name)


def _grant_reading(connection: psycopg.Connection, schema: str, owner: str, reader: str) -> None:
    """Let `reader` read every table of `schema` that `owner` has or will make there."""
    names = {
        "schema": sql.Identifier(schema),
        "owner": sql.Identifier(owner),
        "reader": sql.Identifier(reader),
    }
    for statement in (
        "grant usage on schema {schema} to {reader}",
        "grant select on all tables in schema {schema} to {reader}",
        "alter default privileges for role {owner} in schema {schema} grant select on tables to {reader}",
    ):
        connection.execute(sql.SQL(statement).format(**names))


def _grant_reading_everywhere(connection: psycopg.Connection, owner: str, reader: str) -> None:
    """Let `reader` read every schema and table that `owner` will make."""
    names = {"owner": sql.Identifier(owner), "reader": sql.Identifier(reader)}
    for right in ("usage on schemas", "select on tables"):
        connection.execute(
            sql.SQL("alter default privileges for role {owner} grant {right} to {reader}").format(
                right=sql.SQL(right), **names
            )
        )


def _own_schema(connection: psycopg.Connection, schema: str, owner: str) -> None:
    """Make a schema, or pass it and what is in it to its owner."""
    connection.execute(
        sql.SQL("create schema if not exists {} authorization {}").format(
            sql.Identifier(schema), sql.Identifier(owner)
        )
    )
    connection.execute(
        sql.SQL("alter schema {} owner to {}").format(sql.Identifier(schema), sql.Identifier(owner))
    )
    for kind, *name in connection.execute(_OTHERS, (schema, owner)).fetchall():
        connection.execute(
            sql.SQL("alter {} {} owner to {}").format(
                sql.SQL(_KINDS.get(kind, "table")), sql.Identifier(*name), sql.Identifier(owner)
            )
        )
