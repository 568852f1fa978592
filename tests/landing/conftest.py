"""Landed readings of two tenants, and changes to a growing table. Fixtures of `tests/raw` too."""

from datetime import date
from typing import LiteralString

import psycopg
import pytest

from data.ingest.readings.load import ingest_file
from data.landing.entities import ENTITIES
from data.landing.land import land
from data.landing.read import SourceSchema
from tests.ingest.conftest import Company, FileMaker, company, csv_file, hours, make_company

__all__ = ["company", "csv_file"]

READINGS = ENTITIES["meter_readings"]
DAYS = (date(2025, 6, 1), date(2025, 6, 2))
END = date(2025, 6, 3)
SCHEMAS: tuple[SourceSchema, SourceSchema] = ("myproperty", "warehouse_staging")


@pytest.fixture
def landed(company: Company, csv_file: FileMaker) -> Company:
    """A tenant with 30 landed hours, beside a second one."""
    other = make_company(company.dsn, f"second {company.name}")
    ingest_file(csv_file("a.csv", [*hours(29), ""]), tenant=company.name, dsn=company.dsn)
    ingest_file(csv_file("b.csv", hours(30, "0.000000001")), tenant=other.name, dsn=company.dsn)
    land("meter_readings", company.dsn, DAYS[0], END)
    return company


def call_tools(company: Company, *changes: LiteralString) -> None:
    """Run statements on agent_audit without its triggers, which forbid changes."""
    with psycopg.connect(company.dsn) as connection:
        connection.execute("set session_replication_role = replica")
        for change in changes:
            connection.execute(change, {"tenant": company.tenant_id})


CALLED: LiteralString = (
    "insert into myproperty.agent_audit (tenant_id, agent_id, tool_name, input_hash, outcome, latency_ms, "
    "trace_id) select %(tenant)s, 'helpdesk', 'search', repeat('c', 64), 'succeeded', n, repeat('d', 32) "
    "from generate_series(1, 5) as n"
)
CHANGED: LiteralString = (
    "update myproperty.agent_audit set outcome = 'failed', version = version + 1, updated_at = now() "
    "where tenant_id = %(tenant)s and latency_ms = 2"
)
DELETED: LiteralString = "delete from myproperty.agent_audit where tenant_id = %(tenant)s and latency_ms = 3"
