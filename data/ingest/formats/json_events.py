"""JSON in pieces: the scalars of a document one by one, in bounded memory for any document.

Here: what the JSON formats share. Not here: the meaning of a document.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import ijson
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.columns import Mask, to_mask
from data.ingest.formats.container import MAX_LINE_BYTES, Member, refuse
from data.ingest.formats.wallclock import DAY_US, US, Ints, TimeFormat, TimeFormats, WallClock

# Bytes parsed at a time: few enough that the events of one piece stay small.
PIECE_BYTES = 1 << 16
MAX_DEPTH = 32
BATCH_ROWS = 65_536
# The unit and length of values may follow after them; until then the values wait.
MAX_WAITING_ROWS = 2_000_000

# A key path without the places of arrays, such as "results.item.consumption"; END at the end of an object.
Leaf = tuple[str, Any]
END = object()
# The name of the key of a member, where each member of an object is read as the element of an array.
MEMBER_KEY = "$key"


def iter_leaves(
    path: Path, member: Member, *, ends_arrays: bool = False, members: Collection[str] = ()
) -> Iterator[Leaf]:
    """Yield (path of keys, value) for each scalar and (path, `END`) for each object, in document order.

    With `ends_arrays` arrays have an `END` too. The members of the objects at `members` are read as the
    elements of an array are, each with its key at `$key`. Several documents in sequence are read as one
    array. A number is a `Decimal` or int. Raises `RefusedFile`.
    """
    events = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events, multiple_values=True)
    walker = _Walker(path, ends_arrays=ends_arrays, members=members)
    silent = 0
    for block in member.blocks:
        for start in range(0, len(block), PIECE_BYTES):
            piece = block[start : start + PIECE_BYTES]
            with _refuse_on_errors(path):
                parser.send(piece)
            silent = 0 if events else silent + len(piece)
            if silent > MAX_LINE_BYTES:
                raise refuse(path, None, "JSON-SYNTAX", f"a text is longer than {MAX_LINE_BYTES} bytes")
            yield from walker.walk(events)
            del events[:]
    with _refuse_on_errors(path):
        parser.close()
    yield from walker.walk(events)
    if walker.depth:
        raise refuse(path, None, "FILE-CUT", "the document ends before its last bracket")


def iter_json_leaves(path: Path, member: Member) -> Iterator[Leaf]:
    """Do the same as `iter_leaves`, with the ends of arrays."""
    return iter_leaves(path, member, ends_arrays=True)


class _refuse_on_errors:
    """Turn errors of the parser into refusals."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ijson.IncompleteJSONError):
            text = str(error).splitlines()[0] if str(error) else ""
            rule = "FILE-CUT" if "premature EOF" in text or "Incomplete" in text else "JSON-SYNTAX"
            raise refuse(self._path, None, rule, f"the JSON is incomplete: {text}") from error
        # For an integer with more digits than Python reads, the C code of the parser raises SystemError.
        if isinstance(error, ijson.JSONError | ValueError | ArithmeticError | SystemError):
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise refuse(self._path, None, "JSON-SYNTAX", f"the JSON is not valid: {text}") from error


class _Walker:
    """Tracks the path of keys along the events."""

    def __init__(self, path: Path, *, ends_arrays: bool, members: Collection[str]) -> None:
        self._path = path
        self._members = frozenset(members)
        self._ends = ("end_map", "end_array") if ends_arrays else ("end_map",)
        self._keys: list[str] = []
        self._prefix = ""

    @property
    def depth(self) -> int:
        return len(self._keys)

    def _join_keys(self, end: int | None = None) -> str:
        return ".".join(key for key in self._keys[:end] if key)

    def walk(self, events: list[tuple[str, Any]]) -> Iterator[Leaf]:
        for event, value in events:
            if event == "map_key":
                is_member = bool(self._members) and self._join_keys(-1) in self._members
                self._keys[-1] = "item" if is_member else value
                self._prefix = self._join_keys()
                if is_member:
                    yield f"{self._prefix}.{MEMBER_KEY}", value
            elif event in ("start_map", "start_array"):
                self._keys.append("" if event == "start_map" else "item")
                if len(self._keys) > MAX_DEPTH:
                    raise refuse(
                        self._path,
                        None,
                        "JSON-SYNTAX",
                        f"the document is nested deeper than {MAX_DEPTH} levels",
                    )
                self._prefix = self._join_keys()
            elif event in ("end_map", "end_array"):
                self._keys.pop()
                self._prefix = self._join_keys()
                if event in self._ends:
                    yield self._prefix, END
            else:
                yield self._prefix, value


def is_json(text: str) -> bool:
    """Whether a text starts like a JSON document."""
    return text.startswith(("{", "["))


def to_text(value: Any) -> str | None:
    """Convert a scalar to text, None if it is null or blank. Does not expand an exponent."""
    if value is None:
        return None
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return str(value)
    return str(value).strip() or None


@dataclass
class WaitingRecords:
    """Values of intervals that wait to become a batch, one list for each column."""

    ordinal: list[int] = field(default_factory=list)
    time: list[str | None] = field(default_factory=list)
    value: list[str | None] = field(default_factory=list)

    def add(self, path: Path, ordinal: int, time: Any, value: Any) -> None:
        """Add one. Raises `RefusedFile` if too many wait."""
        self.ordinal.append(ordinal)
        self.time.append(to_text(time))
        self.value.append(to_text(value))
        if len(self.ordinal) > MAX_WAITING_ROWS:
            raise refuse(
                path, None, "FILE-TOO-LARGE", f"more than {MAX_WAITING_ROWS} values come before their unit"
            )

    def __len__(self) -> int:
        return len(self.ordinal)

    def raw_text(self) -> Callable[[int], str]:
        """Return the function that gives the text of a rejected record by its place."""
        times, values = self.time, self.value
        return lambda row: f"{times[row]}: {values[row]}"

    def to_arrays(self) -> tuple[Ints, pa.Array, pa.Array]:
        """Return (ordinals, times, values)."""
        return (
            np.array(self.ordinal, dtype=np.int64),
            pa.array(self.time, type=pa.string()),
            pa.array(self.value, type=pa.string()),
        )


def resolve_intervals(
    clock: WallClock, times: pa.Array, series: pa.Array, seconds: int | None, *, is_end: bool
) -> tuple[Ints, Ints, Mask, Mask]:
    """Return (starts in microseconds UTC, seconds, is not a time, is skipped) of local times or instants.

    Without `seconds` each interval is a local day, and an offset adds nothing.
    """
    if seconds is None:
        times = pc.replace_substring_regex(times, _OFFSET_END, "")
    local, bad = _parse_local(times)
    right = np.flatnonzero(~bad)
    start_us = np.zeros(len(local), dtype=np.int64)
    lengths = np.full(len(local), seconds or 86_400, dtype=np.int64)
    skipped = np.zeros(len(local), dtype=np.bool_)
    if seconds is None:
        days = local[right] - local[right] % DAY_US
        start_us[right] = clock.find_midnights(days)
        lengths[right] = (clock.find_midnights(days + DAY_US) - start_us[right]) // US
        return start_us, lengths, bad, skipped
    resolve = clock.resolve_ends if is_end else clock.resolve_starts
    start_us[right], skipped[right] = resolve(local[right], series.take(pa.array(right)))
    if bad.any():
        instants, unfit = _OFFSET.parse(times)
        start_us, bad = np.where(bad, instants, start_us), bad & unfit
    return (start_us - seconds * US if is_end else start_us), lengths, bad, skipped


_LOCAL = (TimeFormat("%Y-%m-%d %H:%M:%S"), TimeFormat("%Y-%m-%d %H:%M"))


# As in CEST+0200.
_OFFSET_END = " ?[A-Z]*([+-][0-9]{2}:?[0-9]{2}|Z)$"
_OFFSET = TimeFormats(("%Y-%m-%d %H:%M:%S %z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S%z"))


def carry_offsets(times: pa.Array) -> bool:
    """Whether all times of a column are instants, which need no zone."""
    has_offset = pc.match_substring_regex(times, _OFFSET_END)
    return len(times) > 0 and bool(to_mask(has_offset).all())


def _parse_local(times: pa.Array) -> tuple[Ints, Mask]:
    local, bad = _LOCAL[0].parse(times)
    if bad.any():
        shorter, still_bad = _LOCAL[1].parse(times)
        local, bad = np.where(bad, shorter, local), bad & still_bad
    return local, bad
