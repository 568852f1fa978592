{{ config(materialized='table') }}

with appraisals as (
    select * from {{ ref('int_roi__assumptions') }}
),

-- Residents pay for the solar energy that they are allocated.
allocated as (
    select
        tenant_id,
        property_id,
        reading_date,
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

metered as (
    select
        tenant_id,
        property_id,
        reading_date,
        generation_kwh,
        exported_kwh,
        expected_intervals,
        actual_intervals
    from {{ ref('candidate_solar_performance') }}
    where {{ ever() }}
),

-- The grid pays for exported energy.
fed_in as (
    select
        tenant_id,
        property_id,
        reading_date,
        min(currency) as currency,
        count(distinct currency) as currencies,
        sum(feed_in_amount) as feed_in_amount
    from {{ ref('fact_energy_daily') }}
    where
        {{ ever() }}
        and channel = 'export'
    group by tenant_id, property_id, reading_date
),

days as (
    select
        coalesce(metered.tenant_id, allocated.tenant_id) as tenant_id,
        coalesce(metered.property_id, allocated.property_id) as property_id,
        coalesce(metered.reading_date, allocated.reading_date) as reading_date,
        metered.generation_kwh,
        metered.exported_kwh,
        allocated.solar_revenue_amount,
        allocated.solar_amount,
        allocated.solar_at_grid_price_amount,
        allocated.saving_amount,
        coalesce(allocated.intervals, metered.expected_intervals) as intervals,
        coalesce(allocated.incomplete_intervals, metered.expected_intervals - metered.actual_intervals)
            as incomplete_intervals,
        allocated.estimated_kwh,
        allocated.load_kwh
    from metered
    full outer join allocated
        on
            metered.tenant_id = allocated.tenant_id
            and metered.property_id = allocated.property_id
            and metered.reading_date = allocated.reading_date
)

select
    appraisals.tenant_id,
    appraisals.property_id,
    appraisals.appraisal_id,
    days.reading_date,
    -- Years of the appraisal begin on the day and month of its first date.
    {{ date_part_integer('year', 'days.reading_date') }} - {{ date_part_integer('year', 'appraisals.valid_from') }}
    + case
        when
            {{ add_months(
                'appraisals.valid_from',
                '12 * (' ~ date_part_integer('year', 'days.reading_date')
                ~ ' - ' ~ date_part_integer('year', 'appraisals.valid_from') ~ ')'
            ) }} <= days.reading_date
            then 1
        else 0
    end as year_number,
    days.generation_kwh,
    days.exported_kwh,
    {{ as_decimal('days.solar_revenue_amount', 20, 9) }} as solar_revenue_amount,
    -- Unknown where too much of the export is missing, and in another currency than the appraisal.
    {{ as_decimal(
        'case when days.exported_kwh is not null and fed_in.currencies = 1 and fed_in.currency = appraisals.currency '
        ~ 'then fed_in.feed_in_amount end',
        20,
        9
    ) }} as feed_in_amount,
    {{ as_decimal('days.solar_amount', 20, 9) }} as solar_amount,
    {{ as_decimal('days.solar_at_grid_price_amount', 20, 9) }} as solar_at_grid_price_amount,
    {{ as_decimal('days.saving_amount', 20, 9) }} as saving_amount,
    cast(days.intervals as {{ sql_type('integer') }}) as intervals,
    cast(days.incomplete_intervals as {{ sql_type('integer') }}) as incomplete_intervals,
    {{ as_energy('days.estimated_kwh') }} as estimated_kwh,
    {{ as_energy('days.load_kwh') }} as load_kwh
from appraisals
inner join days
    on
        appraisals.tenant_id = days.tenant_id
        and appraisals.property_id = days.property_id
        and {{ on_date('appraisals', 'days.reading_date', 'valid_from', 'valid_to') }}
left join fed_in
    on
        days.tenant_id = fed_in.tenant_id
        and days.property_id = fed_in.property_id
        and days.reading_date = fed_in.reading_date
