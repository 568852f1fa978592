"""From readings to the allocation ledger: the published vectors, vacancies, and refused allocations."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.types.range import DateRange

from data.billing.allocation_ledger import allocate_period, write_allocation
from data.billing.errors import BillingError
from tests.billing.conftest import DAY, LOSS_KWH, PERIOD, House, add_reading, build

pytestmark = pytest.mark.engine

LEDGER = """
select coalesce(u.label, 'common'), l.solar_kwh, l.grid_kwh, l.loss_kwh, l.confidence
from myproperty.allocation_ledger l left join myproperty.units u on u.id = l.unit_id
order by u.label nulls last, l.billing_period
"""


def allocate_and_read(house: House, period: DateRange = PERIOD) -> list[tuple[Any, ...]]:
    """Allocate, write and read back the allocation ledger."""
    with house.connect() as connection:
        write_allocation(connection, allocate_period(connection, house.property, period))
    with house.connect() as connection:
        return list(connection.execute(LEDGER).fetchall())


@pytest.mark.parametrize(
    ("method", "solar", "grid", "surplus"),
    [
        ("dynamic", ("4", "11.4", "2.6"), ("3", "7.6", "2.4"), "9"),
        ("static", ("5", "6.6", "3.2"), ("2", "12.4", "1.8"), "12.2"),
        ("hybrid", ("5", "9.8", "3.2"), ("2", "9.2", "1.8"), "9"),
    ],
)
def test_the_published_vectors(
    oltp_dsn: str, method: str, solar: tuple[str, ...], grid: tuple[str, ...], surplus: str
) -> None:
    house = build(oltp_dsn, method)
    rows = allocate_and_read(house)
    assert [row[1] for row in rows] == [*map(Decimal, solar), 0]
    assert [row[2] for row in rows] == [*map(Decimal, grid), 0]
    assert [row[3] for row in rows] == [0, 0, 0, LOSS_KWH]
    assert [row[4] for row in rows] == [1, 1, 1, None]
    with house.connect() as connection:
        period = connection.execute(
            "select generation_kwh, consumption_kwh, surplus_kwh, loss_kwh from myproperty.allocation_periods"
        ).fetchone()
    assert period == (27, 31, Decimal(surplus), LOSS_KWH)


def test_the_same_allocation_again_changes_nothing(house: House) -> None:
    first = allocate_and_read(house)
    assert allocate_and_read(house) == first


def test_a_revised_reading_does_not_silently_change_the_ledger(house: House) -> None:
    allocate_and_read(house)
    with psycopg.connect(house.dsn) as db:
        db.execute(
            "update myproperty.meter_readings set value_kwh = 3, value_native = 3 "
            "where reading_date = %s and meter_id = %s and value_kwh = 2",
            (DAY, house.meters["a"]),
        )
    with pytest.raises(BillingError, match=str(house.units["a"])):
        allocate_and_read(house)


def test_a_vacant_unit_gets_no_solar_and_a_move_splits_the_period(oltp_dsn: str) -> None:
    house = build(oltp_dsn, "dynamic")
    with house.connect_as_application() as connection:
        connection.execute(
            "update myproperty.tenancies set occupied_during = daterange('2025-01-01', '2025-10-26') "
            "where id = %s",
            (house.tenancies["b"],),
        )
    with house.connect() as connection:
        found = allocate_period(connection, house.property, PERIOD)
        write_allocation(connection, found)
        rows = connection.execute(LEDGER).fetchall()
    # Without b: min(G, load) = 3, 6, 1, 0, 0 of loads a 2, 4, 0, 1 and c 1, 2, 1, 1.
    assert [(row[0], row[1], row[2]) for row in rows] == [
        ("a", 6, 1), ("b", 0, 19), ("c", 4, 1), ("common", 0, 0),
    ]  # fmt: skip
    assert [span.tenancy_id for span in found.spans if span.unit_id == house.units["b"]] == [None]


def test_estimated_energy_lowers_the_confidence(house: House) -> None:
    with psycopg.connect(house.dsn) as db:
        db.execute(
            "update myproperty.meter_readings set quality = 'estimated', is_estimated = true "
            "where reading_date = %s and meter_id = %s and value_kwh = 9",
            (DAY, house.meters["b"]),
        )
    # 9 of 19 kWh of b are estimated.
    assert [row[4] for row in allocate_and_read(house)] == [1, round(Decimal(10) / 19, 4), 1, None]


def test_a_missing_reading_is_not_zero(house: House) -> None:
    with psycopg.connect(house.dsn) as db:
        db.execute(
            "delete from myproperty.meter_readings "
            "where reading_date = %s and meter_id = %s and value_kwh = 9",
            (DAY, house.meters["b"]),
        )
    # The tenth hour of a day with two hours at two o'clock.
    message = r"meter b has no complete reading of consumption for 1 of 25 intervals, the first at .* 09:00"
    with pytest.raises(BillingError, match=message):
        allocate_and_read(house)


@pytest.mark.parametrize(
    ("quality", "said"),
    [
        ("actual", r"measured 8\.0+ kWh more than went into the property.* 18:00 .*a meter is at fault"),
        (
            "estimated",
            r"8\.0+ kWh more than went into .* 18:00 .* fits\. 10\.0+ kWh are estimates, .*missing",
        ),
    ],
)
def test_sub_meters_above_the_supply_name_a_faulty_meter_or_the_estimates(
    house: House, quality: str, said: str
) -> None:
    with psycopg.connect(house.dsn) as db:
        db.execute(
            "update myproperty.meter_readings set value_kwh = 10, value_native = 10, quality = %(quality)s, "
            "is_estimated = %(quality)s = 'estimated' where reading_date = %(day)s and meter_id = %(meter)s "
            "and value_kwh = 0 and channel = 'consumption' and reading_ts = '2025-10-26 17:00+00'",
            {"quality": quality, "day": DAY, "meter": house.meters["c"]},
        )
    with pytest.raises(BillingError, match=said):
        allocate_and_read(house)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("delete from myproperty.allocation_methods", "0 methods of allocation"),
        ("delete from myproperty.allocation_keys", "shares of solar on 2025-10-26 do not sum to 1"),
        ("delete from myproperty.meter_assignments", "more than went|has a share of solar and no meter"),
    ],
)
def test_the_message_names_missing_contract_data(house: House, statement: str, message: str) -> None:
    with house.connect_as_application() as connection:
        connection.execute(statement)
    with pytest.raises(BillingError, match=message):
        allocate_and_read(house)


def test_a_period_without_readings_is_refused(house: House) -> None:
    with pytest.raises(BillingError, match="no readings"):
        allocate_and_read(house, DateRange(date(2025, 3, 1), date(2025, 3, 1) + timedelta(days=1)))


def test_a_finer_meter_is_summed_to_the_coarsest_intervals(house: House) -> None:
    expected = allocate_and_read(build(house.dsn, "dynamic"))
    with psycopg.connect(house.dsn) as db:
        db.execute(
            "delete from myproperty.meter_readings where reading_date = %s and meter_id = %s",
            (DAY, house.meters["a"]),
        )
        loads = dict(zip((8, 9, 10, 11, 12), (2, 4, 0, 1, 0), strict=True))
        for hour in range(25):
            add_reading(db, house, ("a", "consumption"), hour, Decimal(loads.get(hour, 0)) / 2)
        db.execute(
            "update myproperty.meter_readings set interval_seconds = 1800 "
            "where reading_date = %s and meter_id = %s",
            (DAY, house.meters["a"]),
        )
        db.execute(
            """
            insert into myproperty.meter_readings
                (id, tenant_id, meter_id, channel, reading_ts, reading_date, interval_seconds, value_native,
                 unit, value_kwh, quality, is_estimated, source, source_version, ingestion_job_id)
            select uuidv7(), tenant_id, meter_id, channel, reading_ts + interval '30 minutes', reading_date,
                   interval_seconds, value_native, unit, value_kwh, quality, is_estimated, source,
                   source_version, ingestion_job_id
            from myproperty.meter_readings where reading_date = %s and meter_id = %s
            """,
            (DAY, house.meters["a"]),
        )
    assert allocate_and_read(house) == expected
