{{ config(
    cluster_by=['tenant_id', 'property_id', 'meter_id'],
    indexes=[{'columns': ['reading_date', 'tenant_id', 'meter_id', 'channel'], 'unique': true}],
    pre_hook="{{ joins_as_written() }}",
) }}
{{ by_reading_date() }}

-- Summed by keys before the dimensions are joined: a day has fewer slices than intervals.
with slices as (
    select
        tenant_id,
        meter_key,
        unit_key,
        tenancy_key,
        rate_plan_key,
        rate_plan_band_key,
        channel,
        reading_date,
        sum(value_kwh) as energy_kwh,
        sum(cost_amount) as cost_amount,
        max(day_expected_intervals) as expected_intervals,
        count(value_kwh) as actual_intervals,
        sum(case when is_estimated and value_kwh is not null then 1 else 0 end) as estimated_intervals,
        max(case when is_held then 1 else 0 end) as held,
        sum(held_kwh) as held_kwh,
        max(accepted_until) as accepted_until,
        sum(feed_in_amount) as feed_in_amount
    from {{ ref('fact_energy_usage') }}
    where {{ in_range() }}
    group by
        tenant_id,
        meter_key,
        unit_key,
        tenancy_key,
        rate_plan_key,
        rate_plan_band_key,
        channel,
        reading_date
),

-- Unit, tenancy and rate plan hold for whole dates, so a meter has one of each on a date.
days as (
    select
        slices.tenant_id,
        meters.meter_id,
        slices.channel,
        slices.reading_date,
        max(meters.property_id) as property_id,
        max(nullif(units.unit_id, 'unknown')) as unit_id,
        max(tenancies.tenancy_id) as tenancy_id,
        max(nullif(plans.rate_plan_id, 'unknown')) as rate_plan_id,
        max(bands.currency) as currency,
        sum(slices.energy_kwh) as energy_kwh,
        sum(slices.cost_amount) as cost_amount,
        max(slices.expected_intervals) as expected_intervals,
        sum(slices.actual_intervals) as actual_intervals,
        sum(slices.estimated_intervals) as estimated_intervals,
        max(slices.held) as held,
        sum(slices.held_kwh) as held_kwh,
        max(slices.accepted_until) as accepted_until,
        sum(slices.feed_in_amount) as feed_in_amount
    from slices
    left join {{ ref('dim_meter') }} as meters
        on
            slices.tenant_id = meters.tenant_id
            and slices.meter_key = meters.meter_key
    left join {{ ref('dim_unit') }} as units
        on
            slices.tenant_id = units.tenant_id
            and slices.unit_key = units.unit_key
    left join {{ ref('bridge_unit_tenancy') }} as tenancies
        on
            slices.tenant_id = tenancies.tenant_id
            and slices.tenancy_key = tenancies.tenancy_key
    left join {{ ref('dim_rate_plan') }} as plans
        on
            slices.tenant_id = plans.tenant_id
            and slices.rate_plan_key = plans.rate_plan_key
    left join {{ ref('dim_rate_plan_band') }} as bands
        on
            slices.tenant_id = bands.tenant_id
            and slices.rate_plan_band_key = bands.rate_plan_band_key
    group by slices.tenant_id, meters.meter_id, slices.channel, slices.reading_date
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
    cast(actual_intervals as {{ sql_type('integer') }}) as actual_intervals,
    cast(estimated_intervals as {{ sql_type('integer') }}) as estimated_intervals,
    {{ share_pct('actual_intervals', 'expected_intervals') }} as completeness_pct,
    {{ share_pct('estimated_intervals', 'actual_intervals') }} as estimated_share_pct,
    held = 1 as is_held,
    {{ as_energy('held_kwh') }} as held_kwh,
    accepted_until,
    {{ as_energy('feed_in_amount') }} as feed_in_amount
from days
