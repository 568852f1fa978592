"""The identifier of a Green Button file: two utilities that count their customers from 1 stay apart."""

from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import list_undeclared, parse_mapping
from data.ingest.formats.reading import read_file, read_parts
from tests.formats.green_button_text import (
    OWNER,
    block,
    entry,
    feed,
    make_writer,
    meter_reading,
    quarters,
    reading_type,
    usage_point,
    usual,
)

UUIDS = [f"urn:uuid:{digit * 8}-AAAA-4bbb-8ccc-dddddddddddd" for digit in "12"]
ROOT = "https://{}/DataCustodian/espi/1_1/resource/"
LINK = '<link rel="self" href="{}Batch/Subscription/9"/>'


def by_links(sender: int) -> str:
    root = ROOT.format(f"utility{sender}.example")
    return usual(block(*quarters(sender))).replace(f'"{OWNER}', f'"{root}{OWNER}')


def by_link_of_the_feed(sender: int) -> str:
    own = LINK.format(ROOT.format(f"utility{sender}.example"))
    return usual(block(*quarters(sender))).replace('2005/Atom">', f'2005/Atom">{own}', 1)


def by_uuid(sender: int) -> str:
    return usual(block(*quarters(sender))).replace(f"urn:uuid:{OWNER}<", f"{UUIDS[sender - 1]}<")


@pytest.mark.parametrize("write_feed", [by_links, by_link_of_the_feed, by_uuid])
def test_the_usage_points_of_two_senders_are_two_meters(tmp_path: Path, write_feed: object) -> None:
    assert callable(write_feed)
    write = make_writer(tmp_path)
    found = [read_parts(write(write_feed(sender), f"{sender}.xml")) for sender in (1, 2)]
    names = [{identifier for identifier, _ in parsed.spans} for parsed in found]
    assert names[0].isdisjoint(names[1])
    assert [list_undeclared(parsed, None) for parsed in found] == [[], []]
    again = read_parts(write(write_feed(1), "again.xml"))
    assert {identifier for identifier, _ in again.spans} == names[0]


def test_a_sender_that_nothing_names_has_to_be_declared(tmp_path: Path) -> None:
    path = make_writer(tmp_path)(usual(block(*quarters(5))))
    parsed = read_parts(path)
    assert list_undeclared(parsed, None) == ["sender"]
    assert set(parsed.spans) == {(f"/{OWNER}", "1")}
    declared = parse_mapping({"format": "green_button", "sender": "Hill Power"}, "hill.yaml")
    parsed = read_parts(path, mapping=declared)
    assert list_undeclared(parsed, declared) == []
    assert set(parsed.spans) == {(f"Hill Power/{OWNER}", "1")}


def test_a_declared_sender_counts_more_than_the_file(tmp_path: Path) -> None:
    declared = parse_mapping({"format": "green_button", "sender": "hill"}, "hill.yaml")
    path = make_writer(tmp_path)(by_links(1))
    assert set(read_parts(path, mapping=declared).spans) == {(f"hill/{OWNER}", "1")}


def test_a_file_without_any_name_needs_one(tmp_path: Path) -> None:
    path = make_writer(tmp_path)(
        feed(reading_type(""), entry("", block(*quarters(5)).split("content>")[1][:-2]))
    )
    parsed = read_parts(path)
    assert list_undeclared(parsed, None) == ["identifier"]
    declared = parse_mapping({"format": "green_button", "identifier": "Hill 7"}, "hill.yaml")
    assert set(read_parts(path, mapping=declared).spans) == {("Hill 7", "1")}


def test_one_name_is_not_given_to_several_usage_points(tmp_path: Path) -> None:
    declared = parse_mapping({"format": "green_button", "identifier": "Hill 7"}, "hill.yaml")
    other = "RetailCustomer/7/UsagePoint/2"
    text = feed(usage_point(), usage_point(other), meter_reading(), block(*quarters(5)), reading_type())
    with pytest.raises(RefusedFile, match="2 usage points"):
        read_file(make_writer(tmp_path)(text), mapping=declared)


def test_a_path_with_a_uuid_is_unique_and_stays_short(tmp_path: Path) -> None:
    uuid = UUIDS[0].removeprefix("urn:uuid:")
    point = f"Subscription/{uuid}/UsagePoint/{uuid}"
    path = make_writer(tmp_path)(by_links(1).replace(OWNER, point))
    assert {identifier for identifier, _ in read_parts(path).spans} == {point}


@pytest.mark.parametrize(
    ("power", "cost"), [(-3, "12345"), (0, "12345000"), (3, "0.12345"), (-6, "-1"), (-3, "no cost")]
)
def test_a_cost_has_a_scale_of_its_own_and_changes_no_energy(tmp_path: Path, power: int, cost: str) -> None:
    values = [Decimal(number * 1000 + 17) for number in range(1, 25)]
    text = usual(block(*quarters(*values)), powerOfTenMultiplier=power)
    text = text.replace("<cost>12</cost>", f"<cost>{cost}</cost><currency>840</currency>")
    parsed = read_file(make_writer(tmp_path)(text))
    per_unit = {"Wh": 0, "kWh": 3}[parsed.readings["unit"][0].as_py()]
    found = sum(parsed.readings["value"].to_pylist(), Decimal(0)).scaleb(per_unit)
    assert found == sum(values, Decimal(0)).scaleb(power)
