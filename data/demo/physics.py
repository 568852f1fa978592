"""Simulate generation and consumption of a demo property in each interval, in whole watt-hours.

Only arrays here. Every value depends only on the property and the instant, not on the requested range, so a
longer demo keeps the values of a shorter one.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.demo.company import DemoProperty
from data.ingest.rules.sky import clear_sky_w_per_m2, solar_elevation_sine

Floats = npt.NDArray[np.float64]
Energy = npt.NDArray[np.int64]
Instants = npt.NDArray[np.datetime64]

SEED = 20_251_103
_SYSTEM_EFFICIENCY = 0.85
# How much more than in spring homes use in the middle of winter, and less in the middle of summer.
_WINTER_SHARE = 0.22
_MIDDLE_OF_JANUARY = 15


@dataclass(frozen=True)
class SimulatedEnergy:
    """Energies of one property over n intervals, in Wh per interval.

    `starts` (n,) are UTC interval starts; `loads` (1 + units, n) begin with the common area. In each interval
    `imported + generation == loads.sum(0) + exported`, exactly.
    """

    starts: Instants
    generation: Energy
    loads: Energy
    imported: Energy
    exported: Energy


def simulate_energy(site: DemoProperty, first_day: date, last_day: date) -> SimulatedEnergy:
    """Simulate whole days of the property's standard time, `first_day` to `last_day` inclusive."""
    days = [first_day + timedelta(days=i) for i in range((last_day - first_day).days + 1)]
    per_day = 86_400 // site.interval_seconds
    midnight = np.datetime64(first_day, "s") - np.timedelta64(site.standard_offset_hours * 3600, "s")
    starts = midnight + np.arange(len(days) * per_day) * np.timedelta64(site.interval_seconds, "s")
    cloud, noise = _draw_weather_and_habits(site, days, per_day)
    generation = _compute_generation(site, starts, cloud)
    loads = _compute_loads(site, starts, noise)
    net = loads.sum(axis=0) - generation
    return SimulatedEnergy(starts, generation, loads, np.maximum(net, 0), np.maximum(-net, 0))


def _draw_weather_and_habits(site: DemoProperty, days: list[date], per_day: int) -> tuple[Floats, Floats]:
    """Draw cloud factors (n,) in 0..1 and load noise (1 + units, n) around 1, seeded by property and day."""
    cloud, noise = [], []
    for day in days:
        rng = np.random.default_rng([SEED, site.number, day.toordinal()])
        cloud.append(rng.uniform(0.35, 1.0) * rng.uniform(0.9, 1.0, per_day))
        noise.append(rng.lognormal(0.0, 0.25, (1 + site.unit_count, per_day)))
    return np.concatenate(cloud), np.concatenate(noise, axis=1)


def _compute_generation(site: DemoProperty, starts: Instants, cloud: Floats) -> Energy:
    """Compute Wh (n,) at interval midpoints; 0 when the sun is below the horizon and during the outage."""
    middle = starts + np.timedelta64(site.interval_seconds // 2, "s")
    sine = solar_elevation_sine(middle, site.latitude, site.longitude)
    power_w = site.solar_kw * clear_sky_w_per_m2(sine) * cloud * _SYSTEM_EFFICIENCY
    if site.outage is not None:
        standard = starts + np.timedelta64(site.standard_offset_hours * 3600, "s")
        first, end = (np.datetime64(day) for day in site.outage)
        power_w = np.where((standard >= first) & (standard < end), 0.0, power_w)
    return np.rint(power_w * site.interval_seconds / 3600).astype(np.int64)


def _compute_loads(site: DemoProperty, starts: Instants, noise: Floats) -> Energy:
    """Compute Wh (1 + units, n): homes peak on local mornings and evenings, and use most in winter.

    The common area is steadier.
    """
    local = pd.DatetimeIndex(starts).tz_localize("UTC").tz_convert(site.timezone)
    hour = (local.hour + local.minute / 60).to_numpy(dtype=np.float64)
    home_w = 180 + 650 * np.exp(-(((hour - 7.3) / 1.3) ** 2)) + 1300 * np.exp(-(((hour - 19.2) / 2.1) ** 2))
    common_w = np.where((hour >= 6) & (hour < 23), 900.0, 500.0)
    home_w *= 1 + _WINTER_SHARE * _compute_winter(site, local.dayofyear.to_numpy(dtype=np.float64))
    sizes = 0.7 + 0.6 * ((np.arange(site.unit_count) * 7) % 10) / 10
    power_w = np.vstack([common_w, np.outer(sizes, home_w)]) * noise
    return np.rint(power_w * site.interval_seconds / 3600).astype(np.int64)


def _compute_winter(site: DemoProperty, day_of_year: Floats) -> Floats:
    """Return 1 in the middle of the property's winter and -1 half a year later."""
    wave = np.cos(2 * np.pi * (day_of_year - _MIDDLE_OF_JANUARY) / 365.25)
    return wave if site.latitude > 0 else -wave
