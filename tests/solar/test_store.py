"""Reference yields in the operational database: arrays that have one, and repeated runs."""

from datetime import date

import psycopg
import pytest
from psycopg.rows import dict_row

from data.demo import apply_company
from data.demo.company import list_tenants, make_id
from data.solar.store import write_reference_yields

pytestmark = pytest.mark.engine
FIRST, END = date(2025, 10, 4), date(2025, 10, 6)
SITES = [site for tenant in list_tenants("small") for site in tenant.sites]


def stored(dsn: str) -> dict[tuple[object, object], dict[str, object]]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        rows = connection.execute("select * from myproperty.solar_reference_yields").fetchall()
    return {(row["solar_asset_id"], row["reading_ts"]): row for row in rows}


def change(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(statement.encode())


@pytest.fixture(scope="module")
def dsn(oltp_dsn: str) -> str:
    apply_company(oltp_dsn)
    return oltp_dsn


def test_every_array_has_its_local_days_and_a_second_run_changes_nothing(dsn: str) -> None:
    # Sydney's clocks go forward on 5 October.
    assert write_reference_yields(dsn, FIRST, END) == 3 * 96 - 2
    first = stored(dsn)
    assert {row["solar_asset_id"] for row in first.values()} == {
        make_id("asset", site.key, "array") for site in SITES
    }
    assert write_reference_yields(dsn, FIRST, END) == len(first)
    assert stored(dsn) == first


def test_a_range_touches_no_other_date(dsn: str) -> None:
    write_reference_yields(dsn, FIRST, END)
    change(dsn, "update myproperty.solar_reference_yields set expected_kwh = expected_kwh + 1")
    changed = stored(dsn)
    write_reference_yields(dsn, END.replace(day=5), END)
    for key, row in stored(dsn).items():
        assert (row == changed[key]) == (row["reading_date"] == FIRST)


def test_an_array_without_location_or_position_has_no_reference(dsn: str) -> None:
    sydney, los_angeles, berlin = (
        next(site for site in SITES if site.place == place) for place in ("sydney", "los-angeles", "berlin")
    )
    change(dsn, f"update myproperty.properties set metadata = '{{}}' where id = '{sydney.id}'")
    change(
        dsn, f"update myproperty.solar_assets set tilt_degrees = null where property_id = '{los_angeles.id}'"
    )
    change(
        dsn,
        "update myproperty.solar_assets set in_service_during = daterange('2025-10-05', null) "
        f"where property_id = '{berlin.id}'",
    )
    assert write_reference_yields(dsn, FIRST, END) == 48
    assert {(row["solar_asset_id"], row["reading_date"]) for row in stored(dsn).values()} == {
        (make_id("asset", berlin.key, "array"), date(2025, 10, 5))
    }
    apply_company(dsn)
