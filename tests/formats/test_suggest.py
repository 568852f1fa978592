"""Proposed mappings: each is read, and its total is the expected one."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from typer.testing import CliRunner

from commands.main import app
from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import MappingError, load_mapping
from data.ingest.formats.mapping import CsvMapping
from data.ingest.formats.reading import read_file
from data.ingest.formats.suggest.proposal import suggest_mapping
from data.ingest.inspect import inspect
from tests.formats.answers import answer_unit
from tests.formats.suggest_exports import EXPORTS, table

# Two columns, or two runs of cells, of which no name tells the channel.
# How many answers give the channels of these.
NAMELESS = {
    "the labels of a day twice": 2,
    "periods without a name, below a line of another kind": 1,
    "no header": 1,
}


def proposed(folder: Path, text: str | bytes, zone: str | None = "Europe/Madrid") -> tuple[Path, Path]:
    path, target = folder / "export.csv", folder / "proposed.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    target.write_text(answer_unit(suggest_mapping(path, zone)))
    return path, target


def test_what_the_file_does_not_state_stays_open(tmp_path: Path) -> None:
    text = "time,kWh\n2024-01-01 00:00,1\n2024-01-01 00:30,2\n"
    with pytest.raises(MappingError, match=r"identifier.*timezone|timezone.*identifier"):
        load_mapping(proposed(tmp_path, text, None)[1])


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_read_by_what_is_proposed_for_it(tmp_path: Path, name: str) -> None:
    text, expected, total = EXPORTS[name]
    path, target = proposed(tmp_path, text)
    if "identifier:  #" in target.read_text():
        target.write_text(target.read_text().replace("identifier:  #", "identifier: M1  #"))
    if name in NAMELESS:
        assert target.read_text().count("channel:  #") == NAMELESS[name]
        target.write_text(target.read_text().replace("channel:  #", "channel: import  #"))
    found = load_mapping(target)
    assert isinstance(found, CsvMapping)
    assert {field: getattr(found, field) for field in expected} == expected
    parsed = read_file(path, mapping=found)
    assert parsed.rejected.num_rows == 0
    assert pc.sum(parsed.readings["value"]).as_py() == Decimal(total)


def test_a_number_kept_from_spreadsheets_is_the_number(tmp_path: Path) -> None:
    for name in ("a row for each register, with its unit", "month first, as the days lie closest together"):
        path, target = proposed(tmp_path, EXPORTS[name][0])
        (meter,) = pc.unique(read_file(path, mapping=load_mapping(target)).readings["identifier"]).to_pylist()
        assert meter in ("541400000000000001", "10000000000000001")


def test_the_custom_of_the_zone_decides_on_a_single_day(tmp_path: Path) -> None:
    text = table("Meter,Date,Time,kWh", "7,03/0{day}/2024,{hour:02}:00,1", (4,))
    for zone, form in (("America/Chicago", "%m/%d/%Y"), ("Europe/London", "%d/%m/%Y")):
        found = load_mapping(proposed(tmp_path, text, zone)[1])
        assert isinstance(found, CsvMapping) and found.date_format == form


def test_registers_are_distinguished_in_a_short_file_with_a_repeated_hour(tmp_path: Path) -> None:
    hours = ["00", "01", "02", "02", *(f"{hour:02}" for hour in range(3, 24))]
    text = "Meter,Time,Way,Value (kWh)\n" + "".join(
        f"9,2024-10-27 {hour}:00,{way},{amount}\n"
        for hour in hours
        for way, amount in (("In", 1), ("Out", 2))
    )
    path, target = proposed(tmp_path, text.replace("Out", "Export"))
    parsed = read_file(path, mapping=load_mapping(target))
    assert (parsed.readings.num_rows, pc.sum(parsed.readings["value"]).as_py()) == (50, 75)
    assert set(parsed.readings["channel"].to_pylist()) == {"import", "export"}


def test_rows_of_one_meter_and_time_without_a_distinction_are_reported(tmp_path: Path) -> None:
    text = table("Meter,Time,kWh", "9,2024-01-{day} {hour:02}:00,1\n9,2024-01-{day} {hour:02}:00,2")
    assert "the same time stands in several rows" in proposed(tmp_path, text)[1].read_text()


@pytest.mark.parametrize("unit", ["kgal", "gallons", "kVAh"])
def test_an_unknown_unit_stays_open(tmp_path: Path, unit: str) -> None:
    text = table(f"Meter,Time,Usage ({unit})", "9,2024-01-{day} {hour:02}:00,1")
    with pytest.raises(MappingError, match="unit"):
        load_mapping(proposed(tmp_path, text)[1])


def test_rows_of_one_date_without_a_time_get_no_proposal(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="no time of day"):
        proposed(tmp_path, table("Meter,Date,kWh", "9,2024-01-{day},0.5"))


def test_totals_of_months_get_no_proposal(tmp_path: Path) -> None:
    text = "Meter,Date,kWh\n" + "".join(f"9,2024-{month:02}-01,{month % 3}\n" for month in range(1, 13))
    with pytest.raises(MappingError, match=r"export\.csv.*31 days apart, so the values are totals of months"):
        proposed(tmp_path, text)


@pytest.mark.parametrize("text", ["hello\nworld\n", "a,b\n1,2\n", "\n", '"' * 999])
def test_a_file_without_a_table_gets_no_proposal(tmp_path: Path, text: str) -> None:
    with pytest.raises(MappingError, match="by hand"):
        proposed(tmp_path, text)


def test_a_document_without_times_is_refused_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="nothing says when its values were"):
        proposed(tmp_path, '{"a": [1, 2]}')


@pytest.mark.parametrize("text", ["<!doctype html><html>1,2</html>", "%PDF-1.4 1,2"])
def test_a_document_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RefusedFile, match="FILE-FORMAT"):
        proposed(tmp_path, text)


def test_a_complete_format_needs_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="needs no mapping"):
        proposed(tmp_path, "100,NEM12,202401011200,A,B\n900\n")


@pytest.mark.parametrize("name", ["highlands_example.csv", "row-per-day_valid.csv"])
def test_real_files(oracles: dict[str, Any], samples: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "proposed.yaml"
    proposal = suggest_mapping(samples / "interval_csv" / name, "Europe/London")
    target.write_text(answer_unit(proposal))
    document = inspect(samples / "interval_csv" / name, mapping=load_mapping(target))
    oracle = oracles[f"interval_csv/{name}"]
    assert sum(channel["intervals"] for channel in document["channels"]) == oracle["n"]
    assert sum(Decimal(channel["total"]) for channel in document["channels"]) == oracle["kwh"]


def test_the_command_proposes_a_mapping_and_reads_by_it(tmp_path: Path) -> None:
    text, _, total = EXPORTS["american"]
    path, target = proposed(tmp_path, text)
    run = CliRunner().invoke
    asked = run(app, ["inspect", str(path), "--suggest-mapping", "--timezone", "Europe/Madrid"])
    assert asked.exit_code == 0 and asked.stdout.startswith(target.read_text())
    read = run(app, ["inspect", str(path), "--mapping", str(target), "--json"])
    assert (read.exit_code, Decimal(json.loads(read.stdout)["channels"][0]["total"])) == (
        0,
        Decimal(total) / 1000,
    )
    target.write_text("format: mapped_csv\n")
    refused = run(app, ["inspect", str(path), "--mapping", str(target)])
    assert (refused.exit_code, refused.stdout) == (1, "")
