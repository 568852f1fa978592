"""Several files at once, each in its own thread, with the same outcome as one after the other.

Here: which file may be loaded when. Not here: the load (`load`).

Threads, not processes: a load waits for PostgreSQL and for Arrow, which let other threads run, and a process
takes longer to start than a small file takes to load. Files are read in parallel. A file is loaded as soon as
no earlier file can still have a reading of the same register and time. So of two such readings, the one from
the later file in the caller's order arrives later, whichever thread was faster.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from data.ingest.formats.mapping import FileMapping
from data.ingest.readings.load import ReadFile, read_file_for
from data.ingest.readings.registers import MAX_NEW_METERS
from data.ingest.readings.results import IngestResult
from data.ingest.schema import FileInParts, Spans
from myproperty.database.session import Connections
from myproperty.tenants import find_tenant

MAX_WORKERS = 4
Source = TypeVar("Source")
Result = TypeVar("Result")


def count_workers() -> int:
    """Return one for each processor of this process, at most four: more would wait for the disk."""
    return min(len(os.sched_getaffinity(0)), MAX_WORKERS)


def ingest_files(
    paths: Sequence[Path],
    *,
    tenant: str,
    dsn: str,
    workers: int | None = None,
    create_meters: str | None = None,
    max_new_meters: int = MAX_NEW_METERS,
    format: str | None = None,
    mapping: FileMapping | None = None,
) -> Iterator[IngestResult]:
    """Yield the results of `ingest_file` for each path, in order of the paths.

    An error that `ingest_file` raises for one file is raised in its place, once all others are done.
    """
    if not paths:
        return
    owner = find_tenant(dsn, tenant)

    def ingest(path: Path, turn: Turn) -> IngestResult:
        read = read_file_for(
            path,
            owner,
            connections,
            create_meters=create_meters,
            max_new_meters=max_new_meters,
            format=format,
            mapping=mapping,
        )
        turn.wait(read)
        return read.load()

    with Connections(dsn) as connections:
        yield from run_in_turns(ingest, paths, workers or count_workers())


def run_in_turns(
    ingest: Callable[[Source, "Turn"], Result], sources: Sequence[Source], workers: int
) -> Iterator[Result]:
    """Yield the results of `ingest` for each source, in their order, while several run at once.

    `ingest` reads its source, waits for its turn, and loads. An error of one source is raised in its place,
    once all others are done.
    """
    turns = _Turns()

    def take_turn(place: int) -> Result:
        turns.begin(place)
        try:
            return ingest(sources[place], Turn(turns, place))
        finally:
            turns.done(place)

    with ThreadPoolExecutor(workers) as threads:
        for future in [threads.submit(take_turn, place) for place in range(len(sources))]:
            yield future.result()


@dataclass(frozen=True)
class Turn:
    """The place of one file among others."""

    turns: "_Turns"
    place: int

    def wait(self, read: ReadFile) -> None:
        """Wait until no earlier file can have a reading of the same register and time."""
        spans = read.found.spans if isinstance(read.found, FileInParts) else {}
        # The name of a new meter depends on the meters of earlier files.
        self.turns.wait(self.place, spans if read.create_meters is None else None)


class _Turns:
    """The files that have begun and are not done: as few as there are workers, however many files wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._begun = 0
        # What each of them spans, None until it is read.
        self._open: dict[int, Spans | None] = {}

    def begin(self, place: int) -> None:
        """Open a file, and each earlier one that its own worker has not opened yet."""
        with self._changed:
            self._open.update(dict.fromkeys(range(self._begun, place + 1)))
            self._begun = max(self._begun, place + 1)

    def wait(self, place: int, spans: Spans | None) -> None:
        """Wait until each earlier file is done or shares no reading; without spans, until all are done."""
        with self._changed:
            self._open[place] = spans
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: not any(_must_wait(spans, other) for at, other in self._open.items() if at < place)
            )

    def done(self, place: int) -> None:
        with self._changed:
            del self._open[place]
            self._changed.notify_all()


def _must_wait(spans: Spans | None, before: Spans | None) -> bool:
    """Whether a file waits for an earlier one that is not done."""
    return spans is None or before is None or _overlap(spans, before)


def _overlap(one: Spans, other: Spans) -> bool:
    common = one.keys() & other.keys()
    return any(one[key][0] <= other[key][1] and other[key][0] <= one[key][1] for key in common)
