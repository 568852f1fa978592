"""The JSON of Octopus, n3rgy and SolarEdge: pages, naive times, absent values, broken documents."""

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
from data.ingest.formats import container, json_events, read_file, read_parts
from data.ingest.formats.mapping import JsonMapping, load_mapping, parse_mapping, refuse_undeclared
from data.ingest.formats.suggest import suggest_mapping
from data.ingest.inspect import inspect
from data.ingest.schema import ParsedFile
from myproperty.errors import PlatformError

UTC = datetime.UTC


def declared(format: str, **content: Any) -> JsonMapping:
    found = parse_mapping({"format": format, **content}, "test")
    assert isinstance(found, JsonMapping)
    return found


def read(
    folder: Path, document: Any, mapping: JsonMapping | None = None, indent: int | None = None
) -> ParsedFile:
    path = folder / "answer.json"
    if isinstance(document, bytes):
        path.write_bytes(document)
    else:
        path.write_text(document if isinstance(document, str) else json.dumps(document, indent=indent))
    return read_file(path, mapping=mapping)


def rules(parsed: ParsedFile) -> list[tuple[int, str]]:
    return [(row["line"], row["rule"]) for row in parsed.rejected.to_pylist()]


def column(parsed: ParsedFile, name: str) -> list[Any]:
    values: list[Any] = parsed.readings[name].to_pylist()
    return values


def octopus(*results: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"count": len(results), "next": None, "previous": None, "results": list(results)} | rest


def result(start: str, end: str, value: Any = 0.5) -> dict[str, Any]:
    return {"consumption": value, "interval_start": start, "interval_end": end}


def test_octopus_descends_and_carries_its_offset_over_a_clock_change(tmp_path: Path) -> None:
    page = octopus(
        result("2024-10-27T01:30:00Z", "2024-10-27T02:00:00Z", 4),
        result("2024-10-27T01:00:00+00:00", "2024-10-27T01:30:00+0000", 3),
        result("2024-10-27T01:30:00+01:00", "2024-10-27T01:00:00Z", "2"),
        result("2024-10-27T01:00:00+01:00", "2024-10-27T01:30:00+01:00", 1.125),
        next="https://api.example/v1/electricity-meter-points/1200/meters/S7/consumption/?page=2",
    )
    for indent in (None, 2):
        parsed = read(tmp_path, page, indent=indent)
        assert column(parsed, "value") == [4, 3, 2, Decimal("1.125")]
        starts = [f"{start:%H:%M}" for start in column(parsed, "reading_ts")]
        assert starts == ["01:30", "01:00", "00:30", "00:00"]
        assert {(row["identifier"], row["serial_number"]) for row in parsed.readings.to_pylist()} == {
            ("1200", "S7")
        }
        assert rules(parsed) == [(1, "JSON-PAGE")]


def test_octopus_pages_one_behind_the_other_or_in_an_array_are_one_file(tmp_path: Path) -> None:
    pages = [octopus(result(f"2024-01-01T0{hour}:00:00Z", f"2024-01-01T0{hour}:30:00Z")) for hour in range(3)]
    together = "\n".join(map(json.dumps, pages))
    for document in (pages, together, [page["results"][0] for page in pages]):
        assert read(tmp_path, document).readings.num_rows == 3


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"interval_start": None}, "ROW-TIMESTAMP"),
        ({"interval_end": "2024-02-30T00:00:00Z"}, "ROW-TIMESTAMP"),
        ({"interval_start": "2024-01-01T00:00:00"}, "ROW-TIMESTAMP"),
        ({"interval_start": "9999-12-31T23:30:00Z"}, "ROW-INTERVAL"),
        ({"interval_end": "2024-02-01T00:00:00Z"}, "ROW-INTERVAL"),
        ({"consumption": "a lot"}, "ROW-VALUE"),
        ({"consumption": True}, "ROW-VALUE"),
        ({"consumption": 1e308}, "ROW-PRECISION"),
        ({"consumption": 0.12345678901}, "ROW-PRECISION"),
    ],
)
def test_a_wrong_result_is_rejected_by_its_place_and_no_other(
    tmp_path: Path, changes: dict[str, Any], rule: str
) -> None:
    good = [result(f"2024-01-01T0{hour}:00:00Z", f"2024-01-01T0{hour}:30:00Z") for hour in range(3)]
    parsed = read(tmp_path, octopus(good[0], good[1] | changes, good[2]))
    assert rules(parsed) == [(2, rule)]
    assert column(parsed, "line") == [1, 3]


def test_an_end_before_its_start_keeps_the_row_and_is_told(tmp_path: Path) -> None:
    parsed = read(tmp_path, octopus(result("2024-05-18T23:30:00+0100", "2024-05-18T00:00:00+0100", 0.073)))
    assert (rules(parsed), column(parsed, "interval_seconds")) == ([(1, "JSON-END")], [1800])


def test_octopus_gas_wants_its_unit_and_export_its_channel(tmp_path: Path) -> None:
    page = octopus(
        result("2024-01-01T00:00:00Z", "2024-01-01T00:30:00Z"),
        previous="https://api.example/v1/gas-meter-points/88/meters/G1/consumption/",
    )
    undeclared = read(tmp_path, page)
    assert column(undeclared, "unit") == [""]
    with pytest.raises(RefusedFile, match="does not say unit"):
        refuse_undeclared(read_parts(undeclared.path), None)
    gas = read(tmp_path, page, declared("octopus_json", unit="m3"))
    assert (column(gas, "unit"), column(gas, "channel")) == (["m3"], ["consumption"])
    export = declared("octopus_json", channel="export", identifier="E1")
    plain = octopus(result("2024-01-01T00:00:00Z", "2024-01-01T00:30:00Z"))
    assert column(read(tmp_path, plain, export), "channel") == ["export"]


def test_what_a_file_does_not_say_may_be_looked_at_and_not_loaded(tmp_path: Path) -> None:
    parsed = read(tmp_path, octopus(result("2024-01-01T00:00:00Z", "2024-01-01T00:30:00Z")))
    with pytest.raises(RefusedFile, match="does not say identifier"):
        refuse_undeclared(read_parts(parsed.path), None)
    assert inspect(parsed.path)["undeclared"] == ["identifier"]
    named = declared("octopus_json", identifier="M")
    refuse_undeclared(read_parts(parsed.path, mapping=named), named)
    site = read(tmp_path, solaredge({"Production": [("2024-01-01 00:00:00", 1)]}))
    with pytest.raises(RefusedFile, match="identifier and timezone"):
        refuse_undeclared(read_parts(site.path), declared("solaredge_json"))


def n3rgy(values: list[tuple[str, Any]], **rest: Any) -> dict[str, Any]:
    return {
        "resource": "/mpxn/1200000000001/utility/electricity/readingtype/consumption?x=1",
        "granularity": "halfhour",
        "unit": "kWh",
        "devices": [
            {
                "deviceId": "01-02",
                "values": [{"primaryValue": value, "timestamp": time} for time, value in values],
            }
        ],
    } | rest


def test_n3rgy_labels_ends_in_the_zone_that_is_declared(tmp_path: Path) -> None:
    london = declared("n3rgy_json", timezone="Europe/London")
    labels = [
        "2024-10-27 01:00",
        "2024-10-27 01:30",
        "2024-10-27 01:00",
        "2024-10-27 01:30",
        "2024-10-27 02:00",
    ]
    parsed = read(tmp_path, n3rgy([(label, number) for number, label in enumerate(labels)]), london)
    assert [f"{start:%d %H:%M}" for start in column(parsed, "reading_ts")] == [
        "26 23:30", "27 00:00", "27 00:30", "27 01:00", "27 01:30",
    ]  # fmt: skip
    assert column(parsed, "value") == [0, 1, 2, 3, 4]
    first = parsed.readings.to_pylist()[0]
    assert (first["identifier"], first["serial_number"], first["channel"]) == (
        "1200000000001",
        "01-02",
        "import",
    )
    skipped = read(tmp_path, n3rgy([("2024-03-31 00:30", 1), ("2024-03-31 01:30", 2)]), london)
    assert rules(skipped) == [(2, "ROW-TIMESTAMP")]


def test_n3rgy_may_say_unit_and_length_behind_its_values(tmp_path: Path) -> None:
    document = n3rgy([("2024-01-01 00:30", 1), ("2024-01-01 01:00", None)])
    for name in ("unit", "granularity", "resource"):
        document[name] = document.pop(name)
    parsed = read(tmp_path, document)
    assert (column(parsed, "value"), column(parsed, "quality")) == ([1, None], ["actual", "null"])
    assert column(parsed, "identifier") == ["1200000000001"] * 2
    older = {
        "resource": document["resource"],
        "unit": "kWh",
        "values": [{"value": 2, "timestamp": "2024-01-01 00:30"}],
    }
    assert column(read(tmp_path, older), "value") == [2]


@pytest.mark.parametrize("changes", [{"granularity": "day"}, {"granularity": "month"}])
def test_n3rgy_totals_are_no_intervals(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(RefusedFile, match="JSON-CONTENT"):
        read(tmp_path, n3rgy([("2024-01-01 00:30", 1)], **changes))


def test_n3rgy_production_is_export_and_gas_is_consumption(tmp_path: Path) -> None:
    for kind, unit, channel in (
        ("electricity/readingtype/production", "kWh", "export"),
        ("gas/readingtype/consumption", "m3", "consumption"),
    ):
        parsed = read(
            tmp_path, n3rgy([("2024-01-01 00:30", 1)], resource=f"/mpxn/9/utility/{kind}", unit=unit)
        )
        assert (column(parsed, "channel"), column(parsed, "unit")) == ([channel], [unit])


def solaredge(
    kinds: dict[str, list[tuple[Any, ...]]], unit: str = "Wh", time: str = "QUARTER_OF_AN_HOUR"
) -> Any:
    meters = [
        {"type": kind, "values": [dict(zip(("date", "value"), value, strict=False)) for value in values]}
        for kind, values in kinds.items()
    ]
    return {"energyDetails": {"timeUnit": time, "unit": unit, "meters": meters}}


def test_solaredge_leaves_out_what_it_does_not_have_and_zero_is_a_value(tmp_path: Path) -> None:
    kinds: dict[str, list[tuple[Any, ...]]] = {
        "Production": [("2024-01-01 00:00:00",), ("2024-01-01 00:15:00", 0), ("2024-01-01 00:30:00", None)],
        "Purchased": [("2024-01-01 00:00:00", 1500.5)],
        "SelfConsumption": [("2024-01-01 00:00:00", 7)],
        "Odd": [("2024-01-01 00:00:00", 8)],
    }
    parsed = read(tmp_path, solaredge(kinds))
    rows = [
        (row["register"], row["channel"], row["value"], row["quality"]) for row in parsed.readings.to_pylist()
    ]
    assert rows == [
        ("Production", "generation", None, "null"),
        ("Production", "generation", Decimal(0), "actual"),
        ("Production", "generation", None, "null"),
        ("Purchased", "import", Decimal("1500.5"), "actual"),
        ("SelfConsumption", "other", Decimal(7), "actual"),
    ]
    assert rules(parsed) == [(6, "ROW-CHANNEL")]


def test_solaredge_days_have_the_length_of_the_local_day(tmp_path: Path) -> None:
    days = ["2024-03-31 00:00:00", "2024-07-01 00:00:00", "2024-10-27 00:00:00"]
    berlin = declared("solaredge_json", timezone="Europe/Berlin", identifier="Site")
    parsed = read(tmp_path, solaredge({"FeedIn": [(day, 1) for day in days]}, time="DAY"), berlin)
    assert column(parsed, "interval_seconds") == [82_800, 86_400, 90_000]
    assert [f"{start:%H}" for start in column(parsed, "reading_ts")] == ["23", "22", "22"]
    whole = {"energy": {"timeUnit": "HOUR", "unit": "Wh", "values": [{"date": days[1], "value": 3}]}}
    assert column(read(tmp_path, whole, berlin), "register") == ["Production"]
    with pytest.raises(RefusedFile, match="JSON-CONTENT"):
        read(tmp_path, solaredge({"FeedIn": [(days[0], 1)]}, time="MONTH"))


def test_solaredge_power_is_no_energy(tmp_path: Path) -> None:
    with pytest.raises(RefusedFile, match="ROW-UNIT"):
        read(tmp_path, solaredge({"Production": [("2024-01-01 00:00:00", 1)]}, unit="W"))


def test_solaredge_may_say_what_it_means_behind_its_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = solaredge({"Production": [("2024-01-01 00:00:00", 1)], "FeedIn": [("2024-01-01 00:00:00", 2)]})
    details = document["energyDetails"]
    details["meters"] = [{"values": meter["values"], "type": meter["type"]} for meter in details["meters"]]
    details["unit"] = details.pop("unit")
    parsed = read(tmp_path, document)
    assert (column(parsed, "register"), column(parsed, "value")) == (["Production", "FeedIn"], [1, 2])
    monkeypatch.setattr("data.ingest.formats.solaredge_json.MAX_WAITING_ROWS", 1)
    with pytest.raises(RefusedFile, match="FILE-TOO-LARGE"):
        read(tmp_path, document)


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
def test_a_document_that_is_no_answer_is_refused_by_rule(tmp_path: Path, text: str, rule: str) -> None:
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


def test_damaged_documents_are_refused_or_rejected_and_never_crash(tmp_path: Path) -> None:
    wholes = [
        json.dumps(
            octopus(*(result(f"2024-01-01T{h:02}:00:00Z", f"2024-01-01T{h:02}:30:00Z") for h in range(9)))
        ),
        json.dumps(n3rgy([(f"2024-10-27 0{hour}:00", hour) for hour in range(9)])),
        json.dumps(solaredge({"FeedIn": [(f"2024-10-27 0{hour}:00:00", hour) for hour in range(9)]})),
    ]
    chance = random.Random(11)
    refused = 0
    for round_ in range(240):
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
    assert refused > 100


NUMBERS = st.decimals(-99_999, 99_999, places=9) | st.integers(0, 10**9) | st.none()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NUMBERS, st.booleans()), min_size=1, max_size=40), st.sampled_from(["o", "n", "s"]))
def test_energy_in_is_accepted_and_rejected(
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
        ({"format": "octopus_json", "timezone": "Europe/London"}, "no timezone"),
        ({"format": "solaredge_json", "unit": "kWh"}, "says channel and unit itself"),
        ({"format": "n3rgy_json", "unit": "kWh"}, "the unit itself"),
        ({"format": "n3rgy_json", "interval_minutes": 30}, "interval_minutes"),
    ],
)
def test_a_mapping_says_nothing_that_the_file_says(content: dict[str, Any], message: str) -> None:
    with pytest.raises(PlatformError, match=message):
        parse_mapping(content, "m.yaml")


def test_a_mapping_is_proposed_for_what_is_left_out(tmp_path: Path) -> None:
    path, target = tmp_path / "a.json", tmp_path / "m.yaml"
    path.write_text(json.dumps(n3rgy([("2024-01-01 00:30", 1)])))
    target.write_text(suggest_mapping(path, "Europe/London"))
    assert load_mapping(target) == declared("n3rgy_json", timezone="Europe/London")


def total(document: dict[str, Any], register: str | None = None) -> Decimal:
    found = [c for c in document["channels"] if register in (None, c["register"])]
    return sum((Decimal(channel["total"]) for channel in found), Decimal(0))


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
