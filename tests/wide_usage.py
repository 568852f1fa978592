"""The energy of intervals with the ids, prices and factors of its dimensions, as people read the fact.

Not here: the models that read the fact, which join what they need (`data/warehouse/models`).
"""

# A subquery with a row for each of core.fact_energy_usage; ids of unknown members are NULL.
WIDE_USAGE = """
(select
    f.*,
    m.meter_id,
    m.property_id,
    nullif(u.unit_id, 'unknown') as unit_id,
    t.tenancy_id,
    nullif(p.rate_plan_id, 'unknown') as rate_plan_id,
    b.rate_plan_band_id,
    b.band as tariff_band,
    b.currency,
    b.unit_amount,
    b.tax_rate,
    e.factor_id as emission_factor_id,
    e.kg_co2e_per_kwh,
    cast(f.local_ts as date) as local_date,
    round(100.0 * f.day_actual_intervals / f.day_expected_intervals, 4) as day_completeness_pct,
    f.day_actual_intervals >= f.day_expected_intervals as is_day_complete
from core.fact_energy_usage as f
left join core.dim_meter as m on m.tenant_id = f.tenant_id and m.meter_key = f.meter_key
left join core.dim_unit as u on u.tenant_id = f.tenant_id and u.unit_key = f.unit_key
left join core.bridge_unit_tenancy as t on t.tenant_id = f.tenant_id and t.tenancy_key = f.tenancy_key
left join core.dim_rate_plan as p on p.tenant_id = f.tenant_id and p.rate_plan_key = f.rate_plan_key
left join core.dim_rate_plan_band as b
    on b.tenant_id = f.tenant_id and b.rate_plan_band_key = f.rate_plan_band_key
left join core.dim_emission_factor as e on e.emission_factor_key = f.emission_factor_key)
"""
