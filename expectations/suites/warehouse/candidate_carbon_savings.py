"""Gate D for `staging.candidate_carbon_savings`: the candidate rows of the carbon mart make sense.

Whether the factors themselves do is in `emission_factors`, and the energy in `candidate_solar_performance`.
"""

from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from expectations.frames import Warehouse, warehouse_frame
from expectations.rules import Rule, suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

GATE, TABLE = "D", "candidate_carbon_savings"
ID_COLUMNS = ("tenant_id", "property_id", "reading_date")
ROWS_REQUIRED = False
# Figures are rounded to nine places.
TOLERANCE_KG = 1e-6

_REBUILD = "Run the same dates again; if it fails again, look at the joins of candidate_carbon_savings."
RULES = {
    "presence": Rule(
        "D-CARBON-001", "every row of the solar candidate has one of carbon, and no other has", _REBUILD
    ),
    "key": Rule("D-CARBON-002", "one row a tenant, property and reading date", _REBUILD),
    "location": Rule(
        "D-CARBON-003", "avoided carbon is self-consumed energy x the factor it names", _REBUILD
    ),
    "energy": Rule("D-CARBON-004", "self-consumed energy is that of the solar candidate", _REBUILD),
    "factor": Rule(
        "D-CARBON-005",
        "a property with solar is on a grid whose emission factor is known",
        "Add the grid to myproperty.emission_factor_regions, or its factor to the seed: it stays unknown.",
        severity="warn",
    ),
}

CANDIDATE = """
select coalesce(c.tenant_id, s.tenant_id) as tenant_id,
       coalesce(c.property_id, s.property_id) as property_id,
       cast(coalesce(c.reading_date, s.reading_date) as $text) as reading_date,
       c.tenant_id is not null and s.tenant_id is not null as is_present,
       c.avoided_location_kg - c.self_consumed_kwh * f.kg_co2e_per_kwh as location_difference_kg,
       coalesce(c.self_consumed_kwh, -1) - coalesce(s.self_consumed_kwh, -1) as energy_difference_kwh,
       c.location_factor_id
from (
    select tenant_id, property_id, reading_date, self_consumed_kwh, avoided_location_kg, location_factor_id
    from ${prefix}staging.candidate_carbon_savings
    where reading_date >= $start and reading_date < $end
) as c
full join (
    select tenant_id, property_id, reading_date, self_consumed_kwh
    from ${prefix}staging.candidate_solar_performance
    where reading_date >= $start and reading_date < $end
) as s
    on s.tenant_id = c.tenant_id and s.property_id = c.property_id and s.reading_date = c.reading_date
left join ${prefix}core.emission_factors as f on f.factor_id = c.location_factor_id
"""


def profile(warehouse: Warehouse, start: date, end: date, prefix: str = "") -> pd.DataFrame:
    """The candidate rows of reading dates in [start, end), and those that the solar candidate has alone."""
    frame = warehouse_frame(warehouse, CANDIDATE, start=start, end=end, prefix=prefix)
    for column in ("location_difference_kg", "energy_difference_kwh"):
        frame[column] = pd.to_numeric(frame[column], errors="raise").astype("float64")
    return frame


def build_suite() -> "ExpectationSuite":
    """The rules D-CARBON-001 to 005."""
    return suite(
        GATE,
        TABLE,
        [
            RULES["presence"].expect(
                "expect_column_values_to_be_in_set", column="is_present", value_set=[True]
            ),
            RULES["key"].expect("expect_compound_columns_to_be_unique", column_list=list(ID_COLUMNS)),
            RULES["location"].expect(
                "expect_column_values_to_be_between",
                column="location_difference_kg",
                min_value=-TOLERANCE_KG,
                max_value=TOLERANCE_KG,
            ),
            RULES["energy"].expect(
                "expect_column_values_to_be_between", column="energy_difference_kwh", min_value=0, max_value=0
            ),
            RULES["factor"].expect("expect_column_values_to_not_be_null", column="location_factor_id"),
        ],
    )
