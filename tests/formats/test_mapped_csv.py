"""Mapped CSV: layouts, numbers, columns, damaged files, and energy that is never lost."""

import datetime
import random
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.errors import RefusedFile
from data.ingest.formats import container
from data.ingest.formats.reading import read_file
from data.ingest.inspect import inspect
from data.ingest.rules.energy import energy_balance
from data.ingest.rules.judge import judge
from data.ingest.schema import PARSED, REGISTERS
from myproperty.errors import PlatformError
from tests.formats import example
from tests.formats.example import is_no_sentinel
from tests.formats.mapped_csv_text import (
    DAY,
    READING,
    UTC,
    accepted_and_rejected,
    day_header,
    day_row,
    mapping,
    read,
    rejections,
    rows,
    starts,
    values,
    wall_labels,
)


def write_example(values: example.Values) -> bytes:
    rows = [
        f"M1;{at:%d/%m/%Y %H:%M};{value}"
        for at, value in zip(example.list_instants(values), values, strict=True)
    ]
    return "\n".join(["meter;time;used", *rows, ""]).encode()


EXAMPLE = example.Example(
    write_example,
    {
        "timezone": "UTC",
        "interval_minutes": 60,
        "delimiter": ";",
        "label": "start",
        "timestamp_format": "%d/%m/%Y %H:%M",
        "columns": {"identifier": "meter", "timestamp": "time"},
        "values": [{"column": "used", "channel": "import", "unit": "kWh", "register": "E1"}],
    },
)


def test_a_row_is_a_reading_with_all_its_columns(tmp_path: Path) -> None:
    parsed = read(tmp_path, rows("M1,2024-07-01 00:30,1.5", "M2,2024-07-01 00:30,"))
    first, second = parsed.readings.to_pylist()
    assert (parsed.format, parsed.readings.schema) == ("mapped_csv", PARSED)
    assert (first["identifier"], first["register"], first["channel"]) == ("M1", "kWh", "import")
    assert first["reading_ts"] == datetime.datetime(2024, 6, 30, 23, 30, tzinfo=UTC)
    assert first["source_version"] == datetime.datetime(2024, 7, 1, tzinfo=UTC)
    assert (first["line"], first["value"], first["quality"]) == (2, Decimal("1.5"), "actual")
    assert (second["value"], second["quality"]) == (None, "null")


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


def test_omitted_fields_at_the_end_of_a_row_are_empty(tmp_path: Path) -> None:
    text = rows("M1,2024-01-01 00:00,1", "M1,2024-01-01 00:30,2,seen", header="meter,time,kWh,notes")
    assert (values(read(tmp_path, text)), rejections(read(tmp_path, text))) == ([1, 2], [])
    # A column of the mapping is never missing, and a last row without its line end has them all.
    named = "meter,time,kWh,notes"
    short = read(tmp_path, rows("M1,2024-01-01 00:00,1,a", "M1,2024-01-01 00:30", header=named))
    assert (values(short), rejections(short)) == ([1], [(3, "CSV-COLUMNS")])
    cut = read(tmp_path, text + "M1,2024-01-01 01:00,3")
    assert (values(cut), [rule for _, rule in rejections(cut)]) == ([1, 2], ["CSV-COLUMNS", "CSV-LAST-ROW"])


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
    # A row without a date is reported for each of its registers, with its energy.
    assert [(row["line"], row["register"], row["value"]) for row in parsed.rejected.to_pylist()] == [
        (2, "import", 48),
        (2, "export", 24),
    ]
    with pytest.raises(PlatformError, match="each run of cells in day is a register"):
        mapping(DAY, day=[run, run])


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
def test_binary_rounding_errors_are_removed_from_a_number(tmp_path: Path, text: str, value: str) -> None:
    assert values(read(tmp_path, rows(f"M1,2024-07-01 00:30,{text}"))) == [Decimal(value)]


@pytest.mark.parametrize(
    ("text", "changes", "rule"),
    [
        ('"1,5"', {"thousands": ","}, "ROW-VALUE"),
        ('"12,3,567"', {"thousands": ","}, "ROW-VALUE"),
        ('"1,234,56"', {"thousands": ","}, "ROW-VALUE"),
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
def test_a_value_of_another_form_is_rejected_not_reinterpreted(
    tmp_path: Path, text: str, changes: dict[str, Any], rule: str
) -> None:
    parsed = read(tmp_path, rows("M1,2024-01-01 00:00,1", f"M1,2024-01-01 00:30,{text}"), **changes)
    assert rejections(parsed) == [(3, rule)]
    assert values(parsed) == [1]


def test_an_export_with_titles_totals_and_repeated_headers(tmp_path: Path) -> None:
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
    # Without a declaration, the sum at the end is a row without a time: reported, not loaded.
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


def test_a_repeated_row_is_one_reading_and_a_conflict_is_reported(tmp_path: Path) -> None:
    same = rows("M,2024-01-01 00:00,1", "M,2024-01-01 00:00,1")
    assert (values(read(tmp_path, same)), rejections(read(tmp_path, same))) == ([1], [])
    parsed = read(tmp_path, rows("M,2024-01-01 00:00,1", "M,2024-01-01 00:00,0"))
    assert (values(parsed), rejections(parsed)) == ([0], [(2, "VEE-CONFLICT")])


def test_a_last_row_without_a_line_end_is_kept_and_reported(tmp_path: Path) -> None:
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
    with pytest.raises(RefusedFile, match=r"line 3: MAP-COLUMNS: .*line 3 is the closest and lacks 'kWh'"):
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
    columns = {"identifier": first, "timestamp": "time"}
    parsed = read(tmp_path, text.replace("\n", "\r\n"), columns=columns, interval_minutes=60)
    assert (values(parsed), rejections(parsed)) == (list(map(Decimal, range(24))), [])


def test_an_error_page_saved_as_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedFile, match="MAP-COLUMNS"):
        read(tmp_path, "<!DOCTYPE html><html><body>502, meter and time and kWh</body></html>")


def test_a_sentinel_is_a_missing_value_and_24_of_25_hours_are_incomplete(tmp_path: Path) -> None:
    hours = [f"M1,2024-10-27 {hour:02}:00,{hour}" for hour in range(24)]
    hours[5] = "M1,2024-10-27 05:00,16777.215"
    parsed = read(tmp_path, rows(*hours), interval_minutes=60)
    (channel,) = inspect(parsed.path, mapping=mapping(READING, interval_minutes=60))["channels"]
    assert (channel["total"], channel["quality"]) == ("271", {"actual": 23, "null": 1})
    assert parsed.readings.num_rows == 24


def test_a_mapped_file_is_refused_without_its_mapping(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(rows("M1,2024-01-01 00:00,1"))
    with pytest.raises(RefusedFile, match="FILE-FORMAT"):
        read_file(path)
    with pytest.raises(RefusedFile, match="FILE-MAPPING"):
        read_file(path, "mapped_csv")
    with pytest.raises(RefusedFile, match="the mapping is for mapped_csv"):
        read_file(path, "nem12", mapping(READING))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["M1", "M2", ""]),
            st.datetimes(datetime.datetime(2024, 3, 30), datetime.datetime(2024, 4, 1))
            | st.datetimes(datetime.datetime(2024, 10, 26), datetime.datetime(2024, 10, 28))
            | st.just(None),
            st.decimals(-99_999, 99_999, places=9).filter(is_no_sentinel) | st.none(),
            st.decimals(0, 99_999, places=3).filter(is_no_sentinel),
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from(["start", "end", "wall_end"]),
    st.sampled_from(['"', ""]),
)
def test_accepted_and_rejected_energy_add_up_for_a_row_per_reading(
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
        if refusal.rule != "MAP-INTERVAL":
            assert refusal.rule == "FILE-NOTHING-LEFT"
            assert pc.sum(refusal.rejected["value"]).as_py() == energy
        return
    judged = judge(parsed, REGISTERS.empty_table(), now=datetime.datetime(2026, 1, 1, tzinfo=UTC))
    balance = energy_balance(parsed, judged)
    assert balance.is_balanced
    assert balance.energy_in_kwh == accepted_and_rejected(parsed) == energy


# 50 cells in one piece: Hypothesis is slow at drawing many numbers one by one.
CELLS = st.binary(min_size=200, max_size=200).map(
    lambda piece: [Decimal(n) / 10**6 if n % 8 else None for n in struct.unpack("<50I", piece)]
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.dates(datetime.date(2024, 3, 29), datetime.date(2024, 4, 2)) | st.none(),
            CELLS,
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda entry: entry[0],
    ),
    st.sampled_from(["elapsed", "wall_clock"]),
)
def test_accepted_and_rejected_energy_add_up_for_a_row_per_day(
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


def test_damaged_files_are_refused_or_rejected_without_a_crash(tmp_path: Path) -> None:
    labels = wall_labels(datetime.date(2024, 10, 27), "start")
    whole = rows(*(f"M1,{stamp},{number}.25" for number, stamp in enumerate(labels))).encode()
    chance = random.Random(7)
    outcomes = set()
    for round_ in range(60):
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
