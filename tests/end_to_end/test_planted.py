"""A seeded share of the planted faults of `make soak`, on copies of the platform of this folder."""

import os
from collections.abc import Iterator
from datetime import timedelta

import pytest

from myproperty import engines
from myproperty.settings import Settings
from tests.end_to_end.support import Platform
from tests.soak.faults import Fault
from tests.soak.site import Site, adopt_site, drop_databases
from tests.soak.trials import choose_share, try_fault

pytestmark = [pytest.mark.engine, pytest.mark.slow]
SEED = int(os.environ.get("SOAK_SEED", "1"))


@pytest.fixture(scope="module")
def site(
    platform: Platform, postgres_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    admin, day = engines.dsn(postgres_settings), platform.plan.end - timedelta(days=5)
    adopted = adopt_site(admin, platform.settings, tmp_path_factory.mktemp("soak"), day)
    yield adopted
    drop_databases(adopted)


@pytest.mark.parametrize("fault", choose_share(SEED), ids=lambda fault: fault.name)
def test_a_planted_fault_is_named_publishes_nothing_wrong_and_is_mended(site: Site, fault: Fault) -> None:
    assert try_fault(site, fault).problem == ""
