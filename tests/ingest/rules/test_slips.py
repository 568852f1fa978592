"""Slips of the unit: ten and a thousand times each channel, and good days that nobody may hold back."""

import dataclasses
import datetime
from collections import Counter
from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest

from data.ingest.rules.day_frames import Days, no_severe_days
from data.ingest.rules.levels import check_high_low, check_outlier
from data.ingest.rules.severe import find_severe_days
from data.ingest.rules.slips import find_slip_candidates
from tests.ingest.rules.frames import DAY as DATE
from tests.ingest.rules.frames import days_of
from tests.ingest.rules.households import (
    GOOD,
    IN_USE,
    Draw,
    Meter,
    make_good,
    make_meter,
    make_usual,
    sum_history,
)

NOBODY = no_severe_days().assign(rule=None, details=None)
SEEDS = 12
Company = tuple[Days, pd.DataFrame]
SevereTimes = Callable[[float], pd.DataFrame]


def join_meters(meters: list[Meter]) -> Company:
    """Return the meters as the days of one tenant, and the history of all of them."""
    history = pd.concat([meter.history for meter in meters], ignore_index=True)
    days = days_of(
        pd.concat([meter.readings for meter in meters], ignore_index=True),
        *(meter.series for meter in meters),
        totals=sum_history(history),
        dates=sorted({meter.date for meter in meters}),
    )
    assert days.grid.dropna(subset=["measured"])["meter_id"].nunique() == len(meters)
    return days, history


def multiply(days: Days, factor: float) -> Days:
    return dataclasses.replace(days, grid=days.grid.assign(measured=days.grid["measured"] * factor))


def find_severe(days: Days, history: pd.DataFrame) -> pd.DataFrame:
    """Return the severe issues, as validation finds them: with the history of candidates only."""
    candidates = find_slip_candidates(find_severe_days(days, NOBODY)[0])
    return find_severe_days(days, NOBODY, history[history["meter_id"].isin(candidates["meter_id"])])[1]


def hold(kwh: float) -> Draw:
    """Return a function that gives a constant power: so much energy in 24 hours."""
    return lambda hours: np.full(hours.size, kwh / 24)


def count_kinds(issues: pd.DataFrame) -> Counter[str]:
    """Count the meters with an issue, by kind."""
    return Counter(meter.split("/")[0] for meter in issues["meter_id"].unique())


@pytest.fixture(scope="module")
def good() -> Company:
    return join_meters([make_good(kind, seed) for kind in GOOD for seed in range(SEEDS)])


@pytest.fixture(scope="module")
def usual() -> Company:
    return join_meters([make_usual(kind, seed) for kind in IN_USE for seed in range(SEEDS)])


@pytest.fixture(scope="module")
def severe_times(usual: Company) -> SevereTimes:
    """Return the severe issues of the usual days times a factor, found once for each factor."""
    days, history = usual
    return cache(lambda factor: find_severe(multiply(days, factor), history))


def test_no_good_but_unusual_day_of_252_is_severe(good: Company) -> None:
    assert len(GOOD) * SEEDS == 252
    assert find_severe(*good).empty


# Severe of twelve meters of each kind. A dark day on a roof, ten times, is a sunny day.
RATES = {
    10: {"dwelling": 12, "dwelling with a heat pump": 12, "shop": 12, "roof": 10, "exports": 7},
    1000: dict.fromkeys(IN_USE, 12),
    0.001: dict.fromkeys(IN_USE, 12) | {"exports": 11},
}


@pytest.mark.parametrize("factor", list(RATES))
def test_a_slip_of_the_unit_is_severe_on_each_channel(severe_times: SevereTimes, factor: float) -> None:
    assert severe_times(1).empty
    assert count_kinds(severe_times(factor)) == RATES[factor]


def test_ten_times_a_day_that_is_not_severe_is_at_least_an_issue_for_most_meters(
    usual: Company, severe_times: SevereTimes
) -> None:
    """Of 60 meters, 53 are severe and 3 more an issue. The other 4 had a dark day: ten times, it is sunny."""
    days = multiply(usual[0], 10)
    seen = [severe_times(10), check_high_low(days), check_outlier(days)]
    kinds = count_kinds(pd.concat(seen))
    assert kinds == dict.fromkeys(IN_USE, 12) | {"roof": 10, "exports": 10}
    assert sum(RATES[10].values()) == 53


def test_ten_times_a_vacant_flat_is_not_severe() -> None:
    """The border: a meter that uses less than 2 kWh a day, with a tenth of that for a thousand times."""
    flats = [make_meter(f"flat/{kwh}", DATE, hold(kwh * 10), [hold(kwh)] * 20) for kwh in (1.9, 2.1)]
    assert find_severe(*join_meters(flats))["meter_id"].tolist() == ["flat/2.1"]
    flats = [make_meter(f"flat/{kwh}", DATE, hold(kwh * 1000), [hold(kwh)] * 20) for kwh in (0.18, 0.3)]
    assert find_severe(*join_meters(flats))["meter_id"].tolist() == ["flat/0.3"]


@pytest.mark.parametrize(("new_days", "is_severe"), [(0, True), (3, True), (7, False)])
def test_a_new_level_is_usual_after_a_week(new_days: int, is_severe: bool) -> None:
    hotel = make_meter("hotel", DATE, hold(300), [hold(300)] * new_days + [hold(40)] * (50 - new_days))
    assert len(find_severe(*join_meters([hotel]))) == is_severe


def test_a_daily_reading_and_a_short_history_have_no_slip_by_ten() -> None:
    daily = make_meter("daily", DATE, hold(100), [hold(10)] * 20, seconds=86_400)
    young = make_meter("young", DATE, hold(100), [hold(10)] * 6)
    assert find_severe(*join_meters([daily, young])).empty


def test_a_slip_of_the_day_before_hides_nothing() -> None:
    """Two weeks in the wrong unit, validated together: each day is severe, and none is usual."""
    home = make_meter("home", DATE, hold(100), [hold(100)] * 13 + [hold(10)] * 37)
    days, history = join_meters([home])
    since = DATE - datetime.timedelta(days=13)
    grid = days_of(
        pd.concat([home.readings, history]), home.series, totals=days.totals,
        dates=[since + datetime.timedelta(days=step) for step in range(14)],
    )  # fmt: skip
    assert len(find_severe(grid, history)) == 14
