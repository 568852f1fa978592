"""Proposals that read their own file: what is printed below them, and when they are marked not usable."""

import json
from pathlib import Path

import pytest
import yaml

from data.ingest.formats.file_mappings import load_mapping
from data.ingest.proposals import propose_mapping
from tests.formats.suggest_exports import EXPORTS, table

HOURS = "2024-01-{day} {hour:02}:00"


def propose(folder: Path, text: str | bytes, zone: str | None = "Europe/Madrid") -> str:
    path = folder / "export.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return propose_mapping(path, zone)


def faults(proposal: str) -> list[str]:
    return [line for line in proposal.split("\n") if line.startswith("# NOT USABLE")]


@pytest.mark.parametrize("name", EXPORTS)
def test_each_export_is_usable_and_its_proposal_is_a_mapping(tmp_path: Path, name: str) -> None:
    proposal = propose(tmp_path, EXPORTS[name][0])
    assert "# Read by this proposal" in proposal
    assert faults(proposal) == []
    assert yaml.safe_load(proposal)["format"] == "mapped_csv"


def test_totals_gaps_and_open_fields_are_printed(tmp_path: Path) -> None:
    text = table("Time,Usage (kWh),Gas", HOURS + ",0.5,2", (14, 15)).replace("2024-01-15 03:00,0.5,2\n", "")
    proposal = propose(tmp_path, text, None)
    assert "with a word for the trial in identifier, timezone, unit of Gas:" in proposal
    assert "#   METER Usage (kWh): import 23.5 kWh, 47 intervals of 3600 s" in proposal
    assert "#     from 2024-01-14T00:00:00Z to 2024-01-15T23:00:00Z, 1 missing, 0 without a value" in proposal
    assert faults(proposal) == []


def test_rejected_and_skipped_rows_are_printed(tmp_path: Path) -> None:
    rows = table("Meter,Time,kWh", "9," + HOURS + ",0.5", (14, 15))
    text = rows + "Meter,Time,kWh\n9,2024-01-16 00:00,0.5\n9,2024-01-16 01:00,-\n"
    proposal = propose(tmp_path, text)
    assert "#   skipped: 1 rows: a repeated header" in proposal
    assert "1 without a value" in proposal


@pytest.mark.parametrize(
    ("line", "is_usable"),
    [
        ("Total,,24\n", True),
        ("Total Usage: 24.000,,\n", True),
        ("Total Usage: 5.495,,\n", False),
        ("Summe,,12\nSumme,,12\n", True),
        ("Total amount: $5.49,,\n", True),
        ("Gesamtsumme,,999\n", False),
        ("Total MWh,,24\n", False),
        ("Total kWh,,24\n", True),
        ("Gesamt,,999\n", False),
    ],
)
@pytest.mark.parametrize("is_above", [True, False])
def test_a_total_that_the_file_states_is_compared(
    tmp_path: Path, line: str, is_usable: bool, is_above: bool
) -> None:
    rows = table("Meter,Time,kWh", "9," + HOURS + ",0.5", (14, 15))
    found = faults(propose(tmp_path, line + rows if is_above else rows + line))
    assert bool(found) != is_usable
    assert is_usable or "states a total of" in found[0]


def test_a_conflict_in_mass_is_not_usable(tmp_path: Path) -> None:
    text = table("Meter,Time,kWh", "9," + HOURS + ",1\n9," + HOURS + ",2")
    (fault,) = faults(propose(tmp_path, text))
    assert "MAP-CONFLICT" in fault


def test_a_meter_a_row_is_not_usable(tmp_path: Path) -> None:
    text = "Meter,Date,kWh\n" + "".join(f"X{n // 2},2024-01-{n % 2 + 1:02},{n % 7}\n" for n in range(100))
    assert any("a reading or two" in fault for fault in faults(propose(tmp_path, text)))


def test_mostly_rejected_rows_are_not_usable(tmp_path: Path) -> None:
    text = table("Meter,Time,kWh", "9," + HOURS + ",0.12345678912345", (14, 15))
    assert any("ROW-PRECISION" in fault for fault in faults(propose(tmp_path, text)))


def test_the_json_of_a_portal_is_tried_too(tmp_path: Path) -> None:
    value = {"date": "2024-01-01 10:00:00", "value": 7}
    text = json.dumps({"energy": {"timeUnit": "HOUR", "unit": "Wh", "values": [value]}})
    proposal = propose(tmp_path, text, None)
    assert "generation 0.007 kWh, 1 intervals of 3600 s" in proposal and faults(proposal) == []


def test_a_printed_proposal_is_loaded_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "export.yaml"
    target.write_text(propose(tmp_path, EXPORTS["american"][0]))
    assert load_mapping(target).format == "mapped_csv"
