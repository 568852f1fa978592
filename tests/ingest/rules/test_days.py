"""Rules of whole days: frames that break each rule, and frames that just keep it."""

import datetime
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.errors import IngestError
from data.ingest.rules.consistency import check_channels, check_clock
from data.ingest.rules.day_frames import Days
from data.ingest.rules.dials import check_sum, compute_differences
from data.ingest.rules.due_intervals import list_due_intervals
from data.ingest.rules.gaps import estimate_gaps, find_gaps, report_gaps
from data.ingest.rules.levels import (
    check_high_low,
    check_outlier,
    check_spike,
    check_sufficiency,
)
from data.ingest.rules.runs import check_stale, check_zero_run, find_zero_run_candidates
from data.ingest.rules.sky import clear_sky_w_per_m2, solar_elevation_sine
from data.ingest.rules.solar import check_solar
from data.ingest.rules.thresholds import OwnThreshold, make_threshold_lookup
from tests.ingest.rules.frames import DAY, NOW, days_of, readings_of, series_of, totals_of


def found(issues: pd.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    return list(zip(issues["rule"], issues["details"], strict=True))


@pytest.mark.parametrize(
    ("zone", "date", "seconds"),
    [
        (zone, date, seconds)
        for zone, dates in {
            "Australia/Sydney": ["2025-04-06", "2025-10-05", "2024-02-29"],
            "America/New_York": ["2025-03-09", "2025-11-02"],
            "Etc/GMT-10": ["2025-10-05"],
            "America/Santiago": ["2025-09-07", "2025-04-05"],
            "Australia/Lord_Howe": ["2025-10-05"],
        }.items()
        for date in dates
        for seconds in (300, 900, 1800)
    ],
)
def test_a_day_has_the_intervals_that_a_second_count_expects(zone: str, date: str, seconds: int) -> None:
    day = datetime.date.fromisoformat(date)
    frame = series_of({"timezone": zone, "interval_seconds": float(seconds), "first_date": pd.NaT})
    grid = list_due_intervals(readings_of([]), frame, [day], NOW)
    midnights = [
        datetime.datetime.combine(date, datetime.time(), ZoneInfo(zone)).timestamp()
        for date in (day, day + datetime.timedelta(days=1))
    ]
    assert len(grid) * seconds == midnights[1] - midnights[0]
    assert grid["reading_ts"].is_unique


def test_an_interval_is_not_due_before_it_is_over() -> None:
    noon = datetime.datetime(2025, 6, 18, 12, 30, tzinfo=datetime.UTC)
    days = days_of(readings_of([1.0] * 12), now=noon)
    assert len(days.own) == 12
    assert check_sufficiency(days).empty


def test_more_than_half_of_a_day_missing_is_insufficient() -> None:
    assert check_sufficiency(days_of(readings_of([1.0] * 12))).empty
    [(rule, details)] = found(check_sufficiency(days_of(readings_of([1.0] * 11))))
    assert (rule, details) == ("VEE-SUFFICIENCY", {"missing": 13, "due": 24, "share": 0.541667})


@pytest.mark.parametrize(("highest", "ratio"), [(4.0, None), (4.002, 1.001)])
def test_a_spike_is_a_highest_value_above_twice_the_third(highest: float, ratio: float | None) -> None:
    """(highest - third highest) / third highest > 1.0; the second highest is not used."""
    issues = check_spike(days_of(readings_of([1.0] * 20 + [3.9, highest, 2.0, 1.0])))
    assert [details["ratio"] for _, details in found(issues)] == ([ratio] if ratio else [])


def test_a_tenant_sets_thresholds_by_date_and_meter_type() -> None:
    readings = readings_of([1.0] * 21 + [2.5, 1.0, 1.0])

    def spikes(*own: OwnThreshold) -> int:
        return len(check_spike(days_of(readings, own=own)))

    next_day = DAY + datetime.timedelta(days=1)
    assert spikes() == 1
    assert spikes(OwnThreshold("VEE-SPIKE", None, {"ratio": 2}, DAY, next_day)) == 0
    assert spikes(OwnThreshold("VEE-SPIKE", None, {"ratio": 2}, next_day, None)) == 1
    assert spikes(OwnThreshold("VEE-SPIKE", "water", {"ratio": 2}, DAY, None)) == 1
    narrow = OwnThreshold("VEE-SPIKE", "grid", {"ratio": 0.5}, DAY, None)
    assert spikes(narrow, OwnThreshold("VEE-SPIKE", None, {"ratio": 2}, DAY, None)) == 1


@pytest.mark.parametrize(
    ("rule", "parameters"),
    [
        ("VEE-SPIKE", {"ration": 1}),
        ("VEE-NONE", {"ratio": 1}),
        ("VEE-GAP", {"hours": 1}),
        ("VEE-SPIKE", {"ratio": True}),
    ],
)
def test_a_threshold_of_an_unknown_rule_or_name_is_an_error(rule: str, parameters: dict[str, float]) -> None:
    with pytest.raises(IngestError, match=rf"invalid threshold .* of {rule} in myproperty\.vee_thresholds"):
        make_threshold_lookup([OwnThreshold(rule, None, parameters, DAY, None)])


@pytest.mark.parametrize(("value", "hits"), [(1.0, 0), (0.04, 0), (0.03, 1), (2.0, 0), (2.1, 1)], ids=str)
def test_a_day_is_between_a_tenth_and_five_times_the_average(value: float, hits: int) -> None:
    """24 h of `value` against an average of 9.6 a day: 0.96 to 48."""
    days = days_of(readings_of([value] * 24), totals=totals_of([9.0, 9.2, 9.4, 9.6, 9.8, 10.0, 10.2]))
    assert [rule for rule, _ in found(check_high_low(days))] == ["VEE-HIGH-LOW"] * hits


def test_an_outlier_is_above_the_median_by_three_interquartile_ranges() -> None:
    """1 to 9: median 5, quartiles 3 and 7 (type 7 of Hyndman and Fan), so the limit is 5 + 3 x 4 = 17."""
    totals = totals_of([3, 1, 2, 9, 5, 4, 8, 7, 6])
    assert check_outlier(days_of(readings_of([16.9 / 24] * 24), totals=totals)).empty
    [(rule, details)] = found(check_outlier(days_of(readings_of([17.1 / 24] * 24), totals=totals)))
    assert (rule, details) == ("VEE-OUTLIER", {"total": 17.1, "median": 5.0, "iqr": 4.0})


def test_history_needs_seven_whole_days() -> None:
    assert check_high_low(days_of(readings_of([9.0] * 24), totals=totals_of([1.0] * 6))).empty
    short = totals_of([1.0] * 7).assign(count=20)
    assert check_high_low(days_of(readings_of([9.0] * 24), totals=short)).empty
    gap = readings_of([9.0] * 12 + [np.nan] + [9.0] * 11)
    assert check_high_low(days_of(gap, totals=totals_of([1.0] * 7))).empty
    assert len(check_high_low(days_of(readings_of([9.0] * 24), totals=totals_of([1.0] * 7)))) == 1


@pytest.mark.parametrize(
    ("norm", "series", "hits"),
    [(8, {}, 0), (7, {}, 1), (7, {"meter_type": "water"}, 0), (7, {"channel": "generation"}, 0)],
)
def test_zeros_that_last_longer_than_on_any_day_before_are_an_issue(
    norm: int, series: dict[str, Any], hits: int
) -> None:
    channel = series.get("channel", "import")
    days = days_of(readings_of([1.0] * 4 + [0.0] * 8 + [1.0] * 12, channel=channel), series)
    candidates = find_zero_run_candidates(days)
    assert len(candidates) == (0 if series else 1)
    history = readings_of([0.0] * norm + [1.0] * (24 - norm), start="2025-06-11", channel=channel)
    issues = check_zero_run(candidates, history, days.thresholds, days.severe)
    assert len(issues) == hits
    assert check_zero_run(candidates, history.iloc[:0], days.thresholds, days.severe).empty


@pytest.mark.parametrize(("same", "value", "hits"), [(5, 2.0, 0), (6, 2.0, 1), (8, 0.0, 0)])
def test_generation_that_is_the_same_six_times_is_stale(same: int, value: float, hits: int) -> None:
    values = [1.0, 1.1] + [value] * same + list(np.linspace(3, 4, 22 - same))
    days = days_of(
        readings_of(values, channel="generation"), {"channel": "generation", "meter_type": "solar"}
    )
    assert len(check_stale(days)) == hits


SYDNEY = {
    "channel": "generation",
    "meter_type": "solar",
    "latitude": -33.87,
    "longitude": 151.21,
    "capacity_kw": 10.0,
    "timezone": "Australia/Sydney",
    "property_timezone": "Australia/Sydney",
}


def roof(changes: dict[int, float], place: dict[str, Any]) -> Days:
    """Return 18 June in Sydney, sun from 07:00 to 16:53: zeros except `changes`, by local hour."""
    values = [0.0] * 24
    for hour, value in changes.items():
        values[hour] = value
    readings = readings_of(values, start="2025-06-17T14:00", channel="generation")
    return days_of(readings.assign(reading_date=pd.Timestamp(DAY).as_unit("us")), place)


def test_generation_at_night_is_an_issue_where_the_place_is_known() -> None:
    day = {7: 0.4, 12: 6.0, 16: 0.4}
    assert check_solar(roof(day, SYDNEY)).empty
    [(rule, details)] = found(check_solar(roof({**day, 3: 0.1, 18: 0.2}, SYDNEY)))
    assert (rule, details) == ("VEE-SOLAR-NIGHT", {"intervals": 2, "kwh": 0.3})
    assert check_solar(roof({3: 0.1}, SYDNEY | {"latitude": np.nan})).empty


def test_generation_above_a_clear_sky_is_an_issue() -> None:
    """At noon a plane that faces the sun gets 1098 exp(-0.059 / sin 32.7) = 984 W/m2: 10.8 kWh from 10 kW."""
    assert check_solar(roof({12: 10.7}, SYDNEY)).empty
    [(rule, details)] = found(check_solar(roof({12: 10.9}, SYDNEY)))
    assert (rule, details["kwh"]) == ("VEE-SOLAR-CLEAR", 10.9)
    assert details["limit_kwh"] == pytest.approx(10.83, abs=0.03)
    assert check_solar(roof({12: 100.0}, SYDNEY | {"capacity_kw": np.nan})).empty


def test_the_sky_follows_the_published_formulas() -> None:
    """At the equator on the March equinox the sun is overhead; 1098 exp(-0.059) = 1035 W/m2."""
    noon = np.array(["2025-03-20T12:07:30"], dtype="datetime64[s]")
    assert solar_elevation_sine(noon, 0.0, 0.0)[0] == pytest.approx(1, abs=1e-3)
    assert clear_sky_w_per_m2(np.array([1.0, -0.1])) == pytest.approx([1035.1, 0.0], abs=0.1)


def test_a_meter_must_report_on_every_channel_or_not_at_all() -> None:
    both: list[dict[str, Any]] = [{}, {"channel": "export"}]
    readings = pd.concat([readings_of([1.0] * 24), readings_of([0.0] * 24, channel="export")])
    assert check_channels(days_of(readings, *both)).empty
    issues = check_channels(days_of(readings_of([1.0] * 24), *both))
    assert issues[["rule", "channel"]].values.tolist() == [["VEE-CHANNEL", "export"]]
    assert check_channels(days_of(readings_of([1.0] * 24, start="2025-06-17"), *both)).empty


def test_a_meter_with_another_offset_than_its_property_is_an_issue() -> None:
    def minutes(zone: str, home: str) -> list[Any]:
        days = days_of(readings_of([1.0] * 24), {"timezone": zone, "property_timezone": home})
        return [details["minutes"] for _, details in found(check_clock(days))]

    assert minutes("Etc/GMT-10", "Australia/Sydney") == []  # June
    assert minutes("Europe/Berlin", "Europe/London") == [60.0]


def gaps_of(values: Sequence[float], **more: Any) -> pd.DataFrame:
    days = days_of(readings_of(values, **more))
    return estimate_gaps(days, find_gaps(days), readings_of([]))


@settings(max_examples=15, deadline=None)
@given(
    before=st.floats(0, 1000), after=st.floats(0, 1000), length=st.integers(1, 6), first=st.integers(1, 15)
)
def test_a_short_gap_is_filled_on_the_line_between_its_neighbours(
    before: float, after: float, length: int, first: int
) -> None:
    values = np.full(24, 5.0)
    values[first - 1], values[first + length] = before, after
    values[first : first + length] = np.nan
    rows = gaps_of(list(values))
    in_day = rows[rows["reading_date"] == pd.Timestamp(DAY)]
    if length > 2:
        assert in_day["estimate"].isna().all()
        assert set(report_gaps(in_day)["rule"]) == {"VEE-GAP"}
        return
    wanted = np.interp(range(first, first + length), [first - 1, first + length], [before, after])
    assert in_day["estimate"].to_numpy() == pytest.approx(wanted, abs=1e-6)
    assert set(in_day["method"]) == {"17"}


def test_voltage_is_not_estimated() -> None:
    values = [240.0] * 12 + [np.nan] + [240.0] * 11
    days = days_of(readings_of(values, channel="voltage", unit="V"), {"channel": "voltage"})
    rows = find_gaps(days)
    assert rows["method"].tolist() == [""]


def test_missing_zeros_at_night_are_no_gap() -> None:
    readings = roof({12: 6.0}, SYDNEY).own
    lit = readings[(readings["reading_ts"].dt.hour >= 20) | (readings["reading_ts"].dt.hour < 7)]
    kept = lit[["meter_id", "channel", "reading_ts", "reading_date", "interval_seconds", "value", "unit"]]
    kept = kept.assign(version=1, is_own=False, is_withdrawn=False)
    assert find_gaps(days_of(kept, SYDNEY)).empty
    assert not find_gaps(days_of(kept, SYDNEY | {"longitude": np.nan})).empty


READ: dict[str, Any] = {
    "meter_id": "m",
    "channel": "import",
    "kind": "periodic",
    "serial_number": "S1",
    "digits": 5,
    "multiplier": 1.0,
    "unit": "kWh",
    "meter_type": "grid",
    "property_id": "p",
    "reading_date": pd.Timestamp(DAY),
}


def reads_of(*values: float | dict[str, Any]) -> pd.DataFrame:
    """Return reads one day apart; each is a dial value, or a dict of changed columns."""
    at = pd.Timestamp("2025-06-18", tz="UTC")
    rows = [READ | (read if isinstance(read, dict) else {"value": read}) for read in values]
    return pd.DataFrame([{"read_at": at + pd.Timedelta(days=n)} | row for n, row in enumerate(rows)])


@pytest.mark.parametrize(
    ("reads", "energy", "method"),
    [
        ((100.0, 148.0), 48.0, "difference"),
        ((99980.0, 28.0), 48.0, "rollover"),
        ((50001.0, 0.0), 49999.0, "rollover"),
        ((50000.0, 0.0), None, "implausible"),
        ((99980.0, {"value": 28.0, "multiplier": 40.0}), 1920.0, "rollover"),
        ((100.0, {"value": 148.0, "serial_number": "S2"}), None, "implausible"),
    ],
)
def test_a_register_continues_from_zero_after_its_last_digit(
    reads: tuple[Any, ...], energy: float | None, method: str
) -> None:
    [row] = compute_differences(reads_of(*reads)).to_dict("records")
    assert row["method"] == method
    assert row["energy"] == energy if energy is not None else np.isnan(row["energy"])


def test_no_energy_is_counted_between_two_devices() -> None:
    new = {"serial_number": "S2"}
    reads = reads_of(
        100.0,
        {"value": 130.0, "kind": "final"},
        {"value": 7.0, "kind": "initial"} | new,
        {"value": 9.0} | new,
    )
    assert compute_differences(reads)["energy"].tolist() == [30.0, 2.0]


@pytest.mark.parametrize(
    ("total", "energy", "hits"),
    [(49.0, 48.0, 0), (49.01, 48.0, 1), (4804.8, 4800.0, 0), (4804.9, 4800.0, 1), (46.99, 48.0, 1)],
)
def test_intervals_add_up_to_a_thousandth_or_one_unit_of_the_register(
    total: float, energy: float, hits: int
) -> None:
    rows = compute_differences(reads_of(0.0, energy))
    sums = rows[["meter_id", "channel", "start", "end"]].assign(sum=total, seconds=86400.0)
    assert len(check_sum(rows, sums, make_threshold_lookup())) == hits
    assert check_sum(rows, sums.assign(sum=1e9, seconds=82800.0), make_threshold_lookup()).empty
