"""What the numbers of a column are: energy, reads of a dial, a sum of other columns, another rhythm, noise.

Here: the numbers of a sample. Not here: names of columns (`columns`), or the lines of a mapping (`meaning`).
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data.ingest.formats.counters import find_counter
from data.ingest.formats.dial_guard import MIN_RISES, MIN_SIZE_IN_STEPS
from data.ingest.formats.mapped_numbers import remove_decimals
from data.ingest.formats.suggest.sample import Sample
from data.ingest.formats.sum_guard import Floats, find_rounding, find_sum, varies

# This many values do not rise one after the other by chance.
MIN_DIAL_ROWS = 12
# A dial may be reset or exchanged now and then.
MAX_FALLS_SHARE = 0.05
# A counter that begins again falls to this share of what it was.
RESET_SHARE, STANDING_SHARE = 0.1, 0.1
_BEGINNING = 2
# More decimals of a value than these are noise.
MOST_DECIMALS = 6
_MIN_NOISY = 3
# A dial of fewer digits before the point would pass its last one each week.
MIN_DIGITS = 4
DAY_HOURS = 24
MIN_RISES_EACH = 24
DIAL_NAME = re.compile(
    r"z(ä|ae?)hlerstand|tellerstand|meterstand|m(å|aa)larst|compteur|index|lectura|cumul|lifetime|odometer"
    r"|meter ?reading|register ?read|total_?increasing|\bdial\b",
    re.I,
)
_LONG = re.compile(r"\.[0-9]{10,}")


@dataclass(frozen=True)
class Dial:
    """Reads of a dial: whether that is certain, whether it begins again at zero, or after how many digits."""

    is_certain: bool
    is_reset: bool
    digits: int | None = None
    # A counter that begins again after so many hours of the day, and whether their time ends its row.
    every_hours: int | None = None
    is_end: bool = False


def read_numbers(sample: Sample, place: int) -> Floats:
    """Return the numbers of a column, one for each row, nan where there is none."""
    texts = ("" if sample.is_missing(row[place].strip()) else row[place] for row in sample.rows)
    return np.array([_to_float(sample.write_plain(text)) for text in texts], dtype=np.float64)


def _to_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def find_dial(name: str, numbers: Floats, micros: Sequence[int]) -> Dial | None:
    """Return what is known of a dial, None if the numbers are not its reads; `micros` are their times.

    Rows may have the newest first, and a dial may stand still.
    """
    known = numbers[~np.isnan(numbers)]
    if len(known) < MIN_DIAL_ROWS:
        return None
    if has_missing_zeros(known):
        return _find_dial(DIAL_NAME.search(name) is not None, known[known > 0])
    counter = find_counter(numbers, micros)
    if counter is not None:
        hours = counter.hours if counter.is_end is not None and counter.hours <= DAY_HOURS else None
        return Dial(is_certain=True, is_reset=True, every_hours=hours, is_end=bool(counter.is_end))
    return _find_dial(DIAL_NAME.search(name) is not None, known)


def has_missing_zeros(known: Floats) -> bool:
    """Whether zeros stand between reads of a dial that go on behind them: the reads are missing there."""
    others = known[known > 0]
    zeros = len(known) - len(others)
    is_few = 0 < zeros <= MAX_FALLS_SHARE * len(known) and len(others) >= MIN_DIAL_ROWS
    steps = np.diff(others) if is_few else np.zeros(0)
    # Rows may have the newest first.
    goes_on = is_few and bool((steps >= 0).all() or (steps <= 0).all())
    return goes_on and bool(others.min() >= MIN_SIZE_IN_STEPS * float(np.median(np.abs(steps))))


def _find_dial(is_named: bool, known: Floats) -> Dial | None:
    """Return what is known of a dial by its reads."""
    steps = np.diff(known)
    if np.count_nonzero(steps < 0) > np.count_nonzero(steps > 0):
        steps, known = -steps[::-1], known[::-1]
    moves, falls = int(np.count_nonzero(steps)), int(np.count_nonzero(steps < 0))
    if moves < MIN_RISES or falls > MAX_FALLS_SHARE * len(steps) or (known < 0).any():
        return None
    falling, rises = np.flatnonzero(steps < 0), steps[steps > 0]
    is_large = float(np.percentile(known, 25)) >= MIN_SIZE_IN_STEPS * float(np.median(rises))
    # What stands behind a fall is the energy since zero: no more than that of two other intervals.
    begins = np.minimum(RESET_SHARE * known[falling], _BEGINNING * rises.max(initial=0))
    is_reset = falls > 0 and bool((known[falling + 1] <= begins).all())
    digits = _count_digits(known, falling) if is_reset else None
    if digits is not None:
        return Dial(is_certain=True, is_reset=False, digits=digits)
    if is_reset and moves >= MIN_RISES_EACH * (falls + 1):
        # A new meter begins at zero: no energy rises so often between its falls.
        return Dial(is_certain=True, is_reset=True)
    if falls and not is_large:
        # A counter of a day stands still at night; energy that rises all day does not.
        stands_still = len(steps) - moves >= STANDING_SHARE * len(steps) and len(np.unique(rises)) > 2
        is_counter = is_reset and (is_named or stands_still)
        # Another meter was put in the place of one.
        is_exchanged = is_named and moves >= MIN_RISES_EACH * falls
        return Dial(is_certain=True, is_reset=is_counter) if is_counter or is_exchanged else None
    if is_large or is_named:
        return Dial(is_certain=True, is_reset=is_reset)
    return Dial(is_certain=False, is_reset=False) if 2 * moves > len(steps) or len(steps) >= 24 else None


def _count_digits(known: Floats, falling: npt.NDArray[np.intp]) -> int | None:
    """Return the digits of a dial that falls just below a power of ten alone; None for any other fall."""
    digits = {len(f"{int(value)}") for value in known[falling]}
    if len(digits) != 1:
        return None
    span = 10.0 ** (count := digits.pop())
    is_past = (known[falling] >= 0.99 * span) & (known[falling + 1] <= 0.01 * span) & (known.max() < span)
    return count if count >= MIN_DIGITS and bool(is_past.all()) else None


def is_idle_dial(numbers: Floats, *, is_named: bool) -> bool:
    """Whether a column beside dials never falls, above zero or with the name of a dial: it is a dial too."""
    known = numbers[~np.isnan(numbers)]
    is_above = len(known) >= MIN_DIAL_ROWS and min(known[0], known[-1]) > 0
    steps = np.diff(known)
    return (is_above or (is_named and len(known) > 0)) and bool((steps >= 0).all() or (steps <= 0).all())


def find_parts(columns: dict[str, Floats]) -> dict[str, str]:
    """Return the columns that a sum, or an equal column, contains already, and which one that is."""
    columns = dict(columns)
    left_out: dict[str, str] = {}
    while (found := find_sum(columns)) is not None:
        whole, parts, _ = found
        if len(parts) == 1:
            # Of two equal columns the first one stays.
            whole, last = (name for name in columns if name in (whole, *parts))
            parts = (last,)
        for part in parts:
            left_out[part] = whole
            del columns[part]
    return left_out


def find_multiples(columns: dict[str, Floats]) -> dict[str, str]:
    """Return the columns whose values are in all rows those of an earlier one times a factor other than 1.

    Such columns count one thing: its power, its cost, its heat.
    """
    found: dict[str, str] = {}
    for (one, first), (other, second) in itertools.combinations(columns.items(), 2):
        known = (np.nan_to_num(first) > 0) & (np.nan_to_num(second) > 0)
        if one in found or not varies(np.where(known, first, 0.0)):
            continue
        factor = second[known].sum() / first[known].sum()
        # Both are rounded.
        errors = np.abs(second - factor * first)[known]
        allowed = find_rounding(second[known]) + factor * find_rounding(first[known])
        is_same = bool((errors <= 1.01 * allowed + 1e-9).all()) and bool(
            (np.nan_to_num(first)[~known] == 0).all() and (np.nan_to_num(second)[~known] == 0).all()
        )
        if is_same and not 0.99 < factor < 1.01 and allowed < 0.05 * float(np.median(second[known])):
            found[other] = one
    return found


def find_rhythm(numbers: Floats, micros: Sequence[int]) -> int:
    """Return the smallest number of minutes between the values of a column, 0 without an answer."""
    times = np.unique(np.array(micros, dtype=np.int64)[~np.isnan(numbers)])
    steps = np.diff(times)
    return int(steps.min()) // 60_000_000 if len(times) >= MIN_DIAL_ROWS else 0


def find_decimals(texts: Sequence[str]) -> int | None:
    """Return how many decimals are left if binary noise is removed, None if there is none."""
    plain = [text for text in texts if text]
    if sum(_LONG.search(text) is not None for text in plain) < _MIN_NOISY:
        return None
    for decimals in range(MOST_DECIMALS + 1):
        if not remove_decimals(pa.array(plain), decimals)[1].any():
            return decimals
    return None
