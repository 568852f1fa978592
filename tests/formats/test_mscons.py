"""MSCONS: values, times, periods and messages."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.reading import read_file
from tests.formats import example
from tests.formats.mscons_text import (
    POINT,
    QUARTER,
    START,
    UTC,
    Write,
    flat,
    interchange,
    line,
    make_writer,
    message,
    quarters,
    refusal_of,
    rejections,
    stamp,
    total,
    value,
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return make_writer(tmp_path)


def write_example(values: example.Values) -> bytes:
    segments = ["UNH+1+MSCONS:D:04B:UN:2.4c", "BGM+7+DOC1+9", "DTM+137:202506200000?+00:303"]
    segments += ["NAD+MS+9900000000001::293", "UNS+D", "NAD+DP", "LOC+172+M1"]
    segments += ["LIN+1", "PIA+5+1-1?:1.29.0:SRW"]
    for at, amount in zip(example.list_instants(values), values, strict=True):
        segments += [
            f"QTY+220:{amount}",
            f"DTM+163:{at:%Y%m%d%H%M}?+00:303",
            f"DTM+164:{at + example.HOUR:%Y%m%d%H%M}?+00:303",
        ]
    segments.append(f"UNT+{len(segments) + 1}+1")
    envelope = ["UNB+UNOC:3+9900000000001:500+9900000000002:500+250620:0000+R1", *segments, "UNZ+1+R1"]
    return ("UNA:+.? '" + "".join(f"{segment}'" for segment in envelope)).encode("latin-1")


EXAMPLE = example.Example(write_example)


def test_a_reading_has_all_fields_of_the_file(write: Write) -> None:
    segments = [*value("0.25", code="67"), "STS+Z32++Z92", "STS+Z40++Z74"]
    path = write(interchange(message("RFF+MG:1EMH00", *line(*segments))))
    assert read_file(path).readings.to_pylist() == [
        {
            "line": 13,
            "identifier": POINT,
            "register": "1-1:1.29.0",
            "serial_number": "1EMH00",
            "channel": "import",
            "unit": "kWh",
            "reading_ts": START.replace(tzinfo=UTC),
            "interval_seconds": 900,
            "value": Decimal("0.25"),
            "quality": "estimated",
            "quality_method": "67",
            "reason_code": "Z32:Z92 Z40:Z74",
            "source_version": datetime.datetime(2024, 3, 1, tzinfo=UTC),
        }
    ]


@pytest.mark.parametrize(
    ("register", "unit", "expected"),
    [
        ("1-1?:1.29.0", "", ("import", "kWh")),
        ("1-1?:2.29.0", "", ("export", "kWh")),
        ("1-0?:1.9.1*255", "", ("import", "kWh")),
        ("1-1?:3.29.0", "", ("reactive_import", "kvarh")),
        ("1-1?:4.29.0", ":K3", ("reactive_export", "kvarh")),
        ("1-1?:1.29.0", ":MWH", ("import", "MWh")),
        ("1-1?:1.6.0", "", ("other", "kW")),
        ("7-1?:3.1.0", ":MTQ", ("consumption", "m3")),
        ("7-20?:99.33.17", ":KWH", ("consumption", "kWh")),
        ("9991000000044", ":KWH", ("other", "kWh")),
    ],
)
def test_channel_and_unit_are_those_of_the_obis_code(
    write: Write, register: str, unit: str, expected: tuple[str, str]
) -> None:
    [row] = read_file(
        write(interchange(message(*line(*value(f"5{unit}"), register=register))))
    ).readings.to_pylist()
    assert (row["channel"], row["unit"]) == expected
    assert row["register"] == register.replace("?", "")


@pytest.mark.parametrize(
    ("una", "text", "expected"),
    [
        ("UNA:+.? '", "1234.5", "1234.5"),
        ("UNA:+,? '", "1234,5", "1234.5"),
        ("UNA:+,? '", "-0,5", "-0.5"),
        ("", "1234.5", "1234.5"),
        ("", "1234,5", "1234.5"),
        ("UNA:+.? '", "1,5", None),
        ("UNA:+,? '", "1.5", None),
        ("UNA:+,? '", "1.234,5", None),
        ("", "1.234,5", None),
        ("", "five", None),
    ],
)
def test_the_decimal_mark_is_the_one_that_is_declared(
    write: Write, una: str, text: str, expected: str | None
) -> None:
    parsed = read_file(write(interchange(message(*line(*quarters("7", text))), una=una)))
    assert rejections(parsed) == ([] if expected else ["ROW-VALUE"])
    assert total(parsed) == Decimal(7) + Decimal(expected or 0)


def test_service_characters_are_those_of_the_service_string_advice(write: Write) -> None:
    text = interchange(message(*line(*quarters("1.5", "2.5"))), una="")
    swapped = text.translate(str.maketrans(":+?'", "!|^~")).replace("^|", "+").replace("^!", ":")
    parsed = read_file(write("UNA!|.^ ~" + swapped))
    assert (total(parsed), parsed.readings["register"][0].as_py()) == (Decimal(4), "1-1:1.29.0")


def test_released_characters_belong_to_the_text(write: Write) -> None:
    head = ("CTA+IC+:Q?'Y+DTM?+163?:x", "COM+a??:EM", "COM+?'?+??:TE")
    parsed = read_file(write(interchange(message(*line(*quarters("5")), point="DE??1?'?+2", head=head))))
    assert parsed.readings["identifier"].to_pylist() == ["DE?1'+2"]


@pytest.mark.parametrize("width", [5, 7, 80])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_segments_may_be_broken_over_lines_anywhere(write: Write, width: int, end: str) -> None:
    text = interchange(message(*line(*quarters("1.5", "2.5"))))
    broken = end.join(text[i : i + width] for i in range(0, len(text), width))
    assert total(read_file(write(broken))) == 4


def test_umlauts_of_latin_1_are_read(write: Write) -> None:
    parsed = read_file(write(interchange(message(*line(*quarters("5")), head=("CTA+IC+:Jürgen Größe",)))))
    assert (total(parsed), rejections(parsed)) == (Decimal(5), [])


def test_a_missing_value_is_null_not_zero(write: Write) -> None:
    missing = ["QTY+Z30", *value("", START + QUARTER)[1:]]
    contradiction = value("0.5", START + 3 * QUARTER, code="Z30")
    rows = [*value("0.25"), *missing, *value("", START + 2 * QUARTER, code="Z30"), *contradiction]
    parsed = read_file(write(interchange(message(*line(*rows)))))
    assert parsed.readings["quality"].to_pylist() == ["actual", "null", "null"]
    assert parsed.readings["value"].to_pylist() == [Decimal("0.25"), None, None]
    (rejected,) = parsed.rejected.to_pylist()
    assert (rejected["rule"], rejected["value"]) == ("ROW-QUALITY", Decimal("0.5"))


def test_every_code_of_quality_has_its_rank(write: Write) -> None:
    codes = ["220", "79", "67", "201", "187", "Z18", "20", "999"]
    segments = [s for i, code in enumerate(codes) for s in value("1", START + i * QUARTER, code=code)]
    parsed = read_file(write(interchange(message(*line(*segments)))))
    assert parsed.readings["quality"].to_pylist() == ["actual"] * 2 + ["estimated"] * 4
    assert rejections(parsed) == ["ROW-QUALITY"] * 2


def test_a_quantity_without_a_value_is_null_not_zero(write: Write) -> None:
    parsed = read_file(write(interchange(message(*line(*quarters("", "3"))))))
    assert parsed.readings["value"].to_pylist() == [None, Decimal(3)]
    assert parsed.readings["quality"].to_pylist() == ["null", "actual"]


def test_a_spring_day_has_23_hours_and_its_values_follow_the_offset(write: Write) -> None:
    before = ["QTY+220:1", "DTM+163:202403310145?+01:303", "DTM+164:202403310300?+02:303"]
    after = ["QTY+220:1", "DTM+163:202403310300?+02:303", "DTM+164:202403310315?+02:303"]
    rows = read_file(write(interchange(message(*line(*before, *after))))).readings.to_pylist()
    assert [row["reading_ts"].isoformat() for row in rows] == [
        "2024-03-31T00:45:00+00:00",
        "2024-03-31T01:00:00+00:00",
    ]
    assert {row["interval_seconds"] for row in rows} == {900}


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("202407010000:203", "202407010015:203", "2024-06-30T22:00:00+00:00"),
        ("202401010000:203", "202401010015:203", "2023-12-31T23:00:00+00:00"),
        ("20240101000000?+01:304", "20240101001500?+01:304", "2023-12-31T23:00:00+00:00"),
        ("202410270200:203", "202410270215:203", None),
        ("202403310230:203", "202403310245:203", None),
        ("20240101:102", "20240102:102", None),
        ("202402300000?+00:303", "202402300015?+00:303", None),
        ("202401010000:303", "202401010015:303", None),
        ("202401012400?+00:303", "202401020015?+00:303", None),
        ("202401010000?+00", "202401010015?+00", None),
    ],
)
def test_a_time_is_certain_or_rejected(write: Write, start: str, end: str, expected: str | None) -> None:
    segments = ["QTY+220:5", f"DTM+163:{start}", f"DTM+164:{end}"]
    parsed = read_file(write(interchange(message(*line(*quarters("1"), *segments)))))
    assert rejections(parsed) == ([] if expected else ["ROW-TIMESTAMP"])
    if expected:
        assert parsed.readings["reading_ts"][1].as_py().isoformat() == expected


@pytest.mark.parametrize(
    ("segments", "rule"),
    [
        (["QTY+220:5"], "ROW-TIMESTAMP"),
        (["QTY+220:5", f"DTM+163:{stamp(START)}"], "ROW-TIMESTAMP"),
        ([*value("5"), f"DTM+163:{stamp(START)}"], "ROW-TIMESTAMP"),
        (value("5", length=-QUARTER), "ROW-INTERVAL"),
        (value("5", length=datetime.timedelta(0)), "ROW-INTERVAL"),
        (value("5", length=datetime.timedelta(days=800)), "ROW-INTERVAL"),
        (value("5:XYZ"), "ROW-UNIT"),
        (value("1234567890123"), "ROW-PRECISION"),
        (value("NaN"), "ROW-VALUE"),
        (["QTY+220:5", "DTM+9:202401310000?+01:303"], "ROW-CUMULATIVE"),
        (["QTY+220:5", "DTM+7:202401310000?+01:303"], "ROW-CUMULATIVE"),
    ],
)
def test_an_invalid_value_is_rejected_with_its_segment(write: Write, segments: list[str], rule: str) -> None:
    parsed = read_file(write(interchange(message(*line(*quarters("1", "1"), *segments)))))
    assert (rejections(parsed), parsed.rejected["line"].to_pylist()) == ([rule], [18])
    assert total(parsed) == 2


def test_a_register_reading_is_not_read_as_energy(write: Write) -> None:
    dated = ["DTM+9:20231231:102", *line("QTY+220:7000", register="1-1?:1.8.0")]
    error = refusal_of(write(interchange(message(*dated))))
    assert error.rejected["rule"].to_pylist() == ["ROW-CUMULATIVE"]
    assert (error.rejected["value"].to_pylist(), error.rejected["unit"].to_pylist()) == ([7000], [None])


def test_a_single_value_has_the_period_of_its_metering_point(write: Write) -> None:
    period = [f"DTM+163:{stamp(START)}", f"DTM+164:{stamp(START + datetime.timedelta(days=29))}"]
    path = write(interchange(message(*period, *line("QTY+220:310", register="1-1?:1.9.0"))))
    [row] = read_file(path).readings.to_pylist()
    assert (row["value"], row["interval_seconds"]) == (Decimal(310), 29 * 86_400)


@pytest.mark.parametrize("below_the_product", [False, True])
@pytest.mark.parametrize(("hours", "count", "seconds"), [(24, 96, 900), (23, 92, 900), (24, 24, 3600)])
def test_values_without_times_fill_the_period_that_is_stated_for_them(
    write: Write, below_the_product: bool, hours: int, count: int, seconds: int
) -> None:
    end = START + datetime.timedelta(hours=hours)
    period = [f"DTM+163:{stamp(START)}", f"DTM+164:{stamp(end)}"]
    values = [f"QTY+220:{i}:KWH" for i in range(count)]
    # A second product begins anew, with its own period or that of the metering point.
    series = [
        line(*(period if below_the_product else []), *values, register=f"1-1?:{flow}.29.0") for flow in (1, 2)
    ]
    parsed = read_file(write(interchange(message(*([] if below_the_product else period), *flat(series)))))
    assert parsed.rejected.num_rows == 0
    expected = [
        (START.replace(tzinfo=UTC) + i * datetime.timedelta(seconds=seconds), seconds, i)
        for i in range(count)
    ]
    rows = parsed.readings.to_pylist()
    assert [(row["reading_ts"], row["interval_seconds"], row["value"]) for row in rows] == expected * 2


@pytest.mark.parametrize("count", [95, 97, 48 * 60])
def test_values_without_times_are_not_spread_over_a_period_that_they_do_not_fill(
    write: Write, count: int
) -> None:
    period = [f"DTM+163:{stamp(START)}", f"DTM+164:{stamp(START + datetime.timedelta(days=1))}"]
    path = write(interchange(message(*period, *line(*(["QTY+220:1:KWH"] * count)))))
    with pytest.raises(RefusedFile, match="ROW-TIMESTAMP"):
        read_file(path)


def test_one_time_among_values_without_any_leaves_all_of_them_rejected(write: Write) -> None:
    period = [f"DTM+163:{stamp(START)}", f"DTM+164:{stamp(START + 4 * QUARTER)}"]
    parsed = read_file(write(interchange(message(*period, *line(*quarters("1"), *["QTY+220:1:KWH"] * 3)))))
    assert (parsed.readings.num_rows, rejections(parsed)) == (1, ["ROW-TIMESTAMP"] * 3)


def test_several_points_lines_and_messages_are_kept_apart(write: Write) -> None:
    first = [*line(*quarters("1")), *line(*quarters("2"), register="1-1?:2.29.0")]
    second = ["LOC+172+POINT2", *line(*quarters("3")), "NAD+DP", "LOC+172+POINT3", *line(*quarters("4"))]
    path = write(interchange(message(*first, *second), message(*line(*quarters("5")), point="P4", number=2)))
    rows = read_file(path).readings.to_pylist()
    assert [(row["identifier"], row["channel"], int(row["value"])) for row in rows] == [
        (POINT, "import", 1),
        (POINT, "export", 2),
        ("POINT2", "import", 3),
        ("POINT3", "import", 4),
        ("P4", "import", 5),
    ]


@pytest.mark.parametrize(
    ("segments", "point", "rule"),
    [
        (line(*quarters("5")), "", "ROW-CHANNEL"),
        (["LIN+1", *quarters("5")], POINT, "ROW-CHANNEL"),
        (quarters("5"), POINT, "ROW-CHANNEL"),
        (["LOC+172+OTHER", *line(*quarters("5"))], POINT, "ROW-CHANNEL"),
        (line(*quarters("5")), "DE\x01", "ROW-ENCODING"),
        (line(*quarters("5"), register="7-1?:3.1.0"), POINT, "ROW-UNIT"),
        (line(*quarters("5"), register="AUA"), POINT, "ROW-UNIT"),
    ],
)
def test_values_without_point_or_product_are_rejected(
    write: Write, segments: list[str], point: str, rule: str
) -> None:
    good = message(*line(*quarters("1")), number=2)
    parsed = read_file(write(interchange(message(*segments, point=point), good)))
    assert (rejections(parsed), total(parsed)) == ([rule], Decimal(1))


@pytest.mark.parametrize("function", ["1", "3"])
def test_the_values_of_a_cancellation_are_rejected(write: Write, function: str) -> None:
    cancelling = message(*line(*quarters("5")), function=function)
    parsed = read_file(write(interchange(cancelling, message(*line(*quarters("1")), number=2))))
    assert rejections(parsed) == ["MSCONS-CANCELLATION"] * 2
    assert total(parsed) == 1
    alone = refusal_of(write(interchange(message(function=function))))
    assert "MSCONS-CANCELLATION" in alone.reason


def test_the_newer_message_counts_at_any_place(write: Write) -> None:
    old = message(*line(*quarters("1", "1")))
    new = message(*line(*quarters("2")), head=("DTM+293:20240302000000?+00:304",), number=2)
    for messages in ((old, new), (new, old)):
        parsed = read_file(write(interchange(*messages)))
        assert (total(parsed), rejections(parsed)) == (Decimal(3), ["VEE-SUPERSEDED"])


def test_of_two_interchanges_in_one_file_the_later_one_counts(write: Write) -> None:
    first = interchange(message(*line(*quarters("1.5"))))
    second = interchange(message(*line(*quarters("2,5"))), una="UNA:+,? '", reference="R2", end="\n")
    assert total(read_file(write(first + "\n" + second))) == Decimal("2.5")


def test_values_that_fill_their_period_stand_in_their_place(write: Write) -> None:
    """As in a real file: a clock label an hour off, an end before its start, the sum is that of all."""
    count = 40
    period = [f"DTM+163:{stamp(START)}", f"DTM+164:{stamp(START + count * QUARTER)}"]
    values = [value(i, START + i * QUARTER) for i in range(count)]
    values[20] = value(20, START + 20 * QUARTER, 5 * QUARTER)
    values[21] = value(21, START + 24 * QUARTER)
    values[22] = value(22, START + 22 * QUARTER, -QUARTER)
    parsed = read_file(write(interchange(message(*period, *line(*flat(values))))))
    rows = parsed.readings.to_pylist()
    assert [(row["reading_ts"], row["value"]) for row in rows] == [
        (START.replace(tzinfo=UTC) + i * QUARTER, i) for i in range(count)
    ]
    assert rejections(parsed) == ["MSCONS-PLACE"] * 3
    assert parsed.rejected["severity"].to_pylist() == ["issue"] * 3
    assert parsed.rejected["value"].null_count == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.pop(30),
        lambda values: values.__setitem__(slice(0, 10), [value(9, START, 2 * QUARTER)] * 10),
        lambda values: values.reverse(),
    ],
)
def test_values_that_do_not_fill_their_period_keep_their_own_times(
    write: Write, change: Callable[[list[list[str]]], object]
) -> None:
    count = 40
    period = [f"DTM+163:{stamp(START)}", f"DTM+164:{stamp(START + count * QUARTER)}"]
    values = [value(i, START + i * QUARTER) for i in range(count)]
    change(values)
    parsed = read_file(write(interchange(message(*period, *line(*flat(values))))))
    assert "MSCONS-PLACE" not in rejections(parsed)
    for row in parsed.readings.to_pylist():
        if row["interval_seconds"] == 900:
            assert row["reading_ts"] == START.replace(tzinfo=UTC) + int(row["value"]) * QUARTER
