{{ config(
    cluster_by=['tenant_id', 'property_id', 'meter_id'],
    indexes=[{'columns': ['reading_date', 'tenant_id', 'meter_id', 'channel'], 'unique': true}],
) }}
{{ by_reading_date() }}

with readings as (
    select * from {{ ref('stg_oltp__meter_readings') }}
),

holds as (
    select
        tenant_id,
        meter_id,
        reading_date,
        max(case when status = 'open' then 1 else 0 end) as open_issues,
        min(case when status = 'accepted' then accepted_until end) as accepted_until
    from {{ ref('stg_oltp__reading_issues') }}
    where
        severity = 'severe'
        and status in ('open', 'accepted')
        and meter_id is not null
    group by tenant_id, meter_id, reading_date
),

devices as (
    select
        tenant_id,
        meter_id,
        property_id,
        timezone,
        valid_from,
        valid_to
    from {{ ref('dim_meter') }}
),

properties as (
    select
        tenant_id,
        property_id,
        timezone,
        status,
        valid_from,
        valid_to
    from {{ ref('dim_property') }}
),

-- Not only energy: water, gas and voltage are expected too. A value that validation estimated did not arrive.
received as (
    select
        tenant_id,
        meter_id,
        channel,
        reading_date,
        min(interval_seconds) as interval_seconds,
        count(value_native) as actual_intervals,
        sum(case when is_estimated and value_native is not null then 1 else 0 end) as estimated_intervals,
        sum(value_kwh) as energy_kwh,
        max(case when source != 'estimation' then updated_at end) as latest_arrival_at
    from readings
    group by tenant_id, meter_id, channel, reading_date
),

reported as (
    select
        received.*,
        devices.property_id,
        {{ whole_quotient(day_seconds('received.reading_date', 'devices.timezone'), 'received.interval_seconds') }}
            as expected_intervals
    from received
    left join devices
        on
            received.tenant_id = devices.tenant_id
            and received.meter_id = devices.meter_id
            and {{ in_force('devices', day_start('received.reading_date', 'devices.timezone')) }}
),

{{ meter_days('true') }}

select
    meter_days.tenant_id,
    meter_days.property_id,
    meter_days.meter_id,
    meter_days.channel,
    meter_days.reading_date,
    meter_days.expected_intervals,
    meter_days.actual_intervals,
    cast(meter_days.estimated_intervals as {{ sql_type('integer') }}) as estimated_intervals,
    -- If a meter changed its interval length during the day, more intervals than expected may be present.
    greatest(meter_days.expected_intervals - meter_days.actual_intervals, 0) as missing_intervals,
    {{ share_pct('meter_days.actual_intervals', 'meter_days.expected_intervals') }} as completeness_pct,
    {{ share_pct('meter_days.estimated_intervals', 'meter_days.actual_intervals') }} as estimated_share_pct,
    received.latest_arrival_at,
    coalesce(holds.open_issues, 0) > 0 as is_held,
    case when holds.open_issues = 0 then holds.accepted_until end as accepted_until
from meter_days
left join holds
    on
        meter_days.tenant_id = holds.tenant_id
        and meter_days.meter_id = holds.meter_id
        and meter_days.reading_date = holds.reading_date
left join received
    on
        meter_days.tenant_id = received.tenant_id
        and meter_days.meter_id = received.meter_id
        and meter_days.channel = received.channel
        and meter_days.reading_date = received.reading_date
