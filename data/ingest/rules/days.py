"""Validation of whole days: what a day, a meter's history and its neighbours tell. Pure functions on columns.

Here: one function a rule, from frames to issues, and `validate_days`, which asks them all. Not here: rules
that turn a single reading away (`screen`, `judge`), the filling of gaps (`estimate`), or any database.

Frames have these columns; values are floats in the reading's own unit, instants UTC, dates naive midnights.

- readings: meter_id, channel, reading_ts, reading_date, interval_seconds, value (NaN where none), unit,
  version, is_own (an estimate of ours, which counts as missing) and is_withdrawn (a newer null has come)
- series, one row a meter and channel: meter_id, channel, meter_type, timezone, interval_seconds (NaN where
  any), property_id, property_timezone, latitude, longitude, capacity_kw (NaN where unknown), first_date (of
  the first reading), measured_from and measured_until (NaT where open)
- totals, one row a meter, channel and date: total, count, seconds
- issues: `ISSUE_COLUMNS`
"""

import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.ingest.rules.sky import clear_sky_w_per_m2, solar_elevation_sine
from data.ingest.schema import KWH_PER_UNIT_POWER_OF_TEN, ONE_DIRECTION_CHANNELS

SERIES = ["meter_id", "channel"]
DAY = [*SERIES, "reading_date"]
ISSUE_COLUMNS = [
    "rule",
    "property_id",
    "meter_id",
    "channel",
    "reading_date",
    "first_reading_ts",
    "last_reading_ts",
    "details",
]
DAILY_SECONDS = 82_800
# The sun's upper limb, with refraction, is on the horizon at -0.833 degrees: the usual meaning of sunset.
SUNSET_SINE = float(np.sin(np.radians(-0.833)))
Frame = pd.DataFrame
# (rule, threshold, rows with meter_type and reading_date) -> the threshold of each row.
Thresholds = Callable[[str, str, Frame], pd.Series]
Dates = list[datetime.date]


@dataclass(frozen=True)
class Days:
    """What is validated: `dates` of some series, with readings of the days around them.

    `grid` is every interval that is due on a date or a day beside it, beside its reading where there is one.
    """

    dates: Dates
    grid: Frame
    series: Frame
    totals: Frame
    thresholds: Thresholds

    @property
    def own(self) -> Frame:
        """The part of the grid that is validated."""
        return self.grid[self.grid["reading_date"].isin(pd.DatetimeIndex(self.dates))]


def due(readings: Frame, series: Frame, dates: Dates, now: datetime.datetime) -> Frame:
    """The intervals due on `dates`, left-joined with the readings: `value` is NaN where one is missing.

    The length of a day's intervals is the most common one of the day, else the one configured, else the most
    common of the series; a series without any is left out, and so is a length that does not divide the day.
    Nothing is due before a device was put in, after it was taken out, or before its interval is over.
    """
    days = series.merge(pd.DataFrame({"reading_date": pd.DatetimeIndex(dates).as_unit("us")}), how="cross")
    of_day = _most_common_length(readings, DAY)
    of_series = _most_common_length(readings, SERIES)
    days = days.merge(of_day, how="left", on=DAY).merge(of_series, how="left", on=SERIES, suffixes=("", "_s"))
    days["interval_seconds"] = days["length"].fillna(days["interval_seconds"]).fillna(days["length_s"])
    days = days.dropna(subset=["interval_seconds"]).drop(columns=["length", "length_s"])
    kinds = days[["timezone", "reading_date", "interval_seconds"]].drop_duplicates()
    starts = [
        _starts(timezone, date, int(seconds)) for timezone, date, seconds in kinds.itertuples(index=False)
    ]
    if not starts:
        return pd.DataFrame()
    grid = days.merge(pd.concat(starts), on=["timezone", "reading_date", "interval_seconds"])
    end = grid["reading_ts"] + pd.to_timedelta(grid["interval_seconds"], unit="s")
    is_due = (
        (~(grid["reading_ts"] < grid["measured_from"]) & ~(end > grid["measured_until"]))
        & (end <= pd.Timestamp(now))
        & ~(grid["reading_date"] < grid["first_date"])
    )
    found = readings.drop(columns=["reading_date"]).rename(columns={"interval_seconds": "seconds"})
    grid = grid[is_due].merge(found, how="left", on=[*SERIES, "reading_ts"])
    grid = grid.sort_values([*SERIES, "reading_ts"], ignore_index=True)
    grid["is_own"] = grid["is_own"].eq(True)
    grid["is_withdrawn"] = grid["is_withdrawn"].eq(True)
    grid["measured"] = grid["value"].where(~grid["is_own"])
    return grid


def validate_days(days: Days) -> Frame:
    """Everything that the rules of whole days find on the dates, one row a rule, series and date."""
    found = [
        sufficiency(days),
        spike(days),
        high_low(days),
        outlier(days),
        stale(days),
        solar(days),
        channels(days),
        balance(days),
        clock(days),
        withdrawn(days),
    ]
    return together(found)


def together(found: Iterable[Frame]) -> Frame:
    """Issues of several rules as one frame."""
    parts = [part for part in found if not part.empty]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=ISSUE_COLUMNS)


def issues(rule: str, rows: Frame, details: Sequence[str]) -> Frame:
    """Rows as issues: the columns `details` become what was observed, numbers to six decimals."""
    table = rows.reset_index(drop=True)
    for name in ISSUE_COLUMNS:
        if name not in table:
            table[name] = None
    table["rule"] = rule
    observed = table[list(details)].round(6)
    table["details"] = pd.Series(observed.to_dict("records"), index=table.index, dtype=object)
    return table[ISSUE_COLUMNS]


def sufficiency(days: Days) -> Frame:
    """VEE-SUFFICIENCY: too many intervals of a day have no value of the sender."""
    rows = _missing_by_day(days.own)
    limit = days.thresholds("VEE-SUFFICIENCY", "of_day", rows)
    rows["share"] = rows["missing"] / rows["due"]
    return issues("VEE-SUFFICIENCY", rows[rows["share"] > limit], ["missing", "due", "share"])


def is_period_sufficient(sufficient_days: int, days: int, of_period: float) -> bool:
    """Whether so few days of a period are insufficient that its figures can be shown."""
    return days > 0 and (days - sufficient_days) <= of_period * days


def spike(days: Days) -> Frame:
    """VEE-SPIKE: (highest - third highest) / third highest of a day."""
    grid = days.own.dropna(subset=["measured"])
    grid = grid[grid["channel"].isin(ONE_DIRECTION_CHANNELS)]
    ranked = grid.sort_values("measured", ascending=False, kind="stable").groupby(DAY, sort=False)
    highest, third = ranked.nth(0).set_index(DAY), ranked.nth(2).set_index(DAY)
    rows = highest.join(third["measured"].rename("third_highest"), how="inner").reset_index()
    rows = rows[rows["third_highest"] > 0]
    rows["highest"] = rows["measured"]
    rows["ratio"] = (rows["highest"] - rows["third_highest"]) / rows["third_highest"]
    rows["first_reading_ts"] = rows["last_reading_ts"] = rows["reading_ts"]
    limit = days.thresholds("VEE-SPIKE", "ratio", rows)
    return issues("VEE-SPIKE", rows[rows["ratio"] > limit], ["highest", "third_highest", "ratio"])


def high_low(days: Days) -> Frame:
    """VEE-HIGH-LOW: a whole day's total against the average of the days before."""
    rows = _with_history(days, "VEE-HIGH-LOW")
    low = days.thresholds("VEE-HIGH-LOW", "low", rows) * rows["average"]
    high = days.thresholds("VEE-HIGH-LOW", "high", rows) * rows["average"]
    is_off = (rows["total"] < low) | (rows["total"] > high)
    return issues("VEE-HIGH-LOW", rows[is_off], ["total", "average"])


def outlier(days: Days) -> Frame:
    """VEE-OUTLIER: a whole day's total above median + k x interquartile range of the days before."""
    rows = _with_history(days, "VEE-OUTLIER")
    limit = rows["median"] + days.thresholds("VEE-OUTLIER", "iqr", rows) * rows["iqr"]
    is_off = (rows["total"] > limit) & (rows["iqr"] > 0)
    return issues("VEE-OUTLIER", rows[is_off], ["total", "median", "iqr"])


def longest_zero_runs(grid: Frame) -> Frame:
    """One row a series and date that has zeros: the longest run, its `hours`, first and last start."""
    runs = _runs(grid, grid["measured"].eq(0), DAY)
    runs["hours"] = runs["length"] * runs["interval_seconds"] / 3600
    return runs.sort_values("hours", ascending=False, kind="stable").drop_duplicates(DAY)


def zero_run_candidates(days: Days) -> Frame:
    """The runs of zeros that are long enough to be compared with the meter's norm.

    Electricity that is used: a gas or water meter, an export and the sun at night may well stand still.
    """
    grid = days.own
    is_use = grid["channel"].isin(["import", "consumption"]) & grid["meter_type"].isin(["grid"])
    runs = longest_zero_runs(grid[is_use])
    return runs[runs["hours"] >= days.thresholds("VEE-ZERO-RUN", "hours", runs)]


def zero_run(candidates: Frame, history: Frame, thresholds: Thresholds) -> Frame:
    """VEE-ZERO-RUN: longer than on any day of the meter's `history` (readings of the days before).

    A meter without history has no norm yet.
    """
    if candidates.empty:
        return together([])
    past = history.assign(measured=history["value"].where(~history["is_own"]))
    past = past.dropna(subset=["measured"]).sort_values([*SERIES, "reading_ts"])
    norms = longest_zero_runs(past)[[*DAY, "hours"]]
    by_day = past[DAY].drop_duplicates().merge(norms, how="left", on=DAY).fillna({"hours": 0.0})
    by_day = by_day.rename(columns={"reading_date": "past_date", "hours": "norm_hours"})
    limits = candidates.assign(days=thresholds("VEE-ZERO-RUN", "days", candidates))
    pairs = limits[[*DAY, "days"]].merge(by_day, on=SERIES)
    back = (pairs["reading_date"] - pairs["past_date"]).dt.days
    norm = pairs[(back > 0) & (back <= pairs["days"])].groupby(DAY)["norm_hours"].max()
    rows = candidates.join(norm, on=DAY, how="inner")
    return issues("VEE-ZERO-RUN", rows[rows["hours"] > rows["norm_hours"]], ["hours", "norm_hours"])


def stale(days: Days) -> Frame:
    """VEE-STALE: generation repeats one value above zero."""
    grid = days.own
    grid = grid[(grid["channel"] == "generation") & (grid["measured"] > 0)]
    if grid.empty:
        return together([])
    is_same = grid["measured"].eq(grid["measured"].shift()) & _follows(grid)
    grid = grid.assign(run=(~is_same).cumsum())
    runs = grid.groupby("run").agg(**_of_run, meter_type=("meter_type", "first"), value=("measured", "first"))
    runs = runs.sort_values("samples", ascending=False, kind="stable").drop_duplicates(DAY)
    return issues(
        "VEE-STALE",
        runs[runs["samples"] >= days.thresholds("VEE-STALE", "samples", runs)],
        ["samples", "value"],
    )


def solar(days: Days) -> Frame:
    """VEE-SOLAR-NIGHT and VEE-SOLAR-CLEAR, where the property's place is known; silent where it is not."""
    grid = days.own
    grid = grid[
        (grid["channel"] == "generation") & grid["latitude"].notna() & grid["longitude"].notna()
    ].copy()
    if grid.empty:
        return together([])
    grid["kwh"] = grid["measured"] * _kwh_factor(grid["unit"])
    grid["is_night"] = is_night(grid)
    dark = grid[grid["is_night"] & (grid["kwh"] > days.thresholds("VEE-SOLAR-NIGHT", "kwh", grid))]
    lit = grid[~grid["is_night"] & grid["capacity_kw"].notna()].copy()
    lit["limit_kwh"] = clear_sky_kwh(lit) * days.thresholds("VEE-SOLAR-CLEAR", "ratio", lit)
    bright = lit[lit["kwh"] > lit["limit_kwh"]]
    # The worst interval of a day stands for the day.
    excess = (bright["kwh"] - bright["limit_kwh"]).rename("excess_kwh")
    worst = bright.join(excess).sort_values("excess_kwh", ascending=False).drop_duplicates(DAY)
    worst = worst.assign(first_reading_ts=worst["reading_ts"], last_reading_ts=worst["reading_ts"])
    nights = dark.groupby(DAY, as_index=False).agg(
        property_id=("property_id", "first"),
        first_reading_ts=("reading_ts", "min"),
        last_reading_ts=("reading_ts", "max"),
        intervals=("kwh", "size"),
        kwh=("kwh", "sum"),
    )
    return together(
        [
            issues("VEE-SOLAR-NIGHT", nights, ["intervals", "kwh"]),
            issues("VEE-SOLAR-CLEAR", worst, ["kwh", "limit_kwh"]),
        ]
    )


def is_night(grid: Frame) -> pd.Series:
    """Whether the sun is down from start to end of an interval; False where the place is not known."""
    edges = [_sine(grid, share) for share in (0.0, 0.5, 1.0)]
    with np.errstate(invalid="ignore"):
        return pd.Series(np.maximum.reduce(edges) < SUNSET_SINE, index=grid.index)


def clear_sky_kwh(grid: Frame) -> pd.Series:
    """The most that `capacity_kw` can make in an interval: the modules facing the sun, under a clear sky.

    The tilt of an array is not known, and in winter a tilted one gets nearly twice what the ground gets. So
    the irradiance on the ground is divided by the sine of the elevation. The highest sun of the interval.
    """
    highest = np.maximum.reduce([_sine(grid, share) for share in (0.0, 0.5, 1.0)])
    up = np.maximum(highest, 1e-6)
    facing = clear_sky_w_per_m2(highest) / up
    # Twilight still gives a little: no less than 2 % of the peak is allowed with the sun up.
    share = np.maximum(facing / 1000, 0.02)
    return pd.Series(share, index=grid.index) * grid["capacity_kw"] * grid["interval_seconds"] / 3600


def channels(days: Days) -> Frame:
    """VEE-CHANNEL: a meter reports on some of its channels on a date and not on another."""
    rows = _missing_by_day(days.own)
    on_date = rows.groupby(["meter_id", "reading_date"])["reported"].transform("sum")
    # A channel that never reported has no grid: it is due if the meter reports at all.
    silent = rows[(rows["reported"] == 0) & (on_date > 0)]
    present = rows[rows["reported"] > 0][["meter_id", "reading_date"]].drop_duplicates()
    wanted = days.series.merge(present, on="meter_id")
    never = wanted.merge(rows[DAY], how="left", on=DAY, indicator=True)
    never = never[never["_merge"] == "left_only"].assign(due=np.nan)
    return issues("VEE-CHANNEL", pd.concat([silent, never]).drop_duplicates(DAY), [])


def balance(days: Days) -> Frame:
    """VEE-BALANCE: import + generation < consumption + export, per property and longest interval.

    Only for intervals in which every energy register of the property has measured, and only for properties
    that meter what they use.
    """
    grid = days.own
    grid = grid[
        grid["channel"].isin(ONE_DIRECTION_CHANNELS) & grid["meter_type"].isin(["grid", "solar"])
    ].copy()
    if grid.empty:
        return together([])
    sign = grid["channel"].map({"import": 1, "generation": 1, "export": -1, "consumption": -1})
    grid["kwh"] = grid["measured"] * _kwh_factor(grid["unit"])
    grid["is_missing"] = grid["kwh"].isna()
    grid["loss"] = grid["kwh"] * sign
    grid["intake"] = grid["kwh"].where(sign > 0, 0.0)
    longest = (
        grid.groupby(["property_id", "reading_date"])["interval_seconds"].transform("max").astype(np.int64)
    )
    seconds = grid["reading_ts"].astype("int64") // 1_000_000
    grid["slot"] = seconds - seconds % longest
    grid["is_use"] = grid["channel"] == "consumption"
    grid["is_intake"] = sign > 0
    slots = grid.groupby(["property_id", "reading_date", "slot"], as_index=False).agg(
        loss=("loss", "sum"),
        intake=("intake", "sum"),
        missing=("is_missing", "sum"),
        has_use=("is_use", "any"),
        has_intake=("is_intake", "any"),
        reading_ts=("reading_ts", "min"),
    )
    slots = slots[(slots["missing"] == 0) & slots["has_use"] & slots["has_intake"]].assign(meter_type=None)
    share = days.thresholds("VEE-BALANCE", "share", slots)
    # A watt-hour of rounding is no fault.
    bad = slots[slots["loss"] < -(share * slots["intake"] + 0.001)]
    rows = bad.groupby(["property_id", "reading_date"], as_index=False).agg(
        first_reading_ts=("reading_ts", "min"),
        last_reading_ts=("reading_ts", "max"),
        intervals=("loss", "size"),
        loss_kwh=("loss", "sum"),
    )
    return issues("VEE-BALANCE", rows, ["intervals", "loss_kwh"])


def clock(days: Days) -> Frame:
    """VEE-CLOCK: the zone of the meter and that of its property differ at noon of a date."""
    rows = days.own.drop_duplicates(["meter_id", "reading_date"])
    rows = rows[rows["timezone"] != rows["property_timezone"]]
    if rows.empty:
        return together([])
    pairs = rows[["timezone", "property_timezone", "reading_date"]].drop_duplicates()
    pairs["minutes"] = [
        _offset_minutes(zone, date) - _offset_minutes(home, date)
        for zone, home, date in pairs.itertuples(index=False)
    ]
    rows = rows.merge(pairs, on=["timezone", "property_timezone", "reading_date"]).assign(channel=None)
    return issues("VEE-CLOCK", rows[rows["minutes"] != 0], ["minutes"])


def withdrawn(days: Days) -> Frame:
    """VEE-WITHDRAWN: the sender has made a null after the value that stands."""
    grid = days.own[days.own["is_withdrawn"]]
    if grid.empty:
        return together([])
    rows = _by_day(grid)
    return issues("VEE-WITHDRAWN", rows, ["intervals"])


def gaps(grid: Frame) -> Frame:
    """Runs of missing intervals with the value before and after, NaN where that is not next to the run.

    The result is the rows of the grid that are missing, with `run`, `position` (from 0), `length`, `before`
    and `after`, and `is_inside`: the series measured some time before and some time after.
    """
    is_missing = grid["measured"].isna()
    runs = (is_missing.ne(is_missing.shift()) | ~_follows(grid)).cumsum()
    before = grid["measured"].shift().where(_follows(grid))
    after = grid["measured"].shift(-1).where(_follows(grid).shift(-1, fill_value=False))
    stamps = grid["reading_ts"].where(~is_missing)
    known = stamps.groupby([grid[name] for name in SERIES])
    first, last = known.transform("min"), known.transform("max")
    rows = grid.assign(run=runs, before=before, after=after, first_known=first, last_known=last)[is_missing]
    of_run = rows.groupby("run")
    rows["position"] = of_run.cumcount()
    rows["length"] = of_run["position"].transform("size")
    rows["before"] = of_run["before"].transform("first").where(of_run["before"].transform("count") > 0)
    rows["after"] = of_run["after"].transform("last")
    rows["is_inside"] = (rows["first_known"] < rows["reading_ts"]) & (rows["last_known"] > rows["reading_ts"])
    return rows


def local_minutes(starts: pd.Series, timezones: pd.Series) -> pd.Series:
    """The minute of the local day at which intervals start, by the clock on the wall."""
    minutes = pd.Series(0, index=starts.index, dtype="int64")
    for zone in timezones.unique():
        of_zone = timezones == zone
        local = starts[of_zone].dt.tz_convert(zone)
        minutes[of_zone] = local.dt.hour * 60 + local.dt.minute
    return minutes


def _most_common_length(readings: Frame, by: list[str]) -> Frame:
    counted = readings.groupby([*by, "interval_seconds"], as_index=False).size()
    counted = counted.sort_values(["size", "interval_seconds"]).drop_duplicates(by, keep="last")
    return counted[[*by, "interval_seconds"]].rename(columns={"interval_seconds": "length"})


def _starts(timezone: str, date: pd.Timestamp, seconds: int) -> Frame:
    """The interval starts of one local day in UTC; a daily reading starts at its midnight."""
    edges = pd.DatetimeIndex([date, date + pd.Timedelta(days=1)]).tz_localize(
        timezone, ambiguous=np.array([True, True]), nonexistent="shift_forward"
    )
    first, end = edges.tz_convert("UTC")
    span = int((end - first).total_seconds())
    if seconds >= DAILY_SECONDS:
        starts = pd.DatetimeIndex([first])
    elif seconds > 0 and span % seconds == 0:
        starts = pd.date_range(first, end, freq=f"{seconds}s", inclusive="left")
    else:
        starts = pd.DatetimeIndex([], tz="UTC")
    return pd.DataFrame(
        {
            "reading_ts": starts.as_unit("us"),
            "timezone": timezone,
            "reading_date": date,
            "interval_seconds": float(seconds),
        }
    )


def _follows(grid: Frame) -> pd.Series:
    """Whether a row starts where the row before it ends, on the same series."""
    is_same = pd.Series(True, index=grid.index)
    for name in SERIES:
        is_same &= grid[name].eq(grid[name].shift())
    end = grid["reading_ts"] + pd.to_timedelta(grid["interval_seconds"], unit="s")
    return is_same & grid["reading_ts"].eq(end.shift())


_of_run = {
    "meter_id": ("meter_id", "first"),
    "channel": ("channel", "first"),
    "reading_date": ("reading_date", "first"),
    "property_id": ("property_id", "first"),
    "first_reading_ts": ("reading_ts", "min"),
    "last_reading_ts": ("reading_ts", "max"),
    "samples": ("reading_ts", "size"),
}


def _runs(grid: Frame, holds: pd.Series, within: list[str]) -> Frame:
    """Runs of rows for which `holds`, one row a run, never across two of `within`."""
    begins = ~holds.eq(holds.shift()) | ~_follows(grid)
    for name in within:
        begins |= grid[name].ne(grid[name].shift())
    rows = grid.assign(run=begins.cumsum())[holds]
    keep = [name for name in (*within, "property_id", "meter_type", "interval_seconds") if name in rows]
    firsts = rows.groupby("run")[keep].first()
    spans = rows.groupby("run")["reading_ts"].agg(
        first_reading_ts="min", last_reading_ts="max", length="size"
    )
    return firsts.join(spans).reset_index(drop=True)


def _missing_by_day(grid: Frame) -> Frame:
    rows = grid.groupby(DAY, as_index=False).agg(
        property_id=("property_id", "first"),
        meter_type=("meter_type", "first"),
        due=("reading_ts", "size"),
        reported=("measured", "count"),
    )
    return rows.assign(missing=rows["due"] - rows["reported"])


def _by_day(grid: Frame) -> Frame:
    return grid.groupby(DAY, as_index=False).agg(
        property_id=("property_id", "first"),
        first_reading_ts=("reading_ts", "min"),
        last_reading_ts=("reading_ts", "max"),
        intervals=("reading_ts", "size"),
    )


def _with_history(days: Days, rule: str) -> Frame:
    """Totals of the whole days that are validated, each with `average`, `median` and `iqr` of those before.

    Only where there are at least `least` of them. A day with a gap tells nothing here, neither as the one
    that is judged nor as one of the past.
    """
    whole = days.own.groupby(DAY)["measured"].agg(["size", "count", "sum"]).reset_index()
    whole = whole[whole["size"] == whole["count"]].rename(columns={"sum": "total"})
    rows = whole.merge(days.series, on=SERIES)
    rows = rows[rows["channel"].isin(ONE_DIRECTION_CHANNELS)]
    past = days.totals.rename(columns={"reading_date": "past_date", "total": "past"})
    # An hour less or more on the days on which the clock changes.
    past = past[past["count"] * past["seconds"] >= DAILY_SECONDS]
    pairs = rows[DAY].merge(past, on=SERIES)
    back = (pairs["reading_date"] - pairs["past_date"]).dt.days
    limits = rows.assign(days=days.thresholds(rule, "days", rows), least=days.thresholds(rule, "least", rows))
    pairs = pairs.merge(limits[[*DAY, "days"]], on=DAY).assign(back=back)
    pairs = pairs[(pairs["back"] > 0) & (pairs["back"] <= pairs["days"])]
    of_day = pairs.groupby(DAY)["past"]
    known = of_day.agg(known="size", average="mean", median="median")
    known["iqr"] = of_day.quantile(0.75) - of_day.quantile(0.25)
    rows = limits.join(known, on=DAY, how="inner")
    return rows[rows["known"] >= rows["least"]].reset_index(drop=True)


def _kwh_factor(units: pd.Series) -> pd.Series:
    return units.map({unit: 10.0**power for unit, power in KWH_PER_UNIT_POWER_OF_TEN.items()}).astype(float)


def _sine(grid: Frame, share: float) -> npt.NDArray[np.float64]:
    """The sine of the sun's elevation when so large a share of an interval is over."""
    at = grid["reading_ts"] + pd.to_timedelta(grid["interval_seconds"] * share, unit="s")
    instants = at.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[s]")
    latitude, longitude = (grid[name].to_numpy(dtype=np.float64) for name in ("latitude", "longitude"))
    return solar_elevation_sine(instants, latitude, longitude)


def _offset_minutes(timezone: str, date: pd.Timestamp) -> float:
    offset = (date + pd.Timedelta(hours=12)).tz_localize(timezone).utcoffset()
    return (offset or datetime.timedelta()).total_seconds() / 60
