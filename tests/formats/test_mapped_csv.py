"""Interval CSV by a declared mapping: layouts, labels, both clock changes, and what real exports contain."""

import datetime
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.errors import RefusedFile
from data.ingest.formats import container, read_file
from data.ingest.formats.mapping import (
    CsvMapping,
    canonical_text,
    load_identity,
    load_mapping,
    parse_mapping,
)
from data.ingest.inspect import inspect
from data.ingest.rules.energy import energy_balance
from data.ingest.rules.judge import judge
from data.ingest.rules.measures import completeness
from data.ingest.schema import PARSED, REGISTERS, ParsedFile
from myproperty.errors import PlatformError

EXAMPLES = Path(__file__).resolve().parents[2] / "data" / "ingest" / "formats" / "mappings"
UTC = datetime.UTC
READING: dict[str, Any] = {
    "format": "mapped_csv",
    "timezone": "Europe/London",
    "interval_minutes": 30,
    "label": "start",
    "timestamp_format": "%Y-%m-%d %H:%M",
    "columns": {"identifier": "meter", "timestamp": "time"},
    "values": [{"column": "kWh", "channel": "import", "unit": "kWh"}],
}
DAY: dict[str, Any] = {
    "format": "mapped_csv",
    "timezone": "Europe/London",
    "interval_minutes": 30,
    "date_format": "%d/%m/%Y",
    "columns": {"identifier": "meter", "date": "day"},
    "day": {"first": 3, "last": 50, "clock_change": "wall_clock", "channel": "import", "unit": "kWh"},
}


def mapping(base: dict[str, Any], **changes: Any) -> CsvMapping:
    content = {name: value for name, value in (base | changes).items() if value is not None}
    found = parse_mapping(content, "test")
    assert isinstance(found, CsvMapping)
    return found


def read(folder: Path, text: str | bytes, base: dict[str, Any] = READING, **changes: Any) -> ParsedFile:
    path = folder / "export.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_file(path, mapping=mapping(base, **changes))


def rows(*entries: str, header: str = "meter,time,kWh") -> str:
    return "\n".join([header, *entries, ""])


def rejections(parsed: ParsedFile) -> list[tuple[int, str]]:
    return [(row["line"], row["rule"]) for row in parsed.rejected.to_pylist()]


def starts(parsed: ParsedFile) -> list[str]:
    return [f"{start:%m-%d %H:%M}" for start in parsed.readings["reading_ts"].to_pylist()]


def values(parsed: ParsedFile) -> list[Any]:
    found: list[Any] = parsed.readings["value"].to_pylist()
    return found


def test_a_row_is_a_reading_with_all_its_columns(tmp_path: Path) -> None:
    parsed = read(tmp_path, rows("M1,2024-07-01 00:30,1.5", "M2,2024-07-01 00:30,"))
    first, second = parsed.readings.to_pylist()
    assert (parsed.format, parsed.readings.schema) == ("mapped_csv", PARSED)
    assert (first["identifier"], first["register"], first["channel"]) == ("M1", "kWh", "import")
    assert first["reading_ts"] == datetime.datetime(2024, 6, 30, 23, 30, tzinfo=UTC)
    assert first["source_version"] == datetime.datetime(2024, 7, 1, tzinfo=UTC)
    assert (first["line"], first["value"], first["quality"]) == (2, Decimal("1.5"), "actual")
    assert (second["value"], second["quality"]) == (None, "null")


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("26 Aug 2019 13:30:00", "%d %b %Y %H:%M:%S"),
        ("26/8/19 13:30", "%d/%m/%y %H:%M"),
        ("8/26/2019 1:30 PM", "%m/%d/%Y %I:%M %p"),
        ("201908261330", "%Y%m%d%H%M"),
        ("13:30 26.08.2019", "%H:%M %d.%m.%Y"),
        ("2019-08-26T13:30", "%Y-%m-%dT%H:%M"),
        ("26-August-2019 13:30:00.000", "%d-%B-%Y %H:%M:%S.%f"),
        ("2019-08-26 13:30:00.0000000", "%Y-%m-%d %H:%M:%S.%f"),
        ("Mon 26 Aug 2019 13:30 BST", "%a %d %b %Y %H:%M BST"),
        ("26/08/2019 13:30 - 14:00", "%d/%m/%Y %H:%M - %*"),
        ("2019-08-26T13:30:00+01:00", "iso8601"),
        ("2019-08-26 13:30:00 +0100", "iso8601"),
        ("26/08/2019\u00a013:30", "%d/%m/%Y %H:%M"),
        ("8/26/2019 1:30\u202fPM", "%m/%d/%Y %I:%M %p"),
        ("1566822600", "unix"),
        ("1566822600000", "unix_ms"),
    ],
)
def test_a_time_is_read_as_its_format_says(tmp_path: Path, text: str, format: str) -> None:
    zone = None if format in ("iso8601", "unix", "unix_ms") else "Europe/London"
    parsed = read(tmp_path, rows(f"M1,{text},1"), timestamp_format=format, timezone=zone)
    assert parsed.readings["reading_ts"].to_pylist() == [datetime.datetime(2019, 8, 26, 12, 30, tzinfo=UTC)]


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30 00:00",
        "2023-02-29 00:00",
        "0001-01-01 00:00",
        "9999-12-31 00:00",
        "2024-01-01 24:30",
        "2024-01-01 12:60",
        "2024-13-01 00:00",
        "",
        "yesterday",
        "2024-01-01",
        "2024-01-01 00:00 x",
    ],
)
def test_a_time_that_does_not_exist_rejects_its_row_with_its_energy(tmp_path: Path, text: str) -> None:
    parsed = read(tmp_path, rows("M1,2024-01-01 00:00,1", f"M1,{text},2.5"))
    assert rejections(parsed) == [(3, "ROW-TIMESTAMP")]
    assert parsed.rejected["value"].to_pylist() == [Decimal("2.5")]


def test_the_last_label_of_a_day_may_be_24_00_or_its_own_midnight(tmp_path: Path) -> None:
    split: dict[str, Any] = {
        "columns": {"identifier": "meter", "date": "day", "time": "time"},
        "timestamp_format": None,
        "date_format": "%Y-%m-%d",
        "time_format": "%H:%M",
        "label": "end",
    }
    header = "meter,day,time,kWh"
    parsed = read(tmp_path, rows("M,2024-01-01,23:30,1", "M,2024-01-01,24:00,2", header=header), **split)
    assert starts(parsed) == ["01-01 23:00", "01-01 23:30"]
    text = rows("M,2024-01-01,23:30,1", "M,2024-01-01,00:00,2", header=header)
    assert starts(read(tmp_path, text, **split, midnight_ends_day=True)) == ["01-01 23:00", "01-01 23:30"]
    assert starts(read(tmp_path, text, **split)) == ["01-01 23:00", "12-31 23:30"]
    both = rows("M,2024-01-01,24:00,1", "M,2024-01-02,00:00,2", header=header)
    assert starts(read(tmp_path, both, **split, midnight_ends_day=True)) == ["01-01 23:30", "01-02 23:30"]
    stamps = rows("M,2024-01-01 24:00,1", "M,2024-01-02 00:00,2")
    assert starts(read(tmp_path, stamps, label="end", midnight_ends_day=True)) == [
        "01-01 23:30",
        "01-02 23:30",
    ]


def wall_labels(date: datetime.date, label: str, minutes: int = 30) -> list[str]:
    """Labels of every interval of a London day, made from instants: the other way round than the reader."""
    zone = ZoneInfo("Europe/London")
    start = datetime.datetime.combine(date, datetime.time(), zone).astimezone(UTC)
    end = datetime.datetime.combine(date + datetime.timedelta(1), datetime.time(), zone).astimezone(UTC)
    step = datetime.timedelta(minutes=minutes)
    labels = []
    while start < end:
        local = (start + (step if label == "end" else 0 * step)).astimezone(zone)
        if label == "wall_end":
            local = start.astimezone(zone).replace(tzinfo=None) + step
        labels.append(f"{local:%Y-%m-%d %H:%M}")
        start += step
    return labels


@pytest.mark.parametrize("label", ["start", "end", "wall_end"])
@pytest.mark.parametrize(("day", "count"), [("2024-03-31", 46), ("2024-10-27", 50), ("2024-07-01", 48)])
@pytest.mark.parametrize("order", ["ascending", "descending", "sorted", "two meters"])
def test_a_local_day_has_46_48_or_50_half_hours_in_a_row(
    tmp_path: Path, label: str, day: str, count: int, order: str
) -> None:
    date = datetime.date.fromisoformat(day)
    numbered = list(enumerate(wall_labels(date, label)))
    assert len(numbered) == count
    if order == "descending":
        numbered.reverse()
    if order == "sorted":
        # By label, as a spreadsheet sorts: the two hours lie in one another.
        numbered.sort(key=lambda entry: entry[1])
    meters = ["M1", "M2"] if order == "two meters" else ["M1"]
    text = rows(*(f"{meter},{stamp},{number}" for number, stamp in numbered for meter in meters))
    direction = "descending" if order == "descending" else "ascending"
    parsed = read(tmp_path, text, label=label, order=direction)
    assert rejections(parsed) == []
    midnight = datetime.datetime.combine(date, datetime.time(), ZoneInfo("Europe/London")).astimezone(UTC)
    expected = {
        (meter, midnight + datetime.timedelta(minutes=30 * number), Decimal(number))
        for number in range(count)
        for meter in meters
    }
    columns = (parsed.readings[name].to_pylist() for name in ("identifier", "reading_ts", "value"))
    assert set(zip(*columns, strict=True)) == expected


def test_the_hour_that_comes_twice_is_told_across_blocks_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "READ_BYTES", 64)
    labels = wall_labels(datetime.date(2024, 10, 27), "start")
    parsed = read(tmp_path, rows(*(f"M1,{stamp},{number}" for number, stamp in enumerate(labels))))
    assert values(parsed) == list(map(Decimal, range(50)))
    assert len(set(parsed.readings["reading_ts"].to_pylist())) == 50


def test_rows_against_the_declared_order_refuse_the_file(tmp_path: Path) -> None:
    labels = wall_labels(datetime.date(2024, 10, 27), "start")[::-1]
    with pytest.raises(RefusedFile, match="MAP-ORDER"):
        read(tmp_path, rows(*(f"M1,{stamp},1" for stamp in labels)))


def test_the_hour_that_is_skipped_is_no_time(tmp_path: Path) -> None:
    parsed = read(tmp_path, rows("M,2024-03-31 00:30,1", "M,2024-03-31 01:30,2", "M,2024-03-31 02:00,4"))
    assert rejections(parsed) == [(3, "ROW-TIMESTAMP")]
    assert starts(parsed) == ["03-31 00:30", "03-31 01:00"]


@pytest.mark.parametrize(("minutes", "energy"), [(15, "0.125"), (30, "0.25"), (60, "0.5"), (3, "0.025")])
def test_a_declared_average_power_is_read_as_the_energy_of_its_interval(
    tmp_path: Path, minutes: int, energy: str
) -> None:
    power = {"column": "kW", "channel": "import", "unit": "kW", "average_power": True}
    text = rows(
        "M1,2024-01-01 00:00,0.5", "M1,2024-01-01 01:00,", "M1,2024-01-01 02:00,x", header="meter,time,kW"
    )
    parsed = read(tmp_path, text, values=[power], interval_minutes=minutes)
    assert values(parsed) == [Decimal(energy), None]
    assert pc.unique(parsed.readings["unit"]).to_pylist() == ["kWh"]
    assert rejections(parsed) == [(4, "ROW-VALUE")]
    day = DAY["day"] | {"unit": "W", "average_power": True}
    whole = rows("M1,x,15/01/2024," + ",".join(["500"] * 48), header="meter,id,day," + ",".join("h" * 48))
    found = read(tmp_path, whole, DAY, day=day | {"first": 4, "last": 51})
    assert (set(values(found)), found.readings["unit"][0].as_py()) == ({Decimal(250)}, "Wh")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"values": [{"column": "kW", "channel": "import", "unit": "kW"}]}, "never taken for energy"),
        (
            {"values": [{"column": "kW", "channel": "import", "unit": "kWh", "average_power": True}]},
            "average_power is of",
        ),
        (
            {
                "values": [{"column": "kW", "channel": "import", "unit": "kW", "average_power": True}],
                "interval_minutes": 10,
            },
            "no exact energy",
        ),
    ],
)
def test_power_is_no_energy_unless_it_is_declared_to_average_its_interval(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(PlatformError, match=reason):
        mapping(READING, **changes)


def test_rows_that_fill_the_skipped_hour_with_nothing_are_no_readings(tmp_path: Path) -> None:
    text = rows(
        "M,2024-03-31 00:30,1,5",
        "M,2024-03-31 01:00,,",
        "M,2024-03-31 01:30,0,0.25",
        "M,2024-03-31 02:00,4,6",
        header="meter,time,kWh,out",
    )
    out = {"column": "out", "channel": "export", "unit": "kWh"}
    parsed = read(tmp_path, text, values=[*READING["values"], out])
    assert [row["value"] for row in parsed.readings.to_pylist()] == [1, 4, 5, 6]
    # What says something is told, with its value.
    (told,) = parsed.rejected.to_pylist()
    assert (told["line"], told["rule"], told["value"]) == (4, "ROW-TIMESTAMP", Decimal("0.25"))


def test_fields_that_a_row_leaves_away_at_its_end_are_empty(tmp_path: Path) -> None:
    text = rows("M1,2024-01-01 00:00,1", "M1,2024-01-01 00:30,2,seen", header="meter,time,kWh,notes")
    assert (values(read(tmp_path, text)), rejections(read(tmp_path, text))) == ([1, 2], [])
    # A column of the mapping is never missing, and a last row without its line end has them all.
    named = "meter,time,kWh,notes"
    short = read(tmp_path, rows("M1,2024-01-01 00:00,1,a", "M1,2024-01-01 00:30", header=named))
    assert (values(short), rejections(short)) == ([1], [(3, "CSV-COLUMNS")])
    cut = read(tmp_path, text + "M1,2024-01-01 01:00,3")
    assert (values(cut), [rule for _, rule in rejections(cut)]) == ([1, 2], ["CSV-COLUMNS", "CSV-LAST-ROW"])


def test_a_file_that_keeps_one_offset_has_48_half_hours_on_every_day(tmp_path: Path) -> None:
    stamps = [
        f"2024-{date} {hour:02}:{minute}"
        for date in ("03-31", "10-27")
        for hour in range(24)
        for minute in ("00", "30")
    ]
    parsed = read(tmp_path, rows(*(f"M,{stamp},1" for stamp in stamps)), timezone="Etc/GMT")
    assert (parsed.readings.num_rows, rejections(parsed)) == (96, [])
    # NEM time read as Sydney's wall clock would move summer readings by an hour.
    zones = ("Australia/Sydney", "Etc/GMT-10")
    wall, nem = (read(tmp_path, rows("M,2024-01-15 14:00,1"), timezone=zone) for zone in zones)
    assert (starts(wall), starts(nem)) == (["01-15 03:00"], ["01-15 04:00"])


DAILY: dict[str, Any] = {
    "interval_minutes": 1440,
    "label": None,
    "timestamp_format": None,
    "date_format": "%d/%m/%Y",
    "columns": {"identifier": "meter", "date": "time"},
}


def test_a_date_alone_names_the_local_day_of_its_value(tmp_path: Path) -> None:
    text = rows("M1,30/03/2024,1", "M1,31/03/2024,2", "M1,26/10/2024,3", "M1,27/10/2024,4", "M1,31/02/2024,5")
    parsed = read(tmp_path, text, **DAILY)
    assert starts(parsed) == ["03-30 00:00", "03-31 00:00", "10-25 23:00", "10-26 23:00"]
    assert parsed.readings["interval_seconds"].to_pylist() == [86_400, 82_800, 86_400, 90_000]
    assert (values(parsed), rejections(parsed)) == ([1, 2, 3, 4], [(6, "ROW-TIMESTAMP")])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"interval_minutes": 60}, "of 1440 minutes columns.date alone"),
        ({"label": "start"}, "a date alone"),
        (
            {"values": [{"column": "kWh", "channel": "import", "unit": "kW", "average_power": True}]},
            "average power of a local day",
        ),
    ],
)
def test_a_date_alone_is_a_whole_day_or_no_time(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PlatformError, match=message):
        mapping(READING, **(DAILY | changes))


@pytest.mark.parametrize(("day", "count"), [("2024-03-31", 46), ("2024-10-27", 50), ("2024-07-01", 48)])
def test_settlement_periods_count_from_local_midnight(tmp_path: Path, day: str, count: int) -> None:
    changes: dict[str, Any] = {
        "columns": {"identifier": "meter", "date": "day", "period": "SP"},
        "timestamp_format": None,
        "date_format": "%Y-%m-%d",
        "label": None,
    }
    text = rows(*(f"M,{day},{number},1" for number in range(1, 51)), header="meter,day,SP,kWh")
    parsed = read(tmp_path, text, **changes)
    assert parsed.readings.num_rows == count
    assert rejections(parsed) == [(line, "ROW-TIMESTAMP") for line in range(count + 2, 52)]
    found = parsed.readings["reading_ts"].to_pylist()
    assert found[-1] - found[0] == datetime.timedelta(minutes=30 * (count - 1))


def day_header(count: int) -> str:
    return ",".join(["meter", "day", *(f"HH{number}" for number in range(1, count + 1))])


def day_row(date: str, cells: list[str], meter: str = "M1") -> str:
    return ",".join([meter, date, *cells])


@pytest.mark.parametrize(("date", "count"), [("31/03/2024", 46), ("27/10/2024", 50), ("01/07/2024", 48)])
def test_a_row_a_day_in_elapsed_time(tmp_path: Path, date: str, count: int) -> None:
    elapsed = {"first": "HH1", "last": "HH50", "clock_change": "elapsed", "channel": "import", "unit": "kWh"}
    cells = [str(number) for number in range(count)] + [""] * (50 - count)
    parsed = read(tmp_path, rows(day_row(date, cells), header=day_header(50)), DAY, day=elapsed)
    assert values(parsed) == list(map(Decimal, range(count)))
    found = parsed.readings["reading_ts"].to_pylist()
    assert found[-1] - found[0] == datetime.timedelta(minutes=30 * (count - 1))
    assert rejections(parsed) == []


def test_a_row_may_hold_a_day_of_import_and_of_export(tmp_path: Path) -> None:
    run = DAY["day"]
    runs = [run, run | {"first": 51, "last": 98, "channel": "export"}]
    text = "\n".join(
        f"M1,{day},{','.join(['1'] * 48)},{','.join(['0.5'] * 48)}" for day in ("01/07/2024", "99/07/2024")
    )
    columns = {"identifier": 1, "date": 2}
    parsed = read(tmp_path, text + "\n", DAY, has_header=False, columns=columns, day=runs)
    total = {
        channel: sum(row["value"] for row in parsed.readings.to_pylist() if row["channel"] == channel)
        for channel in ("import", "export")
    }
    assert (total, parsed.readings.num_rows) == ({"import": 48, "export": 24}, 96)
    # A row without a date is told for each of its registers, with the energy that it would have brought.
    assert [(row["line"], row["register"], row["value"]) for row in parsed.rejected.to_pylist()] == [
        (2, "import", 48),
        (2, "export", 24),
    ]
    with pytest.raises(PlatformError, match="each run of cells in day is a register"):
        mapping(DAY, day=[run, run])


def test_one_run_of_cells_is_written_the_same_way_alone_and_in_a_list() -> None:
    alone, listed = (mapping(DAY, day=day) for day in (DAY["day"], [DAY["day"]]))
    assert canonical_text(alone) == canonical_text(listed)
    assert json.loads(canonical_text(alone))["day"] == DAY["day"]


def test_a_row_a_day_of_another_length_than_the_day_is_rejected_not_cut(tmp_path: Path) -> None:
    elapsed = {"first": 3, "last": 50, "clock_change": "elapsed", "channel": "import", "unit": "kWh"}
    text = rows(
        day_row("31/03/2024", ["1"] * 48),
        day_row("27/10/2024", ["1"] * 48),
        day_row("28/10/2024", ["1"] * 48),
        header=day_header(48),
    )
    parsed = read(tmp_path, text, DAY, day=elapsed)
    assert rejections(parsed) == [(2, "CSV-DAY"), (3, "CSV-DAY")]
    assert parsed.rejected["value"].to_pylist() == [48, 48]
    assert parsed.readings.num_rows == 48


def test_a_row_a_day_of_48_wall_clock_labels_on_the_days_of_a_change(tmp_path: Path) -> None:
    spring = ["1"] * 2 + ["", "0"] + ["1"] * 44
    text = rows(day_row("31/03/2024", spring), day_row("27/10/2024", ["1"] * 48), header=day_header(48))
    parsed = read(tmp_path, text, DAY)
    assert rejections(parsed) == []
    local = [
        start.astimezone(ZoneInfo("Europe/London")) for start in parsed.readings["reading_ts"].to_pylist()
    ]
    assert len([start for start in local if start.month == 3]) == 46
    autumn = [f"{start:%H:%M}" for start in local if start.month == 10]
    assert autumn == [f"{hour:02}:{minute}" for hour in range(24) for minute in ("00", "30")]
    # A value in the hour that does not exist is no reading, and is not lost.
    text = rows(day_row("31/03/2024", ["1"] * 48), header=day_header(48))
    parsed = read(tmp_path, text, DAY)
    assert rejections(parsed) == [(2, "ROW-TIMESTAMP")] * 2
    assert sum(parsed.rejected["value"].to_pylist()) == 2


def test_the_columns_of_a_day_are_counted_before_any_row_is_read(tmp_path: Path) -> None:
    text = rows(day_row("01/07/2024", ["1"] * 96), header=day_header(96))
    with pytest.raises(RefusedFile, match=r"MAP-COLUMNS: 96 columns .* has 48"):
        read(tmp_path, text, DAY, day=DAY["day"] | {"last": 98})


def test_each_value_of_a_day_may_have_its_flag(tmp_path: Path) -> None:
    header = ",".join(["meter", "day", *(f"{name}{i}" for i in range(48) for name in ("v", "f"))])
    cells = [text for i in range(48) for text in (str(i), "E" if i % 2 else "A")]
    day = {"first": "v0", "last": "v47", "step": 2, "quality_offset": 1, "clock_change": "wall_clock"}
    parsed = read(
        tmp_path,
        rows(day_row("01/07/2024", cells), header=header),
        DAY,
        day=day | {"channel": "import", "unit": "kWh"},
        qualities={"A": "actual", "E": "estimated"},
    )
    assert values(parsed) == list(map(Decimal, range(48)))
    assert parsed.readings["quality"].to_pylist() == ["actual", "estimated"] * 24


@pytest.mark.parametrize(
    ("text", "number", "changes"),
    [
        ("1.5", "1.5", {}),
        ('"1.5"', "1.5", {}),
        (" 1.5 ", "1.5", {}),
        ("-0.5", "-0.5", {}),
        ("1e-3", "0.001", {}),
        ('"1,234.5"', "1234.5", {"thousands": ","}),
        ("1234.5", "1234.5", {"thousands": ","}),
        ('"1,5"', "1.5", {"decimal": ","}),
        ('"1.234.567,5"', "1234567.5", {"decimal": ",", "thousands": "."}),
        ("1 234.5", "1234.5", {"thousands": " "}),
        ("1\u00a0234.5", "1234.5", {"thousands": "\u00a0"}),
        ("n/a", None, {"no_value": ["N/A", "-"]}),
        ("", None, {}),
    ],
)
def test_a_number_is_read_as_it_is_declared(
    tmp_path: Path, text: str, number: str | None, changes: dict[str, Any]
) -> None:
    parsed = read(tmp_path, rows(f"M1,2024-01-01 00:00,{text}"), **changes)
    assert values(parsed) == [None if number is None else Decimal(number)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.30000000000000004", "0.3"),
        ("24.299999999999997", "24.3"),
        ("-1.2000000000000002", "-1.2"),
        ("5.551115123125783e-17", "0"),
    ],
)
def test_what_binary_arithmetic_left_on_a_number_is_taken_off(tmp_path: Path, text: str, value: str) -> None:
    assert values(read(tmp_path, rows(f"M1,2024-07-01 00:30,{text}"))) == [Decimal(value)]


@pytest.mark.parametrize(
    ("text", "changes", "rule"),
    [
        ('"1,5"', {"thousands": ","}, "ROW-VALUE"),
        ('"12,34,567"', {"thousands": ","}, "ROW-VALUE"),
        ("1.5", {"decimal": ","}, "ROW-VALUE"),
        ('"1,5"', {}, "ROW-VALUE"),
        ("NaN", {}, "ROW-VALUE"),
        ("inf", {}, "ROW-VALUE"),
        ("-Infinity", {}, "ROW-VALUE"),
        ("1e308", {}, "ROW-PRECISION"),
        ("0.1234567891", {}, "ROW-PRECISION"),
        ("123456789012", {}, "ROW-PRECISION"),
        ("n/a", {}, "ROW-VALUE"),
        ("1\0", {}, "ROW-ENCODING"),
        ("1,2,3", {}, "CSV-COLUMNS"),
    ],
)
def test_a_value_of_another_form_is_rejected_and_never_bent(
    tmp_path: Path, text: str, changes: dict[str, Any], rule: str
) -> None:
    parsed = read(tmp_path, rows("M1,2024-01-01 00:00,1", f"M1,2024-01-01 00:30,{text}"), **changes)
    assert rejections(parsed) == [(3, rule)]
    assert values(parsed) == [1]


def test_an_export_with_all_that_people_put_around_a_table(tmp_path: Path) -> None:
    lines = [
        "sep=;",
        "Report for Example House",
        "",
        "Zeit;Zaehler;Bezug (kWh);Einspeisung (kWh);Status;",
        '01.07.2024 00:15;"DE1";"1.234,5";;W;',
        "01.07.2024 00:30;DE1;0,5;0,25;E;",
        "",
        "Zeit;Zaehler;Bezug (kWh);Einspeisung (kWh);Status;",
        "01.07.2024 00:45;DE1;1;0;W;",
        "Summe;;1.236,0;0,25;;",
    ]
    text = "\r\n".join(lines[:6]) + "\r" + "\n".join(lines[6:]) + "\n"
    changes: dict[str, Any] = {
        "delimiter": ";",
        "decimal": ",",
        "thousands": ".",
        "timezone": "Europe/Berlin",
        "interval_minutes": 15,
        "label": "end",
        "timestamp_format": "%d.%m.%Y %H:%M",
        "columns": {"identifier": "Zaehler", "timestamp": "Zeit", "quality": "Status"},
        "values": [
            {"column": "bezug (kwh)", "channel": "import", "unit": "kWh", "register": "1.8.0"},
            {"column": "Einspeisung (kWh)", "channel": "export", "unit": "kWh", "register": "2.8.0"},
        ],
        "qualities": {"W": "actual", "E": "estimated"},
        "ignore_rows": ["Summe"],
    }
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le"):
        parsed = read(tmp_path, text.encode(encoding), **changes)
        assert rejections(parsed) == []
        totals = parsed.readings.group_by("register").aggregate([("value", "sum"), ("value", "count")])
        assert totals.to_pylist() == [
            {"register": "1.8.0", "value_sum": Decimal("1236"), "value_count": 3},
            {"register": "2.8.0", "value_sum": Decimal("0.25"), "value_count": 2},
        ]
        assert parsed.readings["line"].to_pylist()[:3] == [5, 6, 8]
        assert starts(parsed)[0] == "06-30 22:00"
    # Undeclared, the sum at the end is a row without a time: told, and not loaded.
    parsed = read(tmp_path, text, **{**changes, "ignore_rows": []})
    assert {rule for _, rule in rejections(parsed)} == {"ROW-TIMESTAMP"}


def test_an_encoding_other_than_unicode_is_declared(tmp_path: Path) -> None:
    text = rows("M1,2024-01-01 00:00,1", header="meter,time,Energía").encode("cp1252")
    columns = [{"column": "Energía", "channel": "import", "unit": "kWh"}]
    assert values(read(tmp_path, text, values=columns, encoding="cp1252")) == [1]
    with pytest.raises(RefusedFile, match="MAP-COLUMNS"):
        read(tmp_path, text, values=columns)


def test_columns_may_stand_in_any_order_or_be_named_by_position(tmp_path: Path) -> None:
    text = rows("1,x,2024-01-01 00:00,M1", header="kWh,note,time,meter")
    assert values(read(tmp_path, text)) == [1]
    bare = "M1|2024-01-01 00:00|2\nM1|2024-01-01 00:30|3\n"
    parsed = read(
        tmp_path,
        bare,
        delimiter="|",
        has_header=False,
        columns={"identifier": 1, "timestamp": 2},
        values=[{"column": 3, "channel": "import", "unit": "kWh", "register": "A"}],
    )
    assert (values(parsed), parsed.readings["line"].to_pylist()) == ([2, 3], [1, 2])


def test_register_unit_and_quality_may_be_columns(tmp_path: Path) -> None:
    header = "meter,time,flow,unit,quality,kWh,serial"
    text = rows(
        "M,2024-01-01 00:00,Delivered,WH,Actual,1500,S9",
        "M,2024-01-01 00:00,Received,kwh,ESTIMATED,2,S9",
        "M,2024-01-01 00:30,Sideways,kWh,Actual,3,S9",
        "M,2024-01-01 00:30,Received,furlong,Actual,4,S9",
        "M,2024-01-01 01:00,Received,kWh,Odd,5,S9",
        ",2024-01-01 01:30,Received,kWh,Actual,6,S9",
        header=header,
    )
    parsed = read(
        tmp_path,
        text,
        columns=READING["columns"]
        | {"register": "flow", "unit": "unit", "quality": "quality", "serial_number": "serial"},
        values=[{"column": "kWh"}],
        channels={"delivered": "import", "received": "export"},
        qualities={"Actual": "actual", "Estimated": "estimated"},
    )
    names = ("register", "channel", "unit", "quality", "value", "serial_number")
    assert [tuple(row[name] for name in names) for row in parsed.readings.to_pylist()] == [
        ("Delivered", "import", "Wh", "actual", Decimal(1500), "S9"),
        ("Received", "export", "kWh", "estimated", Decimal(2), "S9"),
    ]
    assert rejections(parsed) == [(4, "ROW-CHANNEL"), (5, "ROW-UNIT"), (6, "ROW-QUALITY"), (7, "ROW-CHANNEL")]


def test_the_same_row_twice_is_one_reading_and_a_conflict_is_told(tmp_path: Path) -> None:
    same = rows("M,2024-01-01 00:00,1", "M,2024-01-01 00:00,1")
    assert (values(read(tmp_path, same)), rejections(read(tmp_path, same))) == ([1], [])
    parsed = read(tmp_path, rows("M,2024-01-01 00:00,1", "M,2024-01-01 00:00,0"))
    assert (values(parsed), rejections(parsed)) == ([0], [(2, "VEE-CONFLICT")])


def test_a_last_row_without_a_line_end_is_kept_and_told(tmp_path: Path) -> None:
    parsed = read(tmp_path, rows("M,2024-01-01 00:00,1", "M,2024-01-01 00:30,2")[:-1])
    assert (values(parsed), rejections(parsed)) == ([1, 2], [(3, "CSV-LAST-ROW")])


@pytest.mark.parametrize("unusual", ["", '"'])
def test_a_wrong_row_does_not_touch_its_neighbours(tmp_path: Path, unusual: str) -> None:
    text = rows("M1,2024-01-01 00:00,1", f"{unusual}M1,2024-01-01 00:30", "", "M1,2024-01-01 01:00,2")
    parsed = read(tmp_path, text + "\0\0\0\x1a")
    assert rejections(parsed) == [(3, "CSV-COLUMNS")]
    assert parsed.readings["line"].to_pylist() == [2, 5]


@pytest.mark.parametrize("text", ["meter,time,kWh\n", "meter,time,kWh", "\n\n", "Total,1\n"])
def test_a_file_without_a_reading_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RefusedFile) as refusal:
        read(tmp_path, text)
    assert refusal.value.rule in {"FILE-NO-DATA", "MAP-COLUMNS"}


def test_missing_columns_are_named_with_the_line_that_comes_nearest(tmp_path: Path) -> None:
    with pytest.raises(RefusedFile, match=r"line 3: MAP-COLUMNS: .*line 3 comes nearest and lacks 'kWh'"):
        read(tmp_path, "Report\n\nmeter,time,MWh\nM1,2024-01-01 00:00,1\n")
    with pytest.raises(RefusedFile, match="'kWh' stands twice"):
        read(tmp_path, rows("M1,2024-01-01 00:00,1,1", header="meter,time,kWh,kWh"))


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(container, "READ_BYTES", 100)
    with pytest.raises(RefusedFile, match="longer than 1000"):
        read(tmp_path, rows("M1,2024-01-01 00:00,1", "x" * 5000))
    monkeypatch.undo()
    # Below that limit a field may still be longer than the csv module takes.
    parsed = read(tmp_path, rows("M1,2024-01-01 00:00,1", '"' + "x" * 200_000 + '",2'))
    assert rejections(parsed) == [(3, "CSV-COLUMNS")]


@pytest.mark.parametrize("first", ["{meter}", "[meter]", "<meter>", "UNB"])
def test_a_table_may_start_like_a_document(
    tmp_path: Path, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "READ_BYTES", 50)
    text = rows(*(f"M1,2024-01-01 {hour:02}:00,{hour}" for hour in range(24)), header=f"{first},time,kWh")
    parsed = read(tmp_path, text.replace("\n", "\r\n"), columns={"identifier": first, "timestamp": "time"})
    assert (values(parsed), rejections(parsed)) == (list(map(Decimal, range(24))), [])


def test_an_error_page_saved_as_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedFile, match="MAP-COLUMNS"):
        read(tmp_path, "<!DOCTYPE html><html><body>502, meter and time and kWh</body></html>")


def test_a_sentinel_is_no_value_and_a_day_of_24_hours_is_short_of_25(tmp_path: Path) -> None:
    hours = [f"M1,2024-10-27 {hour:02}:00,{hour}" for hour in range(24)]
    hours[5] = "M1,2024-10-27 05:00,16777.215"
    parsed = read(tmp_path, rows(*hours), interval_minutes=60)
    (channel,) = inspect(parsed.path, mapping=mapping(READING, interval_minutes=60))["channels"]
    assert (channel["total"], channel["quality"]) == ("271", {"actual": 23, "null": 1})
    date = datetime.date(2024, 10, 27)
    assert completeness("Europe/London", [date], [parsed.readings.num_rows], 3600) == [Decimal(96)]


def test_a_mapped_file_is_never_read_without_its_mapping(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(rows("M1,2024-01-01 00:00,1"))
    with pytest.raises(RefusedFile, match="FILE-FORMAT"):
        read_file(path)
    with pytest.raises(RefusedFile, match="FILE-MAPPING"):
        read_file(path, "mapped_csv")
    with pytest.raises(RefusedFile, match="the mapping is for mapped_csv"):
        read_file(path, "nem12", mapping(READING))


def accepted_and_rejected(parsed: ParsedFile) -> Decimal:
    found = Decimal(0)
    for table in (parsed.readings, parsed.rejected):
        found += pc.sum(table["value"]).as_py() or Decimal(0)
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["M1", "M2", ""]),
            st.datetimes(datetime.datetime(2024, 3, 30), datetime.datetime(2024, 4, 1))
            | st.datetimes(datetime.datetime(2024, 10, 26), datetime.datetime(2024, 10, 28))
            | st.just(None),
            st.decimals(-99_999, 99_999, places=9) | st.none(),
            st.decimals(0, 99_999, places=3),
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from(["start", "end", "wall_end"]),
    st.sampled_from(['"', ""]),
)
def test_energy_in_is_accepted_and_rejected_for_a_row_a_reading(
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[tuple[str, datetime.datetime | None, Decimal | None, Decimal]],
    label: str,
    quote: str,
) -> None:
    lines, energy, seen = [], Decimal(0), set()
    for meter, time, delivered, received in entries:
        stamp = "never" if time is None else f"{time:%Y-%m-%d} {time.hour:02}:{time.minute // 30 * 30:02}"
        if (meter, stamp) in seen and time is not None:
            continue
        seen.add((meter, stamp))
        text = "" if delivered is None else format(delivered, "f")
        lines.append(f"{quote}{meter}{quote},{stamp},{text},{received}")
        energy += (delivered or 0) + received
    values = [{"column": name, "channel": "other", "unit": "kWh"} for name in ("in", "out")]
    folder = tmp_path_factory.mktemp("energy")
    text = rows(*lines, header="meter,time,in,out")
    try:
        parsed = read(folder, text, label=label, values=values)
    except RefusedFile as refusal:
        assert refusal.rule == "FILE-NOTHING-LEFT"
        assert pc.sum(refusal.rejected["value"]).as_py() == energy
        return
    judged = judge(parsed, REGISTERS.empty_table(), now=datetime.datetime(2026, 1, 1, tzinfo=UTC))
    balance = energy_balance(parsed, judged)
    assert balance.is_balanced
    assert balance.energy_in_kwh == accepted_and_rejected(parsed) == energy


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.dates(datetime.date(2024, 3, 29), datetime.date(2024, 4, 2)) | st.none(),
            st.lists(st.decimals(0, 9_999, places=6) | st.none(), min_size=50, max_size=50),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda entry: entry[0],
    ),
    st.sampled_from(["elapsed", "wall_clock"]),
)
def test_energy_in_is_accepted_and_rejected_for_a_row_a_day(
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[tuple[datetime.date | None, list[Decimal | None]]],
    clock_change: str,
) -> None:
    width = 50 if clock_change == "elapsed" else 48
    lines, energy = [], Decimal(0)
    for date, cells in entries:
        texts = ["" if cell is None else format(cell, "f") for cell in cells[:width]]
        lines.append(day_row("x" if date is None else f"{date:%d/%m/%Y}", texts))
        energy += sum((cell or Decimal(0) for cell in cells[:width]), Decimal(0))
    day = {"first": 3, "last": width + 2, "clock_change": clock_change, "channel": "import", "unit": "kWh"}
    folder = tmp_path_factory.mktemp("energy")
    try:
        parsed = read(folder, rows(*lines, header=day_header(width)), DAY, day=day)
    except RefusedFile as refusal:
        assert (pc.sum(refusal.rejected["value"]).as_py() or 0) == energy
        return
    assert accepted_and_rejected(parsed) == energy


def test_damaged_files_are_refused_or_rejected_and_never_crash(tmp_path: Path) -> None:
    labels = wall_labels(datetime.date(2024, 10, 27), "start")
    whole = rows(*(f"M1,{stamp},{number}.25" for number, stamp in enumerate(labels))).encode()
    chance = random.Random(7)
    outcomes = set()
    for round_ in range(120):
        content = bytearray(whole[: chance.randrange(len(whole))] if round_ % 3 == 0 else whole)
        for _ in range(chance.randrange(1, 4) if round_ % 3 else 0):
            place = chance.randrange(len(content))
            content[place] ^= 1 << chance.randrange(8)
        try:
            parsed = read(tmp_path, bytes(content))
        except RefusedFile as refusal:
            assert refusal.remedy and refusal.rule
            outcomes.add("refused")
        else:
            assert all(row["line"] and row["reason"] for row in parsed.rejected.to_pylist())
            outcomes.add("read")
    assert outcomes == {"refused", "read"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timezone": "London"}, "timezone: .*'London' is no IANA zone"),
        ({"timezone": None}, "timezone is given where"),
        ({"timestamp_format": "iso8601"}, "and nowhere else"),
        ({"timestamp_format": "%d/%m %H:%M"}, "no whole date"),
        ({"timestamp_format": "%Y-%m-%d"}, "holds a date and a time"),
        ({"timestamp_format": "%Y-%j %H:%M"}, "'%j'"),
        ({"timestamp_format": "%Y-%m-%d %I:%M"}, "%I and %p come together"),
        ({"interval_minutes": 7}, "do not divide a day"),
        ({"label": None}, "label is given"),
        ({"label": "middle"}, "label"),
        ({"values": []}, "either values"),
        ({"values": [{"column": "kWh", "channel": "import"}]}, "the unit is given"),
        ({"values": [{"column": "kWh", "channel": "net", "unit": "kWh"}]}, "'net' is no channel"),
        ({"values": [{"column": "kWh", "channel": "import", "unit": "stone"}]}, "'stone' is not known"),
        ({"values": [{"column": "kWh", "channel": "import", "unit": "kW"}]}, "kW is power"),
        ({"identifier": "M1"}, "one of them"),
        ({"columns": {"identifier": "meter"}}, "columns.timestamp"),
        ({"qualities": {"A": "actual"}}, "qualities"),
        ({"decimal": ",", "thousands": ","}, "thousands mark"),
        ({"delimiter": '"'}, "delimiter"),
        ({"encoding": "klingon"}, "no text encoding"),
        ({"has_header": False}, "by position"),
        ({"colour": "red"}, "colour: there is no such field"),
        (
            {"columns": {"identifier": "meter", "timestmp": "time"}},
            "columns.timestmp: .*'timestamp' is meant",
        ),
        ({"interval_minutes": None}, "interval_minutes: the field is missing"),
        ({"format": "csv"}, "format: .*one of mapped_csv"),
        ({"format": None}, "format: .*one of mapped_csv"),
    ],
)
def test_a_mapping_that_cannot_be_used_says_which_field_and_why(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    content = {name: value for name, value in (READING | changes).items() if value is not None}
    with pytest.raises(PlatformError, match=message):
        parse_mapping(content, "m.yaml")


@pytest.mark.parametrize("content", ["[", "a: [", "- 1", "", "!!python/object:os.system {}", "a: &x [*x]"])
@pytest.mark.parametrize("suffix", [".yaml", ".toml"])
def test_a_mapping_file_that_is_no_mapping_is_told(tmp_path: Path, content: str, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    path.write_text(content)
    with pytest.raises(PlatformError, match=str(path)):
        load_mapping(path)


def test_a_mapping_is_yaml_or_toml_and_equal_ones_are_the_same(tmp_path: Path) -> None:
    toml = tmp_path / "m.toml"
    toml.write_text(
        'format = "mapped_csv"\ntimezone = "Europe/London"\ninterval_minutes = 30\nlabel = "end"\n'
        'timestamp_format = "%d %b %Y %H:%M:%S"\ndelimiter = ","\n'
        '[columns]\nidentifier = "MPR"\ntimestamp = "ReadDatetime"\nquality = "ReadType"\n'
        '[[values]]\ncolumn = "kWh"\nchannel = "import"\nunit = "kwh"\n'
        '[qualities]\nActual = "actual"\nEstimated = "estimated"\n'
    )
    yaml = load_mapping(EXAMPLES / "row_a_reading.yaml")
    assert canonical_text(load_mapping(toml)) == canonical_text(yaml)
    assert load_identity("0" * 64, yaml) == load_identity("0" * 64, load_mapping(toml)) != "0" * 64
    assert load_identity("0" * 64, None) == "0" * 64
    assert parse_mapping(json.loads(canonical_text(yaml)), "again") == yaml


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.*")), ids=lambda path: path.name)
def test_every_example_mapping_is_right(path: Path) -> None:
    assert load_mapping(path).format


@pytest.mark.parametrize(
    ("name", "example"),
    [("highlands_example.csv", "row_a_reading"), ("row-per-day_valid.csv", "row_a_day")],
)
def test_real_files(oracles: dict[str, Any], samples: Path, name: str, example: str) -> None:
    document = inspect(samples / "interval_csv" / name, mapping=load_mapping(EXAMPLES / f"{example}.yaml"))
    oracle = oracles[f"interval_csv/{name}"]
    assert (document["status"], document["format"], document["rejected"]) == ("ok", "mapped_csv", [])
    assert sum(channel["intervals"] for channel in document["channels"]) == oracle["n"]
    assert sum(Decimal(channel["total"]) for channel in document["channels"]) == oracle["kwh"]
    assert {channel["unit"] for channel in document["channels"]} == {"kWh"}


def test_real_files_that_are_damaged_or_have_gaps(samples: Path) -> None:
    by_day = load_mapping(EXAMPLES / "row_a_day.yaml")
    cut = inspect(samples / "interval_csv" / "row-per-day_malformed.csv", mapping=by_day)
    assert [channel["total"] for channel in cut["channels"]] == ["901.889218"]
    assert cut["rejected"] == [{"reason": "CSV-COLUMNS: 2 fields, 51 expected", "count": 1, "first_line": 3}]
    gaps = inspect(samples / "interval_csv" / "row-per-day_some-missing-readings.csv", mapping=by_day)
    assert [channel["quality"] for channel in gaps["channels"]] == [{"actual": 124, "null": 20}]
