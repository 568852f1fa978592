with summary as (
    select * from {{ ref('mart_roi_summary') }}
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
    summary.tenant_id,
    tenants.tenant_name,
    summary.property_id,
    properties.property_name,
    summary.appraisal_id,
    summary.valid_from,
    summary.valid_to,
    summary.currency,
    summary.capital_cost,
    summary.incentives,
    summary.yearly_cost,
    summary.first_year_kwh,
    summary.price_per_kwh,
    summary.export_share,
    summary.export_price_per_kwh,
    summary.degradation_rate,
    summary.price_growth_rate,
    summary.cost_growth_rate,
    summary.discount_rate,
    summary.tax_rate,
    summary.replacement_cost,
    summary.replacement_year,
    summary.lifetime_years,
    summary.npv_amount,
    summary.irr_pct,
    summary.payback_years,
    summary.discounted_payback_years,
    summary.lcoe_per_kwh,
    summary.realised_days,
    summary.realised_from,
    summary.realised_to,
    summary.realised_generation_kwh,
    summary.realised_exported_kwh,
    summary.owner_revenue_amount,
    summary.feed_in_amount,
    summary.realised_revenue_amount,
    summary.realised_cash_amount,
    summary.expected_generation_kwh,
    summary.expected_revenue_amount,
    summary.expected_cash_amount,
    summary.residents_solar_amount,
    summary.residents_grid_price_amount,
    summary.residents_saving_amount,
    summary.residents_saving_pct,
    summary.completeness_pct,
    summary.estimated_share_pct
from summary
left join tenants
    on summary.tenant_id = tenants.tenant_id
left join properties
    on
        summary.tenant_id = properties.tenant_id
        and summary.property_id = properties.property_id
where {{ for_readers_of('summary.tenant_id') }}
