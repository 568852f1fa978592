with assumed as (
    select * from {{ ref('int_roi__assumptions') }}
),

realised as (
    select
        tenant_id,
        appraisal_id,
        year_number,
        {{ month_start('reading_date') }} as month_date,
        max(reading_date) as last_day,
        count(*) as days,
        count(generation_kwh) as known_days,
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
        sum(saving_amount) as saving_amount,
        sum(intervals) as intervals,
        sum(incomplete_intervals) as incomplete_intervals
    from {{ ref('int_roi__days') }}
    group by tenant_id, appraisal_id, year_number, {{ month_start('reading_date') }}
),

-- To date: the forecast ends where the readings end.
known as (
    select
        tenant_id,
        appraisal_id,
        {{ add_days('max(last_day)', '1') }} as end_date
    from realised
    group by tenant_id, appraisal_id
),

numbers as (
    {{ integer_series(0, 13) }}
),

-- A year of an appraisal has parts of thirteen calendar months, or twelve whole ones.
months as (
    select
        years.*,
        known.end_date as known_end_date,
        assumed.monthly_shares,
        {{ month_start(add_months('years.first_date', 'numbers.number')) }} as month_date
    from {{ ref('int_roi__years') }} as years
    inner join assumed
        on
            years.tenant_id = assumed.tenant_id
            and years.appraisal_id = assumed.appraisal_id
    inner join known
        on
            years.tenant_id = known.tenant_id
            and years.appraisal_id = known.appraisal_id
    cross join numbers
    where years.year_number > 0
),

spans as (
    select
        months.*,
        {{ days_between(
            'greatest(first_date, month_date)',
            'least(end_date, known_end_date, ' ~ add_months('month_date', '1') ~ ')'
        ) }} as days,
        coalesce(
            {{ as_float(list_item('monthly_shares', date_part_integer('month', 'month_date'))) }},
            {{ as_float('1') }} / 12
        ) / {{ days_between('month_date', add_months('month_date', '1')) }} as energy_share,
        {{ as_float('1') }} / {{ days_between('first_date', 'end_date') }} as time_share
    from months
),

-- What a day is forecast to bring: energy by the share of its month, costs evenly over the year.
rates as (
    select
        tenant_id,
        appraisal_id,
        year_number,
        month_date,
        days,
        energy_share * energy_kwh as energy_kwh,
        energy_share * exported_kwh as exported_kwh,
        energy_share * revenue_amount as revenue_amount,
        energy_share * feed_in_amount as feed_in_amount,
        time_share * (operation_amount + replacement_amount) as cost_amount,
        time_share * (operation_amount + replacement_amount + depreciation_amount) as deductible_amount,
        tax_rate
    from spans
    where days > 0
),

-- Readings after the lifetime have no forecast.
compared as (
    select
        coalesce(rates.tenant_id, realised.tenant_id) as tenant_id,
        coalesce(rates.appraisal_id, realised.appraisal_id) as appraisal_id,
        coalesce(rates.month_date, realised.month_date) as month_date,
        rates.days,
        rates.energy_kwh,
        rates.exported_kwh as forecast_exported_kwh,
        rates.revenue_amount as forecast_revenue_amount,
        rates.feed_in_amount as forecast_feed_in_amount,
        rates.cost_amount,
        rates.deductible_amount,
        rates.tax_rate,
        realised.days as realised_days,
        realised.known_days,
        realised.generation_kwh,
        realised.exported_kwh,
        realised.solar_revenue_amount,
        realised.feed_in_amount,
        realised.revenue_amount,
        realised.saving_amount,
        realised.intervals,
        realised.incomplete_intervals
    from rates
    full outer join realised
        on
            rates.tenant_id = realised.tenant_id
            and rates.appraisal_id = realised.appraisal_id
            and rates.year_number = realised.year_number
            and rates.month_date = realised.month_date
),

-- A month has a part of each of the two years that meet in it. Operation, replacement and tax are as assumed.
monthly as (
    select
        tenant_id,
        appraisal_id,
        month_date,
        sum(days) as days,
        sum(realised_days) as realised_days,
        sum(days * energy_kwh) as forecast_kwh,
        sum(days * forecast_exported_kwh) as forecast_exported_kwh,
        sum(days * forecast_revenue_amount) as forecast_revenue,
        sum(days * forecast_feed_in_amount) as forecast_feed_in,
        sum(
            days * (
                forecast_revenue_amount - cost_amount - tax_rate * (forecast_revenue_amount - deductible_amount)
            )
        ) as forecast_cash,
        sum(known_days * energy_kwh) as expected_kwh,
        sum(known_days * forecast_exported_kwh) as expected_exported_kwh,
        sum(known_days * forecast_revenue_amount) as expected_revenue,
        sum(known_days * forecast_feed_in_amount) as expected_feed_in,
        sum(
            known_days * (
                forecast_revenue_amount - cost_amount - tax_rate * (forecast_revenue_amount - deductible_amount)
            )
        ) as expected_cash,
        sum(generation_kwh) as generation_kwh,
        sum(exported_kwh) as exported_kwh,
        sum(solar_revenue_amount) as solar_revenue_amount,
        sum(feed_in_amount) as feed_in_amount,
        sum(revenue_amount) as revenue_amount,
        sum(
            {{ as_float('revenue_amount') }} - known_days * cost_amount
            - tax_rate * ({{ as_float('revenue_amount') }} - known_days * deductible_amount)
        ) as cash,
        sum(saving_amount) as saving_amount,
        sum(intervals) as intervals,
        sum(incomplete_intervals) as incomplete_intervals
    from compared
    group by tenant_id, appraisal_id, month_date
),

running as (
    select
        monthly.*,
        sum(forecast_cash) over (partition by tenant_id, appraisal_id order by month_date) as forecast_to_date,
        sum(expected_cash) over (partition by tenant_id, appraisal_id order by month_date) as expected_to_date,
        sum(cash) over (partition by tenant_id, appraisal_id order by month_date) as cash_to_date
    from monthly
)

select
    assumed.tenant_id,
    assumed.property_id,
    assumed.appraisal_id,
    assumed.currency,
    running.month_date,
    cast(coalesce(running.days, 0) as {{ sql_type('integer') }}) as days,
    cast(coalesce(running.realised_days, 0) as {{ sql_type('integer') }}) as realised_days,
    {{ as_decimal('running.forecast_kwh', 18, 3) }} as forecast_generation_kwh,
    {{ as_decimal('running.expected_kwh', 18, 3) }} as expected_generation_kwh,
    {{ as_energy('running.generation_kwh') }} as generation_kwh,
    {{ as_decimal('running.forecast_exported_kwh', 18, 3) }} as forecast_exported_kwh,
    {{ as_decimal('running.expected_exported_kwh', 18, 3) }} as expected_exported_kwh,
    {{ as_energy('running.exported_kwh') }} as exported_kwh,
    {{ as_decimal('running.forecast_revenue', 18, 2) }} as forecast_revenue_amount,
    {{ as_decimal('running.expected_revenue', 18, 2) }} as expected_revenue_amount,
    {{ as_decimal('running.revenue_amount', 18, 2) }} as revenue_amount,
    {{ as_decimal('running.solar_revenue_amount', 18, 2) }} as owner_revenue_amount,
    {{ as_decimal('running.forecast_feed_in', 18, 2) }} as forecast_feed_in_amount,
    {{ as_decimal('running.expected_feed_in', 18, 2) }} as expected_feed_in_amount,
    {{ as_decimal('running.feed_in_amount', 18, 2) }} as feed_in_amount,
    {{ as_decimal('running.saving_amount', 18, 2) }} as residents_saving_amount,
    {{ as_decimal('running.forecast_cash', 18, 2) }} as forecast_cash_amount,
    {{ as_decimal('running.expected_cash', 18, 2) }} as expected_cash_amount,
    {{ as_decimal('running.cash', 18, 2) }} as cash_amount,
    {{ as_decimal('running.forecast_to_date', 18, 2) }} as forecast_to_date_amount,
    {{ as_decimal('running.expected_to_date', 18, 2) }} as expected_to_date_amount,
    {{ as_decimal('running.cash_to_date', 18, 2) }} as cash_to_date_amount,
    {{ share_pct('running.intervals - running.incomplete_intervals', 'running.intervals') }} as completeness_pct
from running
inner join assumed
    on
        running.tenant_id = assumed.tenant_id
        and running.appraisal_id = assumed.appraisal_id
