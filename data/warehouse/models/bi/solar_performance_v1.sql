with performance as (
    select * from {{ ref('mart_solar_performance') }}
),

tenants as (
    select * from {{ ref('dim_tenant') }}
    where is_current
),

properties as (
    select * from {{ ref('dim_property') }}
    where is_current
)

select
    performance.tenant_id,
    tenants.tenant_name,
    performance.property_id,
    properties.property_name,
    performance.reading_date,
    performance.generation_kwh,
    performance.self_consumed_kwh,
    performance.exported_kwh,
    performance.imported_kwh,
    performance.solar_capacity_kw,
    performance.specific_yield_kwh_per_kw,
    performance.irradiation_kwh_per_m2,
    performance.expected_kwh,
    performance.performance_ratio,
    performance.performance_ratio as clear_sky_ratio,
    performance.capacity_factor,
    performance.time_availability,
    performance.energy_availability,
    performance.lost_kwh,
    performance.self_consumption,
    performance.reference_method,
    performance.reference_version,
    performance.expected_intervals,
    performance.actual_intervals,
    performance.completeness_pct,
    performance.generation_completeness_pct,
    performance.export_completeness_pct,
    performance.estimated_share_pct,
    coalesce(performance.is_held, false) as is_held,
    performance.accepted_until
from performance
left join tenants
    on performance.tenant_id = tenants.tenant_id
left join properties
    on
        performance.tenant_id = properties.tenant_id
        and performance.property_id = properties.property_id
where {{ for_readers_of('performance.tenant_id') }}
