"""What the JSON formats share: broken documents, batches, mappings and real files."""

import datetime
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.errors import RefusedFile
from data.ingest.formats import container, json_events
from data.ingest.formats.file_mappings import load_mapping, parse_mapping, refuse_undeclared
from data.ingest.formats.reading import read_parts
from data.ingest.formats.suggest.proposal import suggest_mapping
from data.ingest.inspect import inspect
from myproperty.errors import PlatformError
from tests.formats.portal_text import UTC, column, declared, n3rgy, octopus, read, result, solaredge, total


def test_a_file_with_undeclared_fields_can_be_inspected_but_not_loaded(tmp_path: Path) -> None:
    parsed = read(tmp_path, octopus(result("2024-01-01T00:00:00Z", "2024-01-01T00:30:00Z")))
    with pytest.raises(RefusedFile, match="file nor a mapping states identifier"):
        refuse_undeclared(read_parts(parsed.path), None)
    assert inspect(parsed.path)["undeclared"] == ["identifier"]
    named = declared("octopus_json", identifier="M")
    refuse_undeclared(read_parts(parsed.path, mapping=named), named)
    site = read(tmp_path, solaredge({"Production": [("2024-01-01 00:00:00", 1)]}))
    with pytest.raises(RefusedFile, match="identifier and timezone"):
        refuse_undeclared(read_parts(site.path), declared("solaredge_json"))


def test_long_documents_come_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("octopus_json", "n3rgy_json", "solaredge_json"):
        monkeypatch.setattr(f"data.ingest.formats.{module}.BATCH_ROWS", 3)
    monkeypatch.setattr(json_events, "PIECE_BYTES", 7)
    times = [f"2024-01-01 {hour:02}:00:00" for hour in range(10)]
    values = [(time, number) for number, time in enumerate(times)]
    assert column(read(tmp_path, n3rgy(values)), "value") == list(range(10))
    parsed = read(tmp_path, solaredge({"Production": values, "FeedIn": values}, time="HOUR"))
    assert column(parsed, "value") == [*range(10), *range(10)]
    assert column(parsed, "register") == ["Production"] * 10 + ["FeedIn"] * 10


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('{"results": [{"interval_start": "2024', "FILE-CUT"),
        ('{"results": [{"interval_start": NaN}]}', "JSON-SYNTAX"),
        ('{"results": [{"interval_start": Infinity}]}', "JSON-SYNTAX"),
        ('{"results": [{"interval_start": "a"} {}]}', "JSON-SYNTAX"),
        ('{"interval_start": ' + "[" * 100 + "]" * 100 + "}", "JSON-SYNTAX"),
        ('{"interval_start": ' + "9" * 9000 + "}", "JSON-SYNTAX"),
        ('{"count": 0, "next": null, "previous": null, "results": []}', "FILE-NO-DATA"),
        ('{"detail": "Not found."}', "FILE-FORMAT"),
        ('{"powerDetails": {"timeUnit": "HOUR", "unit": "W", "meters": []}}', "FILE-FORMAT"),
    ],
)
def test_a_document_without_readings_is_refused_by_rule(tmp_path: Path, text: str, rule: str) -> None:
    with pytest.raises(RefusedFile) as refusal:
        read(tmp_path, text)
    assert refusal.value.rule == rule
    assert refusal.value.remedy


def test_a_text_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_events, "MAX_LINE_BYTES", 100_000)
    monkeypatch.setattr(container, "READ_BYTES", 10_000)
    with pytest.raises(RefusedFile, match="longer than 100000"):
        read(tmp_path, '{"results": [{"interval_start": "' + "x" * 1_000_000)


def test_damaged_documents_are_refused_or_rejected_without_a_crash(tmp_path: Path) -> None:
    wholes = [
        json.dumps(
            octopus(*(result(f"2024-01-01T{h:02}:00:00Z", f"2024-01-01T{h:02}:30:00Z") for h in range(9)))
        ),
        json.dumps(n3rgy([(f"2024-10-27 0{hour}:00", hour) for hour in range(9)])),
        json.dumps(solaredge({"FeedIn": [(f"2024-10-27 0{hour}:00:00", hour) for hour in range(9)]})),
    ]
    chance = random.Random(11)
    refused = 0
    for round_ in range(120):
        content = bytearray(wholes[round_ % 3].encode())
        if round_ % 2:
            content = content[: chance.randrange(1, len(content))]
        for _ in range(chance.randrange(3)):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        try:
            parsed = read(tmp_path, bytes(content))
        except RefusedFile as refusal:
            refused += bool(refusal.rule and refusal.remedy)
        else:
            assert all(row["reason"] for row in parsed.rejected.to_pylist())
    assert refused > 50


NUMBERS = st.decimals(-99_999, 99_999, places=9) | st.integers(0, 10**9) | st.none()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NUMBERS, st.booleans()), min_size=1, max_size=40), st.sampled_from(["o", "n", "s"]))
def test_accepted_and_rejected_energy_add_up(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[Any, bool]], which: str
) -> None:
    start = datetime.datetime(2024, 10, 26, 20, tzinfo=UTC)
    times = [start + datetime.timedelta(minutes=30 * number) for number in range(len(entries) + 1)]
    texts = ["null" if value is None else format(value, "f") for value, _ in entries]
    energy = sum((Decimal(value) for value, _ in entries if value is not None), Decimal(0))
    stamps = [
        f"{time:%Y-%m-%dT%H:%M:%SZ}" if good else "soon"
        for time, (_, good) in zip(times, entries, strict=False)
    ]
    if which == "o":
        body = ",".join(
            f'{{"interval_start": "{stamp}", "consumption": {text}, "interval_end": "{end:%FT%TZ}"}}'
            for stamp, text, end in zip(stamps, texts, times[1:], strict=True)
        )
        document = f'{{"count": 1, "results": [{body}]}}'
    else:
        name = "timestamp" if which == "n" else "date"
        value = "primaryValue" if which == "n" else "value"
        naive = [stamp.replace("T", " ").rstrip("Z") for stamp in stamps]
        body = ",".join(f'{{"{name}": "{s}", "{value}": {t}}}' for s, t in zip(naive, texts, strict=True))
        document = f'{{"unit": "kWh", "devices": [{{"values": [{body}]}}], "availableCacheRange": {{}}}}'
        if which == "s":
            meters = f'[{{"type": "Consumption", "values": [{body}]}}]'
            document = f'{{"energyDetails": {{"timeUnit": "HOUR", "unit": "kWh", "meters": {meters}}}}}'
    try:
        parsed = read(tmp_path_factory.mktemp("energy"), document)
        tables = [parsed.readings, parsed.rejected]
    except RefusedFile as refusal:
        tables = [refusal.rejected]
    assert sum((pc.sum(table["value"]).as_py() or Decimal(0) for table in tables), Decimal(0)) == energy


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"format": "octopus_json", "timezone": "Europe/London"}, "timezone: the times carry their offset"),
        ({"format": "solaredge_json", "unit": "kWh"}, "unit: the file states the unit"),
        ({"format": "n3rgy_json", "unit": "kWh"}, "unit: the file states the unit"),
        ({"format": "n3rgy_json", "interval_minutes": 30}, "interval_minutes"),
    ],
)
def test_a_mapping_must_not_repeat_what_the_file_states(content: dict[str, Any], message: str) -> None:
    with pytest.raises(PlatformError, match=message):
        parse_mapping(content, "m.yaml")


def test_a_mapping_is_proposed_for_what_is_left_out(tmp_path: Path) -> None:
    path, target = tmp_path / "a.json", tmp_path / "m.yaml"
    path.write_text(json.dumps(n3rgy([("2024-01-01 00:30", 1)])))
    target.write_text(suggest_mapping(path, "Europe/London"))
    assert load_mapping(target) == declared("n3rgy_json", timezone="Europe/London")


def test_real_files(oracles: dict[str, Any], samples: Path) -> None:
    for name in ("octopus", "n3rgy"):
        document = inspect(samples / "json" / f"{name}_consumption.json")
        oracle = oracles[f"json/{name}_consumption.json"]
        assert (total(document), document["channels"][0]["unit"]) == (oracle["kwh"], "kWh")
        assert sum(channel["intervals"] for channel in document["channels"]) == oracle["n"]
    document = inspect(samples / "json" / "solaredge_energy_details.json")
    oracle = oracles["json/solaredge_energy_details.json"]
    assert {register: total(document, register) * 1000 for register in oracle["wh"]} == oracle["wh"]
    nulls = {channel["register"]: channel["quality"].get("null", 0) for channel in document["channels"]}
    assert nulls["Production"] == oracle["missing"]["Production"]
