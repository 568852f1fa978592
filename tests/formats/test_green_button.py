"""Green Button: what real exports do, energy that neither appears nor vanishes, and files made to do harm."""

import datetime
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.errors import RefusedFile
from data.ingest.formats import green_button, iter_batches, read_file
from data.ingest.inspect import inspect
from data.ingest.rules.energy import energy_balance
from data.ingest.rules.judge import judge
from data.ingest.schema import PARSED, REGISTERS, REJECTED, ParsedFile

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "samples"
FIXTURES = Path(__file__).resolve().parent / "fixtures"
OWNER = "RetailCustomer/7/UsagePoint/1"
METER = f"{OWNER}/MeterReading/1"
START = 1_700_000_100 // 900 * 900
UTC = datetime.UTC

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_text(text: str | bytes, name: str = "usage.xml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_text


def entry(own: str, content: str, *related: str, up: str = "", updated: str = "2024-01-02T00:00:00Z") -> str:
    links = "".join(f'<link rel="related" href="{href}"/>' for href in related)
    links += f'<link rel="self" href="{own}"/>' if own else ""
    links += f'<link rel="up" href="{up}"/>' if up else ""
    body = f"<content>{content}</content><updated>{updated}</updated>"
    return f"<entry><id>urn:uuid:{own}</id>{links}{body}</entry>\n"


def usage_point(own: str = OWNER, kind: str = "0") -> str:
    service = f"<ServiceCategory><kind>{kind}</kind></ServiceCategory>"
    return entry(
        own, f'<UsagePoint xmlns="http://naesb.org/espi">{service}</UsagePoint>', f"{own}/MeterReading"
    )


def meter_reading(own: str = METER, *kinds: str) -> str:
    up = own.rpartition("/")[0]
    links = (f"{own}/IntervalBlock", *(kinds or ("ReadingType/1",)))
    return entry(own, '<MeterReading xmlns="http://naesb.org/espi"/>', *links, up=up)


def reading_type(own: str = "ReadingType/1", **fields: Any) -> str:
    given = {"accumulationBehaviour": 4, "flowDirection": 1, "powerOfTenMultiplier": 0, "uom": 72} | fields
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in given.items() if value is not None)
    return entry(own, f'<ReadingType xmlns="http://naesb.org/espi">{inner}</ReadingType>')


def reading(start: object, value: object, duration: object = 900, extra: str = "") -> str:
    times = "".join(
        f"<{name}>{item}</{name}>"
        for name, item in (("duration", duration), ("start", start))
        if item is not None
    )
    period = f"<timePeriod>{times}</timePeriod>" if times else ""
    given = "" if value is None else f"<value>{value}</value>"
    return f"<IntervalReading><cost>12</cost>{extra}{period}{given}</IntervalReading>\n"


def bare_block(*readings: str, interval: str = "") -> str:
    return f'<IntervalBlock xmlns="http://naesb.org/espi">{interval}{"".join(readings)}</IntervalBlock>'


def block(*readings: str, meter: str = METER, interval: str = "", **named: Any) -> str:
    content = bare_block(*readings, interval=interval)
    return entry(f"{meter}/IntervalBlock/1", content, up=f"{meter}/IntervalBlock", **named)


def feed(*entries: str, head: str = "") -> str:
    return (
        f'<?xml version="1.0"?>{head}<feed xmlns="http://www.w3.org/2005/Atom">\n{"".join(entries)}</feed>\n'
    )


def usual(*blocks: str, **fields: Any) -> str:
    """A feed with its ReadingType behind the readings, as many utilities send it."""
    return feed(usage_point(), meter_reading(), *blocks, reading_type(**fields))


def quarters(*values: object, start: int = START) -> list[str]:
    return [reading(start + 900 * i, value) for i, value in enumerate(values)]


def rejections(parsed: ParsedFile) -> list[str]:
    return [str(rule) for rule in parsed.rejected["rule"].to_pylist()]


def total(parsed: ParsedFile) -> Decimal:
    return sum((value for value in parsed.readings["value"].to_pylist() if value is not None), Decimal(0))


def test_a_reading_has_all_that_the_file_says(write: Write) -> None:
    quality = "<ReadingQuality><quality>8</quality></ReadingQuality>"
    path = write(usual(block(reading(START, 250, extra=quality))))
    assert read_file(path).readings.to_pylist() == [
        {
            "line": 4,
            "identifier": OWNER,
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


def test_the_quality_of_the_reading_type_holds_where_a_reading_has_none(write: Write) -> None:
    own = "<ReadingQuality><quality>0</quality></ReadingQuality>"
    path = write(usual(block(reading(START, 1), reading(START + 900, 1, extra=own)), defaultQuality=8))
    assert read_file(path).readings["quality"].to_pylist() == ["estimated", "actual"]


@pytest.mark.parametrize("value", [None, "", "  \n "])
def test_a_missing_value_is_null_and_never_zero(write: Write, value: str | None) -> None:
    parsed = read_file(write(usual(block(reading(START, value), reading(START + 900, 3)))))
    assert parsed.readings["value"].to_pylist() == [None, Decimal(3)]
    assert parsed.readings["quality"].to_pylist() == ["null", "actual"]


@pytest.mark.parametrize("value", [4_294_967_295, 2_147_483_647, 16_777_215])
def test_a_counter_at_its_end_says_that_there_is_no_value(write: Write, value: int) -> None:
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


def test_of_overlapping_blocks_the_newer_one_holds(write: Write) -> None:
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
def test_a_reading_that_cannot_be_understood_is_rejected_with_its_line(
    write: Write, row: str, rule: str
) -> None:
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
def test_a_series_that_is_no_interval_quantity_is_rejected_whole(
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


def test_an_empty_reading_type_names_no_unit(write: Write) -> None:
    empty = entry("ReadingType/1", '<ReadingType xmlns="http://naesb.org/espi"/>')
    with pytest.raises(RefusedFile, match="ROW-UNIT: its ReadingType names no unit"):
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
        ("9001", "import", "kWh", 1800, Decimal("0.02"), "actual"),
        ("9001", "import", "kWh", 1800, Decimal("0.12"), "estimated"),
    ]
    assert rejections(parsed) == ["ROW-QUALITY"]
    assert inspect(document("GAS", "therm"))["channels"][0]["channel"] == "consumption"
    with pytest.raises(RefusedFile, match="ROW-UNIT: the unitOfMeasure 'stone' is not known"):
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
        ("UsagePoint/1", "0", "import", "0"),
        ("UsagePoint/1", "19", "export", "0.019"),
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
def test_a_file_whose_readings_mean_nothing_certain_is_refused(
    write: Write, entries: tuple[str, ...], rule: str
) -> None:
    with pytest.raises(RefusedFile, match=rule) as refusal:
        read_file(write(feed(*entries, head="<!-- http://naesb.org/espi -->")))
    assert refusal.value.line
    assert refusal.value.remedy


@pytest.mark.parametrize("root", ["https://utility.example/espi/1_1/resource/", "/espi/1_1/resource/", ""])
def test_absolute_and_relative_links_tie_alike(write: Write, root: str) -> None:
    text = usual(block(*quarters(5))).replace(f'"{OWNER}', f'"{root}{OWNER}')
    [row] = read_file(write(text)).readings.to_pylist()
    assert (row["identifier"], row["value"]) == (OWNER, Decimal(5))


def test_a_reading_type_may_name_its_meter_reading_instead(write: Write) -> None:
    meter = entry(METER, '<MeterReading xmlns="http://naesb.org/espi"/>', up=f"{OWNER}/MeterReading")
    kind = reading_type("ReadingType/1", flowDirection=19).replace(
        "<content>", f'<link rel="related" href="{METER}"/><content>'
    )
    path = write(feed(usage_point(), meter, block(*quarters(5)), kind, reading_type("ReadingType/2")))
    assert read_file(path).readings["channel"].to_pylist() == ["export"]


def test_a_reading_type_may_stand_below_its_meter_reading(write: Write) -> None:
    series = []
    for number, flow in ((1, 1), (2, 19)):
        own = f"{OWNER}/MeterReading/{number}"
        meter = entry(own, '<MeterReading xmlns="http://naesb.org/espi"/>', f"{own}/IntervalBlock/1")
        data = block(*quarters(number), meter=own).replace('rel="up"', 'rel="other"')
        series.append((meter, data, reading_type(f"{own}/ReadingType/1", flowDirection=flow)))
    (one, first, forward), (two, second, reverse) = series
    parsed = read_file(write(feed(usage_point(), one, two, reverse, forward, second, first)))
    rows = parsed.readings.to_pylist()
    assert [(row["channel"], row["value"]) for row in rows] == [("export", 2), ("import", 1)]


def test_usage_points_that_share_a_link_stay_apart(write: Write) -> None:
    entries = []
    for number in (1, 2):
        point = f"RetailCustomer/{number}/UsagePoint/1"
        shared = '<link rel="related" href="LocalTimeParameters/1"/><content>'
        entries += [
            usage_point(point).replace("<content>", shared),
            meter_reading(f"{point}/MeterReading/1").replace("<content>", shared),
            block(*quarters(number), meter=f"{point}/MeterReading/1"),
        ]
    rows = read_file(write(feed(*entries, reading_type()))).readings.to_pylist()
    assert [(row["identifier"], row["value"]) for row in rows] == [
        ("RetailCustomer/1/UsagePoint/1", 1),
        ("RetailCustomer/2/UsagePoint/1", 2),
    ]


def flat(kind: str, number: int, content: str, *related: str) -> str:
    """An entry whose address does not lie below that of its owner."""
    return entry(f"{kind}/{number}", content, *related)


def flat_series(number: int, value: int, **fields: Any) -> list[str]:
    """Two blocks that a meter reading names by their addresses, and nothing else."""
    blocks = [f"IntervalBlock/{number}0", f"IntervalBlock/{number}1"]
    return [
        flat(
            "MeterReading",
            number,
            '<MeterReading xmlns="http://naesb.org/espi"/>',
            f"ReadingType/{number}",
            *blocks,
        ),
        reading_type(f"ReadingType/{number}", **fields),
        *(
            entry(
                own,
                f'<IntervalBlock xmlns="http://naesb.org/espi">{reading(START + 900 * place, value)}'
                "</IntervalBlock>",
            )
            for place, own in enumerate(blocks)
        ),
    ]


def test_blocks_are_found_by_the_address_that_their_meter_reading_links(write: Write) -> None:
    first, second = flat_series(1, 250), flat_series(2, 40, flowDirection=19, powerOfTenMultiplier=3)
    # Meter readings and types first, the blocks behind them: order says nothing.
    path = write(feed(usage_point(), *first[:2], *second[:2], *second[2:], *first[2:]))
    assert {
        channel["register"]: (channel["intervals"], channel["total"]) for channel in inspect(path)["channels"]
    } == {"1": (2, "0.5"), "19": (2, "80")}


def test_links_that_lead_to_none_of_several_reading_types_are_not_replaced_by_order(write: Write) -> None:
    lost = block(*quarters(250), meter=f"{OWNER}/MeterReading/9")
    kinds = (reading_type("ReadingType/1"), reading_type("ReadingType/2", powerOfTenMultiplier=3))
    with pytest.raises(RefusedFile, match="GB-READING-TYPE"):
        read_file(write(feed(usage_point(), meter_reading(), *kinds, lost)))


def test_entries_without_links_belong_together_by_order(write: Write) -> None:
    def plain(*contents: str) -> str:
        return "".join(f"<entry><content>{content}</content></entry>" for content in contents)

    def series(flow: int, value: int) -> tuple[str, ...]:
        return (
            '<MeterReading xmlns="http://naesb.org/espi"/>',
            f'<ReadingType xmlns="http://naesb.org/espi"><flowDirection>{flow}</flowDirection><uom>72</uom>'
            "</ReadingType>",
            f'<IntervalBlock xmlns="http://naesb.org/espi">{"".join(quarters(value))}</IntervalBlock>',
        )

    point = '<UsagePoint xmlns="http://naesb.org/espi"/>'
    parsed = read_file(write(feed(plain(point, *series(1, 5), *series(19, 6), point, *series(1, 7)))))
    rows = parsed.readings.to_pylist()
    assert [(row["identifier"], row["channel"], row["value"]) for row in rows] == [
        ("UsagePoint/1", "import", 5),
        ("UsagePoint/1", "export", 6),
        ("UsagePoint/2", "import", 7),
    ]
    # Nothing says when the readings were made: they are no older than their end.
    assert rows[0]["source_version"].timestamp() == START + 900


def test_bare_espi_with_a_namespace_prefix_is_read(write: Write) -> None:
    inner = feed(*quarters(5)).split("\n", 1)[1].rpartition("</feed>")[0]
    text = (
        '<espi:UsagePoint xmlns:espi="http://naesb.org/espi"><MeterReading/><ReadingType><uom>72</uom>'
        f"</ReadingType><IntervalBlock>{inner}</IntervalBlock></espi:UsagePoint>"
    )
    for name in [
        "MeterReading",
        "ReadingType",
        "uom",
        "IntervalBlock",
        "IntervalReading",
        "cost",
        "timePeriod",
        "duration",
        "start",
        "value",
    ]:
        text = text.replace(f"<{name}", f"<espi:{name}").replace(f"</{name}", f"</espi:{name}")
    assert total(read_file(write(text))) == 5


def test_retail_customer_data_are_passed_over(write: Write) -> None:
    customer = (
        '<Customer xmlns="http://naesb.org/espi/customer"><kind>1</kind><UsagePoint>x</UsagePoint>'
        "<value>99</value></Customer>"
    )
    parsed = read_file(
        write(
            feed(
                entry("RetailCustomer/7", customer),
                usual(block(*quarters(5))).split("\n", 1)[1].rpartition("</feed>")[0],
            )
        )
    )
    assert (total(parsed), rejections(parsed)) == (Decimal(5), [])


def test_a_reading_type_may_stand_inside_of_its_meter_reading(write: Write) -> None:
    def nested(number: int, flow: int) -> str:
        kind = f"<ReadingType><flowDirection>{flow}</flowDirection><uom>72</uom></ReadingType>"
        content = f'<MeterReading xmlns="http://naesb.org/espi">{kind}</MeterReading>'
        own = f"{OWNER}/MeterReading/{number}"
        return entry(own, content, f"{own}/IntervalBlock")

    blocks = [block(*quarters(n), meter=f"{OWNER}/MeterReading/{n}") for n in (1, 2)]
    found = inspect(write(feed(usage_point(), nested(1, 1), nested(2, 19), *blocks)))["channels"]
    assert [(channel["register"], channel["total"]) for channel in found] == [("1", "0.001"), ("19", "0.002")]


def test_volumes_compensated_or_not_are_different_registers(write: Write) -> None:
    meters = [meter_reading(f"{OWNER}/MeterReading/{n}", f"ReadingType/{n}") for n in (1, 2)]
    kinds = [reading_type(f"ReadingType/{n}", uom=uom, commodity=7) for n, uom in ((1, 166), (2, 167))]
    blocks = [block(*quarters(n), meter=f"{OWNER}/MeterReading/{n}") for n in (1, 2)]
    found = inspect(write(feed(usage_point(kind="1"), *meters, *kinds, *blocks)))["channels"]
    assert [(channel["register"], channel["unit"], channel["total"]) for channel in found] == [
        ("1:volume=uncompensated", "m3", "1"),
        ("1:volume=compensated", "m3", "2"),
    ]


def test_series_of_one_direction_that_differ_are_different_registers(write: Write) -> None:
    second = f"{OWNER}/MeterReading/2"
    path = write(
        feed(
            usage_point(),
            meter_reading(),
            block(*quarters(5)),
            reading_type(intervalLength=900),
            meter_reading(second, "ReadingType/2"),
            block(reading(START, 400, 86_400), meter=second),
            reading_type("ReadingType/2", intervalLength=86_400),
        )
    )
    parsed = read_file(path)
    assert parsed.readings["register"].to_pylist() == ["1:intervalLength=900", "1:intervalLength=86400"]
    assert rejections(parsed) == []


def test_meter_readings_by_period_with_like_reading_types_are_one_register(write: Write) -> None:
    second = f"{OWNER}/MeterReading/2024-02"
    path = write(
        feed(
            usage_point(),
            meter_reading(),
            block(*quarters(5)),
            reading_type(intervalLength=2_678_400),
            meter_reading(second, "ReadingType/2"),
            block(*quarters(6, start=START + 900), meter=second),
            reading_type("ReadingType/2", intervalLength=2_419_200),
        )
    )
    assert read_file(path).readings["register"].to_pylist() == ["1", "1"]


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE feed [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]>',
        '<!DOCTYPE feed [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE feed SYSTEM "http://127.0.0.1:9/feed.dtd">',
    ],
)
def test_a_document_type_and_with_it_every_entity_is_refused(write: Write, head: str) -> None:
    text = usual(block(*quarters("&c;"))).replace('<?xml version="1.0"?>', f'<?xml version="1.0"?>{head}')
    with pytest.raises(RefusedFile) as refusal:
        read_file(write(text))
    assert refusal.value.rule == "XML-DOCTYPE"


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda text: text.replace("</feed>", ""), "FILE-CUT"),
        (lambda text: text.replace("<value>", "<value", 1), "XML-SYNTAX"),
        (lambda text: text.replace("<value>5", "<value>&amp;&nosuch;"), "XML-SYNTAX"),
        (lambda text: text.replace("<entry>", "<a>" * 200 + "<entry>", 1), "XML-SYNTAX"),
        (lambda text: text.replace("<value>5", "<value>\0"), "XML-SYNTAX"),
        (lambda text: text + "<feed/>", "XML-SYNTAX"),
        (lambda text: text.replace("</IntervalBlock>", "</IntervalBlock><entry/>"), "XML-SYNTAX"),
        (lambda text: text.replace("<cost>", "<IntervalReading/><cost>"), "XML-SYNTAX"),
        (lambda text: text.replace("<IntervalReading>", "<IntervalBlock/><IntervalReading>"), "XML-SYNTAX"),
    ],
)
def test_xml_that_is_not_whole_is_refused_with_its_line(
    write: Write, damage: Callable[[str], str], rule: str
) -> None:
    with pytest.raises(RefusedFile) as refusal:
        read_file(write(damage(usual(block(*quarters(5))))))
    assert (refusal.value.rule, bool(refusal.value.line), refusal.value.format) == (
        rule,
        True,
        "green_button",
    )


def test_an_endless_text_is_refused_before_it_fills_the_memory(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(green_button, "MAX_TOKEN_BYTES", 1 << 20)
    for endless in ("<title>" + "x" * (3 << 20), "<!--" + "x" * (3 << 20), '<a b="' + "x" * (3 << 20)):
        with pytest.raises(RefusedFile, match="XML-SYNTAX"):
            text = usual(block(*quarters(5))).replace("<entry>", f"{endless}<entry>", 1)
            read_file(write(text.replace("?>", "?><!-- http://naesb.org/espi -->", 1)))


def test_a_file_cut_anywhere_is_refused(write: Write) -> None:
    whole = usual(block(*quarters(5, 6, 7))).rstrip().encode()
    for cut in range(1, len(whole), 7):
        with pytest.raises(RefusedFile):
            read_file(write(whole[:cut]))


def test_flipped_bits_are_refused_or_rejected_and_never_crash(write: Write) -> None:
    whole = usual(block(*quarters(5, 6, 7))).encode()
    chance = random.Random(7)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        try:
            parsed = read_file(write(bytes(damaged)))
        except RefusedFile as refusal:
            assert refusal.rule and refusal.remedy
        else:
            assert parsed.readings.num_rows + parsed.rejected.num_rows == 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_encodings_do_not_matter(write: Write, encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    text = usual(block(*quarters(5))).replace(
        '"1.0"?>', f'"1.0" encoding="{declared}"?><!-- Überlandwerk -->'
    )
    assert total(read_file(write(text.encode(encoding)))) == 5


@pytest.mark.parametrize("declared", ["nonsense", "shift_jis", "utf-7", "base64"])
def test_an_encoding_that_is_none_is_not_believed(write: Write, declared: str) -> None:
    text = usual(block(*quarters(5))).replace('"1.0"?>', f'"1.0" encoding="{declared}"?>')
    assert total(read_file(write(text))) == 5


def test_one_long_line_is_read_in_batches(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(green_button, "MEMORY_BYTES", 1 << 10)
    monkeypatch.setattr(green_button, "BATCH_ROWS", 4_000)
    blocks = [block(*quarters(*range(2_000), start=START + i * 1_800_000)) for i in range(12)]
    path = write(usual(*blocks).replace("\n", ""))
    assert path.stat().st_size > 2 << 20
    sizes = [batch.readings.num_rows for _, batch in iter_batches(path)]
    assert (sum(sizes), max(sizes)) == (24_000, 4_000)
    assert total(read_file(path)) == 12 * sum(range(2_000))


def test_other_xml_is_refused(write: Write) -> None:
    with pytest.raises(RefusedFile, match="no Green Button"):
        read_file(write("<?xml version='1.0'?><invoice><value>1</value></invoice>"))


def test_the_hand_written_fixture_holds_what_its_comment_says() -> None:
    document = inspect(FIXTURES / "green_button_two_registers.xml")
    found = [
        (c["meter"], c["channel"], c["register"], c["intervals"], c["total"], c["unit"], c["quality"])
        for c in document["channels"]
    ]
    assert found == [
        ("RetailCustomer/100/UsagePoint/5", "import", "1", 3, "1.15", "kWh", {"17": 2, "8": 1}),
        ("RetailCustomer/100/UsagePoint/5", "export", "19", 2, "0.4", "kWh", {"actual": 2}),
    ]
    assert document["rejected"] == []


def sums(name: str) -> dict[tuple[str, str], tuple[int, Decimal]]:
    """(intervals, total) by meter and register."""
    document = inspect(SAMPLES / name)
    assert document["rejected"] == []
    return {(c["meter"], c["register"]): (c["intervals"], Decimal(c["total"])) for c in document["channels"]}


@pytest.mark.parametrize(
    ("name", "key", "power"),
    [
        ("15minLP_15Days", "wh", -3),
        ("hourlyForMonthMar", "wh", -3),
        ("openespi_test_usage_data", "wh", -3),
        ("Gas", "therm", 0),
        ("Water", "us_gal", 0),
    ],
)
def test_real_files_agree_with_an_independent_reading(
    oracles: dict[str, Any], name: str, key: str, power: int
) -> None:
    oracle = oracles[f"greenbutton/{name}.xml"]
    [(count, energy)] = sums(f"greenbutton/{name}.xml").values()
    assert (count, energy) == (oracle["n"], oracle[key].scaleb(power))
    if name == "openespi_test_usage_data":
        [channel] = inspect(SAMPLES / f"greenbutton/{name}.xml")["channels"]
        assert channel["interval_seconds"] == oracle["interval_s"]
        assert {code: channel["quality"][code] for code in oracle["quality"]} == oracle["quality"]


def test_real_file_of_three_usage_points(oracles: dict[str, Any]) -> None:
    oracle = oracles["greenbutton/BatchFeedThreeUsagePoints_M.xml"]
    found = [energy * 1000 for _, energy in sums("greenbutton/BatchFeedThreeUsagePoints_M.xml").values()]
    assert found == [oracle[name] for name in ("forward_1", "reverse_19", "other_forward", "other_reverse")]


def test_real_invalid_file_is_refused_for_its_block(oracles: dict[str, Any]) -> None:
    assert oracles
    document = inspect(SAMPLES / "greenbutton_invalid" / "BatchWithInvalidIntervalBlock.xml")
    assert (document["status"], document["channels"]) == ("refused", [])
    assert [(r["reason"].split(":")[0], r["first_line"]) for r in document["rejected"]] == [("GB-ENTRY", 107)]


VALUES = st.integers(0, 10**9) | st.sampled_from(["", "abc", "-5", "0.123456789", "1.0000000001"])
STARTS = st.integers(0, 40).map(lambda i: START + 900 * i) | st.sampled_from(["x", "1700000000.5", -1, ""])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([(1, 72, 0), (19, 72, 3), (1, 72, -3), (1, 38, 0), (1, 72, 2)]),
            st.lists(st.tuples(STARTS, VALUES, st.sampled_from([900, 1800, 0])), min_size=1, max_size=12),
            st.booleans(),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_energy_in_is_energy_accepted_and_rejected(
    tmp_path_factory: pytest.TempPathFactory,
    series: list[tuple[tuple[int, int, int], list[tuple[object, object, int]], bool]],
) -> None:
    """What went in is summed from the generator, without the reader."""
    entries: list[str] = [usage_point()]
    expected = Decimal(0)
    for number, ((flow, uom, power), rows, is_first) in enumerate(series, 1):
        meter = f"{OWNER}/MeterReading/{number}"
        kind = reading_type(
            f"ReadingType/{number}", flowDirection=flow, uom=uom, powerOfTenMultiplier=power, phase=number
        )
        unlike = list({row[0]: row for row in rows}.values())
        data = block(*(reading(*row) for row in unlike), meter=meter)
        parts = [kind, data] if is_first else [data, kind]
        entries += [meter_reading(meter, f"ReadingType/{number}"), *parts]
        for value in (str(row[1]) for row in unlike):
            # In kWh where the power is 3, in Wh otherwise; what does not fit the column is no value.
            held = Decimal(value).scaleb(0 if power == 3 else power) if value not in ("", "abc") else None
            if uom == 72 and held is not None and held == round(held, 9) and held < 10**11:
                expected += held.scaleb(0 if power == 3 else -3)
    path = tmp_path_factory.mktemp("gb") / "usage.xml"
    path.write_text(feed(*entries))
    try:
        parsed = read_file(path)
    except RefusedFile as refusal:
        assert refusal.rejected.num_rows
        parsed = ParsedFile(path, "green_button", "", PARSED.empty_table(), refusal.rejected, None)
    judged = judge(parsed, REGISTERS.empty_table(), now=datetime.datetime(2026, 1, 1, tzinfo=UTC))
    balance = energy_balance(parsed, judged)
    assert balance.is_balanced
    assert balance.energy_in_kwh == expected
    assert parsed.rejected.schema == REJECTED
