"""How much a demo property makes and uses in each interval, in whole watt-hours.

Only arrays here. Every value depends on the site and the instant alone, never on the range asked for,
so a longer demo extends a shorter one without changing it.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.demo.company import Site

Floats = npt.NDArray[np.float64]
Energy = npt.NDArray[np.int64]
Instants = npt.NDArray[np.datetime64]

SEED = 20_251_103
_SYSTEM_EFFICIENCY = 0.85


@dataclass(frozen=True)
class Series:
    """One property over n intervals; energies in Wh of the interval.

    `starts` (n,) UTC interval starts; `loads` (1 + units, n), the common area first. Per interval
    `imported + generation == loads.sum(0) + exported`, exactly.
    """

    starts: Instants
    generation: Energy
    loads: Energy
    imported: Energy
    exported: Energy


def simulate(site: Site, first_day: date, last_day: date) -> Series:
    """Whole days of the site's standard time, `first_day` to `last_day` inclusive."""
    days = [first_day + timedelta(days=i) for i in range((last_day - first_day).days + 1)]
    per_day = 86_400 // site.interval_seconds
    midnight = np.datetime64(first_day, "s") - np.timedelta64(site.standard_offset_hours * 3600, "s")
    starts = midnight + np.arange(len(days) * per_day) * np.timedelta64(site.interval_seconds, "s")
    cloud, noise = _weather_and_habits(site, days, per_day)
    generation = _generation(site, starts, cloud)
    loads = _loads(site, starts, noise)
    net = loads.sum(axis=0) - generation
    return Series(starts, generation, loads, np.maximum(net, 0), np.maximum(-net, 0))


def _weather_and_habits(site: Site, days: list[date], per_day: int) -> tuple[Floats, Floats]:
    """Cloud factor (n,) in 0..1 and load noise (1 + units, n) around 1: one generator a site and day."""
    cloud, noise = [], []
    for day in days:
        rng = np.random.default_rng([SEED, site.number, day.toordinal()])
        cloud.append(rng.uniform(0.35, 1.0) * rng.uniform(0.9, 1.0, per_day))
        noise.append(rng.lognormal(0.0, 0.25, (1 + site.unit_count, per_day)))
    return np.concatenate(cloud), np.concatenate(noise, axis=1)


def solar_elevation_sine(instants: Instants, latitude: float, longitude: float) -> Floats:
    """Sine of the sun's elevation at UTC `instants` (n,); degrees north and east.

    Declination and equation of time: J. W. Spencer, "Fourier series representation of the position of
    the sun", Search 2(5), 1971. Good to a few hundredths of a degree, ample for a demo.
    """
    seconds = instants.astype("datetime64[s]").astype(np.int64)
    year_start = instants.astype("datetime64[Y]").astype("datetime64[s]").astype(np.int64)
    angle = 2 * np.pi * (seconds - year_start) / (365.0 * 86_400)
    cosines = [np.cos(k * angle) for k in (1, 2, 3)]
    sines = [np.sin(k * angle) for k in (1, 2, 3)]
    declination = (
        0.006918
        - 0.399912 * cosines[0]
        + 0.070257 * sines[0]
        - 0.006758 * cosines[1]
        + 0.000907 * sines[1]
        - 0.002697 * cosines[2]
        + 0.00148 * sines[2]
    )
    equation_of_time_minutes = 229.18 * (
        0.000075 + 0.001868 * cosines[0] - 0.032077 * sines[0] - 0.014615 * cosines[1] - 0.040849 * sines[1]
    )
    solar_minutes = (seconds % 86_400) / 60 + equation_of_time_minutes + 4 * longitude
    hour_angle = np.radians(solar_minutes / 4 - 180)
    phi = np.radians(latitude)
    sine: Floats = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour_angle)
    return sine


def _generation(site: Site, starts: Instants, cloud: Floats) -> Energy:
    """Wh (n,) at interval midpoints, 0 with the sun below the horizon.

    Clear sky after B. Haurwitz, "Insolation in relation to cloudiness and cloud density", J. Meteor. 2,
    1945, with the coefficients of Reno, Hansen and Stein, SAND2012-2389: GHI in W/m2.
    """
    middle = starts + np.timedelta64(site.interval_seconds // 2, "s")
    sine = solar_elevation_sine(middle, site.latitude, site.longitude)
    up = np.maximum(sine, 1e-6)
    clear_sky_w_per_m2 = np.where(sine > 0, 1098.0 * up * np.exp(-0.059 / up), 0.0)
    power_w = site.solar_kw * clear_sky_w_per_m2 * cloud * _SYSTEM_EFFICIENCY
    return np.rint(power_w * site.interval_seconds / 3600).astype(np.int64)


def _loads(site: Site, starts: Instants, noise: Floats) -> Energy:
    """Wh (1 + units, n): homes with a morning and an evening peak on local clocks, a steadier common area."""
    local = pd.DatetimeIndex(starts).tz_localize("UTC").tz_convert(site.timezone)
    hour = (local.hour + local.minute / 60).to_numpy(dtype=np.float64)
    home_w = 180 + 650 * np.exp(-(((hour - 7.3) / 1.3) ** 2)) + 1300 * np.exp(-(((hour - 19.2) / 2.1) ** 2))
    common_w = np.where((hour >= 6) & (hour < 23), 900.0, 500.0)
    sizes = 0.7 + 0.6 * ((np.arange(site.unit_count) * 7) % 10) / 10
    power_w = np.vstack([common_w, np.outer(sizes, home_w)]) * noise
    return np.rint(power_w * site.interval_seconds / 3600).astype(np.int64)
