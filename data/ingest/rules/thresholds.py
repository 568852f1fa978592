"""The threshold of a rule for each row: the tenant's own for that date and meter type, or the default.

Here: the lookup, on columns. Not here: the defaults (`table`), or reading a tenant's rows.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from data.ingest.errors import IngestError
from data.ingest.rules.day_frames import Thresholds
from data.ingest.rules.table import RULES


@dataclass(frozen=True)
class OwnThreshold:
    """Numbers by name that a tenant sets for a rule in [first, end); `meter_type` None means all types."""

    rule: str
    meter_type: str | None
    parameters: Mapping[str, float]
    first: datetime.date
    end: datetime.date | None


def make_threshold_lookup(own: Sequence[OwnThreshold] = ()) -> Thresholds:
    """Return the lookup. Raises `IngestError` for an unknown rule or name, or a value that is no number."""
    for row in own:
        _check_parameters(row)
    # Thresholds of one meter type come last, so that they override those for all types.
    ordered = sorted(own, key=lambda row: row.meter_type is not None)

    def look_up(rule: str, name: str, rows: pd.DataFrame) -> pd.Series:
        found = pd.Series(float(RULES[rule].thresholds[name]), index=rows.index)
        for row in ordered:
            if row.rule == rule and name in row.parameters:
                found = found.mask(_holds(row, rows), row.parameters[name])
        return found

    return look_up


def _check_parameters(row: OwnThreshold) -> None:
    known = RULES[row.rule].thresholds if row.rule in RULES else {}
    for name, value in row.parameters.items():
        if name not in known or isinstance(value, bool) or not isinstance(value, int | float):
            raise IngestError(
                f"invalid threshold {name!r} = {value!r} of {row.rule} in myproperty.vee_thresholds: "
                f"{row.rule} has {', '.join(known) or 'no thresholds'}, and each is a number"
            )


def _holds(row: OwnThreshold, rows: pd.DataFrame) -> pd.Series:
    holds: pd.Series = rows["reading_date"] >= pd.Timestamp(row.first)
    if row.end is not None:
        holds &= rows["reading_date"] < pd.Timestamp(row.end)
    if row.meter_type is not None:
        holds &= rows["meter_type"].eq(row.meter_type)
    return holds
