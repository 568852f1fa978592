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
),

-- Realised figures of the days in the warehouse: revenue of the owner and savings of the residents, apart.
allocated as (
    select
        tenant_id,
        property_id,
        reading_date,
        sum(generation_kwh) as generation_kwh,
        sum(solar_kwh) as solar_kwh,
        sum(solar_revenue_amount) as solar_revenue_amount,
        sum(solar_amount) as solar_amount,
        sum(solar_at_grid_price_amount) as solar_at_grid_price_amount,
        sum(saving_amount) as saving_amount,
        sum(intervals) as intervals,
        sum(incomplete_intervals) as incomplete_intervals,
        sum(estimated_kwh) as estimated_kwh,
        sum(load_kwh) as load_kwh
    from {{ ref('int_allocation__daily') }}
    where {{ ever() }}
    group by tenant_id, property_id, reading_date
),

realised as (
    select
        appraisals.tenant_id,
        appraisals.appraisal_id,
        count(*) as days,
        min(allocated.reading_date) as first_day,
        max(allocated.reading_date) as last_day,
        sum(allocated.generation_kwh) as generation_kwh,
        sum(allocated.solar_revenue_amount) as solar_revenue_amount,
        sum(allocated.solar_amount) as solar_amount,
        sum(allocated.solar_at_grid_price_amount) as solar_at_grid_price_amount,
        sum(allocated.saving_amount) as saving_amount,
        sum(allocated.intervals) as intervals,
        sum(allocated.incomplete_intervals) as incomplete_intervals,
        sum(allocated.estimated_kwh) as estimated_kwh,
        sum(allocated.load_kwh) as load_kwh
    from appraisals
    inner join allocated
        on
            appraisals.tenant_id = allocated.tenant_id
            and appraisals.property_id = allocated.property_id
            and appraisals.valid_from <= allocated.reading_date
            and coalesce(appraisals.valid_to, date '9999-12-31') > allocated.reading_date
    group by appraisals.tenant_id, appraisals.appraisal_id
),

-- Costs that the appraisal leaves out come from the assets, if they are all in the currency of the appraisal.
assumed as (
    select
        appraisals.tenant_id,
        appraisals.property_id,
        appraisals.appraisal_id,
        appraisals.currency,
        appraisals.valid_from,
        appraisals.valid_to,
        coalesce(appraisals.capital_cost, assets.capital_cost) as capital_cost,
        coalesce(appraisals.yearly_cost, assets.yearly_cost) as yearly_cost,
        appraisals.incentives,
        appraisals.first_year_kwh,
        appraisals.price_per_kwh,
        appraisals.degradation_rate,
        appraisals.price_growth_rate,
        appraisals.cost_growth_rate,
        appraisals.discount_rate,
        appraisals.lifetime_years
    from appraisals
    left join assets
        on
            appraisals.tenant_id = assets.tenant_id
            and appraisals.property_id = assets.property_id
            and appraisals.currency = assets.currency
            and assets.currencies = 1
),

years as (
    {{ integer_series(0, 51) }}
),

-- Floating point from here: powers of assumed rates, rounded in the last step.
yearly as (
    select
        assumed.tenant_id,
        assumed.appraisal_id,
        years.number as year_number,
        power(1 + {{ as_float('assumed.discount_rate') }}, {{ as_float('years.number') }}) as discount,
        case
            when years.number = 0 then 0
            else
                {{ as_float('assumed.first_year_kwh') }}
                * power(1 - {{ as_float('assumed.degradation_rate') }}, {{ as_float('years.number - 1') }})
        end as energy_kwh,
        {{ as_float('assumed.price_per_kwh') }}
        * power(1 + {{ as_float('assumed.price_growth_rate') }}, {{ as_float('years.number - 1') }}) as price,
        case
            when years.number = 0 then 0
            else
                {{ as_float('assumed.yearly_cost') }}
                * power(1 + {{ as_float('assumed.cost_growth_rate') }}, {{ as_float('years.number - 1') }})
        end as cost,
        case when years.number = 0 then {{ as_float('assumed.capital_cost - assumed.incentives') }} else 0 end
            as investment
    from assumed
    cross join years
    where
        years.number <= assumed.lifetime_years
        and assumed.capital_cost is not null
        and assumed.yearly_cost is not null
),

flows as (
    select
        tenant_id,
        appraisal_id,
        year_number,
        energy_kwh * price - cost - investment as cash,
        (energy_kwh * price - cost - investment) / discount as discounted_cash,
        (cost + investment) / discount as discounted_cost,
        energy_kwh / discount as discounted_kwh
    from yearly
),

running as (
    select
        tenant_id,
        appraisal_id,
        year_number,
        cash,
        discounted_cash,
        discounted_cost,
        discounted_kwh,
        sum(cash) over (partition by tenant_id, appraisal_id order by year_number) as cumulative,
        sum(discounted_cash) over (partition by tenant_id, appraisal_id order by year_number)
            as discounted_cumulative,
        lag(cash) over (partition by tenant_id, appraisal_id order by year_number) as cash_before
    from flows
),

-- The year in which the sum crosses zero counts in proportion. An appraisal whose sum stays below zero has no payback.
totals as (
    select
        tenant_id,
        appraisal_id,
        sum(discounted_cash) as npv,
        sum(discounted_cost) / nullif(sum(discounted_kwh), 0) as lcoe,
        min(case when cumulative >= 0 and cumulative - cash < 0 then year_number - cumulative / cash end)
            as payback_years,
        min(
            case
                when discounted_cumulative >= 0 and discounted_cumulative - discounted_cash < 0
                    then year_number - discounted_cumulative / discounted_cash
            end
        ) as discounted_payback_years,
        sum(case when cash_before < 0 and cash >= 0 then 1 when cash_before >= 0 and cash < 0 then 1 else 0 end)
            as changes_of_sign,
        max(case when year_number = 0 then cash end) as first_cash
    from running
    group by tenant_id, appraisal_id
),

-- Only if cash is first paid out and then comes in: by the rule of signs there is then at most one rate.
conventional as (
    select
        flows.tenant_id,
        flows.appraisal_id,
        flows.year_number,
        flows.cash
    from flows
    inner join totals
        on
            flows.tenant_id = totals.tenant_id
            and flows.appraisal_id = totals.appraisal_id
    where
        totals.changes_of_sign = 1
        and totals.first_cash < 0
),

{{ irr_steps('conventional', ['tenant_id', 'appraisal_id']) }}

select
    assumed.tenant_id,
    assumed.property_id,
    assumed.appraisal_id,
    assumed.valid_from,
    assumed.valid_to,
    assumed.currency,
    {{ as_decimal('assumed.capital_cost', 14, 2) }} as capital_cost,
    {{ as_decimal('assumed.incentives', 14, 2) }} as incentives,
    {{ as_decimal('assumed.yearly_cost', 14, 2) }} as yearly_cost,
    assumed.first_year_kwh,
    assumed.price_per_kwh,
    assumed.degradation_rate,
    assumed.price_growth_rate,
    assumed.cost_growth_rate,
    assumed.discount_rate,
    assumed.lifetime_years,
    {{ as_decimal('totals.npv', 18, 2) }} as npv_amount,
    {{ as_decimal('100 * irr.irr', 12, 6) }} as irr_pct,
    {{ as_decimal('totals.payback_years', 9, 4) }} as payback_years,
    {{ as_decimal('totals.discounted_payback_years', 9, 4) }} as discounted_payback_years,
    {{ as_decimal('totals.lcoe', 14, 6) }} as lcoe_per_kwh,
    cast(coalesce(realised.days, 0) as {{ sql_type('integer') }}) as realised_days,
    realised.first_day as realised_from,
    realised.last_day as realised_to,
    {{ as_energy('realised.generation_kwh') }} as realised_generation_kwh,
    {{ as_decimal('realised.solar_revenue_amount', 14, 2) }} as owner_revenue_amount,
    {{ as_decimal('realised.solar_amount', 14, 2) }} as residents_solar_amount,
    {{ as_decimal('realised.solar_at_grid_price_amount', 14, 2) }} as residents_grid_price_amount,
    {{ as_decimal('realised.saving_amount', 14, 2) }} as residents_saving_amount,
    {{ share_pct('realised.saving_amount', 'realised.solar_at_grid_price_amount') }} as residents_saving_pct,
    {{ share_pct('realised.intervals - realised.incomplete_intervals', 'realised.intervals') }} as completeness_pct,
    {{ share_pct('realised.estimated_kwh', 'realised.load_kwh') }} as estimated_share_pct
from assumed
left join totals
    on
        assumed.tenant_id = totals.tenant_id
        and assumed.appraisal_id = totals.appraisal_id
left join irr
    on
        assumed.tenant_id = irr.tenant_id
        and assumed.appraisal_id = irr.appraisal_id
left join realised
    on
        assumed.tenant_id = realised.tenant_id
        and assumed.appraisal_id = realised.appraisal_id
