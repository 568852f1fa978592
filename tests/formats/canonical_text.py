"""Canonical records and files, for tests."""

import json
from pathlib import Path
from typing import Any

from data.ingest.schema import ParsedFile

GOOD: dict[str, Any] = {
    "identifier": "M1",
    "register": "1.8.0",
    "channel": "import",
    "unit": "kWh",
    "reading_ts": "2024-02-01T00:00:00Z",
    "interval_seconds": 900,
    "value": 0.125,
    "quality": "actual",
    "source_version": "2024-02-02T00:00:00+00:00",
}


def ndjson(folder: Path, *records: dict[str, Any] | str, end: str = "\n") -> Path:
    path = folder / "canonical.ndjson"
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("\n".join(lines) + end)
    return path


def rules(parsed: ParsedFile) -> list[tuple[int, str]]:
    return [(row["line"], row["rule"]) for row in parsed.rejected.to_pylist()]
