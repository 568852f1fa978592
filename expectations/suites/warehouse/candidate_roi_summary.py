"""Gate D for `staging.candidate_roi_summary`: the candidate rows of the return on solar make sense.

The formulas are proved by tests; here is what would show that an assumption is in the wrong unit.
"""

from typing import TYPE_CHECKING, Any

import pandas as pd

from expectations.frames import Warehouse, warehouse_frame
from expectations.rules import Rule, suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

GATE, TABLE = "D", "candidate_roi_summary"
ID_COLUMNS = ("tenant_id", "appraisal_id")
ROWS_REQUIRED = False
NUMBERS = ("npv_amount", "irr_pct", "discount_pct", "payback_years", "lcoe_per_kwh", "lifetime_years")

_ASSUMPTIONS = "Check the row of myproperty.solar_appraisals: rates are shares (0.06), prices a kWh."
_REBUILD = "Run the same dates again; if it fails again, look at the models of the allocation."
RULES = {
    "key": Rule("D-ROI-001", "one row a tenant and appraisal", _REBUILD),
    "sign": Rule(
        "D-ROI-002", "a return above the discount rate has a present value above 0, and one below, below",
        _ASSUMPTIONS,
    ),
    "irr": Rule("D-ROI-003", "the internal rate of return is between -50 and 100 % a year", _ASSUMPTIONS),
    "payback": Rule("D-ROI-004", "payback is within the lifetime", _REBUILD),
    "lcoe": Rule("D-ROI-005", "energy costs between 0 and 5 a kWh over the lifetime", _ASSUMPTIONS),
    "saving": Rule(
        "D-ROI-006", "residents pay less for solar than for the grid",
        "Look at the bands of the rate plan: solar is dearer than the grid at the times it is used.",
        severity="warn",
    ),
}  # fmt: skip

CANDIDATE = """
select tenant_id, appraisal_id, npv_amount, irr_pct, 100 * discount_rate as discount_pct, payback_years,
       lcoe_per_kwh, lifetime_years, residents_saving_amount
from ${prefix}staging.candidate_roi_summary
"""


def judged(candidate: pd.DataFrame) -> pd.DataFrame:
    """The rows with figures as floats (NULL as NaN), and whether present value and return say the same."""
    frame = candidate.copy()
    for column in (*NUMBERS, "residents_saving_amount"):
        frame[column] = pd.to_numeric(frame[column], errors="raise").astype("float64")
    excess = frame["irr_pct"] - frame["discount_pct"]
    # Within a cent or a millionth of a percent the sign is one of rounding.
    clear = (excess.abs() > 1e-5) & (frame["npv_amount"].abs() > 0.01)
    frame["signs_differ"] = (clear & ((excess > 0) != (frame["npv_amount"] > 0))).astype("int64")
    return frame


def profile(warehouse: Warehouse, prefix: str = "") -> pd.DataFrame:
    """All candidate rows: an appraisal has no dates of a run."""
    return judged(warehouse_frame(warehouse, CANDIDATE, prefix=prefix))


def build_suite() -> "ExpectationSuite":
    """The rules D-ROI-001 to 006."""
    return suite(
        GATE,
        TABLE,
        [
            RULES["key"].expect("expect_compound_columns_to_be_unique", column_list=list(ID_COLUMNS)),
            _between("sign", "signs_differ", 0, 0),
            _between("irr", "irr_pct", -50, 100),
            RULES["payback"].expect(
                "expect_column_pair_values_a_to_be_greater_than_b",
                column_A="lifetime_years",
                column_B="payback_years",
                or_equal=True,
                ignore_row_if="either_value_is_missing",
            ),
            _between("lcoe", "lcoe_per_kwh", 0, 5),
            _between("saving", "residents_saving_amount", 0, None),
        ],
    )


def _between(rule: str, column: str, low: float, high: float | None) -> dict[str, Any]:
    return RULES[rule].expect(
        "expect_column_values_to_be_between", column=column, min_value=low, max_value=high
    )
