"""The frames that the rules of whole days share, and how a rule reports its issues.

Here: the columns of each frame, `Days`, and the helpers that several rules use. Not here: any rule.

Values are floats in the unit of the reading, instants are UTC, dates are midnights without a zone.

- readings: meter_id, channel, reading_ts, reading_date, interval_seconds, value (NaN where null), unit,
  version, is_own (our own estimate, which counts as missing), is_withdrawn (the sender sent a newer null)
- series, one row for each meter and channel: meter_id, channel, meter_type, timezone, unit (None where the
  file says it), interval_seconds (NaN for any length), property_id, property_timezone, latitude, longitude,
  capacity_kw and rated_kw (NaN where unknown), has_battery (of the property), connections (1 for the meter of
  a unit, else 1 + the units of the property), first_date (of the first reading), measured_from and
  measured_until (NaT where open)
- totals, one row for each meter, channel and date: total, count, seconds, kwh and peak_kw (NaN where the unit
  is not energy)
- severe, one row for each meter, channel and date whose values nobody may learn from: `DAY`
- issues: `ISSUE_COLUMNS`
"""

import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from data.ingest.schema import KWH_PER_UNIT_POWER_OF_TEN

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
# The shortest local day, 23 hours: an interval this long is a daily reading.
DAILY_SECONDS = 82_800
# (rule, threshold, rows with meter_type and reading_date) -> the threshold of each row.
Thresholds = Callable[[str, str, pd.DataFrame], pd.Series]


def no_severe_days() -> pd.DataFrame:
    """Return the frame `severe` without rows."""
    return pd.DataFrame({name: pd.Series(dtype=object) for name in SERIES}).assign(
        reading_date=pd.Series(dtype="datetime64[us]")
    )


@dataclass(frozen=True)
class Days:
    """The dates to validate, with the readings of these dates and of the days beside them.

    `grid` has every interval that is due on these days, joined with its reading where there is one. `severe`
    has the days with a severe issue that nobody accepted: they are in no history and in no estimate.
    """

    dates: list[datetime.date]
    grid: pd.DataFrame
    series: pd.DataFrame
    totals: pd.DataFrame
    thresholds: Thresholds
    severe: pd.DataFrame = field(default_factory=no_severe_days)

    @cached_property
    def own(self) -> pd.DataFrame:
        """The part of the grid that is validated; rules take parts of it and change none."""
        return self.grid[self.grid["reading_date"].isin(pd.DatetimeIndex(self.dates))]


def is_severe(rows: pd.DataFrame, severe: pd.DataFrame) -> pd.Series:
    """Return for each row with the columns `DAY` whether it is of a severe day."""
    if severe.empty:
        return pd.Series(False, index=rows.index)
    found = pd.MultiIndex.from_frame(rows[DAY]).isin(pd.MultiIndex.from_frame(severe[DAY]))
    return pd.Series(found, index=rows.index)


def make_issues(rule: str, rows: pd.DataFrame, details: Sequence[str]) -> pd.DataFrame:
    """Turn rows into issues of `rule`: the columns `details` become its details, rounded to six decimals."""
    table = rows.reset_index(drop=True)
    for name in ISSUE_COLUMNS:
        if name not in table:
            table[name] = None
    table["rule"] = rule
    observed = table[list(details)].round(6)
    table["details"] = pd.Series(observed.to_dict("records"), index=table.index, dtype=object)
    return table[ISSUE_COLUMNS]


def concat_issues(issues: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Join the issues of several rules into one frame."""
    parts = [part for part in issues if not part.empty]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=ISSUE_COLUMNS)


def count_by_day(grid: pd.DataFrame) -> pd.DataFrame:
    """Count the intervals of each series and date that are due, reported and missing."""
    rows = grid.groupby(DAY, as_index=False).agg(
        property_id=("property_id", "first"),
        meter_type=("meter_type", "first"),
        due=("reading_ts", "size"),
        reported=("measured", "count"),
    )
    return rows.assign(missing=rows["due"] - rows["reported"])


def is_next(grid: pd.DataFrame) -> pd.Series:
    """Return for each row whether it starts where the previous row of its series ends."""
    is_same = pd.Series(True, index=grid.index)
    for name in SERIES:
        is_same &= grid[name].eq(grid[name].shift())
    end = grid["reading_ts"] + pd.to_timedelta(grid["interval_seconds"], unit="s")
    return is_same & grid["reading_ts"].eq(end.shift())


def kwh_factors(units: pd.Series) -> pd.Series:
    """Return the factor from each unit to kWh, NaN where the unit is not energy."""
    return units.map({unit: 10.0**power for unit, power in KWH_PER_UNIT_POWER_OF_TEN.items()}).astype(float)
