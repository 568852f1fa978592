"""What the values of columns or registers say of their channels: the sun, and what takes turns.

Here: amounts at the times of the rows. Not here: names (`directions`).
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data.ingest.formats.suggest.directions import CONSUMPTION, IMPORT, are_tariffs, guess_channel
from data.ingest.formats.sum_guard import Floats
from data.ingest.formats.wallclock import DAY_US

# At so many times energy goes out; where nothing comes in at more than this share of them, it is an export.
MIN_BOTH, MOST_IDLE = 12, 0.5
# The sun: so many hours of nothing, then a hill: little at its edges, most in its middle half.
MIN_NIGHT, MOST_AT_NIGHT, MOST_AT_EDGE, LEAST_IN_MIDDLE = 5, 0.005, 0.35, 0.6
# Tariffs that take turns leave few times without energy.
MOST_IN_TURN = 0.9
_HOUR_US = DAY_US // 24


@dataclass(frozen=True)
class Series:
    """A column or register: its name, and its amounts by time in microseconds on the wall clock."""

    name: str
    amounts: Mapping[int, float]


def read_series(name: str, micros: Sequence[int], numbers: Floats, *, is_dial: bool) -> Series:
    """Return the amounts of rows, of a dial what lies between its reads; nan is no amount."""
    known = sorted((at, float(n)) for at, n in zip(micros, numbers, strict=True) if not np.isnan(n))
    if not is_dial:
        return Series(name, dict(known))
    return Series(
        name, {at: max(after - before, 0.0) for (at, before), (_, after) in itertools.pairwise(known)}
    )


def judge_channels(series: Sequence[Series], channels: Sequence[str]) -> list[str]:
    """Return the channels that names tell, corrected by what the amounts say; empty where they contradict.

    What is named consumption beside generation is the import if it stands still while the rest goes out,
    which is then export and no generation. If it never stands still, it may be that of the whole site.
    """
    found = [*channels]
    used = [n for n, one in enumerate(series) if channels[n] == "import" and _is_consumption(one.name)]
    made = [n for n, channel in enumerate(channels) if channel == "generation"]
    if used and made and not {"export", "consumption"} & {*channels}:
        idle = [_measure_idle(series[one], series[other]) for one in used for other in made]
        if any(share is not None and share > MOST_IDLE for share in idle):
            found = ["export" if n in made else channel for n, channel in enumerate(found)]
        elif 0 in idle:
            found = ["" if n in used else channel for n, channel in enumerate(found)]
    open_ones = [n for n, channel in enumerate(found) if not channel and _is_used(series[n].name)]
    if _are_parts([series[n] for n in open_ones]):
        found = ["import" if n in open_ones else channel for n, channel in enumerate(found)]
    tariffs = [one for one, channel in zip(series, found, strict=True) if channel == "import"]
    if are_tariffs([one.name for one in tariffs]) and _take_turns(tariffs):
        # A tariff of the day has the hours of the sun.
        return found
    return [
        "" if channel == "import" and not _says_import(one.name) and follows_sun(one) else channel
        for one, channel in zip(series, found, strict=True)
    ]


def _take_turns(series: Sequence[Series]) -> bool:
    """Whether each time has energy in one series at most, and all of them together stand still seldom."""
    times = {at for one in series for at in one.amounts}
    used = [sum(one.amounts.get(at, 0) > 0 for one in series) for at in times]
    return len(series) > 1 and max(used, default=0) == 1 and sum(used) > MOST_IN_TURN * len(times)


def _are_parts(series: Sequence[Series]) -> bool:
    """Whether each time has an amount in one series alone, such as what is billed already and what is not."""
    times = [at for one in series for at in one.amounts]
    return len(series) > 1 and len(set(times)) == len(times) and all(one.amounts for one in series)


def _is_consumption(name: str) -> bool:
    return CONSUMPTION.search(name) is not None and IMPORT.search(name) is None


def _says_import(name: str) -> bool:
    return CONSUMPTION.search(name) is not None or IMPORT.search(name) is not None


def _is_used(name: str) -> bool:
    return _says_import(name) and guess_channel(name) == "import"


def _measure_idle(one: Series, other: Series) -> float | None:
    """Return at what share of the times with an amount of the other one is zero; None if they are few."""
    both = [one.amounts[at] for at, amount in other.amounts.items() if amount > 0 and at in one.amounts]
    return None if len(both) < MIN_BOTH else sum(amount == 0 for amount in both) / len(both)


def follows_sun(one: Series) -> bool:
    """Whether amounts rise and fall once a day behind hours of nothing, as of the sun; in any zone."""
    of_hours = np.zeros(24)
    seen = np.zeros(24, dtype=np.bool_)
    for at, amount in one.amounts.items():
        of_hours[at % DAY_US // _HOUR_US] += amount
        seen[at % DAY_US // _HOUR_US] = True
    most = of_hours.max(initial=0)
    if not (seen.all() and most > 0) or (of_hours < 0).any():
        return False
    is_night = of_hours <= MOST_AT_NIGHT * most
    begin = next((hour for hour in range(24) if is_night[hour - 1] and not is_night[hour]), None)
    if begin is None:
        return False
    turned, night = np.roll(of_hours, -begin), np.roll(is_night, -begin)
    day = turned[~night]
    count = len(day)
    if night[:count].any() or 24 - count < MIN_NIGHT or count < MIN_NIGHT:
        return False
    middle = day[count // 4 : count - count // 4].sum()
    return bool(max(day[0], day[-1]) <= MOST_AT_EDGE * most and middle >= LEAST_IN_MIDDLE * day.sum())
