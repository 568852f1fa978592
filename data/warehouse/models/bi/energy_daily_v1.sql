with daily as (
    select * from {{ ref('mart_energy_daily') }}
),

tenants as (
    select * from {{ ref('dim_tenant') }}
    where is_current
),

properties as (
    select * from {{ ref('dim_property') }}
    where is_current
),

units as (
    select * from {{ ref('dim_unit') }}
    where is_current
),

meters as (
    select * from {{ ref('dim_meter') }}
    where is_current
)

select
    daily.tenant_id,
    tenants.tenant_name,
    daily.property_id,
    properties.property_name,
    daily.unit_id,
    units.unit_label,
    daily.tenancy_id,
    daily.meter_id,
    meters.meter_type,
    meters.serial_number,
    daily.channel,
    daily.reading_date,
    daily.rate_plan_id,
    daily.energy_kwh,
    daily.currency,
    daily.cost_amount,
    daily.expected_intervals,
    daily.actual_intervals,
    daily.estimated_intervals,
    daily.completeness_pct,
    daily.estimated_share_pct,
    coalesce(daily.is_held, false) as is_held,
    daily.held_kwh,
    daily.accepted_until,
    daily.feed_in_amount
from daily
left join tenants
    on daily.tenant_id = tenants.tenant_id
left join properties
    on
        daily.tenant_id = properties.tenant_id
        and daily.property_id = properties.property_id
left join units
    on
        daily.tenant_id = units.tenant_id
        and daily.unit_id = units.unit_id
left join meters
    on
        daily.tenant_id = meters.tenant_id
        and daily.meter_id = meters.meter_id
where {{ for_readers_of('daily.tenant_id') }}
