"""XML of any sender by a mapping: market documents, attributes, and refusals where a path leads nowhere."""

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.formats.reading import read_file
from data.ingest.inspect import inspect
from data.ingest.proposals import NOT_USABLE, propose_mapping
from data.ingest.schema import ParsedFile
from tests.formats import example
from tests.formats.test_outsiders import add_up, draw, name_times

COUNT = 96
A, B = draw("xml a", COUNT), draw("xml b", COUNT)
TIMES = name_times("Europe/Zurich", "2025-06-01", 15, COUNT)
UTC_TIME = "%Y-%m-%dT%H:%M:%SZ"
START, END = (at.astimezone(datetime.UTC).strftime(UTC_TIME) for at in (TIMES[0][0], TIMES[-1][1]))


def declare(**changes: Any) -> dict[str, Any]:
    return {
        "format": "mapped_xml",
        "rows": "$.Readings.Reading[*]",
        "interval_minutes": 60,
        "label": "start",
        "timestamp_format": "iso8601",
        "identifier": "M1",
        "columns": {"timestamp": "@at"},
        "values": [{"column": "$value", "channel": "import", "unit": "kWh"}],
    } | changes


def write_example(values: example.Values) -> bytes:
    rows = "".join(
        f'<Reading at="{at:%Y-%m-%dT%H:%M:%SZ}">{value}</Reading>'
        for at, value in zip(example.list_instants(values), values, strict=True)
    )
    return f'<?xml version="1.0"?>\n<Readings>{rows}</Readings>\n'.encode()


EXAMPLE = example.Example(
    write_example, {name: value for name, value in declare().items() if name != "format"}
)


def read(folder: Path, text: str, **changes: Any) -> ParsedFile:
    path = folder / "export.xml"
    path.write_text(text, encoding="utf-8")
    return read_file(path, mapping=parse_mapping(declare(**changes), "portal.yaml"))


def propose(folder: Path, text: str) -> tuple[str, dict[str, Any]]:
    path = folder / "export.xml"
    path.write_text(text, encoding="utf-8")
    proposal = propose_mapping(path, "Europe/Zurich")
    content = yaml.safe_load(proposal)
    content |= {"identifier": "M1"} if content.get("identifier", "") is None else {}
    return proposal, inspect(path, mapping=parse_mapping(content, "proposal"))


def write_places(point: str) -> str:
    rows = "".join(
        f"<x:Observation><x:Position><x:Sequence>{n}</x:Sequence></x:Position><x:Volume>{v}</x:Volume>"
        "</x:Observation>"
        for n, v in enumerate(A, 1)
    )
    return (
        f'<x:Data xmlns:x="urn:x"><x:Metering><x:Interval><x:Start>{START}</x:Start><x:End>{END}</x:End>'
        f"</x:Interval><x:{point}><x:ID>CH1012345678901234567890123456789</x:ID></x:{point}>"
        f"<x:Product><x:MeasureUnit>KWH</x:MeasureUnit></x:Product>{rows}</x:Metering></x:Data>"
    )


def write_codes() -> str:
    def write(code: str, values: list[Decimal]) -> str:
        positions = "".join(
            f"<Position><From>{start.isoformat()}</From><Quantity>{v}</Quantity></Position>"
            for (start, _), v in zip(TIMES, values, strict=True)
        )
        return f'<Energy MeterCode="{code}" UOM="KWH">{positions}</Energy>'

    return f"<Record><Point>AT7</Point>{write('1-1:1.9.0 P.01', A)}{write('1-1:2.9.0 P.01', B)}</Record>"


def write_attributes() -> str:
    rows = "".join(
        f'<Wert von="{start.isoformat()}" bis="{end.isoformat()}">{v}</Wert>\n'
        for (start, end), v in zip(TIMES, A, strict=True)
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Lastgang einheit="kWh" zaehler="Z1">\n{rows}</Lastgang>'


def test_a_market_document_is_read_by_the_places_of_its_values(tmp_path: Path) -> None:
    proposal, document = propose(tmp_path, write_places("ConsumptionPoint"))
    assert NOT_USABLE not in proposal
    assert add_up(document) == {"import": sum(A)}
    assert (document["channels"][0]["meter"], document["channels"][0]["first"]) == (
        "CH1012345678901234567890123456789",
        START,
    )


def test_the_point_of_a_generator_leaves_the_channel_open(tmp_path: Path) -> None:
    path = tmp_path / "export.xml"
    path.write_text(write_places("ProductionPoint"))
    assert yaml.safe_load(propose_mapping(path, None))["values"][0]["channel"] is None


def test_codes_of_registers_tell_the_rows_of_two_lists_apart(tmp_path: Path) -> None:
    proposal, document = propose(tmp_path, write_codes())
    assert NOT_USABLE not in proposal
    assert add_up(document) == {"import": sum(A), "export": sum(B)}


def test_attributes_beside_a_text_are_columns(tmp_path: Path) -> None:
    _, document = propose(tmp_path, write_attributes())
    assert add_up(document) == {"import": sum(A)}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("<Readings><Reading at='x'>1", "FILE-CUT"),
        ("<Readings><Reading></Readings>", "XML-SYNTAX"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><Readings/>", "XML-DOCTYPE"),
        ("<Readings><Other at='2025-06-01T00:00:00Z'>1</Other></Readings>", "MAP-COLUMNS"),
        ("<a>" * 40, "XML-SYNTAX"),
    ],
)
def test_other_documents_are_refused(tmp_path: Path, text: str, rule: str) -> None:
    with pytest.raises(RefusedFile) as refusal:
        read(tmp_path, text)
    assert refusal.value.rule == rule


def test_every_row_is_a_reading_or_a_rejection(tmp_path: Path) -> None:
    text = write_example([Decimal(n) for n in range(24)]).decode().replace(">7<", ">x<")
    parsed = read(tmp_path, text)
    assert (parsed.readings.num_rows, parsed.rejected["line"].to_pylist()) == (23, [8])
