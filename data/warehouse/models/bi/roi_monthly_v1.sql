with monthly as (
    select * from {{ ref('mart_roi_monthly') }}
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
    monthly.tenant_id,
    tenants.tenant_name,
    monthly.property_id,
    properties.property_name,
    monthly.appraisal_id,
    monthly.currency,
    monthly.month_date,
    monthly.days,
    monthly.realised_days,
    monthly.forecast_generation_kwh,
    monthly.expected_generation_kwh,
    monthly.generation_kwh,
    monthly.forecast_exported_kwh,
    monthly.expected_exported_kwh,
    monthly.exported_kwh,
    monthly.forecast_revenue_amount,
    monthly.expected_revenue_amount,
    monthly.revenue_amount,
    monthly.owner_revenue_amount,
    monthly.forecast_feed_in_amount,
    monthly.expected_feed_in_amount,
    monthly.feed_in_amount,
    monthly.residents_saving_amount,
    monthly.forecast_cash_amount,
    monthly.expected_cash_amount,
    monthly.cash_amount,
    monthly.forecast_to_date_amount,
    monthly.expected_to_date_amount,
    monthly.cash_to_date_amount,
    monthly.completeness_pct
from monthly
left join tenants
    on monthly.tenant_id = tenants.tenant_id
left join properties
    on
        monthly.tenant_id = properties.tenant_id
        and monthly.property_id = properties.property_id
where {{ for_readers_of('monthly.tenant_id') }}
