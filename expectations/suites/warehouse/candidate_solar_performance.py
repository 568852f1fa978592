"""Gate D for `staging.candidate_solar_performance`: the candidate rows of the solar mart make sense.

The candidate is built before the mart and judged here; the mart selects it only afterwards, so a candidate
that breaks a rule is never published. Its energy against raw is in `fact_energy_usage`.
"""

from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from expectations.frames import Warehouse, warehouse_frame
from expectations.rules import Rule, suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

GATE, TABLE = "D", "candidate_solar_performance"
ID_COLUMNS = ("tenant_id", "property_id", "reading_date")
ROWS_REQUIRED = False
NUMBERS = (
    "generation_kwh",
    "self_consumed_kwh",
    "exported_kwh",
    "imported_kwh",
    "specific_yield_kwh_per_kw",
    "completeness_pct",
    "estimated_share_pct",
    "fact_generation_kwh",
)
# The best sites of the world reach 8.5 on their best day.
HIGHEST_SPECIFIC_YIELD = 9.0
# Figures of the candidate are rounded to 9 places: half a watt-hour is far above rounding.
ENERGY_TOLERANCE_KWH = 0.0005

_FORMULA = "Check the registers of this property's meters (channel swapped?), then the model's SQL."
_REBUILD = "Run the same dates again; if it fails again, compare the model's joins with the fact."
RULES = {
    "presence": Rule(
        "D-SOLAR-001", "every property and date with generation in the fact has a candidate row", _REBUILD
    ),
    "key": Rule("D-SOLAR-002", "one row a tenant, property and reading date", _REBUILD),
    "self_consumed_low": Rule("D-SOLAR-003", "self-consumed energy is not below 0", _FORMULA),
    "self_consumed_high": Rule("D-SOLAR-004", "self-consumed energy is not above generation", _FORMULA),
    "exported_high": Rule(
        "D-SOLAR-005", "export of a complete day is not above generation: no site has a battery", _FORMULA
    ),
    "specific_yield": Rule(
        "D-SOLAR-006",
        f"specific yield is between 0 and {HIGHEST_SPECIFIC_YIELD:g} kWh/kW a day",
        "Check `properties.solar_capacity_kw` and the unit of the generation register.",
    ),
    "completeness": Rule(
        "D-SOLAR-007",
        "completeness is between 0 and 100 %",
        "Check the interval length of the meter's registers.",
    ),
    "estimated": Rule("D-SOLAR-008", "the estimated share is between 0 and 100 %", _REBUILD),
    "energy": Rule("D-SOLAR-009", "generation, where given, equals generation in the fact", _REBUILD),
}

CANDIDATE = """
select coalesce(c.tenant_id, f.tenant_id) as tenant_id,
       coalesce(c.property_id, f.property_id) as property_id,
       cast(coalesce(c.reading_date, f.reading_date) as $text) as reading_date,
       c.tenant_id is not null as is_present,
       c.generation_kwh, c.self_consumed_kwh, c.exported_kwh, c.imported_kwh,
       c.specific_yield_kwh_per_kw, c.completeness_pct, c.estimated_share_pct,
       f.generation_kwh as fact_generation_kwh
from (
    select tenant_id, property_id, reading_date, generation_kwh, self_consumed_kwh, exported_kwh,
           imported_kwh, specific_yield_kwh_per_kw, completeness_pct, estimated_share_pct
    from ${prefix}staging.candidate_solar_performance
    where reading_date >= $start and reading_date < $end
) as c
full join (
    select tenant_id, property_id, reading_date, sum(value_kwh) as generation_kwh
    from ${prefix}core.fact_energy_usage
    where reading_date >= $start and reading_date < $end and channel = 'generation'
    group by tenant_id, property_id, reading_date
) as f
    on f.tenant_id = c.tenant_id and f.property_id = c.property_id and f.reading_date = c.reading_date
"""


def judged(candidate: pd.DataFrame) -> pd.DataFrame:
    """The rows with figures as floats (NULL as NaN) and the difference of generation to the fact, in kWh."""
    frame = candidate.copy()
    for column in NUMBERS:
        frame[column] = pd.to_numeric(frame[column], errors="raise").astype("float64")
    frame["generation_difference_kwh"] = frame["generation_kwh"] - frame["fact_generation_kwh"]
    # A gap in generation alone makes export look too high: the two compare on complete days only.
    frame["exported_complete_day_kwh"] = frame["exported_kwh"].where(frame["completeness_pct"] >= 100)
    return frame


def profile(warehouse: Warehouse, start: date, end: date, prefix: str = "") -> pd.DataFrame:
    """The candidate rows of reading dates in [start, end), and those that the fact says are missing."""
    return judged(warehouse_frame(warehouse, CANDIDATE, start=start, end=end, prefix=prefix))


def build_suite() -> "ExpectationSuite":
    """The rules D-SOLAR-001 to 009."""
    return suite(
        GATE,
        TABLE,
        [
            RULES["presence"].expect(
                "expect_column_values_to_be_in_set", column="is_present", value_set=[True]
            ),
            RULES["key"].expect("expect_compound_columns_to_be_unique", column_list=list(ID_COLUMNS)),
            _between("self_consumed_low", "self_consumed_kwh", 0, None),
            _not_above_generation("self_consumed_high", "self_consumed_kwh"),
            _not_above_generation("exported_high", "exported_complete_day_kwh"),
            _between("specific_yield", "specific_yield_kwh_per_kw", 0, HIGHEST_SPECIFIC_YIELD),
            _between("completeness", "completeness_pct", 0, 100),
            _between("estimated", "estimated_share_pct", 0, 100),
            _between("energy", "generation_difference_kwh", -ENERGY_TOLERANCE_KWH, ENERGY_TOLERANCE_KWH),
        ],
    )


def _between(rule: str, column: str, low: float, high: float | None) -> dict[str, Any]:
    return RULES[rule].expect(
        "expect_column_values_to_be_between", column=column, min_value=low, max_value=high
    )


def _not_above_generation(rule: str, column: str) -> dict[str, Any]:
    """NULL beside a number is no failure: a KPI without sufficient data is NULL by rule."""
    return RULES[rule].expect(
        "expect_column_pair_values_a_to_be_greater_than_b",
        column_A="generation_kwh",
        column_B=column,
        or_equal=True,
        ignore_row_if="either_value_is_missing",
    )
