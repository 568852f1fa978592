with assumed as (
    select * from {{ ref('int_roi__assumptions') }}
),

-- Realised figures of the days in the warehouse: revenue of the owner and savings of the residents, apart.
realised as (
    select
        tenant_id,
        appraisal_id,
        count(*) as days,
        min(reading_date) as first_day,
        max(reading_date) as last_day,
        sum(generation_kwh) as generation_kwh,
        sum(exported_kwh) as exported_kwh,
        sum(solar_revenue_amount) as solar_revenue_amount,
        sum(feed_in_amount) as feed_in_amount,
        sum(
            case
                when solar_revenue_amount is not null or feed_in_amount is not null
                    then coalesce(solar_revenue_amount, 0) + coalesce(feed_in_amount, 0)
            end
        ) as revenue_amount,
        sum(solar_amount) as solar_amount,
        sum(solar_at_grid_price_amount) as solar_at_grid_price_amount,
        sum(saving_amount) as saving_amount,
        sum(intervals) as intervals,
        sum(incomplete_intervals) as incomplete_intervals,
        sum(estimated_kwh) as estimated_kwh,
        sum(load_kwh) as load_kwh
    from {{ ref('int_roi__days') }}
    group by tenant_id, appraisal_id
),

-- The forecast for the days with a known generation.
expected as (
    select
        tenant_id,
        appraisal_id,
        sum(expected_generation_kwh) as generation_kwh,
        sum(expected_revenue_amount) as revenue_amount,
        sum(expected_cash_amount) as cash_amount,
        sum(cash_amount) as realised_cash_amount
    from {{ ref('candidate_roi_monthly') }}
    group by tenant_id, appraisal_id
),

flows as (
    select
        tenant_id,
        appraisal_id,
        year_number,
        cash_amount as cash,
        cash_amount / discount as discounted_cash,
        (operation_amount + replacement_amount + investment_amount) / discount as discounted_cost,
        energy_kwh / discount as discounted_kwh
    from (
        select
            years.*,
            power(1 + {{ as_float('assumed.discount_rate') }}, {{ as_float('years.year_number') }}) as discount
        from {{ ref('int_roi__years') }} as years
        inner join assumed
            on
                years.tenant_id = assumed.tenant_id
                and years.appraisal_id = assumed.appraisal_id
        where years.cash_amount is not null
    ) as discounted
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
        sum(
            case
                when year_number > 0 and cumulative >= 0 and cumulative - cash < 0 then 1
                when year_number > 0 and cumulative < 0 and cumulative - cash >= 0 then 1
                else 0
            end
        ) as changes_of_sum,
        max(case when year_number = 0 then cash end) as first_cash,
        sum(cash) as total_cash
    from running
    group by tenant_id, appraisal_id
),

-- If cash is first paid out and then comes in, there is at most one rate (Descartes). If a later year is negative too,
-- as with a replacement, but the sum of the cash rises above zero once, there is one rate above zero (Norstrom).
solvable as (
    select
        flows.tenant_id,
        flows.appraisal_id,
        flows.year_number,
        flows.cash,
        case when totals.changes_of_sign = 1 then {{ as_float('-0.9') }} else {{ as_float('0') }} end as lowest_rate
    from flows
    inner join totals
        on
            flows.tenant_id = totals.tenant_id
            and flows.appraisal_id = totals.appraisal_id
    where
        totals.first_cash < 0
        and (totals.changes_of_sign = 1 or (totals.changes_of_sum = 1 and totals.total_cash > 0))
),

{{ irr_steps('solvable', ['tenant_id', 'appraisal_id']) }}

select
    assumed.tenant_id,
    assumed.property_id,
    assumed.appraisal_id,
    assumed.valid_from,
    assumed.valid_to,
    assumed.currency,
    assumed.capital_cost,
    assumed.incentives,
    assumed.yearly_cost,
    assumed.first_year_kwh,
    assumed.price_per_kwh,
    assumed.export_share,
    assumed.export_price_per_kwh,
    assumed.degradation_rate,
    assumed.price_growth_rate,
    assumed.cost_growth_rate,
    assumed.discount_rate,
    assumed.tax_rate,
    assumed.replacement_cost,
    assumed.replacement_year,
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
    {{ as_energy('realised.exported_kwh') }} as realised_exported_kwh,
    {{ as_decimal('realised.solar_revenue_amount', 14, 2) }} as owner_revenue_amount,
    {{ as_decimal('realised.feed_in_amount', 14, 2) }} as feed_in_amount,
    {{ as_decimal('realised.revenue_amount', 14, 2) }} as realised_revenue_amount,
    {{ as_decimal('expected.realised_cash_amount', 18, 2) }} as realised_cash_amount,
    {{ as_decimal('expected.generation_kwh', 18, 3) }} as expected_generation_kwh,
    {{ as_decimal('expected.revenue_amount', 18, 2) }} as expected_revenue_amount,
    {{ as_decimal('expected.cash_amount', 18, 2) }} as expected_cash_amount,
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
left join expected
    on
        assumed.tenant_id = expected.tenant_id
        and assumed.appraisal_id = expected.appraisal_id
