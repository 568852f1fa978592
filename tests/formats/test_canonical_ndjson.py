"""Canonical NDJSON: one object per line, by the rules of the canonical CSV."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.reading import read_file
from data.ingest.schema import PARSED
from tests.formats import example
from tests.formats.canonical_text import GOOD, ndjson, rules


def write_example(values: example.Values) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in example.list_canonical_records(values)).encode()


EXAMPLE = example.Example(write_example)


def test_a_line_is_a_reading_and_its_number_is_kept_as_written(tmp_path: Path) -> None:
    exact = '"value": 12345678901.123456789'
    first = json.dumps(GOOD).replace('"value": 0.125', exact)
    parsed = read_file(ndjson(tmp_path, first, "", GOOD | {"reading_ts": "2024-02-01T00:15:00Z"}, end=""))
    assert (parsed.format, parsed.readings.schema) == ("canonical_ndjson", PARSED)
    assert parsed.readings["value"].to_pylist() == [Decimal("12345678901.123456789"), Decimal("0.125")]
    assert (parsed.readings["line"].to_pylist(), rules(parsed)) == ([1, 3], [])


@pytest.mark.parametrize(
    ("record", "rule"),
    [
        (GOOD | {"value": None}, "ROW-QUALITY"),
        (GOOD | {"value": "abc"}, "ROW-VALUE"),
        (json.dumps(GOOD | {"value": float("nan")}), "ROW-VALUE"),
        (json.dumps(GOOD | {"value": float("inf")}), "ROW-VALUE"),
        (GOOD | {"value": 1e308}, "ROW-PRECISION"),
        (GOOD | {"reading_ts": "0001-01-01T00:00:00"}, "ROW-TIMESTAMP"),
        (GOOD | {"interval_seconds": 0}, "ROW-INTERVAL"),
        (GOOD | {"colour": "red"}, "JSON-RECORD"),
        (GOOD | {"value": [1]}, "JSON-RECORD"),
        (GOOD | {"value": True}, "JSON-RECORD"),
        ({name: value for name, value in GOOD.items() if name != "unit"}, "ROW-UNIT"),
        ("[1]", "JSON-RECORD"),
        ("{", "JSON-RECORD"),
        ("[" * 100_000, "JSON-RECORD"),
        ('{"identifier": "\ufffd"}', "ROW-ENCODING"),
    ],
)
def test_only_a_wrong_line_is_rejected(tmp_path: Path, record: dict[str, Any] | str, rule: str) -> None:
    parsed = read_file(ndjson(tmp_path, GOOD, record, GOOD | {"identifier": "M2"}))
    assert rules(parsed) == [(2, rule)]
    assert parsed.readings["identifier"].to_pylist() == ["M1", "M2"]


def test_an_incomplete_last_line_refuses_the_file(tmp_path: Path) -> None:
    path = ndjson(tmp_path, GOOD, json.dumps(GOOD)[:-4], end="")
    with pytest.raises(RefusedFile, match="line 2: FILE-CUT"):
        read_file(path)
