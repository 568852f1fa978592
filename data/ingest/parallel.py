"""Several files at once, each in a process of its own, with the outcome of one after the other.

Here: which file may be loaded when. Not here: what loading is (`load`).

Files are read side by side. One is loaded as soon as no file before it can still say anything of the same
register and time; those that can are loaded first, so that which of two values arrived later is as the caller
said, whatever process was faster.
"""

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from data.ingest.errors import IngestError
from data.ingest.formats.mapping import Mapping
from data.ingest.load import Delivery, IngestResult, ingest_file, read_delivery
from data.ingest.schema import FileInParts, Spans

MAX_WORKERS = 4


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
    count = min(workers or default_workers(), len(paths))
    reading: dict[str, Any] = {"create_meters": create_meters, "format": format, "mapping": mapping}
    if count <= 1:
        for path in paths:
            yield ingest_file(path, tenant=tenant, dsn=dsn, **reading)
        return
    turns = _Turns(len(paths))
    processes = _Processes(count)

    def ingest(place: int) -> IngestResult:
        path = paths[place]
        try:
            with processes.one(path) as process:
                spans = process.submit(_read, path, tenant, dsn, reading).result()
                # Which register gives a new meter its name depends on what was there before.
                turns.wait(place, spans if create_meters is None else None)
                return process.submit(_load).result()
        finally:
            turns.done(place)

    with processes, ThreadPoolExecutor(count) as threads:
        for future in [threads.submit(ingest, place) for place in range(len(paths))]:
            yield future.result()


class _Processes:
    """As many processes as files are loaded at once; one that dies is replaced."""

    def __init__(self, count: int) -> None:
        self._free = [self._new() for _ in range(count)]

    @staticmethod
    def _new() -> ProcessPoolExecutor:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        return ProcessPoolExecutor(1, mp_context=context)

    def one(self, path: Path) -> "_Process":
        return _Process(self._free, path, self._new)

    def __enter__(self) -> "_Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._free:
            process.shutdown()


class _Process:
    """A process for one file, given back afterwards."""

    def __init__(self, free: list[ProcessPoolExecutor], path: Path, new: Any) -> None:
        self._free, self._path, self._new = free, path, new

    def __enter__(self) -> ProcessPoolExecutor:
        self._process = self._free.pop()
        return self._process

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, BrokenProcessPool):
            self._free.append(self._process)
            return
        self._process.shutdown()
        self._free.append(self._new())
        raise IngestError(
            f"{self._path}: the process that loaded it died, so nothing of it was written: see that the "
            "machine has memory left, then ingest the file again, with --workers 1"
        ) from error


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


# What this process has read and not loaded yet: one file at most.
_read_here: list[Delivery] = []


def _read(path: Path, tenant: str, dsn: str, reading: dict[str, Any]) -> Spans:
    delivery = read_delivery(path, tenant, dsn, **reading)
    _read_here[:] = [delivery]
    return delivery.found.spans if isinstance(delivery.found, FileInParts) else {}


def _load() -> IngestResult:
    return _read_here.pop().load()
