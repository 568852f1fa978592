"""Tables with a column for each day or time: each cell is a reading, by a mapping and by a proposal."""

import datetime
import random
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.errors import RefusedFile
from data.ingest.formats import container, mapped_across
from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.formats.mapping import CsvMapping
from data.ingest.formats.reading import read_file
from data.ingest.inspect import inspect
from data.ingest.proposals import NOT_USABLE, propose_mapping
from data.ingest.schema import ParsedFile
from tests.formats.answers import fill_units
from tests.formats.workbook_text import DATE, TIME, write_xlsx

UTC = datetime.UTC
HOURS: dict[str, Any] = {
    "format": "mapped_csv",
    "across": 2,
    "timezone": "Europe/Paris",
    "interval_minutes": 60,
    "date_format": "%d/%m/%Y",
    "time_format": "%H:%M",
    "label": "start",
    "delimiter": ";",
    "decimal": ",",
    "identifier": "M1",
    "columns": {"date": "$above", "time": "Heure"},
    "values": [{"column": "$value", "channel": "import", "unit": "kWh"}],
}
Energy = dict[datetime.datetime, Decimal]


def draw(zone: str, start: str, days: int, minutes: int = 60) -> Energy:
    """Return the energy of each interval by its start in UTC."""
    chance = random.Random(f"{zone}{start}")
    first = datetime.datetime.fromisoformat(start)
    begin, end = (
        (first + datetime.timedelta(days=n)).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for n in (0, days)
    )
    count = int((end - begin) / datetime.timedelta(minutes=minutes))
    return {
        begin + datetime.timedelta(minutes=minutes * n): Decimal(chance.randrange(1, 2000)) / 1000
        for n in range(count)
    }


def lay_out(energy: Energy, zone: str, form: str = "%d/%m/%Y", *, with_totals: bool = True) -> str:
    """Write a column for each day and a row for each hour of the clock, with totals below and beside.

    The skipped hour is empty, the repeated one has a row of its own, as a person would lay it out.
    """
    cells: dict[tuple[datetime.date, str], Decimal] = {}
    labels: dict[str, None] = {f"{hour:02}:00": None for hour in range(24)}
    for at, value in energy.items():
        local = at.astimezone(ZoneInfo(zone))
        cells[local.date(), f"{local:%H:%M}" + " " * local.fold] = value
        labels[f"{local:%H:%M}" + " " * local.fold] = None
    dates = sorted({date for date, _ in cells})
    lines = [";".join(["Heure", *(date.strftime(form) for date in dates), *(["Total"] * with_totals)])]
    for label in sorted(labels):
        row = [cells.get((date, label)) for date in dates]
        total = [sum((value or Decimal(0) for value in row), Decimal(0))] * with_totals
        shown = ["" if value is None else str(value).replace(".", ",") for value in [*row, *total]]
        lines.append(";".join([label.strip(), *shown]))
    if with_totals:
        sums = [sum(v for (day, _), v in cells.items() if day == date) for date in dates]
        lines.append(";".join(["Total", *(str(value).replace(".", ",") for value in sums), ""]))
    return "\n".join([*lines, ""])


def declare(**changes: Any) -> CsvMapping:
    content = {name: value for name, value in (HOURS | changes).items() if value is not None}
    found = parse_mapping(content, "test")
    assert isinstance(found, CsvMapping)
    return found


def read(folder: Path, text: str, **changes: Any) -> ParsedFile:
    path = folder / "export.csv"
    path.write_text(text)
    return read_file(path, mapping=declare(**changes))


def readings(parsed: ParsedFile) -> Energy:
    columns = (parsed.readings[name].to_pylist() for name in ("reading_ts", "value"))
    return {at: value for at, value in zip(*columns, strict=True) if value is not None}


@pytest.mark.parametrize("start", ["2024-03-28", "2024-10-24", "2024-06-01"])
def test_each_cell_is_read_at_its_time(tmp_path: Path, start: str) -> None:
    energy = draw("Europe/Paris", start, 6)
    parsed = read(tmp_path, lay_out(energy, "Europe/Paris"), ignore_rows=["Total"])
    assert readings(parsed) == energy
    # Empty cells of the repeated hour stand beside the values of other days.
    assert set(parsed.rejected["severity"].to_pylist()) <= {"info"}
    assert parsed.skipped["named by ignore_rows"] == 6


@pytest.mark.parametrize("start", ["2024-03-28", "2024-10-24", "2024-06-01"])
@pytest.mark.parametrize("form", ["%d/%m/%Y", "%Y-%m-%d", "%d-%b-%Y"])
def test_a_proposal_reads_a_column_for_each_day(tmp_path: Path, start: str, form: str) -> None:
    energy = draw("Europe/Paris", start, 6)
    path = tmp_path / "export.csv"
    path.write_text("Consommation;kWh\n\n" + lay_out(energy, "Europe/Paris", form))
    proposal = propose_mapping(path, "Europe/Paris")
    assert NOT_USABLE not in proposal
    content = fill_units(yaml.safe_load(proposal)) | {"identifier": "M1"}
    mapping = parse_mapping(content, "proposal")
    assert readings(read_file(path, mapping=mapping)) == energy
    assert inspect(path, mapping=mapping)["rejected"] == []


def test_meters_in_rows_and_days_in_columns(tmp_path: Path) -> None:
    days = [datetime.date(2024, 3, 1) + datetime.timedelta(days=n) for n in range(31)]
    meters = {f"MTR{n}00{n}": [Decimal(n * day.day % 17) / 4 for day in days] for n in range(1, 5)}
    header = "Meter ID,Unit," + ",".join(f"{day:%m/%d/%Y}" for day in days)
    lines = [f"{name},kWh," + ",".join(map(str, values)) for name, values in meters.items()]
    total = ",".join(str(sum(values)) for values in zip(*meters.values(), strict=True))
    path = tmp_path / "export.csv"
    path.write_text("\n".join([header, *lines, f"Total,kWh,{total}", ""]))
    proposal = propose_mapping(path, "America/New_York")
    assert NOT_USABLE not in proposal
    document = inspect(path, mapping=parse_mapping(yaml.safe_load(proposal), "proposal"))
    assert {one["meter"]: Decimal(one["total"]) for one in document["channels"]} == {
        name: sum(values) for name, values in meters.items()
    }
    assert {one["interval_seconds"] for one in document["channels"]} == {86_400}
    assert document["skipped"] == [{"reason": "named by ignore_rows", "count": 31}]


def test_registers_in_rows_and_times_in_columns(tmp_path: Path) -> None:
    energy = draw("Europe/Berlin", "2024-10-26", 2, 15)
    stamps = [at.astimezone(ZoneInfo("Europe/Berlin")) for at in energy]
    header = "Zählpunkt;Richtung;Einheit;" + ";".join(f"{at:%d.%m.%Y %H:%M}" for at in stamps)
    ways = {"Bezug": list(energy.values()), "Einspeisung": [value / 2 for value in energy.values()]}
    lines = [
        ";".join(["DE1", way, "kWh", *(str(value).replace(".", ",") for value in values)])
        for way, values in ways.items()
    ]
    path = tmp_path / "export.csv"
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    content = fill_units(yaml.safe_load(propose_mapping(path, "Europe/Berlin")))
    parsed = read_file(path, mapping=parse_mapping(content, "proposal"))
    assert parsed.rejected.num_rows == 0
    for way, values in ways.items():
        own = parsed.readings.filter([one == way for one in parsed.readings["register"].to_pylist()])
        assert dict(zip(own["reading_ts"].to_pylist(), own["value"].to_pylist(), strict=True)) == dict(
            zip(energy, values, strict=True)
        )
    assert set(parsed.readings["channel"].to_pylist()) == {"import", "export"}


def test_a_workbook_has_days_above_its_columns(tmp_path: Path) -> None:
    energy = draw("Europe/Paris", "2024-06-01", 5)
    days = sorted({at.astimezone(ZoneInfo("Europe/Paris")).date() for at in energy})
    serials = [float((day - datetime.date(1899, 12, 30)).days) for day in days]
    values = list(energy.values())
    table: list[list[Any]] = [["Heure", *((serial, DATE) for serial in serials)]]
    table += [[(hour / 24, TIME), *(float(values[24 * n + hour]) for n in range(5))] for hour in range(24)]
    path = write_xlsx(tmp_path / "export.xlsx", {"Sheet": table})
    content = fill_units(yaml.safe_load(propose_mapping(path, "Europe/Paris"))) | {"identifier": "M1"}
    assert readings(read_file(path, mapping=parse_mapping(content, "proposal"))) == energy


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    text = "Title\nHeure;01/06/2024;02/06/2024\n00:00;1;2\n\n01:00;x;3\n02:00;4\nMade by a portal\n03:00;5;6"
    parsed = read(tmp_path, text)
    found = sorted((row["line"], row["rule"]) for row in parsed.rejected.to_pylist())
    assert found == [(5, "ROW-VALUE"), (6, "CSV-COLUMNS"), (7, "CSV-COLUMNS"), (8, "CSV-LAST-ROW")]
    assert sorted(set(parsed.readings["line"].to_pylist())) == [3, 5, 8]


def test_a_repeated_header_is_skipped_and_another_one_refused(tmp_path: Path) -> None:
    header = "Heure;01/06/2024;02/06/2024"
    parsed = read(tmp_path, f"{header}\n00:00;1;2\n{header}\n01:00;3;4\n")
    assert parsed.skipped["a repeated header"] == 1 and parsed.readings.num_rows == 4
    with pytest.raises(RefusedFile, match="another table begins here") as refusal:
        read(tmp_path, f"{header}\n00:00;1;2\nHeure;03/06/2024;04/06/2024\n01:00;3;4\n")
    assert (refusal.value.rule, refusal.value.line) == ("MAP-TABLE", 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"across": None}, r"\$above is the column"),
        ({"columns": {"date": "Heure", "time": "Zeit"}}, r"\$above is the column"),
        (
            {"values": [{"column": "kWh", "channel": "import", "unit": "kWh"}]},
            r"\$value that of the only value",
        ),
        ({"across": 1, "columns": {"date": "$above", "time": 1}}, "stand before those of across"),
        ({"format": "mapped_json", "rows": "$"}, "JSON and XML have no day, across"),
    ],
)
def test_a_mapping_says_what_stands_above_the_cells(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(MappingError, match=words):
        declare(**changes)


def test_a_file_without_the_dates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedFile, match="a date '%d/%m/%Y' in column 2"):
        read(tmp_path, "Heure;Lundi;Mardi\n00:00;1;2\n")


def test_too_many_dates_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_across, "MAX_DATES", 5)
    with pytest.raises(RefusedFile, match="FILE-TOO-LARGE"):
        read(tmp_path, lay_out(draw("Europe/Paris", "2024-06-01", 6), "Europe/Paris"))


def test_blocks_and_slices_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    energy = draw("Europe/Paris", "2024-06-01", 40)
    text = lay_out(energy, "Europe/Paris")
    monkeypatch.setattr(container, "READ_BYTES", 1 << 9)
    monkeypatch.setattr(mapped_across, "CELLS_TOGETHER", 60)
    parsed = read(tmp_path, text, ignore_rows=["Total"])
    assert readings(parsed) == energy and parsed.skipped["named by ignore_rows"] == 40


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["good", "bad value", "bad time", "empty", "total", "short", "long", "note"]),
            st.integers(0, 23),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_the_cells_of_a_table_add_up(rows: list[tuple[str, int]]) -> None:
    lines = ["Heure;01/06/2024;02/06/2024;03/06/2024", "23:30;1;2;3"]
    for kind, hour in rows:
        label = f"{hour:02}:00"
        lines.append(
            {
                "good": f"{label};1;2;3",
                "bad value": f"{label};x;2;3",
                "bad time": "25:00;1;2;3",
                "empty": f"{label};;;",
                "total": "Total;1;2;3",
                "short": f"{label};1",
                "long": f"{label};1;2;3;4",
                "note": "Made by a portal",
            }[kind]
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.csv"
        path.write_text("\n".join([*lines, ""]))
        try:
            parsed = read_file(path, mapping=declare(ignore_rows=["Total"]))
        except RefusedFile as refusal:
            assert refusal.rule == "MAP-CONFLICT"
            return
    whole = sum(kind in ("short", "long", "note") for kind, _ in rows)
    found = parsed.readings.num_rows + parsed.rejected.num_rows + parsed.skipped.total()
    assert found == 3 * (1 + len(rows) - whole) + whole
