"""The reference series of an array, checked against the calendar, the sun and pvlib's model chain."""

from datetime import date
from decimal import Decimal

import pandas as pd
import pytest

from data.solar.reference import INTERVAL_SECONDS, SolarArray, compute_reference_yield

SYDNEY = SolarArray(-33.87, 151.21, "Australia/Sydney", 20, 0, 12)
BERLIN = SolarArray(52.52, 13.40, "Europe/Berlin", 35, 180, 9)
LOS_ANGELES = SolarArray(34.05, -118.24, "America/Los_Angeles", 15, 180, 15)


def run_model_chain(array: SolarArray, day: date) -> tuple[float, float]:
    """Compute irradiation (kWh/m2) and AC energy (kWh) of a local day with pvlib's model chain."""
    from pvlib.location import Location
    from pvlib.modelchain import ModelChain
    from pvlib.pvsystem import PVSystem

    place = Location(array.latitude, array.longitude, tz=array.timezone)
    start = pd.Timestamp(day, tz=array.timezone)
    times = pd.date_range(start, start + pd.DateOffset(days=1), freq="1min", inclusive="left")
    system = PVSystem(
        surface_tilt=array.tilt,
        surface_azimuth=array.azimuth,
        module_parameters={"pdc0": array.capacity_kw * 1000, "gamma_pdc": -0.004},
        inverter_parameters={"pdc0": array.capacity_kw * 1000 / 0.96},
        racking_model="open_rack",
        module_type="glass_polymer",
        losses_parameters={},
    )
    chain = ModelChain.with_pvwatts(system, place, aoi_model="no_loss", transposition_model="haydavies")
    chain.run_model(place.get_clearsky(times, model="ineichen"))
    hours = 1 / 60 / 1000
    return (
        float(chain.results.total_irrad["poa_global"].fillna(0).sum()) * hours,
        float(chain.results.ac.clip(lower=0).sum()) * hours,
    )


@pytest.mark.parametrize("array", [SYDNEY, BERLIN, LOS_ANGELES])
@pytest.mark.parametrize("day", [date(2025, 6, 21), date(2025, 11, 8), date(2026, 3, 29)])
def test_a_day_equals_the_model_chain_of_pvlib(array: SolarArray, day: date) -> None:
    series = compute_reference_yield(array, day, date.fromordinal(day.toordinal() + 1))
    irradiation, energy = run_model_chain(array, day)
    assert float(series["irradiation_kwh_per_m2"].sum()) == pytest.approx(irradiation, rel=0.003)
    assert float(series["expected_kwh"].sum()) == pytest.approx(energy, rel=0.003)


def test_days_have_the_intervals_of_the_clock() -> None:
    series = compute_reference_yield(BERLIN, date(2026, 3, 28), date(2026, 10, 26))
    counts = series.groupby("reading_date").size()
    assert counts[date(2026, 3, 28)] == 48
    assert counts[date(2026, 3, 29)] == 46
    assert counts[date(2026, 10, 25)] == 50
    steps = series["reading_ts"].diff().dropna().unique()
    assert list(steps) == [pd.Timedelta(seconds=INTERVAL_SECONDS)]


def test_a_range_equals_its_days() -> None:
    whole = compute_reference_yield(SYDNEY, date(2025, 10, 4), date(2025, 10, 7))
    parts = [compute_reference_yield(SYDNEY, date(2025, 10, d), date(2025, 10, d + 1)) for d in (4, 5, 6)]
    pd.testing.assert_frame_equal(whole, pd.concat(parts, ignore_index=True))


def test_night_is_zero_and_day_stays_below_the_rating() -> None:
    series = compute_reference_yield(SYDNEY, date(2025, 12, 20), date(2025, 12, 22))
    hours = series["reading_ts"].dt.tz_convert(SYDNEY.timezone).dt.hour
    night = series[(hours >= 21) | (hours < 4)]
    assert set(night["expected_kwh"]) == {Decimal(0)} == set(night["irradiation_kwh_per_m2"])
    assert max(series["expected_kwh"]) <= Decimal(12) * INTERVAL_SECONDS / 3600
    assert all(value == value.quantize(Decimal("1e-9")) for value in series["expected_kwh"])


def test_the_equator_side_gets_more() -> None:
    day = (date(2026, 6, 21), date(2026, 6, 22))
    north, south = (
        compute_reference_yield(SolarArray(-33.87, 151.21, "Australia/Sydney", 30, azimuth, 1), *day)[
            "expected_kwh"
        ].sum()
        for azimuth in (0, 180)
    )
    assert north > 2 * south
