"""Columns that are what comes in less what goes out, of several tariffs, as reads of dials or as energy.

Here: names and numbers. Not here: which columns are proposed (`choice`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from data.ingest.formats.suggest.amounts import find_dial
from data.ingest.formats.suggest.directions import guess_channel
from data.ingest.formats.sum_guard import Floats, find_rounding, varies

_NET = re.compile(
    r"(?<![a-z])(net|netto|saldo|balance|bilan[zcs]?|minus|less)(?![a-z])|differen|zbilans", re.I
)


def find_balances(
    names: Mapping[int, str], numbers: Mapping[int, Floats], micros: Sequence[int]
) -> list[int]:
    """Return the columns that are the sum of some others less that of others, whatever their signs."""
    channels = {place: guess_channel(name) for place, name in names.items()}
    dials = {place: find_dial(name, numbers[place], micros) for place, name in names.items()}
    is_dial = {place: dial is not None and dial.is_certain for place, dial in dials.items()}
    found: list[int] = []
    for place in names:
        rest = [other for other in names if other not in (place, *found)]
        for kind in (True, False):
            bought, sold = (
                [numbers[other] for other in rest if channels[other] == way and is_dial[other] == kind]
                for way in ("import", "export")
            )
            is_net = bool(_NET.search(names[place]) or (np.nan_to_num(numbers[place]) < 0).any())
            # The difference of two columns has a reason of its own.
            is_net = is_net and len(bought) + len(sold) > 2
            if place not in found and is_net and _is_balance(numbers[place], bought, sold):
                found.append(place)
    return found


def _is_balance(own: Floats, bought: Sequence[Floats], sold: Sequence[Floats]) -> bool:
    one, other = _add(bought, len(own)), _add(sold, len(own))
    known = ~np.isnan(own)
    if not (one.any() and other.any() and varies(own[known])):
        return False
    allowed = 1.01 * sum(map(find_rounding, (own, *bought, *sold)))
    errors = np.abs(one - other - own)[known]
    # Rounding must not hide what differs.
    return bool((errors <= (allowed if allowed < 0.1 * np.ptp(own[known]) else 0) + 1e-9).all())


def _add(columns: Iterable[Floats], count: int) -> Floats:
    return np.asarray(np.abs(sum((np.nan_to_num(one) for one in columns), np.zeros(count))), dtype=np.float64)
