"""A total beside its parts in one file: what is loaded depends on which of them is configured."""

import random
from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.readings.load import ingest_file
from data.ingest.readings.results import IngestResult
from tests.formats.test_registers_that_repeat import name_times, write_canonical
from tests.ingest.conftest import Company

pytestmark = pytest.mark.engine

CHANCE = random.Random("parts")
PARTS = {name: [Decimal(CHANCE.randrange(900)) / 1000 for _ in name_times()] for name in ("T1", "T2")}
TOTAL = [sum(pair, Decimal(0)) for pair in zip(*PARTS.values(), strict=True)]


def configure(company: Company, *registers: str, channel: str = "import") -> None:
    """Configure registers of the identifiers M and N, each on a meter of its own."""
    for identifier in ("M", "N"):
        for register in registers:
            company.rows(
                "with made as ("
                "insert into myproperty.meters (tenant_id, property_id, type, serial_number, timezone) "
                "values (%s, %s, 'grid', %s, 'UTC') returning id) "
                "insert into myproperty.meter_registers "
                "(tenant_id, meter_id, identifier, register, channel, unit) "
                "select %s, id, %s, %s, %s, 'kWh' from made returning id",
                *(company.tenant_id, company.property_id, f"{identifier}/{register}"),
                *(company.tenant_id, identifier, register, channel),
            )


def load(
    company: Company,
    folder: Path,
    *,
    create: bool = False,
    series: dict[str, list[Decimal]] | None = None,
) -> IngestResult:
    path = folder / "meters.csv"
    path.write_text(write_canonical(series or {"T": TOTAL, **PARTS}))
    wanted = company.property_id if create else None
    return ingest_file(path, tenant=company.name, dsn=company.dsn, create_meters=wanted)


def list_energy(company: Company) -> dict[str, Decimal]:
    rows = company.rows(
        "select g.register, sum(r.value_kwh) from myproperty.meter_readings r "
        "join myproperty.meter_registers g on g.tenant_id = r.tenant_id and g.meter_id = r.meter_id "
        "where r.tenant_id = %s group by g.register",
        company.tenant_id,
    )
    return {str(register): Decimal(str(total)) for register, total in rows}


@pytest.mark.parametrize(
    ("configured", "create", "loaded"),
    [
        pytest.param(["T"], False, ["T"], id="the total alone is configured"),
        pytest.param(["T1", "T2"], False, ["T1", "T2"], id="the parts are configured"),
        pytest.param(["T", "T1", "T2"], False, ["T1", "T2"], id="all are configured"),
        pytest.param([], True, ["T1", "T2"], id="meters are made"),
        pytest.param(["T"], True, ["T"], id="no meters are made for the parts of a configured total"),
    ],
)
def test_energy_is_loaded_once(
    company: Company, tmp_path: Path, configured: list[str], create: bool, loaded: list[str]
) -> None:
    configure(company, *configured)
    result = load(company, tmp_path, create=create)
    series = {"T": TOTAL, **PARTS}
    assert list_energy(company) == {name: 2 * sum(series[name]) for name in loaded}
    assert result.status == "loaded"
    assert ("ROW-SUM" in result.rules) == ("T" not in loaded)
    again = load(company, tmp_path, create=create)
    assert (again.accepted, again.new_versions) in ((0, 0), (result.accepted, 0))
    assert list_energy(company) == {name: 2 * sum(series[name]) for name in loaded}


@pytest.mark.parametrize(
    ("configured", "create", "loaded"),
    [
        pytest.param({"A": "import", "B": "import"}, False, {"A"}, id="both count import"),
        pytest.param({"B": "import"}, False, {"B"}, id="the second one alone is configured"),
        pytest.param({"A": "import", "B": "other"}, False, {"A", "B"}, id="the check meter is other"),
        pytest.param({"B": "other"}, True, {"A", "B"}, id="the first one is made beside the check meter"),
        pytest.param({"B": "import"}, True, {"B"}, id="none is made beside the second one"),
    ],
)
def test_equal_registers_are_loaded_once(
    company: Company, tmp_path: Path, configured: dict[str, str], create: bool, loaded: set[str]
) -> None:
    for register, channel in configured.items():
        configure(company, register, channel=channel)
    series = {"A": PARTS["T1"], "B": PARTS["T1"]}
    result = load(company, tmp_path, create=create, series=series)
    assert list_energy(company) == {name: 2 * sum(series[name]) for name in loaded}
    assert result.rules.get("ROW-SUM", 0) == (0 if "B" in loaded else 2 * len(PARTS["T1"]))
