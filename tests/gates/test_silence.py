"""A sender that is silent is a finding of gate A, per tenant and format, and no failure."""

import uuid
from datetime import date, timedelta

import psycopg
import pytest

from data.landing.quality import SENDER_DATES, SENDER_DAYS
from expectations.gate import run_gate
from expectations.suites.oltp.meter_readings import SUITE, read_profile

pytestmark = pytest.mark.engine
DAY = date(2026, 3, 1)
ONE_DAY = timedelta(days=1)


def load(dsn: str, tenant: uuid.UUID, sender: str, *dates: date) -> None:
    """Record a file of a sender in the ledger, as if its readings had been loaded."""
    job = uuid.uuid4()
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into myproperty.ingestion_jobs (id, tenant_id, source_uri, content_hash, format, status)"
            " values (%s, %s, 'file', %s, %s, 'loaded')",
            (job, tenant, uuid.uuid4().hex * 2, sender),
        )
        for day in dates:
            connection.execute(
                "insert into myproperty.ingestion_job_dates"
                " (tenant_id, ingestion_job_id, reading_date, readings) values (%s, %s, %s, 96)",
                (tenant, job, day),
            )


@pytest.fixture
def tenants(oltp_dsn: str) -> tuple[uuid.UUID, uuid.UUID]:
    first, second = uuid.uuid4(), uuid.uuid4()
    with psycopg.connect(oltp_dsn) as connection:
        for number, tenant in enumerate((first, second)):
            connection.execute(
                "insert into myproperty.tenants (id, name, region) values (%s, %s, 'AU')",
                (tenant, f"silent {number} {tenant.hex[:8]}"),
            )
    return first, second


def test_each_silent_sender_is_named_with_the_date_it_last_sent_for(
    oltp_dsn: str, tenants: tuple[uuid.UUID, uuid.UUID]
) -> None:
    first, second = tenants
    before = [DAY - number * ONE_DAY for number in range(1, SENDER_DAYS + 2)]
    load(oltp_dsn, first, "nem12", *before[:SENDER_DATES])
    load(oltp_dsn, first, "green_button", DAY, *before)
    load(oltp_dsn, first, "estimation", *before)
    load(oltp_dsn, first, "canonical_csv", *before[: SENDER_DATES - 1])
    load(oltp_dsn, second, "nem12", *before[SENDER_DAYS - SENDER_DATES : SENDER_DAYS])
    load(oltp_dsn, second, "mscons", *before[SENDER_DAYS - SENDER_DATES + 1 :])
    profile = read_profile(oltp_dsn, DAY, DAY + ONE_DAY)
    silent = profile[profile["silent_sender"].notna()]
    assert {(row.tenant_id, row.silent_sender) for row in silent.itertuples()} == {
        (str(first), "nem12, last for 2026-02-28"),
        (str(second), "nem12, last for 2026-02-24"),
    }
    verdict = run_gate(SUITE, silent, date_from=DAY, date_to=DAY + ONE_DAY)
    assert verdict.passed
    assert [broken["rule"] for broken in verdict.failed] == ["A-READINGS-013"]
    assert "nem12, last for 2026-02-28" in verdict.message
    assert verdict.rows == 0


def test_a_date_without_any_reading_or_sender_passes(oltp_dsn: str) -> None:
    far = date(2031, 5, 1)
    verdict = run_gate(
        SUITE, read_profile(oltp_dsn, far, far + ONE_DAY), date_from=far, date_to=far + ONE_DAY
    )
    assert (verdict.passed, verdict.failed, verdict.rows) == (True, [], 0)
