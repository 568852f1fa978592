"""The marts of quality, built by the real job after a failed night, equal what pandas computes."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from psycopg.rows import dict_row

from dagster_project.build import build_defs
from dagster_project.defs.quality.sensors import quality_marts
from dagster_project.instance import open_instance
from dagster_project.partitions import run_tags
from dagster_project.resources.platform import Platform
from dagster_project.run_history import record_runs
from dagster_project.runner import build_quality
from data.ingest.readings.load import ingest_file
from data.landing.published_dates import publish_dates
from data.landing.quality import count_days, count_runs
from myproperty import engines
from myproperty.dates import Window
from myproperty.settings import Settings
from tests.conftest import DatabaseMaker
from tests.ingest.conftest import HEADER, Company, make_company
from tests.planted import DATES, plant_wrong_reading
from tests.quality_by_pandas import Row, quality_days, quality_runs

pytestmark = pytest.mark.engine
GATE_A = [dg.AssetKey(name) for name in ("reading_issues", "meter_readings")]
FIRST = date(2025, 6, 1)
LAST = date(2025, 8, 2)
SILENT_FROM = date(2025, 6, 21)
ONE_DAY = timedelta(days=1)
OF_THE_COPY = ["landed_at", "created_at", "updated_at", "version"]


@dataclass(frozen=True)
class Night:
    """A platform on which a night failed, with the run that failed."""

    platform: Platform
    folder: Path
    beta: Company
    failed: str

    @property
    def dsn(self) -> str:
        return self.platform.oltp_dsn


def send(folder: Path, company: Company, first: date, last: date, *, value: str = "0.5") -> None:
    """Ingest a file of hourly readings of the company's meter, for dates of UTC."""
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    hours = [start + timedelta(hours=number) for number in range(((last - first).days + 1) * 24)]
    lines = [f"M1,E1,import,kWh,{at.isoformat()},3600,{value},actual,2025-09-01T00:00:00Z" for at in hours]
    path = folder / f"{company.name}-{first}-{value}.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    ingest_file(path, tenant=company.name, dsn=company.dsn)


def run_to_gate_a(platform: Platform, instance: dg.DagsterInstance, dates: Window) -> str:
    """Run the real pipeline as far as gate A; return the id of the run."""
    job = build_defs(settings=platform.settings, resources={"platform": platform}).resolve_job_def("pipeline")
    tags = run_tags(dates, "schedule pipeline_nightly")
    result = job.execute_in_process(
        instance=instance, tags=tags, raise_on_error=False, asset_selection=GATE_A
    )
    return result.run_id


@pytest.fixture(scope="module")
def night(
    tmp_path_factory: pytest.TempPathFactory,
    migrated_database: DatabaseMaker,
    postgres_settings: Settings,
    parsed_home: Path,
) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("quality")
    home = shutil.copytree(parsed_home, folder / "home")
    # The parse holds for a database of this name.
    warehouse = engines.dsn(postgres_settings, "warehouse")
    with migrated_database("quality") as dsn:
        platform = Platform(Settings(home=home, oltp_dsn=dsn, warehouse_dsn=warehouse))
        beta = plant_senders(folder, dsn)
        plant_wrong_reading(dsn)  # of a fourth tenant, silent since 2024
        publish_dates(dsn, [FIRST, FIRST + ONE_DAY], "a test", left_out=[beta.tenant_id])
        with open_instance(home) as instance:
            failed = run_to_gate_a(platform, instance, DATES)
            run_to_gate_a(platform, instance, Window(SILENT_FROM, SILENT_FROM + ONE_DAY))
            record_runs(instance, dsn)
        build_quality(platform.settings)
        yield Night(platform, folder, beta, failed)
    with psycopg.connect(warehouse) as connection:
        for name in ("raw.quality_days", "raw.quality_runs"):
            connection.execute(f"drop table {name} cascade".encode())
        for name in ("marts.mart_data_quality", "marts.mart_pipeline_runs"):
            connection.execute(f"drop table {name} cascade".encode())


def plant_senders(folder: Path, dsn: str) -> Company:
    """Plant a tenant with quarantined rows, issues and an unusual day; one is silent, one has a bad file."""
    alpha, beta, gamma = (make_company(dsn, name) for name in ("alpha", "beta", "gamma"))
    send(folder, alpha, FIRST, date(2025, 7, 30))
    send(folder, alpha, date(2025, 7, 31), date(2025, 7, 31), value="5")
    send(folder, alpha, date(2025, 7, 20), date(2025, 7, 20), value="-1")
    send(folder, alpha, date(2025, 5, 20), date(2025, 5, 20), value="-1")
    send(folder, alpha, LAST, LAST)
    send(folder, beta, FIRST, SILENT_FROM - ONE_DAY)
    (folder / "empty.csv").write_text("no reading\n")
    assert ingest_file(folder / "empty.csv", tenant=gamma.name, dsn=dsn).status == "refused"
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "update warehouse_staging.quarantined_readings set status = 'resolved', resolved_at = now(),"
            " resolved_by = 'a test', resolution_note = 'a test'"
            " where reading_ts = '2025-07-20T00:00:00Z'"
        )
        kinds = ("info", "open"), ("issue", "open"), ("severe", "open"), ("severe", "accepted")
        accepted = "a person", datetime.now(UTC), date(2100, 1, 1), "known"
        for severity, status in kinds:
            given = accepted if status == "accepted" else (None,) * 4
            connection.execute(
                "insert into myproperty.reading_issues (tenant_id, property_id, reading_date, rule, severity,"
                " status, accepted_by, accepted_at, accepted_until, acceptance_reason)"
                " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    alpha.tenant_id,
                    alpha.property_id,
                    LAST,
                    f"VEE-{severity}-{status}",
                    severity,
                    status,
                    *given,
                ),
            )
    return beta


def marts(night: Night, table: str, key: str) -> list[Row]:
    with psycopg.connect(
        engines.dsn(night.platform.settings, "warehouse"), row_factory=dict_row, options="-c timezone=UTC"
    ) as connection:
        return connection.execute(f"select * from {table} order by {key}".encode()).fetchall()


def test_the_quality_of_each_date_is_that_of_the_operational_tables(night: Night) -> None:
    found = marts(night, "bi.data_quality_v1", "tenant_id, reading_date")
    expected = quality_days(night.dsn, datetime.now(UTC))
    expected.sort(key=lambda row: (row["tenant_id"], row["reading_date"]))
    assert found == expected
    by_name = {(row["tenant_name"], row["reading_date"]): row for row in found}
    assert {name for name, _ in by_name} == {"alpha", "beta", "gamma", "planted"}
    last = by_name["alpha", LAST]
    assert (last["open_severe_issues"], last["accepted_issues"], last["quarantined_readings"]) == (1, 1, 24)
    assert by_name["alpha", date(2025, 7, 20)]["open_quarantined_readings"] == 23
    assert by_name["alpha", date(2025, 7, 31)]["energy_deviation_pct"] == Decimal(900)
    assert by_name["beta", SILENT_FROM]["is_silent"] and by_name["beta", LAST]["is_silent"]
    assert by_name["beta", SILENT_FROM]["readings_deviation_pct"] is None, "two like days are too few"
    assert by_name["gamma", LAST]["refused_files"] == 1
    assert by_name["planted", DATES.start]["readings"] > 0, "its night failed"
    shown = {(name, day): row["publication"] for (name, day), row in by_name.items() if row["publication"]}
    assert {key for key, seen in shown.items() if seen == "published"} == {
        ("alpha", FIRST),
        ("alpha", FIRST + ONE_DAY),
    }
    assert (shown["beta", FIRST], shown["planted", DATES.start]) == ("left out", "pending")


def test_each_run_has_what_its_gates_said(night: Night) -> None:
    found = marts(night, "bi.pipeline_runs_v1", "requested_at")
    expected = {row["run_id"]: row for row in quality_runs(night.dsn)}
    # The run that built the mart had not ended then.
    assert [expected[row["run_id"]] for row in found] == found
    assert {row["job"] for row in expected.values()} - {row["job"] for row in found} == {"quality"}
    failed, warned = found
    assert (failed["run_id"], failed["status"], failed["gates_failed"]) == (night.failed, "failed", 1)
    assert (failed["broken_rules"], failed["launcher"]) == ("A-READINGS-008", "schedule")
    assert (warned["status"], warned["gates_passed"], warned["gates_warned"]) == ("succeeded", 1, 1)
    texts = " ".join(str(value) for row in found for value in row.values())
    assert "1234" not in texts, "an observed value stays in the operational database"


def test_a_late_file_counts_as_a_count_of_everything_would(night: Night) -> None:
    assert count_days(night.dsn) == 0, "nothing has changed"
    send(night.folder, night.beta, SILENT_FROM + ONE_DAY, SILENT_FROM + ONE_DAY)
    # The date has a file, a week's silence is judged anew, and nothing else changes.
    assert 1 <= count_days(night.dsn) <= 8
    assert count_runs(night.dsn) == 1, "the run of quality has ended"
    columns = "select to_jsonb(q) - %s::text[] from warehouse_staging.quality_days as q order by 1"
    with psycopg.connect(night.dsn) as connection:
        counted = connection.execute(columns, (OF_THE_COPY,)).fetchall()
        connection.execute("truncate warehouse_staging.quality_days")
        connection.commit()
        assert count_days(night.dsn) == len(counted)
        assert connection.execute(columns, (OF_THE_COPY,)).fetchall() == counted


def test_a_published_date_is_counted_again(night: Night) -> None:
    count_days(night.dsn)
    publish_dates(night.dsn, [FIRST], "a test")
    assert count_days(night.dsn) == 1, "beta is no longer left out"


def test_an_archived_date_keeps_its_figures(night: Night) -> None:
    with psycopg.connect(night.dsn) as connection:
        connection.execute(
            "insert into warehouse_staging.archived_dates (reading_date, readings, url, checksum)"
            " values (%s, 24, 'u', 1)",
            (LAST,),
        )
        connection.execute("set session_replication_role = replica")
        connection.execute("delete from myproperty.meter_readings where reading_date = %s", (LAST,))
        connection.execute(
            "update myproperty.reading_issues set status = 'resolved', resolved_by = 'a test',"
            " resolved_at = now(), resolution_note = 'a test', updated_at = now()"
            " where status = 'open' and rule = 'VEE-issue-open'"
        )
    assert count_days(night.dsn) == 1
    with psycopg.connect(night.dsn) as connection:
        row = connection.execute(
            "select readings, open_issues from warehouse_staging.quality_days"
            " where tenant_name = 'alpha' and reading_date = %s",
            (LAST,),
        ).fetchone()
    assert row == (24, 0)


def test_the_sensor_asks_once_for_each_ended_run_of_the_pipeline(night: Night) -> None:
    with open_instance(night.platform.settings.home) as instance:
        asked = quality_marts(dg.build_sensor_context(instance=instance))
        assert isinstance(asked, dg.RunRequest)
        newest = instance.get_runs(dg.RunsFilter(job_name="pipeline"), limit=1)[0].run_id
        assert asked.run_key == newest
    with dg.DagsterInstance.ephemeral() as empty:
        assert isinstance(quality_marts(dg.build_sensor_context(instance=empty)), dg.SkipReason)
