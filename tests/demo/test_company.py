"""The demo's OLTP rows: complete, stable, separate by tenant, with the special cases for billing."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import psycopg
import pytest
from psycopg.types.range import DateRange

from data.demo import apply_company
from data.demo.company import list_tenants
from data.demo.tariffs import PLAN_CHANGE
from tests.demo.conftest import contents

pytestmark = pytest.mark.engine

BILLED_TO = date(2025, 11, 1)


@pytest.fixture(scope="module")
def dsn(oltp_dsn: str) -> str:
    """The small company without sealed fields."""
    apply_company(oltp_dsn)
    return oltp_dsn


@pytest.fixture
def db(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn) as connection:
        yield connection
        connection.rollback()


def test_a_second_call_changes_no_row_and_no_audit_trail(dsn: str) -> None:
    before = contents(dsn)
    apply_company(dsn)
    assert contents(dsn) == before
    expected = {
        "tenants": 2,
        "properties": 3,
        "units": 12,
        "meters": 22,
        "meter_registers": 25,
        "meter_assignments": 13,
        "users": 21,
        "tenancies": 13,
        "rate_plan_assignments": 13,
        "ledger_accounts": 16,
        "projects": 4,
        "agent_messages": 0,
    }
    assert {table: len(before[table]) for table in expected} == expected
    filled = {
        "notification_preferences", "solar_assets", "solar_appraisals", "providers", "rate_plans",
        "rate_plan_bands", "feed_in_assignments",
        "emission_factor_regions", "allocation_methods", "allocation_keys", "project_links",
        "compliance_rule_states", "service_tickets", "ticket_quotes", "ticket_schedules",
        "ticket_activities", "agent_audit", "logged_actions",
    }  # fmt: skip
    assert all(before[table] for table in filled)


def test_a_changed_row_is_restored(dsn: str) -> None:
    site = list_tenants("small")[0].sites[0]
    with psycopg.connect(dsn) as connection:
        connection.execute("update myproperty.properties set name = 'other' where id = %s", (site.id,))
    apply_company(dsn)
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select name from myproperty.properties where id = %s", (site.id,)
        ).fetchone()
    assert row == (site.name,)


def test_rows_that_people_change_stay_as_they_are(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("update myproperty.service_tickets set priority = 'low'")
    apply_company(dsn)
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("select distinct priority from myproperty.service_tickets").fetchall()
    assert rows == [("low",)]


def test_a_tenant_sees_only_its_own_meters(db: psycopg.Connection) -> None:
    db.execute("set role myproperty_app")
    for tenant in list_tenants("small"):
        db.execute("select set_config('app.tenant_id', %s, true)", (str(tenant.id),))
        seen = {row[0] for row in db.execute("select id from myproperty.meters")}
        assert seen == {m.id for site in tenant.sites for m in (*site.meters, *site.former_meters)}


def test_both_scales_live_in_one_database(oltp_dsn: str, dsn: str) -> None:
    small = contents(dsn)
    apply_company(dsn, "medium")
    both = contents(dsn)
    assert all(set(rows) <= set(both[table]) for table, rows in small.items())
    assert len(both["tenants"]) == 4
    assert len(both["units"]) == 12 + 3 * 66


def test_every_address_has_a_reserved_domain(db: psycopg.Connection) -> None:
    rows = db.execute("select email from myproperty.users").fetchall()
    assert rows
    assert [email for (email,) in rows if not email.endswith(".example")] == []


def test_units_are_vacant_on_the_planned_dates(db: psycopg.Connection) -> None:
    query = """
        select p.name, u.label, unnest(
            datemultirange(daterange(
                case p.timezone when 'Australia/Sydney' then date '2024-11-01' else date '2025-10-21' end,
                date '2025-11-01'
            ))
            - coalesce(range_agg(t.occupied_during), '{}')
        ) as vacant
        from myproperty.units u
        join myproperty.properties p on p.id = u.property_id
        join myproperty.tenants c on c.id = p.tenant_id and c.name not like '%-medium'
        left join myproperty.tenancies t on t.unit_id = u.id
        group by p.id, u.id
    """
    vacant = {(name, label): during for name, label, during in db.execute(query)}
    assert vacant == {
        # Within a month: a gap between two tenancies.
        ("Wattlebird Terraces (demo)", "103"): DateRange(date(2025, 3, 14), date(2025, 4, 9)),
        ("Cedar Canyon Lofts (demo)", "103"): DateRange(date(2025, 10, 26), date(2025, 10, 28)),
        # From the start, and for the whole period.
        ("Wattlebird Terraces (demo)", "104"): DateRange(date(2024, 11, 1), date(2025, 1, 18)),
        ("Sonnenhof 7 (demo)", "103"): DateRange(date(2025, 10, 21), BILLED_TO),
    }


def test_a_meter_was_exchanged(db: psycopg.Connection) -> None:
    query = """
        select m.status, upper(a.assigned_during) = '2025-06-16', lower(a.assigned_during) = '2025-06-16'
        from myproperty.meter_assignments a join myproperty.meters m on m.id = a.meter_id
        where (select count(*) from myproperty.meter_assignments o where o.unit_id = a.unit_id) > 1
        order by 1
    """
    assert db.execute(query).fetchall() == [("active", None, True), ("retired", True, False)]
    same = """
        select count(distinct m.serial_number), count(distinct r.identifier)
        from myproperty.meters m join myproperty.meter_registers r on r.meter_id = m.id
        where m.serial_number like 'DEMO-SYDNEY-UNIT-102%'
    """
    assert db.execute(same).fetchone() == (2, 2)
    early = "select count(*) from myproperty.meter_assignments where lower(assigned_during) > '2024-11-01'"
    assert db.execute(early).fetchone() == (1,)


def test_a_unit_changes_its_rate_plan(db: psycopg.Connection) -> None:
    query = """
        select u.label, p.name, lower(a.assigned_during) from myproperty.rate_plan_assignments a
        join myproperty.units u on u.id = a.unit_id join myproperty.rate_plans p on p.id = a.rate_plan_id
        join myproperty.tenants c on c.id = a.tenant_id and c.name not like '%-medium'
        where (select count(*) from myproperty.rate_plan_assignments o where o.unit_id = a.unit_id) > 1
        order by 3
    """
    assert db.execute(query).fetchall() == [
        ("104", "Terraces anytime", date(2024, 11, 1)),
        ("104", "Terraces time of use", PLAN_CHANGE),
    ]


def test_every_minute_of_every_unit_has_a_price(db: psycopg.Connection) -> None:
    query = """
        with days as (
            select u.id as unit_id, u.tenant_id, d::date as day, charge
            from myproperty.units u join myproperty.properties p on p.id = u.property_id,
            generate_series(
                case p.timezone when 'Australia/Sydney' then date '2024-11-01' else date '2025-10-21' end,
                date '2025-11-03', interval '1 day'
            ) as d,
            unnest(array['grid', 'solar', 'daily']) as charge
            where p.name not like '%-medium'
        )
        select minutes, count(*) from (
            select sum(upper(b.minutes_of_day) - lower(b.minutes_of_day)) as minutes
            from days
            left join myproperty.rate_plan_assignments a
                on a.unit_id = days.unit_id and a.assigned_during @> day
            left join myproperty.rate_plan_bands b
                on b.rate_plan_id = a.rate_plan_id and b.charge = days.charge and b.valid_during @> day
                and b.day_kind = case when extract(isodow from day) > 5 then 'weekend' else 'weekday' end
            group by days.unit_id, day, days.charge
        ) group by minutes
    """
    assert [minutes for minutes, _ in db.execute(query)] == [1440]


def test_prices_rise_and_solar_is_the_cheaper_energy(db: psycopg.Connection) -> None:
    query = """
        select p.name, b.charge, b.band, array_agg(distinct b.unit_amount order by b.unit_amount),
               array_agg(distinct lower(b.valid_during) order by lower(b.valid_during))
        from myproperty.rate_plan_bands b join myproperty.rate_plans p on p.id = b.rate_plan_id
        group by 1, 2, 3
    """
    bands = {tuple(row[:3]): tuple(row[3:]) for row in db.execute(query)}
    assert bands["Terraces time of use", "grid", "peak"] == (
        [Decimal("0.489"), Decimal("0.518")],
        [date(2024, 7, 1), date(2025, 7, 1)],
    )
    extremes = """
        select max(unit_amount) filter (where charge = 'solar')
               < min(unit_amount) filter (where charge = 'grid')
        from myproperty.rate_plan_bands where charge <> 'feed_in' group by rate_plan_id
    """
    assert {cheaper for (cheaper,) in db.execute(extremes)} == {True}
    paid_for_exports = """
        select p.currency, max(b.unit_amount) filter (where charge = 'feed_in')
               < min(b.unit_amount) filter (where charge = 'solar')
        from myproperty.rate_plan_bands b join myproperty.rate_plans p on p.id = b.rate_plan_id group by 1
    """
    assert dict(db.execute(paid_for_exports).fetchall()) == dict.fromkeys(("AUD", "EUR", "USD"), True)


def test_shares_of_solar_sum_to_one_every_day_and_change_once(db: psycopg.Connection) -> None:
    query = """
        select p.timezone, total, count(*), count(distinct common) from (
            select k.property_id, d, sum(k.share) as total,
                   max(k.share) filter (where k.unit_id is null) as common
            from generate_series(date '2025-06-01', date '2025-11-01', interval '1 day') as d
            join myproperty.allocation_keys k on k.valid_during @> d::date
            join myproperty.tenants c on c.id = k.tenant_id and c.name not like '%-medium'
            group by 1, 2
        ) join myproperty.properties p on p.id = property_id group by 1, 2 order by 1
    """
    assert db.execute(query).fetchall() == [
        ("America/Los_Angeles", 1, 12, 1),
        ("Australia/Sydney", 1, 154, 2),
        ("Europe/Berlin", 1, 12, 1),
    ]


def test_every_method_is_used(db: psycopg.Connection) -> None:
    query = "select distinct method from myproperty.allocation_methods order by 1"
    assert db.execute(query).fetchall() == [("dynamic",), ("hybrid",), ("static",)]


def test_promises_are_kept_broken_and_open(db: psycopg.Connection) -> None:
    query = """
        select case when resolved_at <= sla_target_at then 'met'
                    when resolved_at > sla_target_at then 'missed' else t.status end as outcome, count(*)
        from myproperty.service_tickets t
        join myproperty.tenants c on c.id = t.tenant_id and c.name not like '%-medium' group by 1
    """
    outcomes: dict[str, int] = dict(db.execute(query).fetchall())
    assert outcomes == {
        "met": 8, "missed": 4, "cancelled": 1, "quoted": 2, "in_progress": 1, "scheduled": 1
    }  # fmt: skip


def test_a_ticket_is_what_its_timeline_says(db: psycopg.Connection) -> None:
    """Each change starts from the previous status, and the last one is the status of the ticket."""
    changes = """
        select t.id, t.status, t.opened_at, array_agg(a.details ->> 'from' order by a.occurred_at),
               array_agg(a.details ->> 'to' order by a.occurred_at), min(a.occurred_at),
               max(a.occurred_at) filter (where a.details ->> 'to' = 'resolved') = t.resolved_at
        from myproperty.service_tickets t
        join myproperty.ticket_activities a on a.ticket_id = t.id and a.kind = 'status_change' group by t.id
    """
    rows = db.execute(changes).fetchall()
    assert rows
    for _, status, opened_at, before, after, first, resolved_when_said in rows:
        assert ["open", *after] == [*before, status]
        assert first > opened_at
        assert resolved_when_said is not False


def test_agents_succeed_fail_and_are_refused(db: psycopg.Connection) -> None:
    query = "select distinct outcome from myproperty.agent_audit order by 1"
    assert db.execute(query).fetchall() == [("failed",), ("refused",), ("succeeded",)]
