"""Several files at once, each in a thread of its own, with the outcome of one after the other.

Here: which file may be loaded when. Not here: what loading is (`load`).

Threads, not processes: a load waits for PostgreSQL and for columns, and Python lets others run meanwhile;
and a process takes longer to start than a small file to load. Files are read side by side. One is loaded as
soon as no file before it can still say anything of the same register and time; those that can are loaded
first, so that which of two values arrived later is as the caller said, whatever thread was faster.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from data.ingest.formats.mapping import Mapping
from data.ingest.readings.load import Delivery, IngestResult, read_delivery
from data.ingest.schema import FileInParts, Spans
from myproperty.database.session import Connections
from myproperty.tenants import find_tenant

MAX_WORKERS = 4
Source = TypeVar("Source")
Result = TypeVar("Result")


def default_workers() -> int:
    """One a processor that this process may use, at most four: more would wait for the disk."""
    return min(len(os.sched_getaffinity(0)), MAX_WORKERS)


def ingest_files(
    paths: Sequence[Path],
    *,
    tenant: str,
    dsn: str,
    workers: int | None = None,
    create_meters: str | None = None,
    format: str | None = None,
    mapping: Mapping | None = None,
) -> Iterator[IngestResult]:
    """The results of `ingest_file` for each path, in order of the paths.

    An error of one file, which `ingest_file` raises, is raised in its place once all others are done.
    """
    if not paths:
        return
    owner = find_tenant(dsn, tenant)

    def ingest(path: Path, turn: Turn) -> IngestResult:
        delivery = read_delivery(
            path, owner, connections, create_meters=create_meters, format=format, mapping=mapping
        )
        turn.wait(delivery)
        return delivery.load()

    with Connections(dsn) as connections:
        yield from in_turns(ingest, paths, workers or default_workers())


def in_turns(
    ingest: Callable[[Source, "Turn"], Result], sources: Sequence[Source], workers: int
) -> Iterator[Result]:
    """The results of `ingest` for each source, in their order, several of them at once.

    It reads its source, waits for its turn, and loads. An error of one is raised in its place, once all
    others are done.
    """
    turns = _Turns(len(sources))

    def take_turn(place: int) -> Result:
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

    def wait(self, delivery: Delivery) -> None:
        """Wait until no file before this one can say anything of the same register and time."""
        spans = delivery.found.spans if isinstance(delivery.found, FileInParts) else {}
        # Which register gives a new meter its name depends on what was there before.
        self.turns.wait(self.place, spans if delivery.create_meters is None else None)


class _Turns:
    """Which files were read, and which are done."""

    def __init__(self, count: int) -> None:
        self._changed = threading.Condition()
        self._spans: dict[int, Spans] = {}
        self._is_done = [False] * count

    def wait(self, place: int, spans: Spans | None) -> None:
        """Wait until each file before is done or shares nothing; without spans, until all are done."""
        with self._changed:
            if spans is not None:
                self._spans[place] = spans
                self._changed.notify_all()
            self._changed.wait_for(lambda: all(self._is_past(before, spans) for before in range(place)))

    def _is_past(self, before: int, spans: Spans | None) -> bool:
        if self._is_done[before]:
            return True
        other = self._spans.get(before)
        return spans is not None and other is not None and not _meet(spans, other)

    def done(self, place: int) -> None:
        with self._changed:
            self._is_done[place] = True
            self._changed.notify_all()


def _meet(one: Spans, other: Spans) -> bool:
    common = one.keys() & other.keys()
    return any(one[key][0] <= other[key][1] and other[key][0] <= one[key][1] for key in common)
