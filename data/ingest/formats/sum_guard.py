"""Registers of one meter and channel that count the same energy: one is the sum of others, or equals one.

Here: the values of each interval beside each other, part by part. Not here: rows that are totals
(`mapped_checks`), or which of the registers is right: a person must say.
"""

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.rules.measures import flat
from data.ingest.schema import KVARH_PER_UNIT_POWER_OF_TEN, KWH_PER_UNIT_POWER_OF_TEN

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# So many rows agree by chance only if few values are distinct.
MIN_ROWS, MIN_DISTINCT = 12, 6
# Numbers of few steps, such as those of a dial in tenths of kWh, agree by chance for some rows only.
FEW_DISTINCT, MANY_CHANGES = 3, 48
# Among other rows so many sums in a row are no chance.
MIN_RUN = 24
# Intervals that are compared together.
WINDOW, LONG_WINDOW = 500, 5000
# Three parts of more registers are not looked for: there are too many.
MANY_REGISTERS = 8
# Meters print up to so many decimals.
_DECIMALS = range(7)
_POWERS = {**KWH_PER_UNIT_POWER_OF_TEN, **KVARH_PER_UNIT_POWER_OF_TEN}


@dataclass(frozen=True)
class SumFinding:
    """A register of a meter, the others that it repeats, its first line, and how it repeats them."""

    identifier: str
    register: str
    parts: tuple[str, ...]
    line: int
    reason: str


def find_sums_of_registers(readings: pa.Table) -> Iterator[SumFinding]:
    """Yield each register that is the sum of others of its meter and channel, or equals one."""
    readings = readings.filter(pc.not_equal(readings["channel"], "other"))
    keys = ["identifier", "channel", "register"]
    series = readings.group_by(keys, use_threads=False).aggregate([])
    counts = series.group_by(keys[:2], use_threads=False).aggregate([("register", "count")])
    several = counts.filter(pc.greater(counts["register_count"], 1))
    if not several.num_rows:
        return
    readings = readings.filter(pc.is_in(readings["identifier"], flat(several["identifier"])))
    codes = _encode(readings)
    order = np.argsort(codes, kind="stable")
    bounds = np.flatnonzero(np.diff(codes[order], prepend=-1, append=-1))
    for begin, end in itertools.pairwise(bounds):
        own = readings.take(pa.array(order[begin:end]))
        while (found := _find_in_channel(own)) is not None:
            yield found
            own = own.filter(pc.not_equal(own["register"], found.register))


def _encode(readings: pa.Table) -> Ints:
    """Return a number for each row that is the same for one meter and channel."""
    meter, channel = (pc.dictionary_encode(flat(readings[name])) for name in ("identifier", "channel"))
    codes = (one.indices.to_numpy(zero_copy_only=False).astype(np.int64) for one in (meter, channel))
    return np.asarray(next(codes) * len(channel.dictionary) + next(codes))


def _find_in_channel(readings: pa.Table) -> SumFinding | None:
    registers = pc.dictionary_encode(flat(readings["register"]))
    names = registers.dictionary.to_pylist()
    if len(names) < 2:
        return None
    starts, rows = np.unique(flat(readings["reading_ts"].cast(pa.int64())).to_numpy(), return_inverse=True)
    # The same energy may stand in Wh and in kWh.
    units = pc.dictionary_encode(flat(readings["unit"]))
    powers = np.array([10.0 ** _POWERS.get(unit, 0) for unit in units.dictionary.to_pylist()])
    numbers = flat(readings["value"].cast(pa.float64())).to_numpy(zero_copy_only=False)
    lines = flat(readings["line"]).to_numpy()
    values = np.full((len(names), len(starts)), np.nan)
    places = registers.indices.to_numpy()
    values[places, rows] = numbers * powers[units.indices.to_numpy()]
    counts = (1, 2, 3) if len(names) <= MANY_REGISTERS else (1, 2)
    size = WINDOW if len(names) <= MANY_REGISTERS else LONG_WINDOW
    for window in _list_windows(len(starts), size):
        found = find_sum(
            {name: values[place, window] for place, name in enumerate(names)}, counts, in_runs=True
        )
        if found is not None:
            whole, parts, begin = found
            if len(parts) == 1:
                # Of two equal registers the first one counts.
                first, whole = sorted((whole, *parts), key=names.index)
                parts = (first,)
            how = "is the sum of" if len(parts) > 1 else "is the same as"
            channel = readings["channel"][0].as_py()
            reason = f"{whole!r} {how} {' and '.join(map(repr, parts))}: {channel} would count twice"
            own = (places == names.index(whole)) & (rows >= window.start + begin) & (rows < window.stop)
            identifier = readings["identifier"][0].as_py()
            return SumFinding(identifier, whole, parts, int(lines[own].min()), reason)
    return None


def _list_windows(count: int, size: int) -> Iterator[slice]:
    """Yield the intervals in pieces; the last one is never short, so that a sum in it is seen."""
    bounds = np.linspace(0, count, max(count // size, 1) + 1).astype(int)
    yield from map(slice, bounds[:-1], bounds[1:])


def find_sum(
    columns: dict[str, Floats], counts: Collection[int] = (1, 2, 3), *, in_runs: bool = False
) -> tuple[str, tuple[str, ...], int] | None:
    """Find (a column, the columns that it is the sum of or the one that it equals, the first such row).

    Values that are missing are nan. Columns of zeros are no parts. All rows must be sums, or with `in_runs`
    so many in a row that they are no chance. A sum has as many parts as `counts` says, or all others.
    """
    known = {name: np.nan_to_num(numbers) for name, numbers in columns.items() if np.nansum(np.abs(numbers))}
    rounding = {name: find_rounding(numbers) for name, numbers in known.items()}
    for whole, numbers in known.items():
        if not varies(numbers):
            continue
        others = [name for name in known if name != whole]
        for count in {min(count, len(others)) for count in (*counts, len(others))} - {0}:
            # Of many registers all others, or few of the first ones.
            for parts in itertools.combinations(
                others[: max(count, 12) if count == len(others) else 12], count
            ):
                # A sum differs from the sum of its printed parts by their rounding.
                error = sum(rounding[name] for name in (whole, *parts)) if count > 1 else 0.0
                begin = _find_sums(numbers, [known[part] for part in parts], error, in_runs=in_runs)
                if begin is not None:
                    return whole, parts, begin
    return None


def varies(numbers: Floats) -> bool:
    """Whether numbers are distinct enough to compare them with sums."""
    moving = numbers[numbers != 0]
    distinct, changes = len(np.unique(moving)), int(np.count_nonzero(np.diff(moving)))
    is_coarse = distinct >= FEW_DISTINCT and changes >= MANY_CHANGES
    return len(moving) >= MIN_ROWS and (distinct >= MIN_DISTINCT or is_coarse)


def _find_sums(whole: Floats, parts: list[Floats], error: float, *, in_runs: bool) -> int | None:
    """Return the first row that is a sum; None if they may be chance."""
    scale = float(np.max(np.abs(whole)))
    apart = np.abs(whole - np.sum(parts, axis=0)) > min(error, scale / 100) + 1e-9 * scale
    if not apart.any():
        return 0
    if not in_runs:
        return None
    # Where all but one part are zero, the rows show no sum.
    shows = np.count_nonzero(np.stack(parts), axis=0) >= min(len(parts), 2)
    ends = np.flatnonzero(np.concatenate([[True], apart, [True]]))
    for place in np.flatnonzero(np.diff(ends) > MIN_RUN):
        run = slice(ends[place], ends[place + 1] - 1)
        if np.count_nonzero(shows[run]) >= MIN_RUN and varies(whole[run]):
            return int(ends[place])
    return None


def find_rounding(numbers: Floats) -> float:
    """Return half of the last printed decimal."""
    exact = (n for n in _DECIMALS if np.allclose(np.round(numbers, n), numbers, rtol=0, atol=1e-9))
    return float(0.5 * 10.0 ** -next(exact, len(_DECIMALS)))
