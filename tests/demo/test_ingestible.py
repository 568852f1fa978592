"""The demo's files read and judged by the platform: only the planned rows are quarantined."""

from collections import Counter
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from data.demo import DemoScope
from data.demo.company import list_tenants
from data.ingest.formats.reading import read_file
from data.ingest.rules.judge import judge
from data.ingest.schema import REGISTERS

NOW = datetime(2025, 11, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def registers() -> dict[str, pa.Table]:
    return {
        tenant.name: pa.Table.from_pylist(
            [
                {
                    "identifier": meter.identifier,
                    "register": register.register,
                    "meter_id": str(meter.id),
                    "channel": register.channel,
                    "unit": site.file_unit,
                    "interval_seconds": site.interval_seconds,
                    "meter_type": meter.type,
                    "timezone": site.timezone,
                }
                for site in tenant.sites
                for meter in site.meters
                for register in meter.registers
            ],
            schema=REGISTERS,
        )
        for tenant in list_tenants("small")
    }


def test_only_the_planned_rows_are_quarantined(scope: DemoScope, registers: dict[str, pa.Table]) -> None:
    for file in scope.files:
        judged = judge(read_file(file.path), registers[file.tenant], now=NOW)
        assert judged.readings.num_rows == file.readings, file.path.name
        assert judged.quarantined.num_rows == file.quarantined, file.path.name


def test_each_fault_breaks_its_rule(scope: DemoScope, registers: dict[str, pa.Table]) -> None:
    (bad,) = scope.list_files("bad_rows")
    judged = judge(read_file(bad.path), registers[bad.tenant], now=NOW)
    assert Counter(judged.quarantined["rule"].to_pylist()) == {
        "ROW-VALUE": 1,
        "ROW-TIMESTAMP": 1,
        "VEE-NEGATIVE": 1,
        "VEE-FUTURE": 1,
        "VEE-INTERVAL": 1,
        "VEE-UNIT": 1,
        "VEE-REGISTER": 2,
    }
