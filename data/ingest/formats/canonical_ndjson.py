"""The canonical NDJSON: one reading a line, an object with the fields of the canonical CSV.

Here: text to the string columns that `canonical_csv` reads. Not here: what the fields mean. Numbers are kept
as they are written; a value may also be a string of digits.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from data.ingest.formats.canonical_csv import OPTIONAL, REQUIRED, read_columns
from data.ingest.formats.columns import Batch, Rejections, is_damaged, split_lines
from data.ingest.formats.container import Member, lines, refuse

_NAMES = (*REQUIRED, *OPTIONAL)


def iter_batches(path: Path, member: Member, part: int) -> Iterator[Batch]:
    """The readings of one text, a batch for each block of about 1 MiB. Raises `RefusedFile`."""
    line = 1
    for block in lines(path, member.blocks):
        rejections = Rejections()
        columns: dict[str, list[str | None]] = {name: [] for name in _NAMES}
        numbers: list[int] = []
        is_open = not block.endswith(b"\n")
        texts = list(split_lines(block))
        for number, text in enumerate(texts, line):
            if not text.strip(" \t\x1a"):
                continue
            found = _fields(text)
            if isinstance(found, dict):
                numbers.append(number)
                for name, column in columns.items():
                    column.append(found.get(name))
            elif is_open and number == line + len(texts) - 1:
                raise refuse(path, number, "FILE-CUT", "the last line is no whole object")
            else:
                rejections.add(number, *found, text)
        line += block.count(b"\n")
        strings = pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})
        yield read_columns(strings, pa.array(numbers, pa.int64()), rejections, part)


def _fields(text: str) -> dict[str, str | None] | tuple[str, str]:
    """The fields of a line as text, or the rule that it breaks and why."""
    if is_damaged(text):
        return "ROW-ENCODING", "the row holds bytes that are no text"
    try:
        found: Any = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        return "JSON-RECORD", "the line is no JSON"
    if not isinstance(found, dict):
        return "JSON-RECORD", "the line is no object"
    unknown = [name for name in found if name not in _NAMES]
    if unknown:
        return "JSON-RECORD", f"unknown fields: {', '.join(map(repr, unknown[:5]))}"
    wrong = [name for name, value in found.items() if not isinstance(value, str | None)]
    if wrong:
        return "JSON-RECORD", f"the field {wrong[0]!r} is neither text nor number"
    return found
