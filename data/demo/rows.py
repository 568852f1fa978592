"""Write rows into their tables by a fixed id; an equal row stays unchanged."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from myproperty.database.roles import APP_ROLE, ORIGINFD_ROLE, REGISTRAR_ROLE

Row = dict[str, Any]
# (table, row): the id is the first column of a row; writing adds the tenant.
Rows = Iterator[tuple[str, Row]]

# Written once and not changed again: history, and rows that people of the demo change.
_WRITTEN_ONCE = frozenset(
    {
        "users",
        "notification_preferences",
        "service_tickets",
        "ticket_quotes",
        "ticket_schedules",
        "ticket_activities",
        "agent_messages",
        "agent_audit",
    }
)
# Rows of these tables keep their rate plan or property; only these columns may change.
_CHANGEABLE = {
    "rate_plan_bands": ("band", "minutes_of_day", "unit_amount", "tax_rate", "valid_during"),
    "allocation_keys": ("share", "valid_during"),
}
_OWNERS = {"tenants": REGISTRAR_ROLE, "originfd.projects": ORIGINFD_ROLE}


class FieldSealer(Protocol):
    """Encrypts personal text under the key of a person or, without `user`, of the tenant."""

    def seal(
        self, text: str, *, tenant: UUID, user: UUID | None, table: str, column: str, row: UUID
    ) -> bytes: ...


@dataclass(frozen=True)
class Secret:
    """Text to be stored sealed. It belongs to a person, or to the tenant if `user` is None."""

    text: str
    user: UUID | None


def write_rows(connection: psycopg.Connection, tenant_id: UUID, rows: Rows) -> None:
    """Write the rows of a tenant, parents first, under row security and with the role of each table."""
    act_for_tenant(connection, tenant_id)
    acting = APP_ROLE
    for table, row in rows:
        role = _OWNERS.get(table, APP_ROLE)
        if role != acting:
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            acting = role
        upsert_row(connection, table, row if table == "tenants" else {**row, "tenant_id": tenant_id})
    act_for_tenant(connection, tenant_id)


def act_for_tenant(connection: psycopg.Connection, tenant_id: UUID) -> None:
    """Act as the application of this tenant until the transaction ends."""
    connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(tenant_id),))
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(APP_ROLE)))


def upsert_row(connection: psycopg.Connection, table: str, row: Row) -> None:
    """Insert a row by id. An existing row is updated only if it differs, so its version stays."""
    changed = () if table in _WRITTEN_ONCE else _CHANGEABLE.get(table, tuple(row)[1:])
    columns = [sql.Identifier(name) for name in row]
    statement = sql.SQL(
        "INSERT INTO {table} AS stored ({columns}) VALUES ({values}) ON CONFLICT (id) "
    ).format(
        table=qualify_table(table),
        columns=sql.SQL(", ").join(columns),
        values=sql.SQL(", ").join(sql.Placeholder() for _ in columns),
    )
    connection.execute(
        statement + _build_on_conflict(changed), [_adapt_value(value) for value in row.values()]
    )


def _build_on_conflict(changed: tuple[str, ...]) -> sql.Composable:
    if not changed:
        return sql.SQL("DO NOTHING")
    return sql.SQL("DO UPDATE SET ({changed}) = ROW ({new}) WHERE ({old}) IS DISTINCT FROM ({new})").format(
        changed=sql.SQL(", ").join(sql.Identifier(name) for name in changed),
        new=sql.SQL(", ").join(sql.SQL("excluded.{}").format(sql.Identifier(name)) for name in changed),
        old=sql.SQL(", ").join(sql.SQL("stored.{}").format(sql.Identifier(name)) for name in changed),
    )


def qualify_table(table: str) -> sql.Identifier:
    """Return the name of a table with its schema, `myproperty` by default."""
    schema, _, name = table.rpartition(".")
    return sql.Identifier(schema or "myproperty", name)


def _adapt_value(value: object) -> object:
    return Jsonb(value) if isinstance(value, (dict, list)) else value
