"""Which of the shipped mappings fits a file: by its whole header, and by what its first rows give.

Here: the answer for one file. Not here: using it. A mapping is applied to readings only if a person names it.
"""

import contextlib
import functools
import itertools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from data.ingest.errors import RefusedFile
from data.ingest.formats import mapped_csv
from data.ingest.formats.container import Member, TextForm, open_members
from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.formats.mapped_layout import HEADER_LINES, split_fields
from data.ingest.formats.mapping import CsvMapping, FileMapping
from data.ingest.formats.parts import Gathered
from data.ingest.formats.shipped import Shipped, fill_open_fields, load_shipped
from data.ingest.schema import ONE_DIRECTION_CHANNELS

MAX_ROWS = 3000
MAX_REJECTED_SHARE = 0.1
# What stands in the open fields of a mapping that nobody completed yet.
_WORDS = {"identifier": "METER", "timezone": "UTC", "channel": "other"}


@dataclass(frozen=True)
class _Head:
    """The first lines of a file, and the fields of those among which the header is."""

    lines: list[str]
    fields: list[list[str]]


def find_fitting(path: Path | str) -> list[Shipped]:
    """Return the shipped mappings that fit a file, none if it cannot be read."""
    heads: dict[TextForm, _Head] = {}
    found = []
    for shipped, mapping in _complete_all():
        form = TextForm(mapping.encoding, mapping.delimiter, mapping.decimal, mapping.sheets)
        if form not in heads:
            heads[form] = _read_head(Path(path), form)
        if _fits(Path(path), shipped, mapping, heads[form]):
            found.append(shipped)
    return found


def complete_for_trial(shipped: Shipped) -> FileMapping:
    """Return a shipped mapping to look at a file with: words stand in for what a person would state."""
    words = {field: _WORDS[field] for field in shipped.open_fields}
    return parse_mapping(fill_open_fields(shipped.content, words), shipped.name)


@functools.cache
def _complete_all() -> list[tuple[Shipped, CsvMapping]]:
    completed = ((shipped, complete_for_trial(shipped)) for shipped in load_shipped().values())
    return [(shipped, mapping) for shipped, mapping in completed if isinstance(mapping, CsvMapping)]


def _read_head(path: Path, form: TextForm) -> _Head:
    """Read the first lines of the first text; none if the file cannot be read."""
    first = b""
    with contextlib.suppress(RefusedFile):
        for member in open_members(path, form):
            first = next(member.blocks, b"")
            break
    lines = first.decode(errors="replace").split("\n", HEADER_LINES + MAX_ROWS)[: HEADER_LINES + MAX_ROWS]
    return _Head(lines, [split_fields(line, form.delimiter) for line in lines[:HEADER_LINES]])


def _fits(path: Path, shipped: Shipped, mapping: CsvMapping, head: _Head) -> bool:
    header = next((number for number, names in enumerate(head.fields) if shipped.has_header(names)), None)
    if header is None:
        return False
    rows = "\n".join([*head.lines[: header + MAX_ROWS], ""]).encode()
    gathered = Gathered(path)
    try:
        batches = list(mapped_csv.iter_batches(path, Member(path.name, iter([rows])), 0, mapping))
        for batch in batches:
            gathered.add(batch)
        gathered.finish(mapping.format, "", is_declared=True)
    except RefusedFile:
        return False
    read = sum(batch.readings.num_rows for batch in batches)
    bad = sum(pc.sum(pc.not_equal(batch.rejected["severity"], "info")).as_py() or 0 for batch in batches)
    readings = [row for batch in batches for row in batch.readings.to_pylist()]
    # Energy below zero is rejected later, unless it is another channel.
    bad += sum(row["channel"] in ONE_DIRECTION_CHANNELS and (row["value"] or 0) < 0 for row in readings)
    ways = {value.negative for value in (*mapping.values, *mapping.day) if value.negative is not None}
    has_all_ways = ways <= {row["channel"] for row in readings if row["value"]}
    return bad <= MAX_REJECTED_SHARE * (read + bad) and has_all_ways and not _overlap(readings)


def _overlap(readings: Iterable[dict[str, Any]]) -> bool:
    """Whether intervals of one register reach into each other: they are shorter than declared."""
    ends: defaultdict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for row in readings:
        start = int(row["reading_ts"].timestamp())
        ends[row["identifier"], row["register"]][start] = start + row["interval_seconds"]
    series = (sorted(spans.items()) for spans in ends.values())
    return any(end > start for spans in series for (_, end), (start, _) in itertools.pairwise(spans))
