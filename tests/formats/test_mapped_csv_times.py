"""Mapped CSV: time formats, labels, clock changes and days."""

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats import container
from tests.formats.mapped_csv_text import (
    DAILY,
    DAY,
    READING,
    UTC,
    day_header,
    day_row,
    read,
    rejections,
    rows,
    starts,
    values,
    wall_labels,
)


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
def test_a_time_is_read_by_its_format(tmp_path: Path, text: str, format: str) -> None:
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


def test_the_repeated_hour_is_resolved_across_blocks_of_the_file(
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


def test_the_skipped_hour_is_rejected(tmp_path: Path) -> None:
    parsed = read(tmp_path, rows("M,2024-03-31 00:30,1", "M,2024-03-31 01:30,2", "M,2024-03-31 02:00,4"))
    assert rejections(parsed) == [(3, "ROW-TIMESTAMP")]
    assert starts(parsed) == ["03-31 00:30", "03-31 01:00"]


def test_empty_rows_in_the_skipped_hour_are_dropped(tmp_path: Path) -> None:
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
    # A row with a value is reported, with its value.
    (told,) = parsed.rejected.to_pylist()
    assert (told["line"], told["rule"], told["value"]) == (4, "ROW-TIMESTAMP", Decimal("0.25"))


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


def test_a_date_alone_names_the_local_day_of_its_value(tmp_path: Path) -> None:
    text = rows("M1,30/03/2024,1", "M1,31/03/2024,2", "M1,26/10/2024,3", "M1,27/10/2024,4", "M1,31/02/2024,5")
    parsed = read(tmp_path, text, **DAILY)
    assert starts(parsed) == ["03-30 00:00", "03-31 00:00", "10-25 23:00", "10-26 23:00"]
    assert parsed.readings["interval_seconds"].to_pylist() == [86_400, 82_800, 86_400, 90_000]
    assert (values(parsed), rejections(parsed)) == ([1, 2, 3, 4], [(6, "ROW-TIMESTAMP")])


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


@pytest.mark.parametrize(("date", "count"), [("31/03/2024", 46), ("27/10/2024", 50), ("01/07/2024", 48)])
def test_a_row_per_day_in_elapsed_time(tmp_path: Path, date: str, count: int) -> None:
    elapsed = {"first": "HH1", "last": "HH50", "clock_change": "elapsed", "channel": "import", "unit": "kWh"}
    cells = [str(number) for number in range(count)] + [""] * (50 - count)
    parsed = read(tmp_path, rows(day_row(date, cells), header=day_header(50)), DAY, day=elapsed)
    assert values(parsed) == list(map(Decimal, range(count)))
    found = parsed.readings["reading_ts"].to_pylist()
    assert found[-1] - found[0] == datetime.timedelta(minutes=30 * (count - 1))
    assert rejections(parsed) == []


def test_a_row_per_day_with_a_wrong_number_of_values_is_rejected_not_cut(tmp_path: Path) -> None:
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


def test_a_row_per_day_of_48_wall_clock_labels_on_the_days_of_a_change(tmp_path: Path) -> None:
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
    # A value in the skipped hour is not a reading, but it is not lost.
    text = rows(day_row("31/03/2024", ["1"] * 48), header=day_header(48))
    parsed = read(tmp_path, text, DAY)
    assert rejections(parsed) == [(2, "ROW-TIMESTAMP")] * 2
    assert sum(parsed.rejected["value"].to_pylist()) == 2


def test_the_columns_of_a_day_are_counted_before_any_row_is_read(tmp_path: Path) -> None:
    text = rows(day_row("01/07/2024", ["1"] * 96), header=day_header(96))
    with pytest.raises(RefusedFile, match=r"MAP-COLUMNS: there are 96 columns .* has 48"):
        read(tmp_path, text, DAY, day=DAY["day"] | {"last": 98})
