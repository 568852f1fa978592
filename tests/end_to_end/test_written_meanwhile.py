"""The application and a sender write while a run is under way: the run passes, and the next one has the rest.

These tests change the platform and run after `test_without_tenants`.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from dagster_project.runner import (
    ingest_inbox,
    pending_dates,
    run_pending,
    run_pipeline,
    validate_due,
)
from data.billing.ledger import take_payment
from data.demo.company import list_tenants
from myproperty import engines
from tests.end_to_end.support import Platform

pytestmark = [pytest.mark.engine, pytest.mark.slow]

TENANT = next(tenant for tenant in list_tenants("small") if tenant.name == "demo-wattlebird")
_OPEN_TICKET = """
with opened as (
    insert into myproperty.service_tickets
        (tenant_id, property_id, unit_id, opened_by, summary, category, sla_target_at)
    select tenant_id, property_id, unit_id, opened_by, 'Written meanwhile', 'other', now() + interval '1 day'
    from myproperty.service_tickets where tenant_id = %(tenant)s order by id limit 1
    returning tenant_id, id, opened_by
)
insert into myproperty.ticket_activities (tenant_id, ticket_id, kind, user_id, body)
select tenant_id, id, 'note', opened_by, 'Written meanwhile' from opened
"""
_OWED = """
select i.id from myproperty.invoices as i
where i.tenant_id = %s and i.status in ('issued', 'overdue') order by i.id limit 1
"""
_WAITING = """
select 1 from pg_locks where locktype = 'advisory' and not granted
    and database = (select oid from pg_database where datname = current_database())
"""
COUNTS = {
    "tickets": ("select count(*) from myproperty.service_tickets", "core.fact_service_ticket"),
    "payments": ("select count(*) from myproperty.payments", "core.fact_payment"),
}


def write_as_the_application(platform: Platform, number: int) -> None:
    """Open a ticket with a note, change all tickets, and take a payment of a cent."""
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        connection.execute("select set_config('app.tenant_id', %s, false)", (str(TENANT.id),))
        connection.execute(_OPEN_TICKET, {"tenant": TENANT.id})
        connection.execute("update myproperty.service_tickets set priority = 'high'")
        invoice = connection.execute(_OWED, (TENANT.id,)).fetchone()
        assert invoice is not None
        take_payment(
            connection,
            UUID(str(invoice[0])),
            Decimal("0.01"),
            method="bank_transfer",
            reference=f"meanwhile-{number}",
            received_at=datetime.now(UTC),
        )


def correct_a_reading(platform: Platform, day: date, more: str) -> None:
    """A sender corrects a value of the date of the run."""
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        row = connection.execute(
            "select g.identifier, g.register, r.channel, r.reading_ts, r.interval_seconds, r.value_kwh "
            "from myproperty.meter_readings as r join myproperty.meter_registers as g "
            "on g.meter_id = r.meter_id and g.channel = r.channel "
            "where r.tenant_id = %s and r.reading_date = %s and r.quality = 'actual' "
            "order by r.reading_ts, g.identifier limit 1",
            (TENANT.id, day),
        ).fetchone()
    assert row is not None
    identifier, register, channel, start, seconds, value = row
    inbox = Path(platform.settings.inbox) / TENANT.name
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / "meanwhile.csv").write_text(
        "identifier,register,channel,unit,reading_ts,interval_seconds,value,quality,source_version\n"
        f"{identifier},{register},{channel},kWh,{start.isoformat()},{seconds},{value + Decimal(more)},"
        f"actual,{datetime.now(UTC).isoformat()}\n"
    )
    (result,) = ingest_inbox(platform.settings)
    assert result.new_versions == 1, result


def wait_for_a_waiting_load(platform: Platform) -> None:
    """Wait until a session waits for the lock of a date."""
    with psycopg.connect(engines.dsn(platform.settings), autocommit=True) as connection:
        until = time.monotonic() + 60
        while not connection.execute(_WAITING).fetchone():
            assert time.monotonic() < until, "no load waits"
            time.sleep(0.1)


def test_a_run_passes_while_the_application_and_a_sender_write(platform: Platform) -> None:
    """The application writes after each step. A file that comes after validation is validated again; one that
    comes after gate A waits for the landing, so what the gate judged is landed. The corrected date is pending
    again, and the next run has all."""
    day = platform.plan.start + timedelta(days=3)
    landed_kwh = "select sum(value_kwh) from warehouse_staging.meter_readings where reading_date = %s"
    said: list[str] = []
    with ThreadPoolExecutor(1) as threads:
        loads: list[Future[None]] = []

        def load() -> None:
            correct_a_reading(platform, day, "0.002")
            said.append("loaded")

        def write(line: str) -> None:
            write_as_the_application(platform, len(said))
            if line.startswith("validated") and not said:
                correct_a_reading(platform, day, "0.001")
            elif line.startswith("Gate A"):
                loads.append(threads.submit(load))
                wait_for_a_waiting_load(platform)
                assert "loaded" not in said
            said.append(line)

        assert pending_dates(platform.settings) == []
        report = run_pipeline(day, day + timedelta(days=1), platform.settings, progress=write)
        assert report.success, report.error
        loads[0].result(60)
    assert any("validated again" in line for line in said)
    assert said.index("loaded") > next(n for n, line in enumerate(said) if line.startswith("Gate A"))
    assert pending_dates(platform.settings) == [day]
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        before = connection.execute(landed_kwh, (day,)).fetchone()
        validate_due(platform.settings)
        reports = run_pending(platform.settings)
        assert reports and all(each.success for each in reports), [each.error for each in reports]
        assert pending_dates(platform.settings) == []
        after = connection.execute(landed_kwh, (day,)).fetchone()
        assert before is not None and after is not None and after[0] - before[0] == Decimal("0.002")
        for query, fact in COUNTS.values():
            row = connection.execute(query.encode()).fetchone()
            assert row is not None and platform.query(f"select count(*) as n from {fact}")["n"][0] == row[0]
