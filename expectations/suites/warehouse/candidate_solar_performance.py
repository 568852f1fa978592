"""Gate D for `staging.candidate_solar_performance`: the candidate rows of the solar mart are plausible.

The mart selects its candidate only after this gate, so a candidate that breaks a rule is never published.
`fact_energy_usage` compares its energy with raw.
"""

import pandas as pd

from expectations.rules import GateRule, WarehouseSuite, are_unique, is_between, is_not_above, is_true

# The world's best sites reach 8.5 on their best day.
HIGHEST_SPECIFIC_YIELD = 9.0
# Figures of the candidate are rounded to 9 places: half a watt-hour is far above rounding.
ENERGY_TOLERANCE_KWH = 0.0005
_FORMULA = "Check the registers of this property's meters (channel swapped?), then the model's SQL."
_REBUILD = (
    "`myproperty run --from {first} --to {last}` builds the dates again. If it fails again, "
    "compare the model's joins with the fact."
)


def add_comparisons(candidate: pd.DataFrame) -> pd.DataFrame:
    """Add the difference of generation to the fact, and energy without what a battery can give, in kWh.

    A battery gives energy that was generated on earlier days or drawn from the grid: at most its power for
    the 25 hours of the longest day. It is 0 without a battery.
    """
    from_battery = 25 * candidate["battery_kw"].fillna(0)
    return candidate.assign(
        generation_difference_kwh=candidate["generation_kwh"] - candidate["fact_generation_kwh"],
        # A gap in generation alone makes export look too high: compare them on complete days only.
        exported_of_day_kwh=candidate["exported_kwh"].where(candidate["completeness_pct"] >= 100)
        - from_battery,
        self_consumed_or_stored_kwh=candidate["self_consumed_kwh"] + from_battery,
    )


SUITE = WarehouseSuite(
    table="candidate_solar_performance",
    id_columns=("tenant_id", "property_id", "reading_date"),
    is_dated=True,
    # The full join also keeps properties and dates that the candidate lacks.
    sql="""
select coalesce(c.tenant_id, f.tenant_id) as tenant_id,
       coalesce(c.property_id, f.property_id) as property_id,
       cast(coalesce(c.reading_date, f.reading_date) as $text) as reading_date,
       c.tenant_id is not null as is_present,
       c.generation_kwh, c.self_consumed_kwh, c.exported_kwh, c.imported_kwh,
       c.specific_yield_kwh_per_kw, c.completeness_pct, c.estimated_share_pct,
       f.generation_kwh as fact_generation_kwh, b.battery_kw
from (
    select tenant_id, property_id, reading_date, generation_kwh, self_consumed_kwh, exported_kwh,
           imported_kwh, specific_yield_kwh_per_kw, completeness_pct, estimated_share_pct
    from ${prefix}staging.candidate_solar_performance
    where reading_date >= $start and reading_date < $end
) as c
full join (
    select u.tenant_id, m.property_id, u.reading_date, sum(u.value_kwh) as generation_kwh
    from ${prefix}core.fact_energy_usage as u
    left join ${prefix}core.dim_meter as m on m.tenant_id = u.tenant_id and m.meter_key = u.meter_key
    where u.reading_date >= $start and u.reading_date < $end and u.channel = 'generation'
    group by u.tenant_id, m.property_id, u.reading_date
) as f
    on f.tenant_id = c.tenant_id and f.property_id = c.property_id and f.reading_date = c.reading_date
left join (
    select d.tenant_id, d.property_id, d.reading_date, sum(a.capacity_kw) as battery_kw
    from ${prefix}staging.candidate_solar_performance as d
    inner join ${prefix}raw.solar_assets as a
        on a.tenant_id = d.tenant_id and a.property_id = d.property_id
    where d.reading_date >= $start and d.reading_date < $end
      and a.kind = 'battery' and a.status != 'planned' and a.in_service_from <= d.reading_date
      and (a.in_service_to is null or a.in_service_to > d.reading_date)
    group by d.tenant_id, d.property_id, d.reading_date
) as b
    on b.tenant_id = c.tenant_id and b.property_id = c.property_id and b.reading_date = c.reading_date
""",
    floats=(
        "generation_kwh",
        "self_consumed_kwh",
        "exported_kwh",
        "imported_kwh",
        "specific_yield_kwh_per_kw",
        "completeness_pct",
        "estimated_share_pct",
        "fact_generation_kwh",
        "battery_kw",
    ),
    derive=add_comparisons,
    rules=(
        GateRule(
            "D-SOLAR-001",
            is_true("is_present"),
            "every property and date with generation in the fact has a candidate row",
            _REBUILD,
        ),
        GateRule(
            "D-SOLAR-002",
            are_unique(["tenant_id", "property_id", "reading_date"]),
            "each tenant, property and reading date has one row",
            _REBUILD,
        ),
        GateRule(
            "D-SOLAR-003",
            is_between("self_consumed_or_stored_kwh", 0, None),
            "self-consumed energy is not below 0, or by no more than the batteries of the site can give",
            _FORMULA,
        ),
        GateRule(
            "D-SOLAR-004",
            is_not_above("self_consumed_kwh", "generation_kwh"),
            "self-consumed energy is not above generation",
            _FORMULA,
        ),
        GateRule(
            "D-SOLAR-005",
            is_not_above("exported_of_day_kwh", "generation_kwh"),
            "export of a complete day is not above generation and what the batteries of the site can give",
            "Enter a battery in `solar_assets` if the site has one; else check the registers of this "
            "property's meters (channel swapped?), then the model's SQL.",
        ),
        GateRule(
            "D-SOLAR-006",
            is_between("specific_yield_kwh_per_kw", 0, HIGHEST_SPECIFIC_YIELD),
            f"specific yield is between 0 and {HIGHEST_SPECIFIC_YIELD:g} kWh/kW a day",
            "Check `properties.solar_capacity_kw` and the unit of the generation register.",
        ),
        GateRule(
            "D-SOLAR-007",
            is_between("completeness_pct", 0, 100),
            "completeness is between 0 and 100 %",
            "Check the interval length of the meter's registers.",
        ),
        GateRule(
            "D-SOLAR-008",
            is_between("estimated_share_pct", 0, 100),
            "the estimated share is between 0 and 100 %",
            _REBUILD,
        ),
        GateRule(
            "D-SOLAR-009",
            is_between("generation_difference_kwh", -ENERGY_TOLERANCE_KWH, ENERGY_TOLERANCE_KWH),
            "generation, if given, equals generation in the fact",
            _REBUILD,
        ),
    ),
)
