"""One look-up of tenants for all commands: by id or name, and what it says when there is none."""

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


def test_it_is_found_by_its_id_and_its_exact_name(oltp_dsn: str, acacia: Tenant) -> None:
    for wanted in ("Acacia", str(acacia.id), str(acacia.id).upper()):
        assert find_tenant(oltp_dsn, wanted) == acacia


def test_a_tenant_that_calls_itself_by_the_id_of_another_is_not_taken_for_it(oltp_dsn: str) -> None:
    """A tenant may choose its name, and whoever names an id means the id."""
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
def test_of_one_that_is_not_there_every_command_says_what_to_do(
    oltp_dsn: str, acacia: Tenant, command: Callable[[str, str], object], wanted: str
) -> None:
    with pytest.raises(TenantError, match="give the id or the exact name") as caught:
        command(oltp_dsn, wanted)
    assert f"there is no tenant {wanted!r}" in str(caught.value)
    assert "Acacia" not in str(caught.value).replace(repr(wanted), "")


def test_nothing_is_done_for_one_that_is_suspended_but_to_erase_it(oltp_dsn: str) -> None:
    tenant = make(oltp_dsn, "Casuarina", "suspended")
    with pytest.raises(TenantError, match="tenant 'Casuarina' is suspended: nothing is loaded or billed"):
        find_tenant(oltp_dsn, str(tenant.id))
    assert find_tenant(oltp_dsn, "Casuarina", may_be_suspended=True) == tenant


def test_a_database_out_of_reach_is_another_matter() -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        find_tenant("postgresql://postgres@127.0.0.1:1/none", "Acacia")
