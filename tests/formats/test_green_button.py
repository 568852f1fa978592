"""Green Button: values, units, qualities and times of readings."""

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.reading import read_file
from data.ingest.inspect import inspect
from tests.formats import example
from tests.formats.green_button_text import (
    METER,
    OWNER,
    START,
    UTC,
    Write,
    bare_block,
    block,
    entry,
    feed,
    make_writer,
    meter_reading,
    quarters,
    reading,
    reading_type,
    rejections,
    total,
    usage_point,
    usual,
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return make_writer(tmp_path)


def write_example(values: example.Values) -> bytes:
    """In thousandths of a Wh."""
    base = "https://utility.example/espi/1_1/resource/RetailCustomer/1/UsagePoint/M1"
    readings = "".join(
        "<IntervalReading><timePeriod><duration>3600</duration>"
        f"<start>{int(at.timestamp())}</start></timePeriod><value>{int(value * 1_000_000)}</value>"
        "</IntervalReading>"
        for at, value in zip(example.list_instants(values), values, strict=True)
    )
    entries = [
        (f"{base}", "<UsagePoint><ServiceCategory><kind>0</kind></ServiceCategory></UsagePoint>", ""),
        (
            f"{base}/MeterReading/1",
            "<MeterReading/>",
            '<link rel="related" href="/espi/1_1/resource/ReadingType/A"/>',
        ),
        (
            f"{base}/MeterReading/1/IntervalBlock/1",
            f"<IntervalBlock><interval><duration>{len(values) * 3600}</duration>"
            f"<start>{int(example.START.timestamp())}</start></interval>{readings}</IntervalBlock>",
            "",
        ),
        (
            "/espi/1_1/resource/ReadingType/A",
            "<ReadingType><accumulationBehaviour>4</accumulationBehaviour><commodity>1</commodity>"
            "<flowDirection>1</flowDirection><intervalLength>3600</intervalLength>"
            "<powerOfTenMultiplier>-3</powerOfTenMultiplier><uom>72</uom></ReadingType>",
            "",
        ),
    ]
    body = "".join(
        f'<entry><link rel="self" href="{href}"/>{related}'
        f'<content xmlns="http://naesb.org/espi">{content}</content>'
        "<updated>2025-06-20T00:00:00Z</updated></entry>"
        for href, content, related in entries
    )
    return f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom">{body}</feed>'.encode()


EXAMPLE = example.Example(write_example)


def test_a_reading_has_all_fields_of_the_file(write: Write) -> None:
    quality = "<ReadingQuality><quality>8</quality></ReadingQuality>"
    path = write(usual(block(reading(START, 250, extra=quality))))
    assert read_file(path).readings.to_pylist() == [
        {
            "line": 4,
            "identifier": f"/{OWNER}",
            "register": "1",
            "serial_number": None,
            "channel": "import",
            "unit": "Wh",
            "reading_ts": datetime.datetime.fromtimestamp(START, UTC),
            "interval_seconds": 900,
            "value": Decimal(250),
            "quality": "estimated",
            "quality_method": "8",
            "reason_code": None,
            "source_version": datetime.datetime(2024, 1, 2, tzinfo=UTC),
        }
    ]


@pytest.mark.parametrize(
    ("fields", "kind", "expected"),
    [
        ({}, "0", ("import", "1", "Wh", "5")),
        ({"flowDirection": 19}, "0", ("export", "19", "Wh", "5")),
        ({"flowDirection": None}, "0", ("import", "0", "Wh", "5")),
        ({"flowDirection": 4}, "0", ("other", "4", "Wh", "5")),
        ({"powerOfTenMultiplier": 3}, "0", ("import", "1", "kWh", "5")),
        ({"powerOfTenMultiplier": 6}, "0", ("import", "1", "MWh", "5")),
        ({"powerOfTenMultiplier": -3}, "0", ("import", "1", "Wh", "0.005")),
        ({"powerOfTenMultiplier": 2}, "0", ("import", "1", "Wh", "500")),
        ({"powerOfTenMultiplier": None}, "0", ("import", "1", "Wh", "5")),
        ({"uom": 169, "powerOfTenMultiplier": -3}, "1", ("consumption", "1", "therm", "0.005")),
        ({"uom": 119, "powerOfTenMultiplier": 2}, "1", ("consumption", "1", "ft3", "500")),
        ({"uom": 42}, "2", ("consumption", "1", "m3", "5")),
        ({"uom": 128, "powerOfTenMultiplier": 3}, "2", ("consumption", "1", "gal_us", "5000")),
        ({"uom": 72}, "1", ("consumption", "1", "Wh", "5")),
        ({"uom": 38, "powerOfTenMultiplier": 3}, "0", ("other", "1:W", "kW", "5")),
        ({"uom": 38, "accumulationBehaviour": 12}, "0", ("other", "1:W", "W", "5")),
        ({"uom": 73, "flowDirection": 19}, "0", ("reactive_export", "19:varh", "varh", "5")),
        ({"uom": 29, "accumulationBehaviour": 12}, "0", ("voltage", "1:V", "V", "5")),
        ({"accumulationBehaviour": None}, "0", ("import", "1", "Wh", "5")),
    ],
)
def test_unit_direction_and_scale_are_those_of_the_reading_type(
    write: Write, fields: dict[str, Any], kind: str, expected: tuple[str, str, str, str]
) -> None:
    path = write(feed(usage_point(kind=kind), meter_reading(), block(*quarters(5)), reading_type(**fields)))
    [row] = read_file(path).readings.to_pylist()
    assert (row["channel"], row["register"], row["unit"]) == expected[:3]
    assert row["value"] == Decimal(expected[3])


@pytest.mark.parametrize(
    ("codes", "quality", "method"),
    [
        ((), "actual", None),
        (("0",), "actual", "0"),
        (("17",), "actual", "17"),
        (("7",), "edited", "7"),
        (("9",), "estimated", "9"),
        (("10",), "estimated", "10"),
        (("14", "8"), "estimated", "8"),
        (("7", "19"), "edited", "7"),
    ],
)
def test_of_several_qualities_the_worst_counts(
    write: Write, codes: tuple[str, ...], quality: str, method: str | None
) -> None:
    extra = "".join(f"<ReadingQuality><quality>{code}</quality></ReadingQuality>" for code in codes)
    [row] = read_file(write(usual(block(reading(START, 1, extra=extra))))).readings.to_pylist()
    assert (row["quality"], row["quality_method"]) == (quality, method)


def test_a_reading_without_quality_gets_that_of_its_reading_type(write: Write) -> None:
    own = "<ReadingQuality><quality>0</quality></ReadingQuality>"
    path = write(usual(block(reading(START, 1), reading(START + 900, 1, extra=own)), defaultQuality=8))
    assert read_file(path).readings["quality"].to_pylist() == ["estimated", "actual"]


@pytest.mark.parametrize("value", [None, "", "  \n "])
def test_a_missing_value_is_null_not_zero(write: Write, value: str | None) -> None:
    parsed = read_file(write(usual(block(reading(START, value), reading(START + 900, 3)))))
    assert parsed.readings["value"].to_pylist() == [None, Decimal(3)]
    assert parsed.readings["quality"].to_pylist() == ["null", "actual"]


@pytest.mark.parametrize("value", [4_294_967_295, 2_147_483_647, 16_777_215])
def test_a_counter_at_its_maximum_is_a_missing_value(write: Write, value: int) -> None:
    document = inspect(write(usual(block(*quarters(value, 3)))))
    assert [(c["intervals"], c["total"]) for c in document["channels"]] == [(2, "0.003")]


def test_numbers_may_be_padded_with_white_space_and_broken_by_comments(write: Write) -> None:
    path = write(usual(block(reading(f"\n {START}\t", " 1<!-- kept -->5 \n", " 900 ")), uom=" 72 "))
    [row] = read_file(path).readings.to_pylist()
    assert (row["value"], row["interval_seconds"], row["unit"]) == (Decimal(15), 900, "Wh")


def test_a_fractional_epoch_shared_by_readings_is_quarantined_row_by_row(write: Write) -> None:
    broken = [reading("1700000000.5", value) for value in range(36)]
    parsed = read_file(write(usual(block(*broken, *quarters(7)))))
    assert rejections(parsed) == ["ROW-TIMESTAMP"] * 36
    assert sum(parsed.rejected["value"].to_pylist()) == sum(range(36))
    assert total(parsed) == 7


def test_an_epoch_shared_by_readings_of_one_block_does_not_collapse_to_one(write: Write) -> None:
    shared = [reading(START, value) for value in range(36)]
    parsed = read_file(write(usual(block(*shared, *quarters(7, start=START + 900)))))
    assert rejections(parsed) == ["GB-SHARED-START"] * 36
    assert total(parsed) == 7


def test_a_conflicting_zero_does_not_win(write: Write) -> None:
    parsed = read_file(
        write(usual(block(reading(START, 9), reading(START, 0), *quarters(1, start=START + 900))))
    )
    assert rejections(parsed) == ["GB-SHARED-START"] * 2
    assert total(parsed) == 1


def test_the_same_reading_twice_counts_once(write: Write) -> None:
    parsed = read_file(write(usual(block(reading(START, 9), reading(START, 9)))))
    assert (total(parsed), rejections(parsed)) == (Decimal(9), [])


def test_of_overlapping_blocks_the_newer_one_counts(write: Write) -> None:
    new = block(*quarters(5, 6), updated="2024-02-01T00:00:00Z")
    old = block(*quarters(1, 2, 3), updated="2024-01-01T00:00:00-05:00")
    for blocks in ((new, old), (old, new)):
        parsed = read_file(write(usual(*blocks)))
        assert total(parsed) == 5 + 6 + 3
        assert set(rejections(parsed)) == {"VEE-SUPERSEDED"}


@pytest.mark.parametrize("duration", [82_800, 86_400, 90_000, 2_678_400, 7_948_800])
def test_days_and_billing_periods_keep_their_own_length(write: Write, duration: int) -> None:
    [row] = read_file(write(usual(block(reading(START, 1, duration))))).readings.to_pylist()
    assert row["interval_seconds"] == duration


def test_readings_without_times_stand_in_the_order_of_their_block(write: Write) -> None:
    interval = f"<interval><duration>2700</duration><start>{START}</start></interval>"
    untimed = [reading(None, value, None) for value in (1, 2, 3)]
    parsed = read_file(write(usual(block(*untimed, interval=interval), intervalLength=900)))
    starts = [row.timestamp() for row in parsed.readings["reading_ts"].to_pylist()]
    assert starts == [START, START + 900, START + 1800]
    with pytest.raises(RefusedFile, match="ROW-TIMESTAMP"):
        read_file(write(usual(block(*untimed, interval=interval))))


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (reading(START, "abc"), "ROW-VALUE"),
        (reading(START, "1e308"), "ROW-PRECISION"),
        (reading(START, "1.2345678901"), "ROW-PRECISION"),
        (reading(START, "<b>5</b>"), "ROW-VALUE"),
        (reading("2023-11-14", 1), "ROW-TIMESTAMP"),
        (reading(START * 1000, 1), "ROW-TIMESTAMP"),
        (reading(None, 1), "ROW-TIMESTAMP"),
        (reading(START, 1, 0), "ROW-INTERVAL"),
        (reading(START, 1, -900), "ROW-INTERVAL"),
        (reading(START, 1, "PT15M"), "ROW-INTERVAL"),
        (reading(START, 1, 10**9), "ROW-INTERVAL"),
        (reading(START, 1, None), "ROW-INTERVAL"),
        (reading(START, 1, extra="<ReadingQuality><quality>99</quality></ReadingQuality>"), "ROW-QUALITY"),
    ],
)
def test_an_invalid_reading_is_rejected_with_its_line(write: Write, row: str, rule: str) -> None:
    parsed = read_file(write(usual(block(*quarters(2, start=START + 9000), row))))
    assert rejections(parsed) == [rule]
    assert parsed.rejected["line"].to_pylist() == [5]
    assert total(parsed) == 2


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"accumulationBehaviour": 1}, "ROW-CUMULATIVE"),
        ({"accumulationBehaviour": 3}, "ROW-CUMULATIVE"),
        ({"accumulationBehaviour": 9}, "ROW-CUMULATIVE"),
        ({"accumulationBehaviour": 12}, "ROW-CUMULATIVE"),
        ({"uom": 38, "accumulationBehaviour": 3}, "ROW-CUMULATIVE"),
        ({"uom": 999}, "ROW-UNIT"),
        ({"uom": None}, "ROW-UNIT"),
        ({"powerOfTenMultiplier": "x"}, "ROW-UNIT"),
    ],
)
def test_a_series_without_interval_quantities_is_rejected(
    write: Write, fields: dict[str, Any], rule: str
) -> None:
    other = f"{OWNER}/MeterReading/2"
    path = write(
        feed(
            usage_point(),
            meter_reading(),
            block(*quarters(5, 6)),
            reading_type(**fields),
            meter_reading(other, "ReadingType/2"),
            block(*quarters(1), meter=other),
            reading_type("ReadingType/2"),
        )
    )
    parsed = read_file(path)
    assert (rejections(parsed), total(parsed)) == ([rule] * 2, Decimal(1))
    assert parsed.rejected["value"].to_pylist() == [5, 6]
    assert parsed.rejected["unit"].null_count == 2


def test_an_empty_reading_type_is_rejected_for_its_unit(write: Write) -> None:
    empty = entry("ReadingType/1", '<ReadingType xmlns="http://naesb.org/espi"/>')
    with pytest.raises(RefusedFile, match="ROW-UNIT: the ReadingType does not name a unit"):
        read_file(write(feed(usage_point(), meter_reading(), block(*quarters(5)), empty)))


def test_a_block_may_state_unit_length_and_point_itself(write: Write) -> None:
    """As a utility of the American south sends it: one entry, no ReadingType, values in kWh."""
    said = {"servicePointId": "9001", "unitOfMeasure": "kWH", "secondsPerInterval": "1800"}
    stated = "".join(f"<{name}>{text}</{name}>" for name, text in said.items())
    rows = "".join(
        reading(START + 1800 * n, f"0.{n}2", None, f"<readingQuality>{word}</readingQuality>")
        for n, word in enumerate(("ACTUAL", "Estimated", "WRONG"))
    )

    def document(service: str, unit: str = "kWH") -> Path:
        interval = f"<interval>{stated}<serviceType>{service}</serviceType></interval>".replace("kWH", unit)
        content = bare_block(rows, interval=interval)
        return write(entry("", content).replace("<entry>", '<entry xmlns="http://www.w3.org/2005/Atom">'))

    parsed = read_file(document("ELECTRIC"))
    assert [
        (
            row["identifier"],
            row["channel"],
            row["unit"],
            row["interval_seconds"],
            row["value"],
            row["quality"],
        )
        for row in parsed.readings.to_pylist()
    ] == [
        ("/9001", "import", "kWh", 1800, Decimal("0.02"), "actual"),
        ("/9001", "import", "kWh", 1800, Decimal("0.12"), "estimated"),
    ]
    assert rejections(parsed) == ["ROW-QUALITY"]
    assert inspect(document("GAS", "therm"))["channels"][0]["channel"] == "consumption"
    with pytest.raises(RefusedFile, match="ROW-UNIT: the unitOfMeasure 'stone' is unknown"):
        read_file(document("ELECTRIC", "stone"))


def test_readings_without_links_and_usage_point_are_those_of_a_meter_without_a_name(write: Write) -> None:
    both = [
        (
            reading_type("", flowDirection=flow, accumulationBehaviour=0),
            entry("", bare_block(*quarters(flow))),
        )
        for flow in (0, 19)
    ]
    found = inspect(write(feed(*both[0], *both[1])))["channels"]
    assert [(c["meter"], c["register"], c["channel"], c["total"]) for c in found] == [
        ("", "0", "import", "0"),
        ("", "19", "export", "0.019"),
    ]


@pytest.mark.parametrize(
    ("entries", "rule"),
    [
        ((usage_point(), meter_reading(), block(*quarters(1))), "GB-READING-TYPE"),
        (
            (usage_point(), meter_reading(), block(*quarters(1)), reading_type("ReadingType/9")),
            "GB-READING-TYPE",
        ),
        (
            (usage_point(), meter_reading(), block(*quarters(1)), reading_type(), reading_type(uom=38)),
            "GB-READING-TYPE",
        ),
        ((meter_reading("M/1"), block(*quarters(1), meter="M/1"), reading_type()), "ROW-CHANNEL"),
        ((usage_point(), meter_reading(), block(), reading_type()), "FILE-NO-DATA"),
        ((usage_point(), entry(f"{METER}/IntervalBlock/1", "INVALID"), reading_type()), "GB-ENTRY"),
    ],
)
def test_a_file_with_ambiguous_readings_is_refused(write: Write, entries: tuple[str, ...], rule: str) -> None:
    with pytest.raises(RefusedFile, match=rule) as refusal:
        read_file(write(feed(*entries, head="<!-- http://naesb.org/espi -->")))
    assert refusal.value.line
    assert refusal.value.remedy
