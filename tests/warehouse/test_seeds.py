"""Test the reference seeds as files: the origin of each row, and the same holidays in another calendar."""

import csv
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from pandas.tseries.holiday import USFederalHolidayCalendar
from pandas.tseries.offsets import Easter

SEEDS = sorted((Path(__file__).parents[2] / "data" / "warehouse" / "seeds").glob("*.csv"))
YEARS = range(2024, 2027)


def seed(name: str) -> list[dict[str, str]]:
    [path] = [path for path in SEEDS if path.stem == name]
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def holidays(calendar: str) -> dict[date, str]:
    return {
        date.fromisoformat(row["holiday_date"]): row["holiday_name"]
        for row in seed("public_holidays")
        if row["calendar"] == calendar
    }


@pytest.mark.parametrize("name", [path.stem for path in SEEDS])
def test_every_row_has_its_origin(name: str) -> None:
    rows = seed(name)
    assert rows
    for row in rows:
        assert all(row[column].strip() for column in ("source", "edition", "published", "licence")), row


def test_federal_holidays_equal_those_of_pandas() -> None:
    """pandas moves a holiday that falls on a weekend; the seed has the day itself too."""
    ours = holidays("US")
    theirs = USFederalHolidayCalendar().holidays(f"{min(YEARS)}-01-01", f"{max(YEARS)}-12-31").date
    assert set(theirs) <= set(ours)
    for day in set(ours) - set(theirs):
        assert day.weekday() >= 5, ours[day]


@pytest.mark.parametrize(
    ("calendar", "days_after_easter"),
    [
        ("AU-NSW", {"Good Friday": -2, "Easter Saturday": -1, "Easter Sunday": 0, "Easter Monday": 1}),
        ("DE-BE", {"Good Friday": -2, "Easter Monday": 1, "Ascension Day": 39, "Whit Monday": 50}),
    ],
)
def test_movable_feasts_follow_easter(calendar: str, days_after_easter: dict[str, int]) -> None:
    ours = holidays(calendar)
    for year in YEARS:
        easter_sunday = (pd.Timestamp(year, 1, 1) + Easter()).date()
        for name, days in days_after_easter.items():
            assert ours[easter_sunday + timedelta(days=days)] == name
    fixed = {
        day.replace(year=2024) for day, name in ours.items() if name in ("New Year's Day", "Christmas Day")
    }
    assert fixed == {date(2024, 1, 1), date(2024, 12, 25)}


def test_demo_prices_cover_each_day_once() -> None:
    """A plan has one price per charge and minute of the day, without a gap from its first day."""
    bands: dict[tuple[str, str, str, str], list[tuple[int, int]]] = defaultdict(list)
    validity: dict[tuple[str, str, str], set[tuple[str, str]]] = defaultdict(set)
    for row in seed("demo_tariff_bands"):
        key = row["plan_name"], row["charge"], row["day_kind"]
        bands[*key, row["valid_from"]].append((int(row["minutes_from"]), int(row["minutes_to"])))
        validity[key].add((row["valid_from"], row["valid_to"]))
    for day, parts in bands.items():
        starts, ends = zip(*sorted(parts), strict=True)
        assert (*starts, 1440) == (0, *ends), day
    for plan, spans in validity.items():
        starts_from, ends_at = zip(*sorted(spans), strict=True)
        assert (*starts_from[1:], "") == ends_at, plan
    assert {charge for _, charge, _ in validity} == {"grid", "solar", "daily"}
    assert {kind for _, _, kind in validity} == {"weekday", "weekend"}
