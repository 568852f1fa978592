-- One scan for all rules of single rows. A day has few combinations of keys, and a test for each column would read all
-- of its rows again. A key without a row of the same tenant is a leak or a loss; NULL refers to nothing. A date that is
-- not the local one puts energy on the wrong day, since ingestion and the warehouse cut days by the same zone.
with slices as (
    select
        tenant_id,
        property_key,
        unit_key,
        meter_key,
        rate_plan_key,
        rate_plan_band_key,
        tenancy_key,
        emission_factor_key,
        channel,
        quality,
        min(value_kwh) as least_kwh,
        min(held_kwh) as least_held_kwh,
        min(cost_amount) as least_cost_amount,
        min(feed_in_amount) as least_feed_in_amount,
        sum(case when cast(local_ts as date) != reading_date then 1 else 0 end) as rows_of_another_date
    from {{ ref('fact_energy_usage') }}
    where {{ in_range() }}
    group by
        tenant_id,
        property_key,
        unit_key,
        meter_key,
        rate_plan_key,
        rate_plan_band_key,
        tenancy_key,
        emission_factor_key,
        channel,
        quality
)

select
    slices.*,
    tenants.tenant_id is null as is_without_tenant,
    properties.property_key is null as is_without_property,
    units.unit_key is null as is_without_unit,
    meters.meter_key is null as is_without_meter,
    plans.rate_plan_key is null as is_without_rate_plan,
    bands.rate_plan_band_key is null as is_without_band,
    tenancies.tenancy_key is null as is_without_tenancy,
    factors.emission_factor_key is null as is_without_factor
from slices
left join {{ ref('dim_tenant') }} as tenants
    on slices.tenant_id = tenants.tenant_id
left join {{ ref('dim_property') }} as properties
    on
        slices.tenant_id = properties.tenant_id
        and slices.property_key = properties.property_key
left join {{ ref('dim_unit') }} as units
    on
        slices.tenant_id = units.tenant_id
        and slices.unit_key = units.unit_key
left join {{ ref('dim_meter') }} as meters
    on
        slices.tenant_id = meters.tenant_id
        and slices.meter_key = meters.meter_key
left join {{ ref('dim_rate_plan') }} as plans
    on
        slices.tenant_id = plans.tenant_id
        and slices.rate_plan_key = plans.rate_plan_key
left join {{ ref('dim_rate_plan_band') }} as bands
    on
        slices.tenant_id = bands.tenant_id
        and slices.rate_plan_band_key = bands.rate_plan_band_key
left join {{ ref('bridge_unit_tenancy') }} as tenancies
    on
        slices.tenant_id = tenancies.tenant_id
        and slices.tenancy_key = tenancies.tenancy_key
-- A factor is of a region, and of no tenant.
left join {{ ref('dim_emission_factor') }} as factors
    on slices.emission_factor_key = factors.emission_factor_key
where
    tenants.tenant_id is null
    or properties.property_key is null
    or units.unit_key is null
    or meters.meter_key is null
    or plans.rate_plan_key is null
    or (slices.rate_plan_band_key is not null and bands.rate_plan_band_key is null)
    or (slices.tenancy_key is not null and tenancies.tenancy_key is null)
    or (slices.emission_factor_key is not null and factors.emission_factor_key is null)
    or slices.channel not in ('import', 'export', 'generation', 'consumption')
    or slices.quality not in ('actual', 'edited', 'estimated', 'null')
    or slices.least_kwh < 0
    or slices.least_held_kwh < 0
    or slices.least_cost_amount < 0
    or slices.least_feed_in_amount < 0
    or slices.rows_of_another_date > 0
