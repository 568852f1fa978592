"""The balance of a property, and estimates that keep to it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.rules.balance import check_balance, fit_estimates
from data.ingest.rules.day_frames import Days
from data.ingest.rules.gaps import estimate_gaps, find_gaps
from tests.ingest.rules.frames import DAY, days_of, readings_of

CHANNELS = {"import": 1.0, "generation": 2.0, "export": 0.5, "consumption": 2.5}
HOURS = np.arange(24)
NIGHT_PLACE: dict[str, Any] = {"latitude": 52.5, "longitude": 13.4, "capacity_kw": 5.0}


def site(
    values: dict[str, Any], *, unit: str = "kWh", gap: slice = slice(9, 12), missing: str = "", **place: Any
) -> Days:
    """Return a day of a meter for each name; a name begins with its channel. `missing` names lack the gap."""
    readings, series = [], []
    for name, value in values.items():
        channel = name.split("-")[0]
        hourly = np.broadcast_to(np.asarray(value, dtype=float), 24).copy()
        if name in missing.split():
            hourly[gap] = np.nan
        rows = readings_of(list(hourly), meter_id=name, channel=channel, unit=unit)
        readings.append(rows[rows["value"].notna()])
        series.append({"meter_id": name, "channel": channel, **place})
    return days_of(pd.concat(readings), *series)


def fit(days: Days, **estimates: float) -> dict[str, list[float]]:
    """Estimate the gaps of a site as these values by meter, and return the estimates that fit."""
    gaps = find_gaps(days).assign(method="14", estimate=np.nan)
    gaps = gaps[gaps["reading_date"] == pd.Timestamp(DAY)]
    gaps["estimate"] = gaps["meter_id"].str.replace("-", "_").map(estimates).astype(float)
    gaps.loc[gaps["estimate"].isna(), "method"] = ""
    fitted = fit_estimates(days, gaps).sort_values(["meter_id", "reading_ts"])
    return {str(name): list(rows["estimate"]) for name, rows in fitted.groupby("meter_id")}


@pytest.mark.parametrize(("used", "hits"), [(2.5, 0), (2.53, 0), (2.532, 1)])
def test_a_property_uses_and_exports_no_more_than_it_takes_in(used: float, hits: int) -> None:
    """3 kWh come in and 0.5 leave; 1 % of 3 and a watt-hour are tolerated, so 2.531 may be used."""
    days = site(CHANNELS | {"consumption": used})
    assert check_balance(days)["rule"].tolist() == ["VEE-BALANCE"] * hits


def test_a_balance_needs_all_registers_and_sums_quarters_to_hours() -> None:
    taken = readings_of([0.25] * 96, seconds=900)
    used = readings_of([1.5] * 24, meter_id="u", channel="consumption")
    series: list[dict[str, Any]] = [{}, {"meter_id": "u", "channel": "consumption"}]
    [details] = check_balance(days_of(pd.concat([taken, used]), *series))["details"]
    assert details == {"intervals": 24, "loss_kwh": -12.0}
    [details] = check_balance(days_of(pd.concat([taken.iloc[4:], used]), *series))["details"]
    assert details["intervals"] == 23


@pytest.mark.parametrize(
    ("change", "place"),
    [
        pytest.param("import", {}, id="the grid connection is not metered"),
        pytest.param("generation", {"capacity_kw": 5.0}, id="a roof is known and not metered"),
        pytest.param("", {"has_battery": True}, id="a battery gives what went in before"),
        pytest.param("consumption", {}, id="the use is not metered"),
    ],
)
def test_what_a_property_does_not_meter_is_no_breach_of_its_balance(
    change: str, place: dict[str, Any]
) -> None:
    values = CHANNELS | {"consumption": 9.0}
    assert not check_balance(site(values)).empty
    assert check_balance(site({k: v for k, v in values.items() if k != change}, **place)).empty


def test_a_daily_dial_is_compared_with_the_hours_of_its_local_day() -> None:
    """The local day starts at 22:00 UTC: cut at midnight of UTC, two hours would face a day."""
    zone = {"timezone": "Europe/Berlin", "property_timezone": "Europe/Berlin"}
    hourly = readings_of([1.0] * 24, start="2025-06-17T22:00")
    daily = readings_of([24.0], start="2025-06-17T22:00", seconds=86_400, meter_id="u", channel="consumption")
    readings = pd.concat([hourly, daily]).assign(reading_date=pd.Timestamp(DAY).as_unit("us"))
    series = [zone, {"meter_id": "u", "channel": "consumption", **zone}]
    assert check_balance(days_of(readings, *series)).empty
    more = readings.assign(value=readings["value"].where(readings["meter_id"] == "m", 25.0))
    [details] = check_balance(days_of(more, *series))["details"]
    assert details == {"intervals": 1, "loss_kwh": -1.0}


def test_an_estimate_of_use_is_at_most_what_nobody_else_used() -> None:
    """3 kWh come in, 0.5 leave, the other flat uses 2: half a kilowatt-hour is left."""
    values = {"import": 1.0, "generation": 2.0, "export": 0.5, "consumption-a": 2.0, "consumption-b": 0.4}
    days = site(values, missing="consumption-b")
    assert fit(days, consumption_b=0.7) == {"consumption-b": [0.5] * 3}
    assert fit(days, consumption_b=0.3) == {"consumption-b": [0.3] * 3}
    both = site(values, missing="consumption-a consumption-b")
    assert fit(both, consumption_a=3.0, consumption_b=1.0) == {
        "consumption-a": [1.875] * 3,
        "consumption-b": [0.625] * 3,
    }


def test_an_estimate_of_what_went_in_is_at_least_what_was_used_and_left() -> None:
    """2.5 kWh are used and 0.5 leave: with 2 of the roof, 1 came from the grid."""
    assert fit(site(CHANNELS, missing="import"), **{"import": 0.0}) == {"import": [1.0] * 3}
    assert fit(site(CHANNELS, missing="generation"), generation=1.5) == {"generation": [2.0] * 3}
    both = site(CHANNELS, missing="import generation")
    assert fit(both, generation=1.75, **{"import": 0.5}) == {"generation": [1.75] * 3, "import": [1.25] * 3}
    use = site(CHANNELS, missing="import consumption")
    assert fit(use, consumption=3.0, **{"import": 0.5}) == {"consumption": [3.0] * 3, "import": [1.5] * 3}


@pytest.mark.parametrize(
    ("missing", "place"),
    [
        pytest.param("consumption-b export", {}, id="an open gap"),
        pytest.param("consumption-b", {"has_battery": True}, id="a battery"),
        pytest.param("consumption-b", {"meter_type": "water"}, id="no electricity"),
    ],
)
def test_an_estimate_stays_where_the_balance_is_not_known(missing: str, place: dict[str, Any]) -> None:
    values = {"import": 1.0, "generation": 2.0, "export": 0.5, "consumption-a": 2.0, "consumption-b": 0.4}
    found = fit(site(values, missing=missing, **place), consumption_b=0.7)
    assert found["consumption-b"] == [0.7] * 3


def test_a_severe_day_bounds_no_estimate() -> None:
    days = site(CHANNELS | {"consumption-b": 0.0, "consumption": 2000.0}, missing="consumption-b")
    assert fit(days, consumption_b=0.7) == {"consumption-b": [0.0] * 3}
    severe = pd.DataFrame(
        {"meter_id": ["consumption"], "channel": ["consumption"], "reading_date": [pd.Timestamp(DAY)]}
    )
    held = Days(days.dates, days.grid, days.series, days.totals, days.thresholds, severe)
    assert fit(held, consumption_b=0.7) == {"consumption-b": [0.7] * 3}


def test_zeros_of_the_night_that_a_roof_leaves_out_are_known() -> None:
    values = {"import": 1.0, "generation": np.where((HOURS > 3) & (HOURS < 20), 2.0, np.nan)}
    days = site(values | {"consumption": 0.9}, gap=slice(22, 24), missing="consumption", **NIGHT_PLACE)
    assert fit(days, consumption=5.0)["consumption"] == [1.0] * 2


@settings(max_examples=20, deadline=None)
@given(
    values=st.lists(st.integers(0, 5000), min_size=4, max_size=4),
    estimate=st.integers(0, 20_000),
    missing=st.sampled_from(["consumption-b", "import", "generation", "export", "consumption-a export"]),
    unit=st.sampled_from(["Wh", "kWh", "MWh"]),
)
def test_fitted_estimates_keep_the_balance_in_every_unit(
    values: list[int], estimate: int, missing: str, unit: str
) -> None:
    """What was used is the rest, so the true values have a loss of zero."""
    grid, roof, flat, other = (value / 1000 for value in values)
    left = max(grid + roof - flat - other, 0.0)
    grid = max(grid, flat + other + left - roof)
    true = {"import": grid, "generation": roof, "export": left, "consumption-a": flat, "consumption-b": other}
    factor = {"Wh": 1000.0, "kWh": 1.0, "MWh": 0.001}[unit]
    days = site({name: value * factor for name, value in true.items()}, unit=unit, missing=missing)
    guess = {name.replace("-", "_"): estimate / 1000 * factor for name in missing.split()}
    found = fit(days, **guess)
    energy = {name: found[name][0] / factor if name in found else value for name, value in true.items()}
    loss = energy["import"] + energy["generation"] - energy["export"]
    loss -= energy["consumption-a"] + energy["consumption-b"]
    assert loss >= -1e-9
    for name in missing.split():
        assert energy[name] >= 0
        if loss > 1e-5 / factor:
            assert energy[name] == pytest.approx(estimate / 1000, abs=1e-5 / factor)


def test_a_line_between_two_peaks_is_lowered_to_what_went_in() -> None:
    use = np.full(24, 1.0)
    use[[9, 11]] = 3.0
    intake = use.copy()
    days = site({"import": intake, "consumption": use}, gap=slice(10, 11), missing="consumption")
    gaps = estimate_gaps(days, find_gaps(days), readings_of([]))
    gaps = gaps[gaps["reading_date"] == pd.Timestamp(DAY)]
    assert gaps["estimate"].tolist() == [3.0]
    assert fit_estimates(days, gaps)["estimate"].tolist() == [1.0]
