"""What is not published and why, on a real database: a failed gate, a crash, a killed run, a change."""

import json
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from typer.testing import CliRunner

from commands import pipeline
from commands.main import app
from dagster_project.build import build_defs
from dagster_project.instance import open_instance
from dagster_project.partitions import run_tags
from dagster_project.pending import Pending, find_pending
from dagster_project.processes import PROCESS, describe_process
from dagster_project.resources.platform import Platform
from dagster_project.run_history import record_runs
from data.ingest.validation import run as validation_run
from data.landing.published_dates import publish_dates
from expectations.verdicts import failing_verdicts
from myproperty.dates import Window
from myproperty.settings import Settings
from tests.conftest import DatabaseMaker
from tests.planted import DATES, plant_wrong_reading

pytestmark = pytest.mark.engine
BAD, GOOD = DATES.dates
STEPS = [dg.AssetKey(name) for name in ("reading_issues", "meter_readings")]


@pytest.fixture
def platform(tmp_path: Path, migrated_database: DatabaseMaker, parsed_home: Path) -> Iterator[Platform]:
    home = shutil.copytree(parsed_home, tmp_path / "home")
    with migrated_database("pending") as dsn:
        # Nothing here asks the warehouse; the parse holds for its name.
        settings = Settings(home=home, oltp_dsn=dsn, warehouse_dsn="postgresql://127.0.0.1:9/warehouse")
        yield Platform(settings, progress=lambda _: None)


@pytest.fixture
def instance(platform: Platform) -> Iterator[dg.DagsterInstance]:
    with open_instance(platform.settings.home) as opened:
        yield opened


def run(platform: Platform, instance: dg.DagsterInstance, dates: Window) -> dg.ExecuteInProcessResult:
    """Run the real job as far as gate A, and record it."""
    job = build_defs(settings=platform.settings, resources={"platform": platform}).resolve_job_def("pipeline")
    result = job.execute_in_process(
        instance=instance, tags=run_tags(dates, "a test"), raise_on_error=False, asset_selection=STEPS
    )
    record_runs(instance, platform.oltp_dsn)
    return result


def describe(pending: Pending) -> list[tuple[date, date, str, str]]:
    return [(found.first, found.last, found.state, found.why) for found in pending.dates]


def test_a_failed_date_stays_until_it_is_published(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = platform.oltp_dsn
    plant_wrong_reading(dsn)
    assert describe(find_pending(dsn)) == [(BAD, GOOD, "not run", "never published")]

    failed = run(platform, instance, DATES)
    assert not failed.success
    assert describe(find_pending(dsn)) == [(BAD, GOOD, "failed", "A-READINGS-008 on meter_readings")]

    good = Window(GOOD, GOOD + timedelta(days=1))
    assert run(platform, instance, good).success
    publish_dates(dsn, good.dates, "good")
    (found,) = find_pending(dsn).dates
    assert (found.dates, found.state, found.was_published) == ([BAD], "failed", False)
    assert found.run is not None
    assert found.run.run_id == failed.run_id
    assert found.next == f"mend the cause, then myproperty run --from {BAD} --to {BAD}"
    (verdict,) = failing_verdicts(dsn)
    assert verdict.run_id == failed.run_id, "both commands name the same run"

    # A person reads the same from the command, and a program from its document.
    monkeypatch.setattr(pipeline, "get_settings", lambda: platform.settings)
    shown = CliRunner().invoke(app, ["pending"])
    assert shown.exit_code == 0, shown.output
    for text in (
        str(BAD),
        "A-READINGS-008",
        "observed: ",
        "next: ",
        f"myproperty run --from {BAD} --to {BAD}",
    ):
        assert text in shown.output
    document = json.loads(CliRunner().invoke(app, ["pending", "--json"]).output)
    assert [(row["first"], row["state"]) for row in document["dates"]] == [(str(BAD), "failed")]

    with psycopg.connect(dsn) as connection:
        connection.execute(
            "update myproperty.meter_readings set interval_seconds = 1800 where reading_date = %s", (BAD,)
        )
    day = Window(BAD, GOOD)
    assert run(platform, instance, day).success
    publish_dates(dsn, day.dates, "mended")
    assert find_pending(dsn) == Pending()
    assert failing_verdicts(dsn) == []
    assert "all dates are published" in CliRunner().invoke(app, ["pending"]).output


def test_a_killed_run_is_named(platform: Platform, instance: dg.DagsterInstance) -> None:
    """The dates were published before: the marts show their former state."""
    dsn = platform.oltp_dsn
    plant_wrong_reading(dsn)
    publish_dates(dsn, DATES.dates, "before")
    host, number, _ = describe_process().rsplit("/", 2)
    killed = instance.create_run_for_job(
        build_defs(settings=platform.settings).resolve_job_def("pipeline"),
        tags=run_tags(DATES, "a test") | {PROCESS: f"{host}/{number}/1.00"},
        status=dg.DagsterRunStatus.STARTED,
    )
    record_runs(instance, dsn)
    (found,) = find_pending(dsn).dates
    assert (found.state, found.was_published, found.dates) == ("killed", True, DATES.dates)
    assert found.run is not None
    assert found.run.run_id == killed.run_id
    publish_dates(dsn, [BAD], "after")
    assert [found.dates for found in find_pending(dsn).dates] == [[GOOD]]
    assert run(platform, instance, Window(GOOD, GOOD + timedelta(days=1))).success
    assert find_pending(dsn).dates == []


def test_a_crashed_step_says_its_error_and_is_cleared_by_a_good_run_of_its_job(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = platform.oltp_dsn
    plant_wrong_reading(dsn)

    def crash(*_: object, **__: object) -> None:
        raise ValueError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(validation_run, "validate", crash)
        assert not run(platform, instance, DATES).success
    (found,) = find_pending(dsn).dates
    assert (found.state, found.why) == ("failed", "STEP reading_issues on pipeline step")
    assert found.run is not None
    assert "no space left on device" in found.run.reasons[0]["observed"]


def test_a_date_that_another_table_withdraws_says_which(platform: Platform) -> None:
    dsn = platform.oltp_dsn
    plant_wrong_reading(dsn)
    publish_dates(dsn, DATES.dates, "before")
    assert find_pending(dsn) == Pending()
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into myproperty.reading_issues"
            " (tenant_id, property_id, meter_id, channel, reading_date, rule, severity)"
            " select tenant_id, property_id, id, 'import', %s, 'VEE-BOUND', 'severe'"
            " from myproperty.meters limit 1",
            (BAD,),
        )
    pending = find_pending(dsn)
    reason = "a severe issue was found, resolved, accepted or has expired"
    assert describe(pending) == [(BAD, BAD, "not run", reason)]
    assert [(held.reading_date, held.rule) for held in pending.held] == [(BAD, "VEE-BOUND")]
    assert find_pending(dsn).dates == pending.dates, "asking again does not move the instant"
