"""A property's night comes once for each local date, also when its clocks change; then yesterday is built."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import dagster as dg
import psycopg
import pytest

from dagster_project.defs.warehouse.checks import find_late_tenants, fresh_for_each_tenant
from dagster_project.defs.warehouse.nights import Night, find_night, find_night_dates
from dagster_project.defs.warehouse.schedules import pipeline_nightly
from dagster_project.environments import AUTOMATIONS, TENANT_DAYS
from dagster_project.partitions import dates_of_tags
from dagster_project.resources.platform import Platform
from data.landing.published_dates import publish_dates
from myproperty.dates import Window
from myproperty.settings import Settings
from tests.planted import plant_wrong_reading

# Both hemispheres, offsets of half and quarter hours, a change of half an hour, changes at midnight, none.
ZONES = (
    "Africa/Cairo",
    "America/Los_Angeles",
    "America/Santiago",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Berlin",
    "Pacific/Apia",
    "Pacific/Chatham",
    "UTC",
)
TODAY = date(2026, 3, 2)


@pytest.mark.parametrize("zone", ZONES)
def test_each_local_date_has_one_night(zone: str) -> None:
    assert AUTOMATIONS["pipeline_nightly"].cron == "45 * * * *"
    ticks = [datetime(2026, 1, 1, 0, 45, tzinfo=UTC) + timedelta(hours=hour) for hour in range(366 * 24)]
    nights = [night for tick in ticks if (night := find_night([zone], tick))]
    assert len(nights) in (365, 366, 367)
    assert all(later.today - night.today == timedelta(days=1) for night, later in pairwise(nights))


def test_zones_whose_night_is_in_the_same_hour_share_a_run() -> None:
    night = find_night(["Europe/Paris", "Europe/Berlin", "UTC"], datetime(2026, 3, 2, 3, 45, tzinfo=UTC))
    assert night == Night(["Europe/Berlin", "Europe/Paris"], TODAY)


@pytest.mark.parametrize(
    ("published", "dates"),
    [
        ([], [Window(date(2026, 2, 27), TODAY)]),
        ([date(2026, 2, 27), date(2026, 2, 28)], [Window(date(2026, 3, 1), TODAY)]),
        (
            [date(2026, 2, 28), date(2026, 3, 1)],
            [Window(date(2026, 2, 27), date(2026, 2, 28)), Window(date(2026, 3, 1), TODAY)],
        ),
    ],
)
def test_a_night_builds_yesterday_and_what_failed_before(published: list[date], dates: list[Window]) -> None:
    assert find_night_dates(Night(["UTC"], TODAY), published) == dates


def test_a_tenant_is_late_by_its_own_dates() -> None:
    newest = TODAY - timedelta(days=TENANT_DAYS)
    tenants = [("fresh", newest), ("late", newest - timedelta(days=1)), ("new", None)]
    assert find_late_tenants(tenants, TODAY) == tenants[1:]


@pytest.mark.engine
def test_the_schedule_asks_the_properties_for_their_night(oltp_dsn: str) -> None:
    plant_wrong_reading(oltp_dsn)  # a tenant with a house in Sydney and files of 2024-02-01 and 02
    platform = Platform(Settings(oltp_dsn=oltp_dsn))
    # The two nights before 02 are published, so its night has nothing else to build.
    publish_dates(oltp_dsn, [date(2024, 1, 31), date(2024, 2, 1)], "a test")

    def tick(now: datetime) -> list[dg.RunRequest]:
        context = dg.build_schedule_context(scheduled_execution_time=now, resources={"platform": platform})
        return list(pipeline_nightly.evaluate_tick(context).run_requests or [])

    (request,) = tick(datetime(2024, 2, 2, 17, 45, tzinfo=UTC))
    assert dates_of_tags(request.tags) == Window(date(2024, 2, 2), date(2024, 2, 3))
    assert request.tags["time_zones"] == "Australia/Sydney"
    (request,) = tick(datetime(2024, 2, 3, 17, 45, tzinfo=UTC))
    assert dates_of_tags(request.tags) == Window(date(2024, 2, 2), date(2024, 2, 4)), "02 was not published"
    assert tick(datetime(2024, 2, 2, 18, 45, tzinfo=UTC)) == []
    result = fresh_for_each_tenant(platform)
    assert isinstance(result, dg.AssetCheckResult)
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "planted" in str(result.description) and "2024-02-01" in str(result.description)
    with psycopg.connect(oltp_dsn) as connection:
        connection.execute("delete from warehouse_staging.published_dates")
