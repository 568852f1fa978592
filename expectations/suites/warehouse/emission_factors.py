"""Gate D for `core.emission_factors`: what a kWh of a grid emits, before carbon is counted by it.

The factors are a file of the project; a slip in it would go into every report. Whether a day finds its
factor is in `candidate_carbon_savings`.
"""

from typing import TYPE_CHECKING

import pandas as pd

from expectations.frames import Warehouse, warehouse_frame
from expectations.rules import Rule, suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

GATE, TABLE = "D", "emission_factors"
ID_COLUMNS = ("factor_id",)
ROWS_REQUIRED = True
# A grid of old lignite plants stays below it; in lb/MWh or kg/MWh every factor is far above.
HIGHEST_KG_PER_KWH = 1.5

_SEED = "Mend data/warehouse/seeds/emission_factors.csv by the publication that the row names."
RULES = {
    "key": Rule("D-FACTOR-001", "one factor a region, year, scope and basis", _SEED),
    "value": Rule("D-FACTOR-002", f"a factor is between 0 and {HIGHEST_KG_PER_KWH:g} kg a kWh", _SEED),
    "source": Rule("D-FACTOR-003", "a factor says who published it", _SEED),
    "published": Rule("D-FACTOR-004", "a factor says when it was published", _SEED),
    "licence": Rule("D-FACTOR-005", "a factor says what its licence is", _SEED),
}

FACTORS = """
select factor_id, region, year, scope, basis, kg_co2e_per_kwh, source, published, licence
from ${prefix}core.emission_factors
"""


def profile(warehouse: Warehouse, prefix: str = "") -> pd.DataFrame:
    """All factors: they have no dates of a run."""
    frame = warehouse_frame(warehouse, FACTORS, prefix=prefix)
    frame["kg_co2e_per_kwh"] = pd.to_numeric(frame["kg_co2e_per_kwh"], errors="raise").astype("float64")
    return frame


def build_suite() -> "ExpectationSuite":
    """The rules D-FACTOR-001 to 005."""
    return suite(
        GATE,
        TABLE,
        [
            RULES["key"].expect(
                "expect_compound_columns_to_be_unique", column_list=["region", "year", "scope", "basis"]
            ),
            RULES["value"].expect(
                "expect_column_values_to_be_between",
                column="kg_co2e_per_kwh",
                min_value=0,
                max_value=HIGHEST_KG_PER_KWH,
            ),
            *(
                RULES[column].expect("expect_column_values_to_not_be_null", column=column)
                for column in ("source", "published", "licence")
            ),
        ],
    )
