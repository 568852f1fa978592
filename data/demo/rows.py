"""What a row is, and how it gets into its table: by a fixed id, and without a change if it is there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from myproperty.database.roles import APP_ROLE, ORIGINFD_ROLE, OWNER_ROLE

Row = dict[str, Any]
# (table, row): the id is the first column of a row, the tenant is added when it is written.
Rows = Iterator[tuple[str, Row]]

# Written once and then left alone: history, and what people of the demo go on with.
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
# A row of these stays with its rate plan or property: only this may be written again.
_CHANGEABLE = {
    "rate_plan_bands": ("band", "minutes_of_day", "unit_amount", "tax_rate", "valid_during"),
    "allocation_keys": ("share", "valid_during"),
}
_OWNERS = {"tenants": OWNER_ROLE, "originfd.projects": ORIGINFD_ROLE}


class Sealer(Protocol):
    """Encrypts personal text of a tenant, under the key of a person or, with no `user`, of the tenant."""

    def seal(
        self, text: str, *, tenant: UUID, user: UUID | None, table: str, column: str, row: UUID
    ) -> bytes: ...


@dataclass(frozen=True)
class Secret:
    """Text that is stored sealed, and whose it is: of a person, or of the tenant if `user` is None."""

    text: str
    user: UUID | None


def write_rows(connection: psycopg.Connection, tenant_id: UUID, rows: Rows) -> None:
    """Write the rows of a tenant, parents first, under row security and as the role that may."""
    act_for(connection, tenant_id)
    acting = APP_ROLE
    for table, row in rows:
        role = _OWNERS.get(table, APP_ROLE)
        if role != acting:
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            acting = role
        put(connection, table, row if table == "tenants" else {**row, "tenant_id": tenant_id})
    act_for(connection, tenant_id)


def act_for(connection: psycopg.Connection, tenant_id: UUID) -> None:
    """Be the application of this tenant to the end of the transaction."""
    connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(tenant_id),))
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(APP_ROLE)))


def put(connection: psycopg.Connection, table: str, row: Row) -> None:
    """Insert by id; an existing row is updated only if it differs, so its version stays."""
    changed = () if table in _WRITTEN_ONCE else _CHANGEABLE.get(table, tuple(row)[1:])
    columns = [sql.Identifier(name) for name in row]
    statement = sql.SQL(
        "INSERT INTO {table} AS stored ({columns}) VALUES ({values}) ON CONFLICT (id) "
    ).format(
        table=qualified(table),
        columns=sql.SQL(", ").join(columns),
        values=sql.SQL(", ").join(sql.Placeholder() for _ in columns),
    )
    connection.execute(statement + _on_conflict(changed), [_adapted(value) for value in row.values()])


def _on_conflict(changed: tuple[str, ...]) -> sql.Composable:
    if not changed:
        return sql.SQL("DO NOTHING")
    return sql.SQL("DO UPDATE SET ({changed}) = ROW ({new}) WHERE ({old}) IS DISTINCT FROM ({new})").format(
        changed=sql.SQL(", ").join(sql.Identifier(name) for name in changed),
        new=sql.SQL(", ").join(sql.SQL("excluded.{}").format(sql.Identifier(name)) for name in changed),
        old=sql.SQL(", ").join(sql.SQL("stored.{}").format(sql.Identifier(name)) for name in changed),
    )


def qualified(table: str) -> sql.Identifier:
    """The name of a table with its schema, `myproperty` if it is not said."""
    schema, _, name = table.rpartition(".")
    return sql.Identifier(schema or "myproperty", name)


def _adapted(value: object) -> object:
    return Jsonb(value) if isinstance(value, (dict, list)) else value
