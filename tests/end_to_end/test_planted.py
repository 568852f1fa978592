"""A seeded share of `make soak`, on copies of the platform of this folder: faults, and files by sensors."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from myproperty import engines
from myproperty.settings import Settings
from tests.end_to_end.support import Platform
from tests.soak.daemon import Daemon
from tests.soak.faults import Fault, times
from tests.soak.site import Site, adopt_site, drop_databases, write_rows
from tests.soak.sixty_days import compare, read_figures
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
    drop_databases(adopted.admin)


@pytest.mark.parametrize("fault", choose_share(SEED), ids=lambda fault: fault.name)
def test_a_planted_fault_is_named_publishes_nothing_wrong_and_is_mended(site: Site, fault: Fault) -> None:
    assert try_fault(site, fault).problem == ""


def test_the_sensors_take_a_wrong_and_a_right_file_to_the_figures_of_the_clean_run(site: Site) -> None:
    site.restore()
    clean = read_figures(site.settings)
    rows, at = site.rows_of("unit-101", "consumption"), datetime(2025, 11, 5, 9, tzinfo=UTC)
    daemon = Daemon(site.settings, site.day - timedelta(days=10))
    try:
        site.put_text(write_rows(rows, times("1.5"), at=1), "wrong.csv")
        daemon.take_files(at)
        site.put_text(write_rows(rows, at=2), "right.csv")
        daemon.tick_sensors(at)
    finally:
        daemon.stop()
    assert [(done.order.job, done.success) for done in daemon.runs] == [
        ("ingest", True),
        ("ingest", True),
        ("validate", True),
        ("pipeline", True),
    ]
    assert list(compare(read_figures(site.settings), clean)) == []
