{{ config(materialized='table') }}

-- Gate D judges the candidate; this model only publishes it, so that a failed gate leaves the mart as it was.
with candidate as (
    select * from {{ ref('candidate_roi_summary') }}
)

select
    tenant_id,
    property_id,
    appraisal_id,
    valid_from,
    valid_to,
    currency,
    capital_cost,
    incentives,
    yearly_cost,
    first_year_kwh,
    price_per_kwh,
    degradation_rate,
    price_growth_rate,
    cost_growth_rate,
    discount_rate,
    lifetime_years,
    npv_amount,
    irr_pct,
    payback_years,
    discounted_payback_years,
    lcoe_per_kwh,
    realised_days,
    realised_from,
    realised_to,
    realised_generation_kwh,
    owner_revenue_amount,
    residents_solar_amount,
    residents_grid_price_amount,
    residents_saving_amount,
    residents_saving_pct,
    completeness_pct,
    estimated_share_pct
from candidate
