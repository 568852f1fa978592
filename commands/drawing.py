"""Draw the profile of a meter's readings as text: a curve of the day, and a strip of days for each month."""

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import groupby
from typing import Any

_BARS = "▁▂▃▄▅▆▇█"
_WHOLE, _PART, _NONE = "█", "▒", "·"
# A clock change or a rounded interval is no gap.
_ALL_THERE = 0.999
MOST_MONTHS = 24


def draw_profile(profile: Mapping[str, Any], unit: str) -> Iterator[str]:
    """Yield the lines for a profile of `data.ingest.profiles`; `unit` is that of the series."""
    zone = profile["timezone"]
    if hours := profile["hours"]:
        power = {"kWh": "kW", "kvarh": "kvar"}.get(unit, unit)
        known = [(float(mean), hour) for hour, mean in enumerate(hours) if mean is not None]
        highest, at = max(known, key=lambda each: (each[0], -each[1]))
        curve = draw_curve([None if mean is None else float(mean) for mean in hours])
        yield f"00 {curve} 24  mean by hour ({zone}), highest {highest:.3g} {power} at {at:02d}:00"
    yield from draw_days({date.fromisoformat(day): share for day, share in profile["days"].items()})


def draw_curve(values: list[float | None]) -> str:
    """Draw one bar for each value between 0 (or the lowest value) and the highest; a blank where none is."""
    known = [value for value in values if value is not None]
    low, high = min(0.0, *known), max(0.0, *known)
    span = (high - low) or 1.0

    def bar(value: float | None) -> str:
        return " " if value is None else _BARS[round((value - low) / span * (len(_BARS) - 1))]

    return "".join(map(bar, values))


def draw_days(shares: Mapping[date, float]) -> Iterator[str]:
    """Yield a line for each month: a mark for each day, whole, in part or missing, and how many are whole."""
    months = [list(days) for _, days in groupby(sorted(shares), key=lambda day: (day.year, day.month))]
    for days in months[:MOST_MONTHS]:
        before = " " * (days[0].day - 1)
        marks = "".join(_mark(shares[day]) for day in days)
        whole = sum(shares[day] >= _ALL_THERE for day in days)
        yield f"{days[0]:%Y-%m} {before + marks:31}  {whole} of {len(days)} days whole"
    if rest := months[MOST_MONTHS:]:
        missing = sum(shares[day] < _ALL_THERE for days in rest for day in days)
        yield f"{len(rest)} more months, {missing} days of them not whole"


def _mark(share: float) -> str:
    if share >= _ALL_THERE:
        return _WHOLE
    return _PART if share else _NONE
