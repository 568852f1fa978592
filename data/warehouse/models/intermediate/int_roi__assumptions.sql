{{ config(materialized='table') }}

with appraisals as (
    select * from {{ ref('stg_oltp__solar_appraisals') }}
),

assets as (
    select
        tenant_id,
        property_id,
        sum(capital_cost) as capital_cost,
        sum(yearly_cost) as yearly_cost,
        min(currency) as currency,
        count(distinct currency) as currencies
    from {{ ref('stg_oltp__solar_assets') }}
    where status != 'planned'
    group by tenant_id, property_id
)

-- Costs that the appraisal leaves out come from the assets, if they are all in the currency of the appraisal.
select
    appraisals.tenant_id,
    appraisals.property_id,
    appraisals.appraisal_id,
    appraisals.currency,
    appraisals.valid_from,
    appraisals.valid_to,
    {{ as_decimal('coalesce(appraisals.capital_cost, assets.capital_cost)', 14, 2) }} as capital_cost,
    {{ as_decimal('coalesce(appraisals.yearly_cost, assets.yearly_cost)', 14, 2) }} as yearly_cost,
    appraisals.incentives,
    appraisals.first_year_kwh,
    appraisals.price_per_kwh,
    appraisals.export_share,
    appraisals.export_price_per_kwh,
    appraisals.degradation_rate,
    appraisals.price_growth_rate,
    appraisals.cost_growth_rate,
    appraisals.discount_rate,
    appraisals.tax_rate,
    appraisals.replacement_cost,
    appraisals.replacement_year,
    appraisals.lifetime_years,
    appraisals.monthly_shares
from appraisals
left join assets
    on
        appraisals.tenant_id = assets.tenant_id
        and appraisals.property_id = assets.property_id
        and appraisals.currency = assets.currency
        and assets.currencies = 1
