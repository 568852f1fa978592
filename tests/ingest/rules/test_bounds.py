"""The bound of a meter: what is severe, what nobody learns from, and what is only unusual."""

import dataclasses
import datetime
import statistics
from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from data.ingest.rules.bounds import check_bound
from data.ingest.rules.day_frames import DAY as DAY_COLUMNS
from data.ingest.rules.day_frames import Days, no_severe_days
from data.ingest.rules.gaps import estimate_gaps, find_gaps
from data.ingest.rules.levels import check_high_low
from data.ingest.rules.severe import find_severe_days
from tests.ingest.rules.frames import DAY, days_of, readings_of, totals_of

NOBODY = no_severe_days().assign(rule=None, details=None)
USUAL = list(np.linspace(0.1, 0.6, 24))
ROOF = {"channel": "generation", "meter_type": "solar", "capacity_kw": 9.0}
GRID = {"channel": "export", "capacity_kw": 9.0}
USE = {"channel": "consumption"}


def check(values: list[float], history: list[float] = [], **series: Any) -> pd.DataFrame:  # noqa: B006
    channel = series.get("channel", "import")
    totals = totals_of(history).assign(channel=channel)
    return check_bound(days_of(readings_of(values, channel=channel), series, totals=totals))


@pytest.mark.parametrize(
    ("values", "history", "series", "hits"),
    [
        (USUAL, [], {}, 0),
        ([v * 1000 for v in USUAL], [], {}, 1),
        ([v * 1000 for v in USUAL], [], USE, 1),
        ([v * 1000 for v in USUAL], [], ROOF, 1),
        ([v * 1000 for v in USUAL], [], GRID, 1),
        # An empty flat in the wrong unit: 20 kW are possible, but not for a whole day.
        ([20.0] * 24, [], {}, 1),
        # A large meter is known by its history, or by its rated power.
        ([200.0] * 24, [], {}, 1),
        ([200.0] * 24, [4000.0] * 7, {}, 0),
        ([200.0] * 24, [4000.0] * 6, {}, 1),
        ([200.0] * 24, [], {"rated_kw": 180.0}, 0),
        ([250.0] * 24, [], {"rated_kw": 180.0}, 1),
        # The main meter of a house with eleven flats.
        ([150.0] * 24, [], {"connections": 12.0}, 0),
        # A roof of 9 kW: 18 kW pass, 19 do not.
        ([0.0] * 12 + [18.0] + [0.0] * 11, [], ROOF, 0),
        ([0.0] * 12 + [19.0] + [0.0] * 11, [], ROOF, 1),
        # The sun shines for twelve hours at most, and under a clear sky in June for fewer at full power.
        ([4.5] * 24, [], ROOF, 0),
        ([4.6] * 24, [], ROOF, 1),
        ([0.0] * 8 + [9.0] * 9 + [0.0] * 7, [], ROOF, 0),
        ([0.0] * 8 + [9.0] * 9 + [0.0] * 7, [], ROOF | {"latitude": -60.0, "longitude": 0.0}, 1),
        # Gas and water have no connection in kW.
        ([2000.0] * 24, [], {"meter_type": "gas"}, 0),
    ],
)
def test_an_interval_or_a_day_above_the_bound_is_severe(
    values: list[float], history: list[float], series: dict[str, Any], hits: int
) -> None:
    assert len(check(values, history, **series)) == hits


def test_a_severe_day_is_in_no_baseline_and_makes_no_good_day_low() -> None:
    dates = [DAY - datetime.timedelta(days=1), DAY]
    readings = readings_of([1000.0] * 24 + [1.0] * 24, start="2025-06-17")
    totals = totals_of([24.0] * 10 + [24_000.0])
    days = days_of(readings, totals=totals, dates=dates)
    assert check_high_low(days)["reading_date"].dt.date.tolist() == dates
    known, found = find_severe_days(days, NOBODY)
    assert (
        known.severe["reading_date"].dt.date.tolist() == found["reading_date"].dt.date.tolist() == dates[:1]
    )
    assert check_high_low(known)["reading_date"].dt.date.tolist() == dates[:1]


def test_a_person_decides_for_the_energy_that_the_person_saw() -> None:
    days = days_of(readings_of([100.0] * 24))
    found = check_bound(days)
    allowed = found[["rule", *DAY_COLUMNS, "details"]]
    assert find_severe_days(days, allowed)[0].severe.empty
    limits = allowed.assign(details=[found["details"].iloc[0] | {"day_limit_kwh": 500.0}])
    assert find_severe_days(days, limits)[0].severe.empty
    other = allowed.assign(details=[found["details"].iloc[0] | {"kwh": 2300.0}])
    assert len(find_severe_days(days, other)[0].severe) == 1


def test_a_long_gap_is_the_median_of_like_days_without_severe_ones() -> None:
    """The second route is `statistics.median` over the values picked by hand."""
    random = np.random.default_rng(7)
    weeks = {back: random.uniform(0.5, 2.0, 24).round(3) for back in range(7, 43, 7)}
    weeks[14] = weeks[14] * 1000
    history = pd.concat(
        readings_of(list(values), start=str(DAY - datetime.timedelta(days=back)))
        for back, values in weeks.items()
    )
    values = [1.0] * 8 + [np.nan] * 6 + [1.0] * 10
    days = days_of(readings_of(values), totals=totals_of([24.0, 24.0]))
    bad = pd.DataFrame(
        {
            "meter_id": "m",
            "channel": "import",
            "reading_date": [pd.Timestamp(DAY - datetime.timedelta(days=14))],
        }
    )
    days = dataclasses.replace(days, severe=bad)
    found = estimate_gaps(days, find_gaps(days), history)
    good = [week for back, week in weeks.items() if back != 14]
    wanted = [round(statistics.median(float(week[hour]) for week in good), 6) for hour in range(8, 14)]
    assert found["estimate"].tolist() == pytest.approx(wanted)


def test_a_severe_value_is_the_neighbour_of_no_gap() -> None:
    readings = readings_of([1.0] * 23 + [np.nan] + [900.0] * 24, start="2025-06-17")
    days, _ = find_severe_days(
        days_of(readings, dates=[DAY - datetime.timedelta(days=1), DAY], totals=totals_of([23.0])), NOBODY
    )
    assert find_gaps(days)["method"].tolist() != ["17"]


# --- good but unusual days -------------------------------------------------------------------------------


def list_day(date: datetime.date, zone: str, seconds: int) -> tuple[str, int]:
    """Return the start in UTC and the number of intervals of a local day."""
    first, end = (
        datetime.datetime.combine(day, datetime.time(), ZoneInfo(zone)).astimezone(datetime.UTC)
        for day in (date, date + datetime.timedelta(days=1))
    )
    return first.replace(tzinfo=None).isoformat(), int((end - first).total_seconds()) // seconds


DATES = {
    "summer time": ("Europe/Berlin", datetime.date(2025, 3, 30)),
    "winter time": ("Australia/Sydney", datetime.date(2025, 4, 6)),
    "leap day": ("America/Los_Angeles", datetime.date(2024, 2, 29)),
}
# Mean power in kW. A very large day: a heat pump, an oven and a car in an all-electric house.
POWERS = {"move in": (2, 8), "very large day": (6, 12), "battery site": (1, 6)}


Case = tuple[pd.DataFrame, dict[str, Any], pd.DataFrame, datetime.date]


def make_case(kind: str, seed: int) -> Case:
    """Make readings, series, totals and date of a good day that is unusual in one way.

    Its history has up to 50 usual days.
    """
    random = np.random.default_rng([seed, sum(kind.encode())])
    zone = str(random.choice(["UTC", "Europe/Berlin", "Australia/Sydney", "America/Los_Angeles"]))
    zone, date = DATES.get(kind, (zone, datetime.date(2025, 6, 18)))
    channel = "export" if kind == "battery site" else str(random.choice(["import", "consumption"]))
    seconds = int(random.choice([300, 900, 1800, 3600]))
    usual = random.uniform(3, 30, 0 if kind == "new tenant" else int(random.integers(0, 51)))
    if kind == "move in":
        usual = usual * 0.01
    start, count = list_day(date, zone, seconds)
    power = random.uniform(*POWERS.get(kind, (0.2, 1.2))) * random.gamma(2.0, 0.5, count)
    power = np.minimum(power, 45.0)
    if kind == "outage":
        power[count // 3 : count // 2] = 0
    elif kind == "vacancy":
        power = np.full(count, random.uniform(0, 0.05))
    elif kind == "exchange at noon":
        # The old device measures to noon and the new one from noon, with nothing between them.
        power[count // 2] = np.nan
    readings = readings_of(list(power * seconds / 3600), start=start, seconds=seconds, channel=channel)
    readings = readings.assign(reading_date=pd.Timestamp(date).as_unit("us"))
    key = {"meter_id": f"{kind}/{seed}", "channel": channel}
    series: dict[str, Any] = key | {"timezone": zone, "first_date": pd.Timestamp(2024, 1, 1)}
    if kind == "battery site":
        series["capacity_kw"] = random.uniform(4, 12)
    totals = totals_of(list(usual), before=date).assign(**key)
    return readings.assign(**key), series, totals, date


KINDS = [
    *("outage", "vacancy", "exchange at noon", "summer time", "winter time", "leap day"),
    *("very large day", "new tenant", "move in", "battery site"),
]
SEEDS = 15


@pytest.fixture(scope="module")
def unusual() -> Days:
    """All cases as the days of one tenant, each with a meter of its own."""
    cases = [make_case(kind, seed) for kind in KINDS for seed in range(SEEDS)]
    readings, series, totals, dates = zip(*cases, strict=True)
    days = days_of(
        pd.concat(readings, ignore_index=True),
        *series,
        totals=pd.concat(totals, ignore_index=True),
        dates=sorted(set(dates)),
    )
    assert days.grid.dropna(subset=["measured"])["meter_id"].nunique() == len(cases)
    return days


def count_severe(days: Days) -> Counter[str]:
    return Counter(check_bound(days)["meter_id"].str.split("/").str[0])


def test_no_good_but_unusual_day_of_150_is_severe(unusual: Days) -> None:
    """The rate of false alarms is 0 of 150; a very large day has 140 to 290 kWh."""
    assert count_severe(unusual) == {}


def test_each_of_these_days_in_the_wrong_unit_is_severe(unusual: Days) -> None:
    """Only a vacant flat that draws less than 17 W hides a factor of 1000."""
    grid = unusual.grid.assign(measured=unusual.grid["measured"] * 1000)
    found = count_severe(dataclasses.replace(unusual, grid=grid))
    assert found.pop("vacancy") >= SEEDS // 3
    assert found == dict.fromkeys(set(KINDS) - {"vacancy"}, SEEDS)
