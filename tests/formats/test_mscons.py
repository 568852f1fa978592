"""MSCONS: what real interchanges do, energy that neither appears nor vanishes, and damaged files."""

import datetime
import random
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.errors import RefusedFile
from data.ingest.formats import iter_batches, mscons, read_file
from data.ingest.inspect import inspect
from data.ingest.rules.energy import energy_balance
from data.ingest.rules.judge import judge
from data.ingest.schema import PARSED, REGISTERS, REJECTED, ParsedFile

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "samples"
FIXTURES = Path(__file__).resolve().parent / "fixtures"
POINT = "DE0000000000000000000000000000001"
START = datetime.datetime(2024, 2, 1)
QUARTER = datetime.timedelta(minutes=15)
UTC = datetime.UTC

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_text(text: str | bytes, name: str = "values.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("latin-1"))
        return path

    return write_text


def stamp(instant: datetime.datetime, offset: str = "?+00") -> str:
    return f"{instant:%Y%m%d%H%M}{offset}:303"


def value(
    quantity: object,
    start: datetime.datetime = START,
    length: datetime.timedelta = QUARTER,
    code: str = "220",
) -> list[str]:
    return [f"QTY+{code}:{quantity}", f"DTM+163:{stamp(start)}", f"DTM+164:{stamp(start + length)}"]


def quarters(*quantities: object, start: datetime.datetime = START) -> list[str]:
    return flat(value(quantity, start + i * QUARTER) for i, quantity in enumerate(quantities))


def flat(parts: Iterable[list[str]]) -> list[str]:
    return [segment for part in parts for segment in part]


def line(*segments: str, register: str = "1-1?:1.29.0") -> list[str]:
    return ["LIN+1", f"PIA+5+{register}:SRW", *segments]


def message(
    *segments: str, point: str = POINT, number: int = 1, function: str = "9", head: tuple[str, ...] = ()
) -> list[str]:
    body = [
        f"UNH+{number}+MSCONS:D:04B:UN:2.4c",
        f"BGM+7+DOC{number}+{function}",
        "DTM+137:202403010000?+00:303",
        *head,
        "NAD+MS+9900000000001::293",
        "UNS+D",
        "NAD+DP",
        f"LOC+172+{point}",
        *segments,
    ]
    return [*body, f"UNT+{len(body) + 1}+{number}"]


def interchange(*messages: list[str], una: str = "UNA:+.? '", end: str = "", reference: str = "R1") -> str:
    head, tail = f"UNB+UNOC:3+A:500+B:500+240301:0000+{reference}", f"UNZ+{len(messages)}+{reference}"
    segments = [head, *flat(messages), tail]
    return una + end + "".join(f"{segment}'{end}" for segment in segments)


def rejections(parsed: ParsedFile) -> list[str]:
    return [str(rule) for rule in parsed.rejected["rule"].to_pylist()]


def total(parsed: ParsedFile) -> Decimal:
    return sum((row for row in parsed.readings["value"].to_pylist() if row is not None), Decimal(0))


def refusal_of(path: Path) -> RefusedFile:
    with pytest.raises(RefusedFile) as refusal:
        read_file(path)
    assert refusal.value.remedy
    return refusal.value


def test_a_reading_has_all_that_the_file_says(write: Write) -> None:
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


def test_umlauts_of_latin_1_do_no_harm(write: Write) -> None:
    parsed = read_file(write(interchange(message(*line(*quarters("5")), head=("CTA+IC+:Jürgen Größe",)))))
    assert (total(parsed), rejections(parsed)) == (Decimal(5), [])


def test_a_missing_value_is_null_and_never_zero(write: Write) -> None:
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


def test_a_quantity_without_a_value_is_null_and_never_zero(write: Write) -> None:
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
def test_a_value_that_cannot_be_understood_is_rejected_with_its_segment(
    write: Write, segments: list[str], rule: str
) -> None:
    parsed = read_file(write(interchange(message(*line(*quarters("1", "1"), *segments)))))
    assert (rejections(parsed), parsed.rejected["line"].to_pylist()) == ([rule], [18])
    assert total(parsed) == 2


def test_a_register_reading_is_never_taken_for_energy(write: Write) -> None:
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
def test_values_of_nothing_certain_are_rejected(
    write: Write, segments: list[str], point: str, rule: str
) -> None:
    good = message(*line(*quarters("1")), number=2)
    parsed = read_file(write(interchange(message(*segments, point=point), good)))
    assert (rejections(parsed), total(parsed)) == ([rule], Decimal(1))


@pytest.mark.parametrize("function", ["1", "3"])
def test_a_cancellation_brings_no_values(write: Write, function: str) -> None:
    cancelling = message(*line(*quarters("5")), function=function)
    parsed = read_file(write(interchange(cancelling, message(*line(*quarters("1")), number=2))))
    assert rejections(parsed) == ["MSCONS-CANCELLATION"] * 2
    assert total(parsed) == 1
    alone = refusal_of(write(interchange(message(function=function))))
    assert "MSCONS-CANCELLATION" in alone.reason


def test_the_newer_message_holds_wherever_it_stands(write: Write) -> None:
    old = message(*line(*quarters("1", "1")))
    new = message(*line(*quarters("2")), head=("DTM+293:20240302000000?+00:304",), number=2)
    for messages in ((old, new), (new, old)):
        parsed = read_file(write(interchange(*messages)))
        assert (total(parsed), rejections(parsed)) == (Decimal(3), ["VEE-SUPERSEDED"])


def test_of_two_interchanges_in_one_file_the_later_one_holds(write: Write) -> None:
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


GOOD = message(*line(*quarters("5")))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (interchange([*GOOD[:-1], "UNT+99+1"]), "EDIFACT-COUNT"),
        (interchange([*GOOD[:-1], f"UNT+{len(GOOD)}+2"]), "EDIFACT-COUNT"),
        (interchange(GOOD[:-2] + GOOD[-1:]), "EDIFACT-COUNT"),
        (interchange(GOOD).replace("UNZ+1", "UNZ+2"), "EDIFACT-COUNT"),
        (interchange(GOOD).replace("UNZ+1+R1", "UNZ+1+R2"), "EDIFACT-COUNT"),
        (interchange(GOOD).split("UNZ")[0], "FILE-CUT"),
        (interchange(GOOD).rstrip("'"), "FILE-CUT"),
        (interchange(GOOD).split("UNZ")[0] + interchange(GOOD), "FILE-CUT"),
        (interchange(GOOD) + "junk", "EDIFACT-SYNTAX"),
        (interchange(GOOD) + "QTY+220:5'", "EDIFACT-SYNTAX"),
        (interchange(GOOD[:-1]), "EDIFACT-SYNTAX"),
        (interchange([]).replace("UNZ+1", "UNZ+0"), "FILE-NO-DATA"),
        (interchange(message()), "FILE-NO-DATA"),
        ("UNH+1+MSCONS:D:04B:UN:2.4c'UNT+2+1'", "EDIFACT-SYNTAX"),
        (interchange(GOOD).replace("QTY", "QTX"), "EDIFACT-SYNTAX"),
        (interchange(GOOD, una="UNA:+.: '"), "EDIFACT-SYNTAX"),
        (interchange(GOOD).replace("MSCONS", "UTILMD"), "FILE-FORMAT"),
        (interchange([*GOOD[:3], "CTA+" + "x" * (2 << 20), *GOOD[3:]]), "EDIFACT-SYNTAX"),
        ("UNA:+.? '", "FILE-CUT"),
        ("UNB", "FILE-CUT"),
    ],
)
def test_an_interchange_that_is_not_whole_is_refused_with_its_segment(
    write: Write, text: str, rule: str
) -> None:
    error = refusal_of(write(text))
    assert (error.rule, bool(error.line), error.format) == (rule, True, "mscons")


def test_a_file_cut_anywhere_is_refused(write: Write) -> None:
    whole = interchange(message(*line(*quarters("5", "6", "7")))).encode()
    for cut in range(1, len(whole), 3):
        refusal_of(write(whole[:cut]))


def test_flipped_bits_are_refused_or_rejected_and_never_crash(write: Write) -> None:
    whole = interchange(message(*line(*quarters("5", "6", "7")))).encode()
    chance = random.Random(7)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        try:
            parsed = read_file(write(bytes(damaged)))
        except RefusedFile as refusal:
            assert refusal.rule and refusal.remedy
        else:
            told = [rule for rule in rejections(parsed) if rule != "MSCONS-CANCELLATION"]
            assert parsed.readings.num_rows + len(told) >= 3


def test_one_long_line_is_read_in_batches(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mscons, "BATCH_ROWS", 4_000)
    monkeypatch.setattr(mscons, "MAX_SERIES_ROWS", 6_000)
    short = [message(*line(*quarters(*range(1_000))), point=f"P{i}", number=i) for i in range(10)]
    long = message(*line(*quarters(*range(13_000))), point="LONG", number=10)
    path = write(interchange(*short, long))
    assert path.stat().st_size > 1 << 20
    sizes = [batch.readings.num_rows for _, batch in iter_batches(path)]
    # A batch ends with the text block that fills it: a value takes 70 characters or more.
    assert sum(sizes) == 23_000
    assert max(sizes) < 6_001 + (1 << 20) / 70 < 23_000
    assert total(read_file(path)) == 10 * sum(range(1_000)) + sum(range(13_000))


def test_the_hand_written_fixture_has_two_points_and_a_register_reading() -> None:
    document = inspect(FIXTURES / "mscons_two_points.txt")
    found = [
        (c["channel"], c["register"], c["intervals"], c["total"], c["quality"]) for c in document["channels"]
    ]
    assert found == [
        ("import", "1-1:1.29.0", 3, "1.75", {"220": 2, "67": 1}),
        ("export", "1-1:2.29.0", 1, "0.125", {"220": 1}),
    ]
    assert [(r["reason"].split(":")[0], r["first_line"]) for r in document["rejected"]] == [
        ("ROW-CUMULATIVE", 38)
    ]


def test_real_file_agrees_with_an_independent_reading(oracles: dict[str, Any]) -> None:
    name = "mscons/vdmitriyev_MSCONS_TL_SAMPLE01.txt"
    document = inspect(SAMPLES / name)
    [channel] = document["channels"]
    assert (channel["intervals"], Decimal(channel["total"])) == (oracles[name]["n"], oracles[name]["kwh"])
    assert (channel["channel"], channel["unit"], channel["interval_seconds"]) == ("import", "kWh", 900)
    # Its own period, and its labels where they are not damaged, say where each value belongs.
    assert (channel["first"], channel["last"]) == ("2015-11-30T23:00:00Z", "2015-12-31T22:45:00Z")
    assert {r["reason"].split(":")[0] for r in document["rejected"]} == {"MSCONS-PLACE"}


QUANTITIES = st.decimals(0, 10**6, places=3).map(str) | st.sampled_from(["", "abc", "-5.5", "1.0000000001"])
CODES = st.sampled_from(["220", "67", "999"])
TIMES = st.integers(0, 60).map(lambda i: f"{stamp(START + i * QUARTER)}") | st.just("x:303")
VALUES = st.tuples(QUANTITIES, CODES, TIMES, st.sampled_from(["", ":KWH", ":WHR", ":MWH", ":XYZ"]))


@settings(max_examples=60, deadline=None)
@given(
    series=st.lists(
        st.tuples(st.sampled_from(["1.29.0", "2.29.0", "3.29.0"]), st.lists(VALUES, min_size=1, max_size=12)),
        min_size=1,
        max_size=4,
    ),
    mark=st.sampled_from([".", ","]),
    width=st.sampled_from([10_000, 70]),
)
def test_energy_in_is_energy_accepted_and_rejected(
    tmp_path_factory: pytest.TempPathFactory,
    series: list[tuple[str, list[tuple[str, str, str, str]]]],
    mark: str,
    width: int,
) -> None:
    """What went in is summed from the generator, without the reader."""
    powers = {"": 0, ":KWH": 0, ":WHR": -3, ":MWH": 3}
    expected = Decimal(0)
    messages = []
    for number, (process, rows) in enumerate(series, 1):
        segments = []
        for quantity, code, start, unit in {row[2]: row for row in rows}.values():
            end = stamp(START + datetime.timedelta(days=9))
            segments += [
                f"QTY+{code}:{quantity.replace('.', mark)}{unit}",
                f"DTM+163:{start}",
                f"DTM+164:{start[:-8]}{end[-8:]}" if start == "x:303" else f"DTM+164:{_quarter_after(start)}",
            ]
            is_energy = unit in powers and not (process == "3.29.0" and unit == "")
            if is_energy and quantity not in ("", "abc", "1.0000000001"):
                expected += Decimal(quantity).scaleb(powers[unit])
        messages.append(
            message(*line(*segments, register=f"1-1?:{process}"), point=f"P{number}", number=number)
        )
    text = interchange(*messages, una=f"UNA:+{mark}? '")
    path = tmp_path_factory.mktemp("mscons") / "values.txt"
    path.write_text("\n".join(text[i : i + width] for i in range(0, len(text), width)))
    try:
        parsed = read_file(path)
    except RefusedFile as refusal:
        assert refusal.rejected.num_rows
        parsed = ParsedFile(path, "mscons", "", PARSED.empty_table(), refusal.rejected, None)
    judged = judge(parsed, REGISTERS.empty_table(), now=datetime.datetime(2026, 1, 1, tzinfo=UTC))
    balance = energy_balance(parsed, judged)
    assert balance.is_balanced
    assert balance.energy_in_kwh == expected
    assert parsed.rejected.schema == REJECTED


def _quarter_after(start: str) -> str:
    return stamp(datetime.datetime.strptime(start[:12], "%Y%m%d%H%M") + QUARTER)
