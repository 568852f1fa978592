"""Archived WAL: names of segments, which are missing, and the instants of the transactions in them.

Here: reading. The server writes the archive itself: see `folder`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from myproperty.engines.postgres import Postgres

SEGMENT_BYTES = 16 * 2**20  # initdb's default, which the embedded server keeps
_SEGMENTS_OF_A_LOG = 2**32 // SEGMENT_BYTES
_NAME = re.compile(r"[0-9A-F]{24}")
# Segments, histories of timelines, and the notes of base backups. What is still written has other names.
_ARCHIVED = re.compile(r"[0-9A-F]{24}(\.[0-9A-F]{8}\.backup)?|[0-9A-F]{8}\.history")
# A transaction that ends, as pg_waldump writes it: "desc: COMMIT 2026-03-01 10:00:00.123456 UTC; ...".
_END = re.compile(r"desc: (?:COMMIT|ABORT)\w* (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC")


@dataclass(frozen=True, order=True)
class Segment:
    """One file of WAL: 16 MB of one timeline, counted from 0."""

    timeline: int
    number: int

    @property
    def name(self) -> str:
        """The name of its file."""
        log, part = divmod(self.number, _SEGMENTS_OF_A_LOG)
        return f"{self.timeline:08X}{log:08X}{part:08X}"

    @property
    def next(self) -> "Segment":
        """The segment that follows it."""
        return Segment(self.timeline, self.number + 1)


def segment_at(timeline: int, lsn: str) -> Segment:
    """Return the segment that holds a position such as `0/2000028`."""
    high, low = (int(part, 16) for part in lsn.split("/"))
    return Segment(timeline, (high * 2**32 + low) // SEGMENT_BYTES)


def parse_segment(name: str) -> Segment | None:
    """Return the segment of a file name; None for a file of another kind."""
    if not _NAME.fullmatch(name):
        return None
    timeline, log, part = (int(name[place : place + 8], 16) for place in (0, 8, 16))
    return Segment(timeline, log * _SEGMENTS_OF_A_LOG + part)


def is_archived_file(name: str) -> bool:
    """Return whether the server has archived a file of this name completely."""
    return _ARCHIVED.fullmatch(name) is not None


def list_segments(folder: Path) -> dict[Segment, Path]:
    """Return the segments of a folder, in order. A file of another size is no segment: it was cut short."""
    if not folder.is_dir():
        return {}
    found = {parse_segment(path.name): path for path in folder.iterdir()}
    return {
        segment: path
        for segment, path in sorted((s, p) for s, p in found.items() if s is not None)
        if path.stat().st_size == SEGMENT_BYTES
    }


def follow(first: Segment, there: Mapping[Segment, Path]) -> list[Path]:
    """Return the files from `first` on, up to the first segment that is missing."""
    files, segment = [], first
    while segment in there:
        files.append(there[segment])
        segment = segment.next
    return files


def find_last_end(server: Postgres, files: list[Path]) -> datetime | None:
    """Return when the last transaction of the files ended; None if none ended in them."""
    ends = (max(found) for file in reversed(files) if (found := list(_read_ends(server, file))))
    return next(ends, None)


def _read_ends(server: Postgres, file: Path) -> Iterator[datetime]:
    # The exit code says nothing: the last record of a segment often continues in the next one.
    _, output = server.run_program("pg_waldump", "--rmgr=Transaction", file)
    for text in _END.findall(output):
        yield datetime.fromisoformat(text).replace(tzinfo=UTC)
