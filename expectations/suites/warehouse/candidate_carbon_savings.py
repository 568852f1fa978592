"""Gate D for `staging.candidate_carbon_savings`: the candidate rows of the carbon mart are plausible.

`emission_factors` checks the factors, and `candidate_solar_performance` the energy.
"""

from expectations.rules import GateRule, WarehouseSuite, are_unique, is_between, is_given, is_true, is_zero

# Figures are rounded to nine places.
TOLERANCE_KG = 1e-6
_REBUILD = (
    "`myproperty run --from {first} --to {last}` builds the dates again. If it fails again, "
    "look at the joins of candidate_carbon_savings."
)

SUITE = WarehouseSuite(
    table="candidate_carbon_savings",
    id_columns=("tenant_id", "property_id", "reading_date"),
    is_dated=True,
    # The full join also keeps rows that the solar candidate alone has.
    sql="""
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
""",
    floats=("location_difference_kg", "energy_difference_kwh"),
    rules=(
        GateRule(
            "D-CARBON-001",
            is_true("is_present"),
            "the carbon and the solar candidate have the same rows",
            _REBUILD,
        ),
        GateRule(
            "D-CARBON-002",
            are_unique(["tenant_id", "property_id", "reading_date"]),
            "each tenant, property and reading date has one row",
            _REBUILD,
        ),
        GateRule(
            "D-CARBON-003",
            is_between("location_difference_kg", -TOLERANCE_KG, TOLERANCE_KG),
            "avoided carbon is self-consumed energy x the factor that the row names",
            _REBUILD,
        ),
        GateRule(
            "D-CARBON-004",
            is_zero("energy_difference_kwh"),
            "self-consumed energy equals that of the solar candidate",
            _REBUILD,
        ),
        GateRule(
            "D-CARBON-005",
            is_given("location_factor_id"),
            "a property with solar is on a grid whose emission factor is known",
            "Add the grid to myproperty.emission_factor_regions, or its factor to the seed: until then its "
            "carbon is unknown.",
            severity="warn",
        ),
    ),
)
