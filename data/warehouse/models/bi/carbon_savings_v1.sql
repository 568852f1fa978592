with savings as (
    select * from {{ ref('mart_carbon_savings') }}
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
    savings.tenant_id,
    tenants.tenant_name,
    savings.property_id,
    properties.property_name,
    savings.reading_date,
    savings.emission_region,
    savings.self_consumed_kwh,
    savings.exported_kwh,
    savings.avoided_location_kg,
    savings.avoided_market_kg,
    savings.avoided_scope_3_kg,
    savings.exported_location_kg,
    savings.exported_market_kg,
    savings.location_factor_id,
    savings.location_factor_year,
    savings.location_kg_co2e_per_kwh,
    savings.market_factor_id,
    savings.market_factor_year,
    savings.market_kg_co2e_per_kwh,
    savings.is_market_grid_average,
    savings.scope_3_factor_id,
    savings.scope_3_factor_year,
    savings.scope_3_kg_co2e_per_kwh,
    savings.completeness_pct,
    savings.estimated_share_pct,
    coalesce(savings.is_held, false) as is_held,
    savings.accepted_until
from savings
left join tenants
    on savings.tenant_id = tenants.tenant_id
left join properties
    on
        savings.tenant_id = properties.tenant_id
        and savings.property_id = properties.property_id
where {{ for_readers_of('savings.tenant_id') }}
