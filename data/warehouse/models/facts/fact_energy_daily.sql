{{ config(
    cluster_by=['tenant_id', 'property_id', 'meter_id'],
    indexes=[{'columns': ['reading_date', 'tenant_id', 'meter_id', 'channel'], 'unique': true}],
) }}
{{ by_reading_date() }}

with usage as (
    select
        energy.tenant_id,
        meters.property_id,
        nullif(units.unit_id, 'unknown') as unit_id,
        tenancies.tenancy_id,
        meters.meter_id,
        energy.channel,
        energy.reading_date,
        energy.value_kwh,
        energy.is_estimated,
        nullif(plans.rate_plan_id, 'unknown') as rate_plan_id,
        bands.currency,
        energy.cost_amount,
        energy.day_expected_intervals,
        energy.is_held,
        energy.held_kwh,
        energy.accepted_until,
        energy.feed_in_amount
    from {{ ref('fact_energy_usage') }} as energy
    left join {{ ref('dim_meter') }} as meters
        on
            energy.tenant_id = meters.tenant_id
            and energy.meter_key = meters.meter_key
    left join {{ ref('dim_unit') }} as units
        on
            energy.tenant_id = units.tenant_id
            and energy.unit_key = units.unit_key
    left join {{ ref('bridge_unit_tenancy') }} as tenancies
        on
            energy.tenant_id = tenancies.tenant_id
            and energy.tenancy_key = tenancies.tenancy_key
    left join {{ ref('dim_rate_plan') }} as plans
        on
            energy.tenant_id = plans.tenant_id
            and energy.rate_plan_key = plans.rate_plan_key
    left join {{ ref('dim_rate_plan_band') }} as bands
        on
            energy.tenant_id = bands.tenant_id
            and energy.rate_plan_band_key = bands.rate_plan_band_key
    where {{ in_range('energy.reading_date') }}
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
