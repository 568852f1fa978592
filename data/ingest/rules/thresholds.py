"""Which threshold holds for a row: the default of the rule, or the tenant's own of that date and meter type.

Here: the lookup, on columns. Not here: the defaults (`rules`), or reading a tenant's rows.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from data.ingest.errors import IngestError
from data.ingest.rules.days import Frame, Thresholds
from data.ingest.rules.table import RULES


@dataclass(frozen=True)
class OwnThreshold:
    """Numbers by name that a tenant sets for a rule, in [first, end); `meter_type` None is for all."""

    rule: str
    meter_type: str | None
    parameters: Mapping[str, float]
    first: datetime.date
    end: datetime.date | None


def thresholds(own: Sequence[OwnThreshold] = ()) -> Thresholds:
    """The lookup. Raises `IngestError` for a rule or name that does not exist, or what is no number."""
    for row in own:
        known = RULES[row.rule].thresholds if row.rule in RULES else {}
        for name, value in row.parameters.items():
            if name not in known or isinstance(value, bool) or not isinstance(value, int | float):
                raise IngestError(
                    f"the threshold {name!r} = {value!r} of {row.rule} in myproperty.vee_thresholds is none: "
                    f"{row.rule} has {', '.join(known) or 'no thresholds'}, and each is a number"
                )
    # A meter type of its own comes last, and so goes before what is for all.
    ordered = sorted(own, key=lambda row: row.meter_type is not None)

    def lookup(rule: str, name: str, rows: Frame) -> pd.Series:
        found = pd.Series(float(RULES[rule].thresholds[name]), index=rows.index)
        for row in ordered:
            if row.rule == rule and name in row.parameters:
                holds = rows["reading_date"] >= pd.Timestamp(row.first)
                if row.end is not None:
                    holds &= rows["reading_date"] < pd.Timestamp(row.end)
                if row.meter_type is not None:
                    holds &= rows["meter_type"].eq(row.meter_type)
                found = found.mask(holds, row.parameters[name])
        return found

    return lookup
