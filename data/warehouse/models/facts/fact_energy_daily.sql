{{ config(
    cluster_by=['tenant_id', 'property_id', 'meter_id'],
    indexes=[{'columns': ['reading_date', 'tenant_id', 'meter_id', 'channel'], 'unique': true}],
) }}
{{ by_reading_date() }}

with usage as (
    select
        tenant_id,
        property_id,
        unit_id,
        tenancy_id,
        meter_id,
        channel,
        reading_date,
        value_kwh,
        is_estimated,
        rate_plan_id,
        currency,
        cost_amount,
        day_expected_intervals,
        is_held,
        held_kwh,
        accepted_until,
        feed_in_amount
    from {{ ref('fact_energy_usage') }}
    where {{ in_range() }}
),

-- Unit, tenancy and rate plan hold for whole dates, so a meter has one of each on a date.
days as (
    select
        tenant_id,
        meter_id,
        channel,
        reading_date,
        max(property_id) as property_id,
        max(unit_id) as unit_id,
        max(tenancy_id) as tenancy_id,
        max(rate_plan_id) as rate_plan_id,
        max(currency) as currency,
        sum(value_kwh) as energy_kwh,
        sum(cost_amount) as cost_amount,
        max(day_expected_intervals) as expected_intervals,
        count(value_kwh) as actual_intervals,
        sum(case when is_estimated and value_kwh is not null then 1 else 0 end) as estimated_intervals,
        max(case when is_held then 1 else 0 end) as held,
        sum(held_kwh) as held_kwh,
        max(accepted_until) as accepted_until,
        sum(feed_in_amount) as feed_in_amount
    from usage
    group by tenant_id, meter_id, channel, reading_date
)

select
    tenant_id,
    property_id,
    unit_id,
    tenancy_id,
    meter_id,
    channel,
    reading_date,
    rate_plan_id,
    {{ as_energy('energy_kwh') }} as energy_kwh,
    currency,
    {{ as_energy('cost_amount') }} as cost_amount,
    expected_intervals,
    actual_intervals,
    cast(estimated_intervals as {{ sql_type('integer') }}) as estimated_intervals,
    {{ share_pct('actual_intervals', 'expected_intervals') }} as completeness_pct,
    {{ share_pct('estimated_intervals', 'actual_intervals') }} as estimated_share_pct,
    held = 1 as is_held,
    {{ as_energy('held_kwh') }} as held_kwh,
    accepted_until,
    {{ as_energy('feed_in_amount') }} as feed_in_amount
from days
