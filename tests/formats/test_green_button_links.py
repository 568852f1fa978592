"""Green Button: links between blocks, meter readings, usage points and ReadingTypes."""

from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.reading import read_file
from data.ingest.inspect import inspect
from tests.formats.green_button_text import (
    METER,
    OWNER,
    START,
    Write,
    block,
    entry,
    feed,
    flat_series,
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


@pytest.mark.parametrize(
    ("root", "sender"),
    [
        ("https://utility.example/espi/1_1/resource/", "utility.example"),
        ("HTTPS://API.Utility.example:8443/DataCustodian/espi/1_1/resource/", "api.utility.example"),
        ("/espi/1_1/resource/", ""),
        ("", ""),
    ],
)
def test_absolute_and_relative_links_tie_alike(write: Write, root: str, sender: str) -> None:
    text = usual(block(*quarters(5))).replace(f'"{OWNER}', f'"{root}{OWNER}')
    [row] = read_file(write(text)).readings.to_pylist()
    assert (row["identifier"], row["value"]) == (f"{sender}/{OWNER}", Decimal(5))


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
        ("/RetailCustomer/1/UsagePoint/1", 1),
        ("/RetailCustomer/2/UsagePoint/1", 2),
    ]


def test_blocks_are_found_by_the_address_that_their_meter_reading_links(write: Write) -> None:
    first, second = flat_series(1, 250), flat_series(2, 40, flowDirection=19, powerOfTenMultiplier=3)
    # Meter readings and types first, then the blocks: the order has no meaning.
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
        ("/UsagePoint/1", "import", 5),
        ("/UsagePoint/1", "export", 6),
        ("/UsagePoint/2", "import", 7),
    ]
    # The file does not state when the readings were made: they are at least as new as their end.
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
