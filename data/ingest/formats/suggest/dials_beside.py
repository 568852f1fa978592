"""What the reads of a dial say of the energy beside them: when it was, and whether it is multiplied already.

Not here: which columns are dials (`amounts`), or which of both is read (`choice`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.ingest.formats.suggest.amounts import read_numbers
from data.ingest.formats.suggest.choice import Choice
from data.ingest.formats.suggest.sample import Sample
from data.ingest.formats.sum_guard import Floats, find_rounding

_MIN_STEPS, _MOST = 12, 0.95


@dataclass(frozen=True)
class DialBeside:
    """The label of the energy if the rows tell it, and how many times larger it is than the step."""

    label: str | None
    ratio: float


def find_dial_beside(
    sample: Sample, choice: Choice, micros: Sequence[int], meter: int | None
) -> DialBeside | None:
    """Return what the dials that are left out say of the values; None without one that fits."""
    own = [n for n, row in enumerate(sample.rows) if meter is None or row[meter] == sample.rows[0][meter]]
    own.sort(key=lambda n: micros[n])
    dials = [place for place in range(len(sample.names)) if place not in choice.kept]
    for value in choice.kept:
        energy = read_numbers(sample, value)[own]
        for dial in dials:
            found = _compare(np.diff(read_numbers(sample, dial)[own]), energy)
            if found is not None:
                return found
    return None


def _compare(steps: Floats, energy: Floats) -> DialBeside | None:
    """Return whether values are the steps before or behind them, times a number."""
    fits = [is_end for is_end in (True, False) if _measure(steps, energy[1:] if is_end else energy[:-1])]
    if len(fits) != 1:
        return None
    ratio = _measure(steps, energy[1:] if fits[0] else energy[:-1])
    # A read at an instant has no energy beside it where nothing was read before or will be.
    is_told = np.isnan(energy[0 if fits[0] else -1])
    return DialBeside(("end" if fits[0] else "start") if is_told else None, ratio)


def _measure(steps: Floats, energy: Floats) -> float:
    """Return the ratio of values and steps, 0 if they do not go together."""
    known = ~np.isnan(steps) & ~np.isnan(energy)
    moved = known & (steps > 0)
    if np.count_nonzero(moved) < _MIN_STEPS or (steps[known] < 0).any() or np.ptp(energy[moved]) == 0:
        return 0.0
    ratio = float(energy[known].sum() / steps[known].sum())
    allowed = 1.01 * (find_rounding(energy[known]) + 2 * ratio * find_rounding(steps[known])) + 1e-9
    is_same = np.abs(energy - ratio * steps)[known] <= allowed
    # Rounding must not hide what differs.
    return ratio if is_same.mean() >= _MOST and allowed < np.ptp(energy[moved]) / 2 else 0.0
