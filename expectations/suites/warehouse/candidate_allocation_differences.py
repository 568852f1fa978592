"""Gate D for `staging.candidate_allocation_differences`: allocation by the models is what was billed.

Readings that were revised after billing are explained, and a task of `myproperty billing tasks`; a
difference that nothing explains means that the ledger or a model is wrong.
"""

from typing import TYPE_CHECKING

import pandas as pd

from expectations.frames import Warehouse, warehouse_frame
from expectations.rules import Rule, suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

GATE, TABLE = "D", "candidate_allocation_differences"
ID_COLUMNS = ("tenant_id", "allocation_id")
ROWS_REQUIRED = False

RULES = {
    "key": Rule(
        "D-ALLOCATION-001",
        "one row a tenant and row of the allocation ledger",
        "Look at the joins of candidate_allocation_differences.",
    ),
    "explained": Rule(
        "D-ALLOCATION-002",
        "the ledger is what the readings give, or revised readings explain why not",
        "Compare the intervals of the period in staging.int_allocation__intervals with "
        "`myproperty billing ties`; shares, tenancies or assignments may have been changed after billing.",
        severity="warn",
    ),
}

CANDIDATE = """
select tenant_id, allocation_id, finding from ${prefix}staging.candidate_allocation_differences
"""


def profile(warehouse: Warehouse, prefix: str = "") -> pd.DataFrame:
    """All candidate rows: a billing period is longer than a run."""
    return warehouse_frame(warehouse, CANDIDATE, prefix=prefix)


def build_suite() -> "ExpectationSuite":
    """The rules D-ALLOCATION-001 and 002."""
    return suite(
        GATE,
        TABLE,
        [
            RULES["key"].expect("expect_compound_columns_to_be_unique", column_list=list(ID_COLUMNS)),
            RULES["explained"].expect(
                "expect_column_values_to_not_be_in_set", column="finding", value_set=["unexplained"]
            ),
        ],
    )
