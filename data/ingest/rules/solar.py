"""Rules on generation: none at night, none above a clear sky, where the place of the property is known.

Here too: the most that a roof can make on a day. Not here: where the sun stands (`sky`).
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.ingest.rules.day_frames import DAY, Days, concat_issues, kwh_factors, make_issues
from data.ingest.rules.sky import clear_sky_w_per_m2, solar_elevation_sine

# At sunset the sun's upper limb, with refraction, is on the horizon: -0.833 degrees by the usual definition.
SUNSET_SINE = float(np.sin(np.radians(-0.833)))
# The start, middle and end of an interval.
_SHARES = (0.0, 0.5, 1.0)


def check_solar(days: Days) -> pd.DataFrame:
    """VEE-SOLAR-NIGHT and VEE-SOLAR-CLEAR, for properties whose place is known."""
    grid = days.own
    grid = grid[
        (grid["channel"] == "generation") & grid["latitude"].notna() & grid["longitude"].notna()
    ].copy()
    if grid.empty:
        return concat_issues([])
    grid["kwh"] = grid["measured"] * kwh_factors(grid["unit"])
    grid["is_night"] = is_night(grid)
    return concat_issues([_night_issues(days, grid), _clear_sky_issues(days, grid)])


def _night_issues(days: Days, grid: pd.DataFrame) -> pd.DataFrame:
    dark = grid[grid["is_night"] & (grid["kwh"] > days.thresholds("VEE-SOLAR-NIGHT", "kwh", grid))]
    nights = dark.groupby(DAY, as_index=False).agg(
        property_id=("property_id", "first"),
        first_reading_ts=("reading_ts", "min"),
        last_reading_ts=("reading_ts", "max"),
        intervals=("kwh", "size"),
        kwh=("kwh", "sum"),
    )
    return make_issues("VEE-SOLAR-NIGHT", nights, ["intervals", "kwh"])


def _clear_sky_issues(days: Days, grid: pd.DataFrame) -> pd.DataFrame:
    """Report the worst interval of each day."""
    lit = grid[~grid["is_night"] & grid["capacity_kw"].notna()].copy()
    lit["limit_kwh"] = clear_sky_kwh(lit) * days.thresholds("VEE-SOLAR-CLEAR", "ratio", lit)
    bright = lit[lit["kwh"] > lit["limit_kwh"]]
    excess = (bright["kwh"] - bright["limit_kwh"]).rename("excess_kwh")
    worst = bright.join(excess).sort_values("excess_kwh", ascending=False).drop_duplicates(DAY)
    worst = worst.assign(first_reading_ts=worst["reading_ts"], last_reading_ts=worst["reading_ts"])
    return make_issues("VEE-SOLAR-CLEAR", worst, ["kwh", "limit_kwh"])


def roof_day_kwh(days: Days) -> pd.DataFrame:
    """Return the most that the roof of each generation and export series can make on a date: `roof_kwh`.

    Without the place of the property it is `sun_hours` at full power. With it, `of_sky` times the yield under
    a clear sky, at least one hour at full power. Rows have the columns `DAY`; series without a capacity have
    no row.
    """
    grid = days.own
    grid = grid[grid["channel"].isin(["generation", "export"]) & (grid["capacity_kw"] > 0)]
    whole = grid.groupby(DAY, as_index=False).agg(
        meter_type=("meter_type", "first"), capacity_kw=("capacity_kw", "first")
    )
    if whole.empty:
        return whole.assign(roof_kwh=pd.Series(dtype=float))[[*DAY, "roof_kwh"]]
    most = whole["capacity_kw"] * days.thresholds("VEE-BOUND", "sun_hours", whole)
    placed = grid[grid["latitude"].notna() & grid["longitude"].notna()]
    if not placed.empty:
        lit = placed[DAY].assign(sky_kwh=clear_sky_kwh(placed).where(~is_night(placed), 0.0))
        sky = whole[DAY].merge(lit.groupby(DAY, as_index=False)["sky_kwh"].sum(), how="left", on=DAY)
        of_sky = sky["sky_kwh"] * days.thresholds("VEE-BOUND", "of_sky", whole)
        most = most.clip(upper=of_sky.clip(lower=whole["capacity_kw"]).fillna(most))
    return whole.assign(roof_kwh=most)[[*DAY, "roof_kwh"]]


def is_night(grid: pd.DataFrame) -> pd.Series:
    """Return whether the sun is down during a whole interval; False where the place is not known."""
    with np.errstate(invalid="ignore"):
        return pd.Series(_highest_sine(grid) < SUNSET_SINE, index=grid.index)


def clear_sky_kwh(grid: pd.DataFrame) -> pd.Series:
    """Return the most that `capacity_kw` can make in an interval under a clear sky.

    The tilt of the modules is not known, and in winter a tilted module gets nearly twice the irradiance on
    the ground. So the modules count as facing the sun: the irradiance on the ground is divided by the sine of
    the elevation. The sun counts as at its highest in the interval.
    """
    highest = _highest_sine(grid)
    up = np.maximum(highest, 1e-6)
    facing = clear_sky_w_per_m2(highest) / up
    # Twilight still gives a little: at least 2 % of the peak is allowed while the sun is up.
    share = np.maximum(facing / 1000, 0.02)
    return pd.Series(share, index=grid.index) * grid["capacity_kw"] * grid["interval_seconds"] / 3600


def _highest_sine(grid: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the highest sine of the sun's elevation in each interval."""
    return np.asarray(np.maximum.reduce([_elevation_sine(grid, share) for share in _SHARES]))


def _elevation_sine(grid: pd.DataFrame, share: float) -> npt.NDArray[np.float64]:
    """Return the sine of the sun's elevation after this share of each interval."""
    at = grid["reading_ts"] + pd.to_timedelta(grid["interval_seconds"] * share, unit="s")
    instants = at.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[s]")
    latitude, longitude = (grid[name].to_numpy(dtype=np.float64) for name in ("latitude", "longitude"))
    return solar_elevation_sine(instants, latitude, longitude)
