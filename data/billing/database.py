"""One transaction of billing: under the policies of one tenant, for one person."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from data.billing.errors import BillingError
from myproperty.database.roles import BILLER_ROLE, OPERATOR_ROLE
from myproperty.tenants import find_tenant


@contextmanager
def as_tenant(
    dsn: str, tenant: str | uuid.UUID, user: uuid.UUID | None = None
) -> Iterator[psycopg.Connection]:
    """Open a transaction under the policies of `tenant` (id or exact name); the audit trail names `user`.

    Commits at the end of the block, after all checks at commit; rolls back on any error. Raises `TenantError`
    for an unknown or suspended tenant, and `BillingError` if the database refuses the change.
    """
    tenant_id = tenant if isinstance(tenant, uuid.UUID) else find_tenant(dsn, tenant).id
    try:
        with psycopg.connect(dsn, application_name="myproperty billing") as connection:
            connection.execute(f"set local role {BILLER_ROLE}")
            connection.execute(
                "select set_config('app.tenant_id', %s, true), set_config('app.user_id', %s, true)",
                (str(tenant_id), str(user or "")),
            )
            yield connection
    except psycopg.Error as error:
        if not (error.sqlstate or "").startswith("MP"):
            raise
        hint = error.diag.message_hint or ""
        raise BillingError(f"{error.diag.message_primary}. {hint}") from error


def find_tenant_of_task(dsn: str, task_id: uuid.UUID) -> uuid.UUID:
    """Return the tenant of an adjustment task. Raises `BillingError` for an unknown id."""
    with psycopg.connect(dsn) as connection:
        connection.execute(f"set local role {OPERATOR_ROLE}")
        row = connection.execute(
            "select tenant_id from myproperty.adjustment_tasks where id = %s", (task_id,)
        ).fetchone()
    if row is None:
        raise BillingError(f"no adjustment task {task_id} exists: `myproperty billing tasks` lists them")
    return uuid.UUID(str(row[0]))


def find_property(connection: psycopg.Connection, wanted: str) -> uuid.UUID:
    """Return the id of a property of the tenant, by id or exact name. Raises `BillingError` if unknown."""
    row = connection.execute(
        "select id from myproperty.properties where id::text = lower(%(wanted)s) or name = %(wanted)s",
        {"wanted": wanted},
    ).fetchone()
    if row is None:
        raise BillingError(f"the tenant has no property {wanted!r}: give the id or the exact name")
    return uuid.UUID(str(row[0]))
