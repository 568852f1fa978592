"""Validation of whole days: every rule that needs no reading outside `Days`.

Not here: rules on a single reading (`judge`), gaps and their estimates (`gaps`), register reads (`dials`)
and zero runs, which need the readings of the days before (`runs`).
"""

import pandas as pd

from data.ingest.rules.balance import check_balance
from data.ingest.rules.consistency import check_channels, check_clock, check_withdrawn
from data.ingest.rules.day_frames import Days, concat_issues
from data.ingest.rules.levels import check_high_low, check_outlier, check_spike, check_sufficiency
from data.ingest.rules.runs import check_stale
from data.ingest.rules.solar import check_solar

_RULES = (
    check_sufficiency,
    check_spike,
    check_high_low,
    check_outlier,
    check_stale,
    check_solar,
    check_channels,
    check_balance,
    check_clock,
    check_withdrawn,
)


def validate_days(days: Days) -> pd.DataFrame:
    """Return the issues of the dates, one row for each rule, series and date."""
    return concat_issues(rule(days) for rule in _RULES)
