"""The year of dates that state none: that of the first row, and one more or less behind each turn of a year.

Here: the rows of each series, in the order of the file. Not here: texts to dates, which have the year
`LEAP_YEAR` if they state none (`wallclock`).
"""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.columns import Mask
from data.ingest.formats.container import Member, refuse, strip_name
from data.ingest.formats.wallclock import DAY_US, LEAP_YEAR, Ints

_YEAR = re.compile(r"(?<![0-9])(20[0-9]{2})(?=[0-9]{4}(?![0-9])|[0-9]{2}(?![0-9])|(?![0-9]))")
# Rows of one series follow each other by less than this, forward or back.
_HALF_YEAR_US = 183 * DAY_US


def choose_year(path: Path, member: Member, part: int, declared: int) -> int:
    """Return the year of the first row of a text; a later member of an archive states its own in its name.

    Raises `RefusedFile` if it does not: whether it goes on where another one ends, or begins a year before,
    is not in the file.
    """
    if part == 0:
        return declared
    stated = {int(year) for year in _YEAR.findall(strip_name(member.name))}
    if len(stated) != 1:
        reason = f"the dates have no year, and the name {member.name!r} does not state that of its rows"
        raise refuse(path, None, "MAP-YEAR", reason)
    return stated.pop()


class Years:
    """Gives the dates of rows their year; `first` is that of the first row of each series."""

    def __init__(self, first: int) -> None:
        self._first = first
        # The last time and year of each series.
        self._last: dict[str | None, tuple[int, int]] = {}

    def add(self, local: Ints, bad: Mask, series: pa.Array) -> tuple[Ints, Mask]:
        """Return (microseconds on the wall clock, is not a time) of the next rows of the file."""
        years = np.full(len(local), self._first, dtype=np.int64)
        encoded = pc.dictionary_encode(series, null_encoding="encode")
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        for code, name in enumerate(encoded.dictionary.to_pylist()):
            rows = np.flatnonzero((codes == code) & ~bad)
            if len(rows):
                last, year = self._last.get(name, (int(local[rows[0]]), self._first))
                steps = np.diff(local[rows], prepend=last)
                turns = (steps < -_HALF_YEAR_US).astype(np.int64) - (steps > _HALF_YEAR_US)
                years[rows] = year + np.cumsum(turns)
                self._last[name] = int(local[rows[-1]]), int(years[rows[-1]])
        return _move(local, bad, years - LEAP_YEAR)


def _move(local: Ints, bad: Mask, by_years: Ints) -> tuple[Ints, Mask]:
    """Move times by years; 29 February of a year that has none is not a time."""
    times = local.astype("datetime64[us]")
    months = times.astype("datetime64[M]")
    moved = (months + 12 * by_years).astype("datetime64[us]") + (times - months.astype("datetime64[us]"))
    exists = moved.astype("datetime64[M]") == months + 12 * by_years
    return moved.astype(np.int64), bad | ~exists
