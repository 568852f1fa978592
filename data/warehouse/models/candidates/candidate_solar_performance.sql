{{ config(
    cluster_by=['tenant_id', 'property_id'],
    indexes=[{'columns': ['reading_date', 'tenant_id', 'property_id'], 'unique': true}],
) }}
{{ by_reading_date() }}

-- Days of meters, and the intervals of the few that generate or export.
with reported as (
    select
        tenant_id,
        property_id,
        reading_date,
        channel,
        meter_id,
        expected_intervals,
        actual_intervals,
        estimated_intervals,
        energy_kwh,
        is_held,
        accepted_until
    from {{ ref('fact_energy_daily') }}
    where {{ in_range() }} and channel in ('generation', 'export', 'import')
),

usage as (
    select
        energy.tenant_id,
        meters.property_id,
        energy.channel,
        energy.reading_ts,
        energy.reading_date,
        energy.interval_seconds,
        energy.value_kwh
    from {{ ref('fact_energy_usage') }} as energy
    left join {{ ref('dim_meter') }} as meters
        on
            energy.tenant_id = meters.tenant_id
            and energy.meter_key = meters.meter_key
    where
        {{ in_range('energy.reading_date') }}
        and energy.channel in ('generation', 'export')
),

holds as (
    select
        tenant_id,
        property_id,
        reading_date,
        max(case when is_held then 1 else 0 end) as held,
        min(accepted_until) as accepted_until
    from reported
    group by tenant_id, property_id, reading_date
),

properties as (
    select
        tenant_id,
        property_id,
        timezone,
        solar_capacity_kw,
        status,
        valid_from,
        valid_to
    from {{ ref('dim_property') }}
),

availability as (
    select
        tenant_id,
        property_id,
        reading_date,
        irradiation_kwh_per_m2,
        expected_kwh,
        measured_kwh,
        measured_rated_kwh,
        bright_intervals,
        out_intervals,
        lost_kwh,
        reference_method,
        reference_version
    from {{ ref('int_solar__availability') }}
    where {{ in_range() }}
),

{{ meter_days("channel in ('generation', 'export', 'import') and unit in ('kWh', 'Wh', 'MWh')") }},

judged_meter_days as (
    select
        meter_days.*,
        case when {{ is_sufficient('actual_intervals', 'expected_intervals') }} then 0 else 1 end as is_insufficient
    from meter_days
),

-- One row per property and day; a channel is the sum of its meters.
property_days as (
    select
        tenant_id,
        property_id,
        reading_date,
        sum(case when channel = 'generation' then energy_kwh end) as generation_kwh,
        sum(case when channel = 'export' then energy_kwh end) as export_kwh,
        sum(case when channel = 'import' then energy_kwh end) as import_kwh,
        sum(case when channel = 'generation' then expected_intervals else 0 end) as generation_expected,
        sum(case when channel = 'generation' then actual_intervals else 0 end) as generation_actual,
        sum(case when channel = 'export' then expected_intervals else 0 end) as export_expected,
        sum(case when channel = 'export' then actual_intervals else 0 end) as export_actual,
        sum(case when channel = 'import' then expected_intervals else 0 end) as import_expected,
        sum(case when channel = 'import' then actual_intervals else 0 end) as import_actual,
        sum(case when channel != 'import' then estimated_intervals else 0 end) as estimated_intervals,
        count(distinct case when channel = 'generation' then meter_id end) as generation_meters,
        count(distinct case when channel = 'export' then meter_id end) as export_meters,
        sum(case when channel = 'generation' then is_insufficient else 0 end) as generation_insufficient,
        sum(case when channel = 'export' then is_insufficient else 0 end) as export_insufficient,
        sum(case when channel = 'import' then is_insufficient else 0 end) as import_insufficient
    from judged_meter_days
    group by tenant_id, property_id, reading_date
),

-- Generation and export are compared interval by interval, at the coarser of their lengths.
grains as (
    select
        tenant_id,
        property_id,
        reading_date,
        max(interval_seconds) as grain_seconds
    from usage
    group by tenant_id, property_id, reading_date
),

placed as (
    select
        usage.tenant_id,
        usage.property_id,
        usage.reading_date,
        usage.channel,
        usage.interval_seconds,
        usage.value_kwh,
        grains.grain_seconds,
        {{ whole_quotient(epoch_seconds('usage.reading_ts'), 'grains.grain_seconds') }} as interval_number
    from usage
    inner join grains
        on
            usage.tenant_id = grains.tenant_id
            and usage.property_id = grains.property_id
            and usage.reading_date = grains.reading_date
),

intervals as (
    select
        tenant_id,
        property_id,
        reading_date,
        interval_number,
        sum(case when channel = 'generation' then value_kwh end) as generation_kwh,
        sum(case when channel = 'export' then value_kwh end) as export_kwh,
        sum(case when channel = 'generation' and value_kwh is not null then interval_seconds end) as generation_s,
        sum(case when channel = 'export' and value_kwh is not null then interval_seconds end) as export_s,
        max(grain_seconds) as grain_seconds
    from placed
    group by tenant_id, property_id, reading_date, interval_number
),

-- An interval counts only where every meter of both channels has a value: a missing export is not an export of 0.
self_consumption as (
    select
        intervals.tenant_id,
        intervals.property_id,
        intervals.reading_date,
        sum(
            case
                when
                    intervals.generation_s = intervals.grain_seconds * property_days.generation_meters
                    and intervals.export_s = intervals.grain_seconds * property_days.export_meters
                    then intervals.generation_kwh - intervals.export_kwh
            end
        ) as self_consumed_kwh
    from intervals
    inner join property_days
        on
            intervals.tenant_id = property_days.tenant_id
            and intervals.property_id = property_days.property_id
            and intervals.reading_date = property_days.reading_date
    group by intervals.tenant_id, intervals.property_id, intervals.reading_date
),

assembled as (
    select
        property_days.*,
        properties.solar_capacity_kw,
        {{ day_seconds('property_days.reading_date', 'properties.timezone') }} as day_seconds,
        self_consumption.self_consumed_kwh,
        availability.irradiation_kwh_per_m2,
        availability.expected_kwh,
        availability.measured_kwh,
        availability.measured_rated_kwh,
        availability.bright_intervals,
        availability.out_intervals,
        availability.lost_kwh,
        availability.reference_method,
        availability.reference_version,
        coalesce(holds.held, 0) = 1 as is_held,
        holds.accepted_until
    from property_days
    left join holds
        on
            property_days.tenant_id = holds.tenant_id
            and property_days.property_id = holds.property_id
            and property_days.reading_date = holds.reading_date
    left join properties
        on
            property_days.tenant_id = properties.tenant_id
            and property_days.property_id = properties.property_id
            and {{ in_force('properties', day_start('property_days.reading_date', 'properties.timezone')) }}
    left join self_consumption
        on
            property_days.tenant_id = self_consumption.tenant_id
            and property_days.property_id = self_consumption.property_id
            and property_days.reading_date = self_consumption.reading_date
    left join availability
        on
            property_days.tenant_id = availability.tenant_id
            and property_days.property_id = availability.property_id
            and property_days.reading_date = availability.reading_date
),

-- A channel is as good as its worst meter: with one of two roofs missing, the sum would be half of the truth.
judged as (
    select
        assembled.*,
        generation_expected > 0 and generation_insufficient = 0 as has_generation,
        export_expected > 0 and export_insufficient = 0 as has_export,
        import_expected > 0 and import_insufficient = 0 as has_import
    from assembled
    -- A property that neither generates nor exports has no row.
    where generation_expected > 0 or export_expected > 0 or solar_capacity_kw > 0
)

select
    tenant_id,
    property_id,
    reading_date,
    {{ as_energy('case when has_generation then generation_kwh end') }} as generation_kwh,
    {{ as_energy('case when has_generation and has_export then self_consumed_kwh end') }} as self_consumed_kwh,
    {{ as_energy('case when has_export then export_kwh end') }} as exported_kwh,
    {{ as_energy('case when has_import then import_kwh end') }} as imported_kwh,
    solar_capacity_kw,
    {{ as_energy(divide('case when has_generation then generation_kwh end', 'solar_capacity_kw')) }}
        as specific_yield_kwh_per_kw,
    irradiation_kwh_per_m2,
    expected_kwh,
    -- Over the intervals that both have, so a gap in the readings does not lower the performance.
    {{ as_energy(divide('case when has_generation then measured_kwh end', 'measured_rated_kwh')) }}
        as performance_ratio,
    {{ as_energy(
        divide('case when has_generation then generation_kwh * 3600 end', 'solar_capacity_kw * day_seconds')
    ) }}
        as capacity_factor,
    {{ as_energy(divide('case when has_generation then bright_intervals - out_intervals end', 'bright_intervals')) }}
        as time_availability,
    {{ as_energy(divide('case when has_generation then generation_kwh end', 'generation_kwh + lost_kwh')) }}
        as energy_availability,
    {{ as_energy('case when has_generation then lost_kwh end') }} as lost_kwh,
    {{ as_energy(divide('case when has_generation and has_export then self_consumed_kwh end', 'generation_kwh')) }}
        as self_consumption,
    reference_method,
    reference_version,
    cast(generation_expected + export_expected as {{ sql_type('integer') }}) as expected_intervals,
    cast(generation_actual + export_actual as {{ sql_type('integer') }}) as actual_intervals,
    {{ share_pct('generation_actual + export_actual', 'generation_expected + export_expected') }} as completeness_pct,
    {{ share_pct('generation_actual', 'generation_expected') }} as generation_completeness_pct,
    {{ share_pct('export_actual', 'export_expected') }} as export_completeness_pct,
    {{ share_pct('estimated_intervals', 'generation_actual + export_actual') }} as estimated_share_pct,
    is_held,
    accepted_until
from judged
