"""The sign of power or energy at the grid, by the balance of a site: what is used comes from somewhere.

Here: one column with both signs beside those of consumption and generation. Not here: names (`directions`).
"""

import itertools
from collections.abc import Sequence

import numpy as np

from data.ingest.formats.sum_guard import Floats, find_rounding

_MIN_ROWS, _MOST, _MOST_OTHERS = 24, 0.95, 3


def find_grid_sign(columns: Sequence[Floats], channels: Sequence[str]) -> tuple[int, int] | None:
    """Return (the place of the only column with both signs, 1 if it is the import above zero, else -1).

    The consumption is the generation, what the grid gives, and what others such as a battery give or take.
    """
    signed = [n for n, channel in enumerate(channels) if channel in ("", "import") and (columns[n] < 0).any()]
    used = [
        n for n, channel in enumerate(channels) if channel in ("consumption", "import") and n not in signed
    ]
    made = [n for n, channel in enumerate(channels) if channel == "generation"]
    others = [n for n, channel in enumerate(channels) if channel == "other"]
    if len(signed) != 1 or len(used) != 1 or not made or len(others) > _MOST_OTHERS:
        return None
    known = np.logical_and.reduce([~np.isnan(column) for column in columns])
    if np.count_nonzero(known) < _MIN_ROWS:
        return None
    grid, rest = columns[signed[0]][known], columns[used[0]][known] - sum(columns[n][known] for n in made)
    fitting = {
        sign
        for sign in (1, -1)
        for ways in itertools.product((0, 1, -1), repeat=len(others))
        if _is_balanced(
            rest, sign * grid, [way * columns[n][known] for way, n in zip(ways, others, strict=True)]
        )
    }
    return (signed[0], fitting.pop()) if len(fitting) == 1 else None


def _is_balanced(rest: Floats, grid: Floats, others: list[Floats]) -> bool:
    parts = [rest, grid, *others]
    allowed = 2 * sum(find_rounding(part) for part in parts) + 1e-9
    left = np.abs(rest - grid - sum(others))
    return bool((left <= allowed).mean() >= _MOST and np.ptp(grid) > 10 * allowed)
