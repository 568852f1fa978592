"""Landing: a second run changes nothing, and what changed on past dates is pending again."""

from datetime import date, datetime
from typing import LiteralString

import psycopg
import pytest

from data.landing.entities import ENTITIES
from data.landing.land import land
from data.landing.read import LandedRows, fingerprint_landing
from tests.ingest.conftest import Company
from tests.landing.conftest import CALLED, CHANGED, DAYS, DELETED, END, SCHEMAS, call_tools

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("entity", [name for name, entity in ENTITIES.items() if not entity.partition_column])
def test_landing_a_whole_table_twice_equals_its_source(landed: Company, entity: str) -> None:
    rows = {land(entity, landed.dsn) for _ in range(2)}
    source, copy = (fingerprint_landing(entity, landed.dsn, schema) for schema in SCHEMAS)
    assert source.equals(copy)
    assert rows == {source["rows"].sum()}
    assert sum(table.num_rows for table in LandedRows(entity, landed.dsn)) == source["rows"].sum()


def test_landing_dates_twice_equals_their_source(landed: Company) -> None:
    def prints() -> list[object]:
        return [
            fingerprint_landing("meter_readings", landed.dsn, schema, DAYS[0], END).to_dict("records")
            for schema in SCHEMAS
        ]

    source, copy = prints()
    assert source == copy
    assert land("meter_readings", landed.dsn, DAYS[0], END) > 0
    assert prints() == [source, source]


def test_a_changed_digit_changes_the_fingerprint(landed: Company) -> None:
    def checksums() -> list[int]:
        frame = fingerprint_landing("meter_readings", landed.dsn, "warehouse_staging", DAYS[0], END)
        return list(frame["checksum"])

    before = checksums()
    with psycopg.connect(landed.dsn) as connection:
        connection.execute(
            "update warehouse_staging.meter_readings set value_native = value_native + 0.000000001 "
            "where reading_date = %s and tenant_id = %s and reading_ts = "
            "(select min(reading_ts) from warehouse_staging.meter_readings where reading_date = %s)",
            (DAYS[0], landed.tenant_id, DAYS[0]),
        )
    assert sum(old != new for old, new in zip(before, checksums(), strict=True)) == 1


def test_landing_a_growing_table_copies_changes_and_deletions(company: Company) -> None:
    def landed_at() -> dict[str, datetime]:
        rows = [row for table in LandedRows("agent_audit", company.dsn) for row in table.to_pylist()]
        return {row["id"]: row["landed_at"] for row in rows if row["tenant_id"] == str(company.tenant_id)}

    call_tools(company, CALLED)
    land("agent_audit", company.dsn)
    first = landed_at()
    land("agent_audit", company.dsn)
    assert landed_at() == first, "unchanged rows are not landed again"
    call_tools(company, CHANGED, DELETED, CALLED)
    land("agent_audit", company.dsn)
    second = landed_at()
    assert len(second) == 9
    assert sum(second.get(row) == at for row, at in first.items()) == 3
    source, copy = (fingerprint_landing("agent_audit", company.dsn, schema) for schema in SCHEMAS)
    assert source.equals(copy)


FLAT: LiteralString = """
with p as (
    insert into myproperty.providers (tenant_id, name, kind, region)
    values (%(tenant)s, 'Spark', 'retailer', 'AU') returning id
), r as (
    insert into myproperty.rate_plans (tenant_id, provider_id, name, currency)
    select %(tenant)s, id, 'Flat', 'AUD' from p returning id
)
insert into myproperty.rate_plan_bands
    (tenant_id, rate_plan_id, charge, band, day_kind, unit_amount, tax_rate, valid_during)
select %(tenant)s, r.id, 'grid', 'flat', 'weekday', 0.3, 0.1, during
from r, unnest(array['[2025-06-01,2025-06-04)', '[2025-06-04,)']::daterange[]) as during
"""


@pytest.mark.parametrize(
    ("change", "pending"),
    [
        ("update {} set valid_during = '[2025-06-04,2025-06-06)' where valid_during @> date 'today'", {6, 7}),
        ("update {} set unit_amount = 0.4 where valid_during @> date '2025-06-01'", {1, 2, 3}),
        ("update {} set valid_during = '[2025-06-05,)' where valid_during @> date 'today'", {4}),
        ("delete from {} where valid_during @> date '2025-06-01'", {1, 2, 3}),
        ("update {} set valid_during = valid_during", set()),
    ],
)
def test_a_change_with_effect_on_past_dates_makes_them_pending(
    company: Company, change: str, pending: set[int]
) -> None:
    dates = {date(2025, 6, day) for day in range(1, 8)}
    with psycopg.connect(company.dsn) as connection:
        connection.execute(FLAT, {"tenant": company.tenant_id})
        connection.commit()
        land("rate_plan_bands", company.dsn)
        connection.execute("delete from warehouse_staging.published_dates")
        connection.execute(
            "insert into warehouse_staging.published_dates (reading_date, run_id) select unnest(%s), 'r'",
            (list(dates),),
        )
        connection.execute(change.format("myproperty.rate_plan_bands").encode())
        connection.commit()
        land("rate_plan_bands", company.dsn)
        kept = {row[0] for row in connection.execute("select * from warehouse_staging.published_dates")}
        connection.execute("delete from myproperty.rate_plan_bands")
    assert {day.day for day in dates - kept} == pending
