"""JSON in pieces: the scalars of a document one by one, with memory bounded whatever the document is.

Here: what all JSON formats share. Not here: what a document means.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import ijson
import numpy as np
import pyarrow as pa

from data.ingest.formats.columns import Mask
from data.ingest.formats.container import MAX_LINE_BYTES, Member, refuse
from data.ingest.formats.wallclock import DAY_US, US, Ints, TimeFormat, WallClock

# So many bytes at a time: what one piece can make of events is small.
PIECE_BYTES = 1 << 16
MAX_DEPTH = 32
BATCH_ROWS = 65_536
# What tells the meaning of values may stand behind them; until then they wait.
MAX_WAITING_ROWS = 2_000_000

# A key path without the places of arrays, such as "results.item.consumption"; END at the end of an object.
Leaf = tuple[str, Any]
END = object()


def leaves(path: Path, member: Member) -> Iterator[Leaf]:
    """(path of keys, value) of each scalar and (path, `END`) of each object, in document order.

    Several documents one behind the other are read as one array is. A number is a `Decimal` or int.
    Raises `RefusedFile`.
    """
    events = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events, multiple_values=True)
    walker = _Walker(path)
    silent = 0
    for block in member.blocks:
        for start in range(0, len(block), PIECE_BYTES):
            piece = block[start : start + PIECE_BYTES]
            with _faults_refuse(path):
                parser.send(piece)
            silent = 0 if events else silent + len(piece)
            if silent > MAX_LINE_BYTES:
                raise refuse(path, None, "JSON-SYNTAX", f"a text is longer than {MAX_LINE_BYTES} bytes")
            yield from walker.walk(events)
            del events[:]
    with _faults_refuse(path):
        parser.close()
    yield from walker.walk(events)
    if walker.depth:
        raise refuse(path, None, "FILE-CUT", "the document ends before its last bracket")


class _faults_refuse:
    """Errors of the parser become refusals."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ijson.IncompleteJSONError):
            text = str(error).splitlines()[0] if str(error) else ""
            rule = "FILE-CUT" if "premature EOF" in text or "Incomplete" in text else "JSON-SYNTAX"
            raise refuse(self._path, None, rule, f"this is no whole JSON: {text}") from error
        # The parser's C code meets an integer of more digits than Python reads with a SystemError.
        if isinstance(error, ijson.JSONError | ValueError | ArithmeticError | SystemError):
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise refuse(self._path, None, "JSON-SYNTAX", f"this is no JSON: {text}") from error


class _Walker:
    """Keeps the path of keys while events go by."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: list[str] = []
        self._prefix = ""

    @property
    def depth(self) -> int:
        return len(self._keys)

    def walk(self, events: list[tuple[str, Any]]) -> Iterator[Leaf]:
        for event, value in events:
            if event == "map_key":
                self._keys[-1] = value
                self._prefix = ".".join(key for key in self._keys if key)
            elif event in ("start_map", "start_array"):
                self._keys.append("" if event == "start_map" else "item")
                if len(self._keys) > MAX_DEPTH:
                    raise refuse(self._path, None, "JSON-SYNTAX", f"it is nested deeper than {MAX_DEPTH}")
                self._prefix = ".".join(key for key in self._keys if key)
            elif event in ("end_map", "end_array"):
                self._keys.pop()
                self._prefix = ".".join(key for key in self._keys if key)
                if event == "end_map":
                    yield self._prefix, END
            else:
                yield self._prefix, value


def text_of(value: Any) -> str | None:
    """A scalar as text, None where it is null or blank. Never expands an exponent."""
    if value is None:
        return None
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return str(value)
    return str(value).strip() or None


@dataclass
class Records:
    """Values of intervals that wait to become a batch, one list a column."""

    ordinal: list[int] = field(default_factory=list)
    time: list[str | None] = field(default_factory=list)
    value: list[str | None] = field(default_factory=list)

    def add(self, path: Path, ordinal: int, time: Any, value: Any) -> None:
        """Keep one; raises `RefusedFile` where too many wait."""
        self.ordinal.append(ordinal)
        self.time.append(text_of(time))
        self.value.append(text_of(value))
        if len(self.ordinal) > MAX_WAITING_ROWS:
            raise refuse(
                path, None, "FILE-TOO-LARGE", f"more than {MAX_WAITING_ROWS} values before their unit"
            )

    def __len__(self) -> int:
        return len(self.ordinal)

    def raw(self) -> Callable[[int], str]:
        """The text of a record by its place, for what is rejected."""
        times, values = self.time, self.value
        return lambda row: f"{times[row]}: {values[row]}"

    def arrays(self) -> tuple[Ints, pa.Array, pa.Array]:
        """(ordinals, times, values)."""
        return (
            np.array(self.ordinal, dtype=np.int64),
            pa.array(self.time, type=pa.string()),
            pa.array(self.value, type=pa.string()),
        )


def interval_starts(
    clock: WallClock, times: pa.Array, series: pa.Array, seconds: int | None, *, is_end: bool
) -> tuple[Ints, Ints, Mask, Mask]:
    """(starts in microseconds UTC, seconds, no time, skipped) of local times; no seconds mean local days."""
    local, bad = _local(times)
    right = np.flatnonzero(~bad)
    start_us = np.zeros(len(local), dtype=np.int64)
    lengths = np.full(len(local), seconds or 86_400, dtype=np.int64)
    skipped = np.zeros(len(local), dtype=np.bool_)
    if seconds is None:
        days = local[right] - local[right] % DAY_US
        start_us[right] = clock.midnights(days)
        lengths[right] = (clock.midnights(days + DAY_US) - start_us[right]) // US
        return start_us, lengths, bad, skipped
    resolve = clock.ends if is_end else clock.starts
    start_us[right], skipped[right] = resolve(local[right], series.take(pa.array(right)))
    return (start_us - seconds * US if is_end else start_us), lengths, bad, skipped


_LOCAL = (TimeFormat("%Y-%m-%d %H:%M:%S"), TimeFormat("%Y-%m-%d %H:%M"))


def _local(times: pa.Array) -> tuple[Ints, Mask]:
    local, bad = _LOCAL[0].parse(times)
    if bad.any():
        shorter, still_bad = _LOCAL[1].parse(times)
        local, bad = np.where(bad, shorter, local), bad & still_bad
    return local, bad
