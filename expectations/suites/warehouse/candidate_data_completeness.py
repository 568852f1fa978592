"""Gate D for `staging.candidate_data_completeness`: what is said to be there and missing adds up."""

from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from expectations.frames import Warehouse, warehouse_frame
from expectations.rules import Rule, suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

GATE, TABLE = "D", "candidate_data_completeness"
ID_COLUMNS = ("tenant_id", "meter_id", "channel", "reading_date")
ROWS_REQUIRED = False

_REBUILD = "Run the same dates again; if it fails again, look at the macro meter_days."
RULES = {
    "key": Rule("D-COMPLETENESS-001", "one row a tenant, meter, channel and reading date", _REBUILD),
    "counts": Rule(
        "D-COMPLETENESS-002", "a day has no more values than intervals, and no more estimates than values",
        "Two lengths of interval on one day: compare meter_registers with the readings of that day.",
    ),
    "silent": Rule(
        "D-COMPLETENESS-003", "a configured meter sends something every day",
        "Ask who sends its files, or set the meter to inactive; until then its figures are NULL.",
        severity="warn",
    ),
}  # fmt: skip

CANDIDATE = """
select tenant_id, meter_id, channel, cast(reading_date as $text) as reading_date, expected_intervals,
       actual_intervals, estimated_intervals
from ${prefix}staging.candidate_data_completeness
where reading_date >= $start and reading_date < $end
"""


def judged(candidate: pd.DataFrame) -> pd.DataFrame:
    """The rows, with how many intervals are too many."""
    frame = candidate.copy()
    values = (frame["actual_intervals"] - frame["expected_intervals"]).clip(lower=0)
    estimates = (frame["estimated_intervals"] - frame["actual_intervals"]).clip(lower=0)
    frame["surplus_intervals"] = values + estimates
    return frame


def profile(warehouse: Warehouse, start: date, end: date, prefix: str = "") -> pd.DataFrame:
    """The candidate rows of reading dates in [start, end)."""
    return judged(warehouse_frame(warehouse, CANDIDATE, start=start, end=end, prefix=prefix))


def build_suite() -> "ExpectationSuite":
    """The rules D-COMPLETENESS-001 to 003."""
    return suite(
        GATE,
        TABLE,
        [
            RULES["key"].expect("expect_compound_columns_to_be_unique", column_list=list(ID_COLUMNS)),
            RULES["counts"].expect(
                "expect_column_values_to_be_between", column="surplus_intervals", min_value=0, max_value=0
            ),
            RULES["silent"].expect(
                "expect_column_values_to_be_between", column="actual_intervals", min_value=1
            ),
        ],
    )
