"""Find a tenant by the id or name that a person gives. Permissions are not checked here."""

import uuid
from dataclasses import dataclass

import psycopg

from myproperty.database.roles import OPERATOR_ROLE
from myproperty.errors import DatabaseUnavailable, PlatformError


class TenantError(PlatformError):
    """The tenant does not exist or is not active; the message names no other tenant."""


@dataclass(frozen=True)
class Tenant:
    """The id and name of a tenant."""

    id: uuid.UUID
    name: str


def find_tenant(dsn: str, wanted: str, *, may_be_suspended: bool = False) -> Tenant:
    """Find the tenant with this id or exact name; an id wins over a name that looks like it.

    Raises `TenantError`, or `DatabaseUnavailable` if the database cannot be reached.
    """
    try:
        with psycopg.connect(dsn, application_name="myproperty") as connection:
            # No tenant is set yet, so only a role that bypasses the policies can read the id.
            connection.execute(f"set local role {OPERATOR_ROLE}")
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
