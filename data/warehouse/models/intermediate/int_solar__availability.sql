{{ config(
    cluster_by=['tenant_id', 'property_id'],
    indexes=[{'columns': ['reading_date', 'tenant_id', 'property_id'], 'unique': true}],
) }}
{{ by_reading_date() }}

with reference_series as (
    select * from {{ ref('stg_oltp__solar_reference_yields') }}
),

arrays as (
    select
        tenant_id,
        solar_asset_id,
        property_id,
        capacity_kw,
        in_service_from,
        in_service_to
    from {{ ref('stg_oltp__solar_assets') }}
    where
        asset_kind = 'array'
        and status != 'planned'
),

generation as (
    select
        energy.tenant_id,
        meters.property_id,
        meters.meter_id,
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
        and energy.channel = 'generation'
),

days as (
    {{ date_series(range_bound('start_date'), range_bound('end_date')) }}
),

in_service as (
    select
        arrays.tenant_id,
        arrays.property_id,
        days.date_day as reading_date,
        count(*) as array_count,
        sum(arrays.capacity_kw) as capacity_kw
    from arrays
    cross join days
    where
        days.date_day >= arrays.in_service_from
        and days.date_day < coalesce(arrays.in_service_to, date '9999-12-31')
    group by arrays.tenant_id, arrays.property_id, days.date_day
),

-- Irradiation x capacity is the energy of an array at its rating; several arrays are summed.
array_intervals as (
    select
        reference_series.tenant_id,
        arrays.property_id,
        reference_series.solar_asset_id,
        reference_series.reading_ts,
        reference_series.reading_date,
        reference_series.interval_seconds,
        reference_series.expected_kwh,
        {{ as_energy('reference_series.irradiation_kwh_per_m2 * arrays.capacity_kw') }} as rated_kwh,
        reference_series.method,
        reference_series.method_version
    from reference_series
    inner join arrays
        on
            reference_series.tenant_id = arrays.tenant_id
            and reference_series.solar_asset_id = arrays.solar_asset_id
),

-- A day has a reference only if all arrays have one.
reference_days as (
    select
        array_intervals.tenant_id,
        array_intervals.property_id,
        array_intervals.reading_date,
        max(in_service.capacity_kw) as capacity_kw,
        max(array_intervals.interval_seconds) as interval_seconds,
        sum(array_intervals.rated_kwh) as rated_kwh,
        sum(array_intervals.expected_kwh) as expected_kwh,
        max(array_intervals.method) as method,
        max(array_intervals.method_version) as method_version
    from array_intervals
    inner join in_service
        on
            array_intervals.tenant_id = in_service.tenant_id
            and array_intervals.property_id = in_service.property_id
            and array_intervals.reading_date = in_service.reading_date
    group by array_intervals.tenant_id, array_intervals.property_id, array_intervals.reading_date
    having count(distinct array_intervals.solar_asset_id) = max(in_service.array_count)
),

meter_days as (
    select
        tenant_id,
        property_id,
        reading_date,
        count(distinct meter_id) as meters,
        max(interval_seconds) as interval_seconds
    from generation
    group by tenant_id, property_id, reading_date
),

-- Readings and reference are compared at the coarser of their lengths.
grains as (
    select
        reference_days.tenant_id,
        reference_days.property_id,
        reference_days.reading_date,
        coalesce(meter_days.meters, 0) as meters,
        case
            when meter_days.interval_seconds > reference_days.interval_seconds then meter_days.interval_seconds
            else reference_days.interval_seconds
        end as grain_seconds
    from reference_days
    left join meter_days
        on
            reference_days.tenant_id = meter_days.tenant_id
            and reference_days.property_id = meter_days.property_id
            and reference_days.reading_date = meter_days.reading_date
),

placed as (
    select
        generation.tenant_id,
        generation.property_id,
        generation.reading_date,
        {{ whole_quotient(epoch_seconds('generation.reading_ts'), 'grains.grain_seconds') }} as interval_number,
        generation.value_kwh as generation_kwh,
        case when generation.value_kwh is not null then generation.interval_seconds else 0 end as measured_seconds,
        {{ as_energy('0') }} as rated_kwh,
        {{ as_energy('0') }} as expected_kwh
    from generation
    inner join grains
        on
            generation.tenant_id = grains.tenant_id
            and generation.property_id = grains.property_id
            and generation.reading_date = grains.reading_date
    union all
    select
        array_intervals.tenant_id,
        array_intervals.property_id,
        array_intervals.reading_date,
        {{ whole_quotient(epoch_seconds('array_intervals.reading_ts'), 'grains.grain_seconds') }} as interval_number,
        {{ as_energy('null') }} as generation_kwh,
        0 as measured_seconds,
        array_intervals.rated_kwh,
        array_intervals.expected_kwh
    from array_intervals
    inner join grains
        on
            array_intervals.tenant_id = grains.tenant_id
            and array_intervals.property_id = grains.property_id
            and array_intervals.reading_date = grains.reading_date
),

intervals as (
    select
        tenant_id,
        property_id,
        reading_date,
        interval_number,
        sum(generation_kwh) as generation_kwh,
        sum(measured_seconds) as measured_seconds,
        sum(rated_kwh) as rated_kwh,
        sum(expected_kwh) as expected_kwh
    from placed
    group by tenant_id, property_id, reading_date, interval_number
),

-- Measured: every meter has the whole interval. Bright: the clear sky is enough to start an inverter.
judged as (
    select
        intervals.tenant_id,
        intervals.property_id,
        intervals.reading_date,
        intervals.generation_kwh,
        intervals.rated_kwh,
        intervals.expected_kwh,
        grains.meters > 0 and intervals.measured_seconds = grains.meters * grains.grain_seconds as is_measured,
        intervals.rated_kwh * 3600000
        >= {{ var('min_daylight_w_per_m2') | int }} * reference_days.capacity_kw * grains.grain_seconds as is_bright
    from intervals
    inner join grains
        on
            intervals.tenant_id = grains.tenant_id
            and intervals.property_id = grains.property_id
            and intervals.reading_date = grains.reading_date
    inner join reference_days
        on
            intervals.tenant_id = reference_days.tenant_id
            and intervals.property_id = reference_days.property_id
            and intervals.reading_date = reference_days.reading_date
),

-- Out: bright and measured, but nothing was generated. Running: the other bright measured intervals.
property_days as (
    select
        tenant_id,
        property_id,
        reading_date,
        sum(case when is_bright and is_measured then 1 else 0 end) as bright_intervals,
        sum(case when is_bright and is_measured and generation_kwh = 0 then 1 else 0 end) as out_intervals,
        sum(case when is_bright and is_measured and generation_kwh = 0 then expected_kwh else 0 end)
            as out_expected_kwh,
        sum(case when is_bright and is_measured and generation_kwh > 0 then expected_kwh else 0 end)
            as running_expected_kwh,
        sum(case when is_bright and is_measured and generation_kwh > 0 then generation_kwh else 0 end)
            as running_kwh,
        sum(case when is_measured then generation_kwh end) as measured_kwh,
        sum(case when is_measured then rated_kwh end) as measured_rated_kwh
    from judged
    group by tenant_id, property_id, reading_date
)

select
    reference_days.tenant_id,
    reference_days.property_id,
    reference_days.reading_date,
    {{ as_energy(divide('reference_days.rated_kwh', 'reference_days.capacity_kw')) }} as irradiation_kwh_per_m2,
    {{ as_energy('reference_days.expected_kwh') }} as expected_kwh,
    {{ as_energy('property_days.measured_kwh') }} as measured_kwh,
    {{ as_energy('property_days.measured_rated_kwh') }} as measured_rated_kwh,
    cast(property_days.bright_intervals as {{ sql_type('integer') }}) as bright_intervals,
    cast(property_days.out_intervals as {{ sql_type('integer') }}) as out_intervals,
    -- The weather of the day is that of its running intervals. Without one, a clear sky is assumed: the highest loss.
    {{ as_energy(
        'case when property_days.bright_intervals = 0 then null '
        ~ 'when property_days.running_expected_kwh = 0 then property_days.out_expected_kwh else '
        ~ divide('property_days.out_expected_kwh * property_days.running_kwh', 'property_days.running_expected_kwh')
        ~ ' end'
    ) }} as lost_kwh,
    reference_days.method as reference_method,
    reference_days.method_version as reference_version
from reference_days
inner join property_days
    on
        reference_days.tenant_id = property_days.tenant_id
        and reference_days.property_id = property_days.property_id
        and reference_days.reading_date = property_days.reading_date
