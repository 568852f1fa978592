"""Gate D for `core.emission_factors`: carbon emitted for each kWh of a grid.

The factors are a seed of the project; an error in it would reach every report. `candidate_carbon_savings`
checks that each property finds its factor.
"""

from expectations.rules import GateRule, WarehouseSuite, are_unique, is_between, is_given

# A grid of old lignite plants stays below this; a factor entered in lb/MWh or kg/MWh is far above it.
HIGHEST_KG_PER_KWH = 1.5
_SEED = "Correct data/warehouse/seeds/emission_factors.csv by the publication that the row names."

SUITE = WarehouseSuite(
    table="emission_factors",
    schema="core",
    id_columns=("factor_id",),
    is_step_partitioned=False,
    rows_required=True,
    sql="""
select factor_id, region, year, scope, basis, kg_co2e_per_kwh, source, published, licence
from ${prefix}core.emission_factors
""",
    floats=("kg_co2e_per_kwh",),
    rules=(
        GateRule(
            "D-FACTOR-001",
            are_unique(["region", "year", "scope", "basis"]),
            "each region, year, scope and basis has one factor",
            _SEED,
        ),
        GateRule(
            "D-FACTOR-002",
            is_between("kg_co2e_per_kwh", 0, HIGHEST_KG_PER_KWH),
            f"a factor is between 0 and {HIGHEST_KG_PER_KWH:g} kg per kWh",
            _SEED,
        ),
        GateRule("D-FACTOR-003", is_given("source"), "a factor names its publisher", _SEED),
        GateRule("D-FACTOR-004", is_given("published"), "a factor says when it was published", _SEED),
        GateRule("D-FACTOR-005", is_given("licence"), "a factor names its licence", _SEED),
    ),
)
