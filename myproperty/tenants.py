"""Which tenant is meant: asked in one place, whatever is done for it then.

Here: from the id or name that a person gives to the tenant. Not here: who may work for it.
"""

import uuid
from dataclasses import dataclass

import psycopg

from myproperty.database.roles import ETL_ROLE
from myproperty.errors import DatabaseUnavailable, PlatformError


class TenantError(PlatformError):
    """There is no such tenant, or nothing is done for it; the message names no other tenant."""


@dataclass(frozen=True)
class Tenant:
    """A tenant, as it is called."""

    id: uuid.UUID
    name: str


def find_tenant(dsn: str, wanted: str, *, may_be_suspended: bool = False) -> Tenant:
    """The tenant with this id or exact name; an id goes before a name that reads like it.

    Raises `TenantError`, or `DatabaseUnavailable` if the database cannot be reached.
    """
    try:
        with psycopg.connect(dsn, application_name="myproperty") as connection:
            # Before there is a tenant to set, only a role past the policies can tell its id.
            connection.execute(f"set local role {ETL_ROLE}")
            row = connection.execute(
                "select id, name, status from myproperty.tenants "
                "where id::text = lower(%(wanted)s) or name = %(wanted)s "
                "order by id::text = lower(%(wanted)s) desc limit 1",
                {"wanted": wanted},
            ).fetchone()
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(
            f"the database cannot be reached: {error}. Start the embedded server with `myproperty up`, "
            "or check the DSN in MYPROPERTY_OLTP_DSN"
        ) from error
    if row is None:
        raise TenantError(
            f"there is no tenant {wanted!r}: give the id or the exact name. An operator sees them in the "
            "table myproperty.tenants, with psql and the DSN that `myproperty status` shows"
        )
    found, name, status = row
    if status != "active" and not may_be_suspended:
        raise TenantError(
            f"tenant {name!r} is {status}: nothing is loaded or billed for it until it is active again"
        )
    return Tenant(found, name)
