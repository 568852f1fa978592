"""Green Button: damaged files, encodings, large files, real files, and energy that is never lost."""

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
from data.ingest.formats import container, green_button
from data.ingest.formats.reading import iter_batches, read_file
from data.ingest.inspect import inspect
from data.ingest.rules.energy import energy_balance
from data.ingest.rules.judge import judge
from data.ingest.schema import PARSED, REGISTERS, REJECTED, ParsedFile
from tests.formats.example import is_no_sentinel
from tests.formats.green_button_text import (
    OWNER,
    START,
    UTC,
    Write,
    block,
    feed,
    make_writer,
    meter_reading,
    quarters,
    reading,
    reading_type,
    total,
    usage_point,
    usual,
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return make_writer(tmp_path)


SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "samples"
FIXTURES = Path(__file__).resolve().parent / "fixtures"


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


def test_flipped_bits_are_refused_or_rejected_without_a_crash(write: Write) -> None:
    whole = usual(block(*quarters(5, 6, 7))).encode()
    chance = random.Random(7)
    for _ in range(100):
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
def test_an_unknown_encoding_is_ignored(write: Write, declared: str) -> None:
    text = usual(block(*quarters(5))).replace('"1.0"?>', f'"1.0" encoding="{declared}"?>')
    assert total(read_file(write(text))) == 5


def test_one_long_line_is_read_in_batches(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(green_button, "MEMORY_BYTES", 1 << 10)
    monkeypatch.setattr(green_button, "BATCH_ROWS", 1_000)
    monkeypatch.setattr(container, "READ_BYTES", 1 << 16)
    blocks = [block(*quarters(*range(500), start=START + i * 450_000)) for i in range(12)]
    path = write(usual(*blocks).replace("\n", ""))
    assert path.stat().st_size > 8 << 16
    sizes = [batch.readings.num_rows for _, batch in iter_batches(path)]
    assert (sum(sizes), max(sizes)) == (6_000, 1_000)
    assert total(read_file(path)) == 12 * sum(range(500))


def test_other_xml_is_refused(write: Write) -> None:
    with pytest.raises(RefusedFile, match="neither Green Button"):
        read_file(write("<?xml version='1.0'?><invoice><value>1</value></invoice>"))


def test_the_hand_written_fixture_matches_its_comment() -> None:
    document = inspect(FIXTURES / "green_button_two_registers.xml")
    found = [
        (c["meter"], c["channel"], c["register"], c["intervals"], c["total"], c["unit"], c["quality"])
        for c in document["channels"]
    ]
    assert found == [
        (
            "utility.example/RetailCustomer/100/UsagePoint/5",
            "import",
            "1",
            3,
            "1.15",
            "kWh",
            {"17": 2, "8": 1},
        ),
        ("utility.example/RetailCustomer/100/UsagePoint/5", "export", "19", 2, "0.4", "kWh", {"actual": 2}),
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


VALUES = st.integers(0, 10**9).filter(is_no_sentinel) | st.sampled_from(
    ["", "abc", "-5", "0.123456789", "1.0000000001"]
)
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
def test_accepted_and_rejected_energy_add_up(
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
            # In kWh where the power is 3, in Wh otherwise; what does not fit the column is not a value.
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
