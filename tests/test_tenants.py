"""All commands find a tenant by id or name in one place, which explains a missing one."""

import uuid
from collections.abc import Callable

import psycopg
import pytest

from data.billing.database import as_tenant
from data.ingest.readings.quarantine import list_quarantined
from myproperty.errors import DatabaseUnavailable
from myproperty.tenants import Tenant, TenantError, find_tenant

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def acacia(oltp_dsn: str) -> Tenant:
    return make(oltp_dsn, "Acacia")


def make(dsn: str, name: str, status: str = "active", identity: uuid.UUID | None = None) -> Tenant:
    insert = "insert into myproperty.tenants (id, name, region, status) values (%s, %s, 'AU', %s)"
    tenant = Tenant(identity or uuid.uuid4(), name)
    with psycopg.connect(dsn) as connection:
        connection.execute(insert, (tenant.id, name, status))
    return tenant


def test_a_tenant_is_found_by_id_and_exact_name(oltp_dsn: str, acacia: Tenant) -> None:
    for wanted in ("Acacia", str(acacia.id), str(acacia.id).upper()):
        assert find_tenant(oltp_dsn, wanted) == acacia


def test_an_id_wins_over_a_name_that_equals_it(oltp_dsn: str) -> None:
    """A tenant may choose its name, even the id of another tenant."""
    identity = uuid.uuid4()
    make(oltp_dsn, str(identity))
    banksia = make(oltp_dsn, "Banksia", identity=identity)
    make(oltp_dsn, str(identity).upper())
    assert find_tenant(oltp_dsn, str(identity)) == find_tenant(oltp_dsn, str(identity).upper()) == banksia


@pytest.mark.parametrize("wanted", ["acacia", "Acacia ", "", "%", str(uuid.UUID(int=1))])
@pytest.mark.parametrize(
    "command",
    [
        find_tenant,
        lambda dsn, wanted: list_quarantined(dsn, tenant=wanted),
        lambda dsn, wanted: as_tenant(dsn, wanted).__enter__(),
    ],
    ids=["look-up", "quarantine", "billing"],
)
def test_every_command_explains_an_unknown_tenant(
    oltp_dsn: str, acacia: Tenant, command: Callable[[str, str], object], wanted: str
) -> None:
    with pytest.raises(TenantError, match="give the id or the exact name") as caught:
        command(oltp_dsn, wanted)
    assert f"there is no tenant {wanted!r}" in str(caught.value)
    assert "Acacia" not in str(caught.value).replace(repr(wanted), "")


def test_a_suspended_tenant_is_only_found_for_erasure(oltp_dsn: str) -> None:
    tenant = make(oltp_dsn, "Casuarina", "suspended")
    with pytest.raises(TenantError, match="tenant 'Casuarina' is suspended: nothing is loaded or billed"):
        find_tenant(oltp_dsn, str(tenant.id))
    assert find_tenant(oltp_dsn, "Casuarina", may_be_suspended=True) == tenant


def test_an_unreachable_database_is_a_different_error() -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        find_tenant("postgresql://postgres@127.0.0.1:1/none", "Acacia")
