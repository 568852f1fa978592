"""The severe days, which no baseline and no estimate may learn from.

Here: which days are severe after people have accepted some. Not here: the rules that find them (`bounds`,
`slips`).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd

from data.ingest.rules.bounds import check_bound
from data.ingest.rules.day_frames import DAY, Days, concat_issues, is_severe
from data.ingest.rules.slips import check_slip

# What a meter measured, among the details of a severe issue. The others say what is usual or allowed. These
# change with the history, so a decision of a person holds while the measured ones are the same.
MEASURED = ("kwh", "peak_kw")


def find_severe_days(
    days: Days, allowed: pd.DataFrame, history: pd.DataFrame | None = None
) -> tuple[Days, pd.DataFrame]:
    """Return the days with their severe ones added, and the issues of the severe rules.

    `allowed` has the issues that a person accepted or resolved: `rule`, `DAY` and `details`. Such a day is
    not severe while its meter measured the same. `history` is for `check_slip`; without it only bounds are
    checked. A severe day leaves the history of the days after it, which may make another one severe, so the
    rules run until they find no more.
    """
    known, found = days, _check(days, history)
    for _ in days.dates:
        severe = pd.concat([days.severe, _drop_allowed(found, allowed)[DAY]]).drop_duplicates()
        if len(severe) == len(known.severe):
            break
        known = dataclasses.replace(days, severe=severe)
        found = _check(known, history)
    return known, found


def _check(days: Days, history: pd.DataFrame | None) -> pd.DataFrame:
    bounds = check_bound(days)
    if history is None:
        return bounds
    slips = check_slip(days, history)
    # One cause is one issue, which one person decides.
    return concat_issues([bounds, slips[~is_severe(slips, bounds)]])


def _drop_allowed(issues: pd.DataFrame, allowed: pd.DataFrame) -> pd.DataFrame:
    """Return the issues without those that a person let stand and whose measured details are the same."""
    if issues.empty or allowed.empty:
        return issues
    keys = {_key(row) for row in allowed.to_dict("records")}
    return issues[[_key(row) not in keys for row in issues.to_dict("records")]]


def _key(row: Mapping[Any, Any]) -> tuple[object, ...]:
    measured = tuple(row["details"].get(name) for name in MEASURED)
    return (row["rule"], row["meter_id"], row["channel"], row["reading_date"], *measured)
