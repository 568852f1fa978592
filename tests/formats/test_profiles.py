"""The profile of a channel against pandas, over both clock changes; and what a person sees of it."""

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from commands.drawing import draw_curve, draw_days, draw_profile
from data.ingest.inspect import MOST_PROFILES, inspect

HEADER = "identifier,register,channel,unit,reading_ts,interval_seconds,value,quality,source_version\n"
LONDON = "Europe/London"


def write(path: Path, rows: pd.DataFrame, *, register: str = "E1", seconds: int = 1800) -> Path:
    """Write readings (index: instants, value: Wh) as canonical CSV; a missing value is a null reading."""
    lines = []
    for at, value in zip(pd.DatetimeIndex(rows.index), rows["value"], strict=True):
        is_null = pd.isna(value)
        amount, quality = ("", "null") if is_null else (int(value), "actual")
        lines.append(
            f"M1,{register},import,Wh,{at.isoformat()},{seconds},{amount},{quality},2026-01-01T00:00:00Z\n"
        )
    with path.open("a") as file:
        file.write(("" if file.tell() else HEADER) + "".join(lines))
    return path


def half_hours(first: str, end: str) -> pd.DataFrame:
    at = pd.date_range(first, end, freq="30min", inclusive="left", tz="UTC")
    return pd.DataFrame({"value": [(7 * n) % 1000 for n in range(len(at))]}, index=at, dtype="float64")


@pytest.mark.parametrize(
    ("first", "end", "changed", "length"),
    [
        ("2025-03-28", "2025-04-01", date(2025, 3, 30), 23),
        ("2025-10-24 23:00", "2025-10-28", date(2025, 10, 26), 25),
    ],
)
def test_hours_and_days_equal_those_of_pandas(
    tmp_path: Path, first: str, end: str, changed: date, length: int
) -> None:
    rows = half_hours(first, end)
    rows.loc[rows.index[20], "value"] = float("nan")
    (channel,) = inspect(write(tmp_path / "a.csv", rows), profile_zone=LONDON)["channels"]
    local = rows.tz_convert(LONDON).dropna()
    starts = pd.DatetimeIndex(local.index)
    means = local.groupby(starts.hour)["value"].mean() * 2 / 1000
    found = [float(mean) for mean in channel["profile"]["hours"]]
    assert found == pytest.approx(list(means), abs=1e-6)
    counts = local.groupby(starts.strftime("%Y-%m-%d"))["value"].count()
    of_day = {str(changed): 2 * length}
    expected = {str(day): count / of_day.get(str(day), 48) for day, count in counts.items()}
    assert channel["profile"]["days"] == pytest.approx(expected, abs=1e-4)
    assert channel["profile"]["days"][str(changed)] == 1


def test_a_missing_day_is_a_day_and_intervals_of_a_day_have_no_hours(tmp_path: Path) -> None:
    days = pd.date_range("2025-06-01", "2025-06-05", freq="D", tz="UTC").delete(2)
    rows = pd.DataFrame({"value": [1000.0] * len(days)}, index=days)
    (channel,) = inspect(write(tmp_path / "a.csv", rows, seconds=86400), profile_zone="UTC")["channels"]
    assert channel["profile"]["hours"] is None
    assert list(channel["profile"]["days"].values()) == [1, 1, 0, 1, 1]
    assert list(draw_profile(channel["profile"], "kWh")) == [f"2025-06 {'██·██':31}  4 of 5 days whole"]


def test_without_a_zone_and_beyond_the_first_channels_nothing_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for number in range(MOST_PROFILES + 1):
        # Registers with equal values would count once.
        write(path, half_hours("2025-06-01", "2025-06-02") + number**2, register=f"E{number}")
    assert all("profile" not in channel for channel in inspect(path)["channels"])
    drawn = ["profile" in channel for channel in inspect(path, profile_zone="UTC")["channels"]]
    assert drawn == [True] * MOST_PROFILES + [False]


def test_a_curve_is_drawn_from_zero_and_shows_what_is_missing() -> None:
    assert draw_curve([0, 3.5, 7, None]) == "▁▅█ "
    assert draw_curve([5, 5]) == "██", "a constant load is not nothing"
    assert draw_curve([0, 0]) == "▁▁"
    assert draw_curve([-7, 0]) == "▁█", "a net below zero"


def test_the_highest_hour_is_named_with_the_unit_of_its_mean() -> None:
    hours = ["0.25"] * 18 + ["1.5"] + ["0.25"] * 4 + [None]
    (line, _) = draw_profile({"timezone": LONDON, "hours": hours, "days": {"2025-06-01": 1.0}}, "kWh")
    assert line.endswith("mean by hour (Europe/London), highest 1.5 kW at 18:00")
    assert line[3:27] == "▂" * 18 + "█" + "▂" * 4 + " "


def test_many_months_are_counted_and_days_stand_below_each_other() -> None:
    shares = {date(2023, 1, 31) + timedelta(days=number): 1.0 for number in range(1000)}
    shares[date(2025, 9, 9)] = 0.5
    lines = list(draw_days(shares))
    assert lines[0] == f"2023-01 {' ' * 30}█  1 of 1 days whole"
    assert lines[1] == f"2023-02 {'█' * 28:31}  28 of 28 days whole"
    assert lines[-1] == "10 more months, 1 days of them not whole"
    assert len(lines) == 25
