with meter_days as (
    select * from {{ ref('mart_data_completeness') }}
),

tenants as (
    select * from {{ ref('dim_tenant') }}
    where is_current
),

properties as (
    select * from {{ ref('dim_property') }}
    where is_current
),

meters as (
    select * from {{ ref('dim_meter') }}
    where is_current
)

select
    meter_days.tenant_id,
    tenants.tenant_name,
    meter_days.property_id,
    properties.property_name,
    meter_days.meter_id,
    meters.meter_type,
    meters.serial_number,
    meter_days.channel,
    meter_days.reading_date,
    meter_days.expected_intervals,
    meter_days.actual_intervals,
    meter_days.estimated_intervals,
    meter_days.missing_intervals,
    meter_days.completeness_pct,
    meter_days.estimated_share_pct,
    meter_days.latest_arrival_at,
    coalesce(meter_days.is_held, false) as is_held,
    meter_days.accepted_until
from meter_days
left join tenants
    on meter_days.tenant_id = tenants.tenant_id
left join properties
    on
        meter_days.tenant_id = properties.tenant_id
        and meter_days.property_id = properties.property_id
left join meters
    on
        meter_days.tenant_id = meters.tenant_id
        and meter_days.meter_id = meters.meter_id
where {{ for_readers_of('meter_days.tenant_id') }}
