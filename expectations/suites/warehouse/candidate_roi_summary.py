"""Gate D for `staging.candidate_roi_summary`: the candidate rows of the return on solar are plausible.

Tests prove the formulas. These rules find an assumption that was entered in the wrong unit.
"""

import pandas as pd

from expectations.rules import GateRule, WarehouseSuite, are_unique, is_between, is_not_above, is_zero

_ASSUMPTIONS = "Check the row of myproperty.solar_appraisals: rates are shares (0.06), prices are per kWh."
_REBUILD = (
    "`myproperty run --from {first} --to {last}` builds the dates again. If it fails again, "
    "look at the models of the allocation."
)


def add_sign_mismatch(candidate: pd.DataFrame) -> pd.DataFrame:
    """Add `signs_differ`: 1 where present value and return do not agree on whether the investment pays."""
    excess = candidate["irr_pct"] - candidate["discount_pct"]
    # Within a cent or a millionth of a percent, rounding decides the sign.
    clear = (excess.abs() > 1e-5) & (candidate["npv_amount"].abs() > 0.01)
    differ = clear & ((excess > 0) != (candidate["npv_amount"] > 0))
    return candidate.assign(signs_differ=differ.astype("int64"))


SUITE = WarehouseSuite(
    table="candidate_roi_summary",
    id_columns=("tenant_id", "appraisal_id"),
    # Read whole: an appraisal has no reading dates.
    sql="""
select tenant_id, appraisal_id, npv_amount, irr_pct, 100 * discount_rate as discount_pct, payback_years,
       lcoe_per_kwh, lifetime_years, residents_saving_amount, price_per_kwh, export_price_per_kwh
from ${prefix}staging.candidate_roi_summary
""",
    floats=(
        "npv_amount",
        "irr_pct",
        "discount_pct",
        "payback_years",
        "lcoe_per_kwh",
        "lifetime_years",
        "residents_saving_amount",
        "price_per_kwh",
        "export_price_per_kwh",
    ),
    derive=add_sign_mismatch,
    rules=(
        GateRule(
            "D-ROI-001",
            are_unique(["tenant_id", "appraisal_id"]),
            "each tenant and appraisal has one row",
            _REBUILD,
        ),
        GateRule(
            "D-ROI-002",
            is_zero("signs_differ"),
            "present value is above 0 for a return above the discount rate, and below 0 for one below",
            _ASSUMPTIONS,
        ),
        GateRule(
            "D-ROI-003",
            is_between("irr_pct", -50, 100),
            "the internal rate of return is between -50 and 100 % a year",
            _ASSUMPTIONS,
        ),
        GateRule(
            "D-ROI-004",
            is_not_above("payback_years", "lifetime_years"),
            "payback is within the lifetime",
            _REBUILD,
        ),
        GateRule(
            "D-ROI-005",
            is_between("lcoe_per_kwh", 0, 5),
            "energy costs between 0 and 5 per kWh over the lifetime",
            _ASSUMPTIONS,
        ),
        GateRule(
            "D-ROI-006",
            is_between("residents_saving_amount", 0, None),
            "residents pay less for solar than for the grid",
            "Look at the bands of the rate plan: solar costs more than the grid at the times of use.",
            severity="warn",
        ),
        # A price far too high has no internal rate of return that is found, so D-ROI-003 does not see it.
        GateRule(
            "D-ROI-007",
            is_between("price_per_kwh", 0, 5),
            "the owner gets between 0 and 5 per kWh",
            _ASSUMPTIONS,
        ),
        GateRule(
            "D-ROI-008",
            is_between("export_price_per_kwh", 0, 5),
            "the owner gets between 0 and 5 per exported kWh",
            _ASSUMPTIONS,
        ),
    ),
)
