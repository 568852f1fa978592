"""The canonical NDJSON: one reading per line, an object with the fields of the canonical CSV.

Here: text to the string columns that `canonical_csv` reads. Not here: what the fields mean. Numbers keep
every written digit; a value may also be a string of digits.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from data.ingest.formats.canonical_csv import OPTIONAL, REQUIRED, read_columns
from data.ingest.formats.columns import Batch, Rejections, is_damaged, split_lines
from data.ingest.formats.container import Member, cut_lines, refuse
from data.ingest.formats.format import FileFormat

_NAMES = (*REQUIRED, *OPTIONAL)


def iter_batches(path: Path, member: Member, part: int) -> Iterator[Batch]:
    """Yield the readings of one text, one batch for each block of about 1 MiB. Raises `RefusedFile`."""
    line = 1
    for block in cut_lines(path, member.blocks):
        rejections = Rejections()
        columns: dict[str, list[str | None]] = {name: [] for name in _NAMES}
        numbers: list[int] = []
        is_open = not block.endswith(b"\n")
        texts = list(split_lines(block))
        for number, text in enumerate(texts, line):
            if not text.strip(" \t\x1a"):
                continue
            found = _parse_line(text)
            if isinstance(found, dict):
                numbers.append(number)
                for name, column in columns.items():
                    column.append(found.get(name))
            elif is_open and number == line + len(texts) - 1:
                raise refuse(path, number, "FILE-CUT", "the last line is an incomplete object")
            else:
                rejections.add(number, *found, text)
        line += block.count(b"\n")
        strings = pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})
        yield read_columns(strings, pa.array(numbers, pa.int64()), rejections, part)


def _recognizes(text: str) -> bool:
    return re.match(r'\{[^\n]*"reading_ts"\s*:', text) is not None


FORMAT = FileFormat(
    name="canonical_ndjson",
    summary="the canonical fields, one JSON object per line",
    read=iter_batches,
    recognizes=_recognizes,
)


def _parse_line(text: str) -> dict[str, str | None] | tuple[str, str]:
    """Return the fields of a line as text, or the violated rule and the reason."""
    if is_damaged(text):
        return "ROW-ENCODING", "the row holds bytes that are not valid text"
    try:
        found: Any = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        return "JSON-RECORD", "the line is not valid JSON"
    if not isinstance(found, dict):
        return "JSON-RECORD", "the line is not a JSON object"
    unknown = [name for name in found if name not in _NAMES]
    if unknown:
        return "JSON-RECORD", f"unknown fields: {', '.join(map(repr, unknown[:5]))}"
    wrong = [name for name, value in found.items() if not isinstance(value, str | None)]
    if wrong:
        return "JSON-RECORD", f"the field {wrong[0]!r} must be a text or a number"
    return found
