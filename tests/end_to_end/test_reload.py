"""The remedy that gates B and C print is a command, and it mends the fault that the gate found."""

import re
import shlex
from datetime import timedelta

import psycopg
import pytest
from typer.testing import CliRunner

from commands import pipeline
from commands.main import app
from dagster_project.defs.landing.checks import compare_landing_with_source
from dagster_project.defs.raw.checks import compare_raw_with_landing
from dagster_project.gates import FrameReader, run_gate_check
from dagster_project.resources.platform import Platform as Resource
from data.landing.entities import ENTITIES
from expectations.suites import load_suite
from expectations.verdicts import BY_HAND, Verdict, failing_verdicts
from myproperty.dates import Window
from tests.end_to_end.support import Platform

READERS = {"B": compare_landing_with_source, "C": compare_raw_with_landing}
# A table of each landing mode: only changes, replaced whole, replaced by date.
FAULTS = [
    ("invoices", "update {table} set total_amount = total_amount + 100"),
    ("invoices", "delete from {table}"),
    ("properties", "update {table} set solar_capacity_kw = 1"),
    ("meter_readings", "update {table} set value_kwh = value_kwh * 1000 where reading_date = '{day}'"),
]


def check(platform: Platform, gate: str, table: str, dates: Window | None) -> Verdict:
    reader: FrameReader = READERS[gate](table)
    resource = Resource(platform.settings)
    return run_gate_check(resource, load_suite(gate, table), reader, dates=dates, run_id=BY_HAND)


@pytest.mark.parametrize("gate", ["B", "C"])
@pytest.mark.parametrize(("table", "fault"), FAULTS)
def test_the_printed_remedy_mends_the_fault(
    platform: Platform, gate: str, table: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "get_settings", lambda: platform.settings)
    day = platform.reports[0].dates[-1]
    dates = Window(day, day + timedelta(days=1)) if ENTITIES[table].is_dated else None
    schema, dsn = {
        "B": ("warehouse_staging", platform.settings.oltp_dsn),
        "C": ("raw", platform.settings.warehouse_dsn),
    }[gate]
    with psycopg.connect(str(dsn)) as connection:
        connection.execute(fault.format(table=f"{schema}.{table}", day=day).encode())
    broken = check(platform, gate, table, dates)
    assert not broken.passed
    for rule in broken.failed:
        command = re.findall(r"`myproperty ([^`]+)`", rule["remedy"])[0]
        assert command.startswith(f"reload {table}")
    done = CliRunner().invoke(app, shlex.split(command))
    assert done.exit_code == 0, done.output
    assert check(platform, gate, table, dates).passed
    last = failing_verdicts(str(platform.settings.oltp_dsn))
    assert (gate, table) not in {(verdict.gate, verdict.table) for verdict in last}
