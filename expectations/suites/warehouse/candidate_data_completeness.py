"""Gate D for `staging.candidate_data_completeness`: present and missing intervals add up."""

import pandas as pd

from expectations.rules import GateRule, WarehouseSuite, are_unique, is_between, is_zero


def add_surplus(candidate: pd.DataFrame) -> pd.DataFrame:
    """Add `surplus_intervals`: values above the expected count, and estimates above the count of values."""
    values = (candidate["actual_intervals"] - candidate["expected_intervals"]).clip(lower=0)
    estimates = (candidate["estimated_intervals"] - candidate["actual_intervals"]).clip(lower=0)
    return candidate.assign(surplus_intervals=values + estimates)


SUITE = WarehouseSuite(
    table="candidate_data_completeness",
    id_columns=("tenant_id", "meter_id", "channel", "reading_date"),
    is_dated=True,
    sql="""
select tenant_id, meter_id, channel, cast(reading_date as $text) as reading_date, expected_intervals,
       actual_intervals, estimated_intervals
from ${prefix}staging.candidate_data_completeness
where reading_date >= $start and reading_date < $end
""",
    derive=add_surplus,
    rules=(
        GateRule(
            "D-COMPLETENESS-001",
            are_unique(["tenant_id", "meter_id", "channel", "reading_date"]),
            "each tenant, meter, channel and reading date has one row",
            "`myproperty run --from {first} --to {last}` builds the dates again. If it fails again, "
            "look at the macro meter_days.",
        ),
        GateRule(
            "D-COMPLETENESS-002",
            is_zero("surplus_intervals"),
            "a day has no more values than intervals, and no more estimates than values",
            "The day has two interval lengths: compare meter_registers with the readings of that day.",
        ),
        GateRule(
            "D-COMPLETENESS-003",
            is_between("actual_intervals", 1, None),
            "a configured meter sends values every day",
            "Ask who sends its files, or set the meter to inactive; until then its figures are NULL.",
            severity="warn",
        ),
    ),
)
