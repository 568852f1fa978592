"""Intervals of several lengths in one table: hours of gas beside quarter-hours of electricity.

Here: how far apart the rows of each meter and register are. Not here: columns beside each other (`choice`).
"""

import itertools
from collections import Counter
from collections.abc import Sequence

from data.ingest.formats.suggest.sample import Sample
from data.ingest.formats.wallclock import US

_MIN_ROWS, _MOST, _LONGEST_MINUTES = 6, 0.8, 720


def find_lengths(
    sample: Sample, micros: Sequence[int], meter: int | None, register: int | None
) -> dict[str, int]:
    """Return the minutes between the rows of each register, or of each meter, where they differ by it.

    It is empty if they are the same for all, or if the rows of one follow no rhythm.
    """
    told = register if register is not None else meter
    if told is None:
        return {}
    times: dict[tuple[str, str], set[int]] = {}
    for row, at in zip(sample.rows, micros, strict=True):
        times.setdefault((row[told].strip(), row[meter].strip() if meter is not None else ""), set()).add(at)
    lengths: dict[str, set[int]] = {}
    for (word, _), own in times.items():
        lengths.setdefault(word, set()).add(_measure(sorted(own)))
    if any(len(found) > 1 or 0 in found for found in lengths.values()):
        return {}
    known = {word: found.pop() for word, found in lengths.items()}
    return known if len(set(known.values())) > 1 else {}


def _measure(times: Sequence[int]) -> int:
    """Return the minutes between most of the times, 0 if no number of them divides a day."""
    steps = Counter(after - before for before, after in itertools.pairwise(times))
    step, count = steps.most_common(1)[0] if len(times) >= _MIN_ROWS else (0, 0)
    minutes, rest = divmod(step, 60 * US)
    is_length = 0 < minutes <= _LONGEST_MINUTES and not rest and not 1440 % minutes
    return minutes if is_length and count >= _MOST * (len(times) - 1) else 0
