"""Invented meters with their history, interval by interval: good but unusual days, and what makes them so.

The parts of a load are those of a dwelling: standby and refrigerator, which never stop, cooking and washing
in short bursts, a heat pump, a car. No rule and no threshold is used here.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from tests.ingest.rules.frames import readings_of

Floats = npt.NDArray[np.float64]
HISTORY_DAYS = 50
ZONES = ("UTC", "Europe/Berlin", "Australia/Sydney", "America/Los_Angeles")
# A Wednesday and a Sunday.
DATES = np.array(["2025-06-18", "2025-06-22"], dtype="datetime64[D]")
CLOCK_CHANGES = {"summer time": datetime.date(2025, 3, 30), "winter time": datetime.date(2025, 10, 26)}


@dataclass(frozen=True)
class Meter:
    """A meter with the readings of one day and of the days before, powers in kW by interval."""

    name: str
    series: dict[str, Any]
    date: datetime.date
    readings: pd.DataFrame
    history: pd.DataFrame


@dataclass(frozen=True)
class Dwelling:
    """The habits of a dwelling; `hours` (n,) below are the local hours of a day's intervals."""

    random: np.random.Generator
    base_kw: float
    bursts: float
    burst_kw: float

    def use(self, hours: Floats) -> Floats:
        """Return the powers of a day of ordinary use."""
        count = hours.size
        power = self.idle(hours)
        waking = np.flatnonzero((hours >= 6) & (hours < 23))
        for _ in range(self.random.poisson(self.bursts)):
            start = int(self.random.choice(waking))
            length = max(1, int(self.random.uniform(0.25, 1.5) * count / 24))
            power[start : start + length] += self.random.uniform(0.3, 1.0) * self.burst_kw
        return power

    def idle(self, hours: Floats) -> Floats:
        """Return the powers of a day with nobody at home."""
        return self.base_kw * self.random.uniform(0.7, 1.4, hours.size)

    def heat(self, hours: Floats, cold: float) -> Floats:
        """Return the powers of a heat pump; `cold` is 0 on a mild day and 1 on the coldest."""
        return cold * self.random.uniform(1.0, 4.0, hours.size)

    def charge(self, hours: Floats) -> Floats:
        """Return the powers of a car that charges for some hours of the night."""
        length = self.random.uniform(5, 9)
        return np.where((hours - 22) % 24 < length, self.random.choice([7.4, 11.0]), 0.0)


def make_dwelling(random: np.random.Generator) -> Dwelling:
    return Dwelling(random, random.uniform(0.06, 0.25), random.uniform(4, 12), random.uniform(1.5, 4.0))


def make_roof(random: np.random.Generator, capacity_kw: float) -> Callable[[Floats], Floats]:
    """Return a function that gives the powers of a day of a roof under a random sky."""

    def generate(hours: Floats) -> Floats:
        sun = np.clip(np.sin((hours - 6.5) / 11 * np.pi), 0, None) ** 1.2
        sky = random.choice([0.08, 0.25, 0.6, 0.9, 1.0], p=[0.15, 0.2, 0.25, 0.25, 0.15])
        return np.asarray(0.85 * capacity_kw * sky * sun * random.uniform(0.6, 1.1, hours.size).clip(max=1))

    return generate


@cache
def list_hours(date: datetime.date, zone: str, seconds: int) -> tuple[str, Floats]:
    """Return the start of a local day in UTC, and the local hour of each of its intervals."""
    first, end = (
        datetime.datetime.combine(day, datetime.time(), ZoneInfo(zone)).astimezone(datetime.UTC)
        for day in (date, date + datetime.timedelta(days=1))
    )
    count = int((end - first).total_seconds()) // seconds
    return first.replace(tzinfo=None).isoformat(), np.arange(count) * seconds / 3600


Draw = Callable[[Floats], Floats]


def make_meter(name: str, date: datetime.date, today: Draw, before: list[Draw], **series: Any) -> Meter:
    """Make a meter from the functions that draw the powers of its day and of each day before it."""
    seconds, zone = int(series.pop("seconds", 900)), str(series.setdefault("timezone", "UTC"))
    key = {"meter_id": name, "channel": str(series.setdefault("channel", "import"))}

    first = date - datetime.timedelta(days=len(before))
    dates = [first + datetime.timedelta(days=step) for step in range(len(before) + 1)]
    hours = [list_hours(day, zone, seconds) for day in dates]
    powers = [draw(each) for draw, (_, each) in zip([*before[::-1], today], hours, strict=True)]
    # Meters count watt-hours.
    values = np.round(np.concatenate(powers) * seconds / 3600, 3)
    rows = readings_of(list(values), start=hours[0][0], seconds=seconds).assign(**key)
    rows["reading_date"] = np.repeat(pd.DatetimeIndex(dates).as_unit("us"), [each.size for each in powers])
    settings = {"meter_id": name, "first_date": pd.Timestamp(2024, 1, 1), **series}
    earlier = len(rows) - powers[-1].size
    return Meter(name, settings, date, rows.iloc[earlier:], rows.iloc[:earlier])


def sum_history(history: pd.DataFrame) -> pd.DataFrame:
    """Return the totals of the days before, as the database gives them."""
    rows = history.assign(peak_kw=history["value"] * 3600 / history["interval_seconds"])
    return rows.groupby(["meter_id", "channel", "reading_date"], as_index=False).agg(
        total=("value", "sum"), count=("value", "count"), seconds=("interval_seconds", "max"),
        kwh=("value", "sum"), peak_kw=("peak_kw", "max"),
    )  # fmt: skip


GOOD = (
    *(
        "ordinary",
        "very large day",
        "first heat pump and car",
        "move in, electric",
        "first car",
        "first cold day",
        "heat pump in winter",
        "guests",
    ),
    *("vacancy", "home from holiday", "move in", "new tenant", "outage", "leap day", *CLOCK_CHANGES),
    *("shop open on Sunday", "sun after snow", "battery site", "holiday exports", "dark winter day"),
)


def make_good(kind: str, seed: int) -> Meter:
    """Make the meter of a good day that is unusual in one way."""
    random = np.random.default_rng([seed, *kind.encode()])
    home = make_dwelling(random)
    name = f"{kind}/{seed}"
    date = datetime.date(2024, 2, 29) if kind == "leap day" else CLOCK_CHANGES.get(kind)
    date = date or random.choice(DATES).item()
    zone = "Europe/Berlin" if kind in CLOCK_CHANGES else str(random.choice(ZONES))
    seconds = int(random.choice([300, 900, 1800, 3600]))
    channel = str(random.choice(["import", "consumption"]))
    length = 0 if kind == "new tenant" else int(random.integers(7, HISTORY_DAYS + 1))
    today, before = _draw_day(kind, random, home, length)
    capacity_kw = float(random.uniform(4, 12))
    series: dict[str, Any] = {"timezone": zone, "seconds": seconds, "channel": channel}
    if kind in ("sun after snow", "battery site", "holiday exports", "dark winter day"):
        is_export = kind in ("battery site", "holiday exports")
        series |= {"channel": "export" if is_export else "generation", "capacity_kw": capacity_kw}
        series |= {} if is_export else {"meter_type": "solar"}
        today, before = _draw_sun(kind, random, home, capacity_kw, length)
    return make_meter(name, date, today, before, **series)


def _draw_day(kind: str, random: np.random.Generator, home: Dwelling, length: int) -> tuple[Draw, list[Draw]]:
    cold = random.uniform(0.5, 1.0)
    frugal = Dwelling(random, random.uniform(0.01, 0.04), 0, 0)
    shop = random.uniform(5, 20)

    def very_large(hours: Floats) -> Floats:
        return home.use(hours) + home.heat(hours, 1.0) + home.charge(hours) + home.use(hours)

    def frost_protected(hours: Floats) -> Floats:
        return frugal.idle(hours) + (random.random(hours.size) < 0.1) * random.uniform(0.5, 1.5)

    def electric(hours: Floats) -> Floats:
        return home.use(hours) + home.heat(hours, cold)

    def in_shop(hours: Floats) -> Floats:
        return shop * (0.15 + ((hours >= 8) & (hours < 20)) * random.uniform(0.7, 1.0, hours.size))

    def out(hours: Floats) -> Floats:
        power = home.use(hours)
        power[hours.size // 3 : hours.size // 2] = 0
        return power

    today: dict[str, Draw] = {
        "very large day": very_large,
        "first heat pump and car": very_large,
        "move in, electric": electric,
        "first car": lambda hours: home.use(hours) + home.charge(hours),
        "first cold day": lambda hours: home.use(hours) + home.heat(hours, cold),
        "heat pump in winter": lambda hours: home.use(hours) + home.heat(hours, 1.0),
        "guests": lambda hours: home.use(hours) + home.use(hours) + home.use(hours),
        "vacancy": frugal.idle,
        "outage": out,
        "shop open on Sunday": in_shop,
    }
    before: dict[str, Draw] = {
        "very large day": electric,
        "heat pump in winter": lambda hours: home.use(hours) + home.heat(hours, 0.2),
        "move in": frugal.idle,
        "move in, electric": frost_protected,
        "shop open on Sunday": lambda hours: shop * 0.15 * random.uniform(0.9, 1.1, hours.size),
    }
    away = min(length, 20) if kind == "home from holiday" else 0
    usual = before.get(kind, home.use)
    return today.get(kind, home.use), [home.idle] * away + [usual] * (length - away)


def _draw_sun(
    kind: str, random: np.random.Generator, home: Dwelling, capacity_kw: float, length: int
) -> tuple[Draw, list[Draw]]:
    roof = make_roof(random, capacity_kw)

    def clear(hours: Floats) -> Floats:
        return np.asarray(0.85 * capacity_kw * np.clip(np.sin((hours - 6.5) / 11 * np.pi), 0, None))

    def surplus(hours: Floats) -> Floats:
        return np.clip(roof(hours) - 2 * home.use(hours), 0, None)

    def discharge(hours: Floats) -> Floats:
        return surplus(hours) + np.where((hours >= 18) & (hours < 21), random.uniform(2, 5), 0.0)

    today: dict[str, Draw] = {
        "sun after snow": clear,
        "battery site": discharge,
        "holiday exports": lambda hours: np.clip(clear(hours) - home.idle(hours), 0, None),
        "dark winter day": lambda hours: 0.03 * clear(hours),
    }
    snow: Draw = lambda hours: 0.02 * clear(hours) * random.uniform(0.5, 1.5)  # noqa: E731
    before = {"sun after snow": snow, "battery site": surplus, "holiday exports": surplus}.get(kind, roof)
    return today[kind], [before] * length


IN_USE = ("dwelling", "dwelling with a heat pump", "shop", "roof", "exports")


def make_usual(kind: str, seed: int) -> Meter:
    """Make the meter of an ordinary day with 50 ordinary days before it."""
    random = np.random.default_rng([seed, *kind.encode()])
    home, capacity_kw = make_dwelling(random), float(random.uniform(4, 12))
    roof, shop = make_roof(random, capacity_kw), float(random.uniform(5, 20))
    draw: dict[str, Draw] = {
        "dwelling": home.use,
        "dwelling with a heat pump": lambda hours: (
            home.use(hours) + home.heat(hours, random.uniform(0.3, 0.8))
        ),
        "shop": lambda hours: (
            shop * (0.15 + ((hours >= 8) & (hours < 20)) * random.uniform(0.7, 1.0, hours.size))
        ),
        "roof": roof,
        "exports": lambda hours: np.clip(roof(hours) - home.use(hours), 0, None),
    }
    series: dict[str, Any] = {"seconds": int(random.choice([300, 900, 1800, 3600]))}
    series["channel"] = {"roof": "generation", "exports": "export"}.get(
        kind, str(random.choice(["import", "consumption"]))
    )
    if kind in ("roof", "exports"):
        series |= {"capacity_kw": capacity_kw} | ({"meter_type": "solar"} if kind == "roof" else {})
    date = random.choice(DATES).item()
    return make_meter(f"{kind}/{seed}", date, draw[kind], [draw[kind]] * HISTORY_DAYS, **series)
