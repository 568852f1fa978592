"""The site of the gates is built after runs: once for a burst, by a job of its own."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.defs.history import sensors
from dagster_project.defs.history.jobs import quality_docs
from dagster_project.defs.history.sensors import new_verdicts
from dagster_project.gates import to_check_result
from dagster_project.resources.platform import Platform
from expectations.data_docs import SITE
from expectations.verdicts import Verdict
from myproperty.settings import Settings
from tests.conftest import DatabaseMaker
from tests.planted import keep_verdicts

pytestmark = pytest.mark.engine
VERDICT = Verdict("C", "meters", True, [], 4, 12, run_id="r1", checked_at=datetime(2026, 1, 5, tzinfo=UTC))


@dg.job(name="pipeline")
def pipeline() -> None:
    """Stand in for the job that runs gates."""


class Site:
    """The sensor and the job on a database without verdicts."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings) -> None:
        self.instance, self.platform = instance, Platform(settings)
        self._cursor: str | None = None

    def add_verdict(self, hours: int) -> None:
        keep_verdicts(
            self.platform.oltp_dsn,
            [replace(VERDICT, checked_at=VERDICT.checked_at + timedelta(hours=hours))],
        )

    def tick(self) -> bool:
        """Return whether one tick requests a build."""
        context = dg.build_sensor_context(
            self.instance, cursor=self._cursor, resources={"platform": self.platform}
        )
        tick = new_verdicts.evaluate_tick(context)
        self._cursor = tick.cursor
        return bool(tick.run_requests)

    def build(self) -> dg.ExecuteInProcessResult:
        return quality_docs.execute_in_process(
            instance=self.instance, resources={"platform": self.platform}, raise_on_error=False
        )


@pytest.fixture
def site(migrated_database: DatabaseMaker, tmp_path: Path) -> Iterator[Site]:
    with migrated_database("site") as dsn, dg.DagsterInstance.ephemeral() as instance:
        yield Site(instance, Settings(home=tmp_path, oltp_dsn=dsn, warehouse_dsn=None))


def test_a_burst_of_runs_has_one_build_at_its_end(site: Site) -> None:
    assert not site.tick(), "no gate has run"
    site.add_verdict(0)
    assert site.tick() and not site.tick()
    assert site.build().success
    run = site.instance.create_run_for_job(pipeline, status=dg.DagsterRunStatus.STARTED)
    site.add_verdict(1)
    site.add_verdict(2)
    assert not site.tick(), "the run is under way, and the site is a moment old"
    site.instance.report_run_canceled(run)
    assert site.tick() and not site.tick()


def test_runs_that_follow_each_other_do_not_keep_the_site_old(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.build()
    site.instance.create_run_for_job(pipeline, status=dg.DagsterRunStatus.STARTED)
    site.add_verdict(0)
    assert not site.tick()
    monkeypatch.setattr(sensors, "OLDEST_SITE", timedelta())
    assert site.tick()


def test_the_link_of_a_verdict_leads_to_its_row(site: Site) -> None:
    site.add_verdict(0)
    assert site.build().success
    settings = Settings(quality_url="https://gates.example/")
    text = str(to_check_result(VERDICT, settings=settings).description)
    assert "(https://gates.example/index.html#C-meters)" in text
    assert "id='C-meters'" in (site.platform.settings.quality_folder / SITE / "index.html").read_text()
    assert "site of the gates" not in str(to_check_result(VERDICT, settings=Settings()).description)


def test_a_site_that_cannot_be_written_fails_its_own_job_alone(site: Site) -> None:
    site.platform.settings.quality_folder.with_name("quality.lock").mkdir()
    assert not site.build().success
