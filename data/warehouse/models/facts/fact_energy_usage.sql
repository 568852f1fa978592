{{ config(
    materialized='incremental',
    incremental_strategy=range_strategy(),
    partition_by={'field': 'reading_date', 'data_type': 'date', 'granularity': 'day'},
    partitions=range_partitions(),
    cluster_by=['tenant_id', 'property_id', 'meter_id'],
    require_partition_filter=range_filter_required(),
    on_schema_change='fail',
    full_refresh=false,
    indexes=[
        {'columns': ['reading_date', 'tenant_id', 'property_id']},
        {'columns': ['tenant_id', 'meter_id', 'channel', 'reading_ts'], 'unique': true},
    ],
) }}

with readings as (
    select * from {{ ref('stg_oltp__meter_readings') }}
),

meters as (
    select * from {{ ref('stg_oltp__meters') }}
),

assignments as (
    select * from {{ ref('stg_oltp__meter_assignments') }}
),

-- Energy alone: reactive power, voltage, water and gas have no kWh and would count as gaps.
energy as (
    select
        readings.tenant_id,
        meters.property_id,
        assignments.unit_id,
        readings.meter_id,
        readings.channel,
        readings.reading_ts,
        readings.reading_date,
        meters.timezone,
        readings.interval_seconds,
        readings.value_kwh,
        readings.quality,
        readings.quality_method,
        readings.reason_code,
        readings.is_estimated,
        readings.source_version,
        readings.version
    from readings
    left join meters
        on
            readings.tenant_id = meters.tenant_id
            and readings.meter_id = meters.meter_id
    left join assignments
        on
            readings.tenant_id = assignments.tenant_id
            and readings.meter_id = assignments.meter_id
            and readings.reading_date >= coalesce(assignments.assigned_from, date '0001-01-01')
            and readings.reading_date < coalesce(assignments.assigned_to, date '9999-12-31')
    where
        readings.channel in ('import', 'export', 'generation', 'consumption')
        and readings.unit in ('kWh', 'Wh', 'MWh')
),

counted as (
    select
        energy.*,
        {{ local_timestamp('reading_ts', 'timezone') }} as local_ts,
        {{ whole_quotient(day_seconds('reading_date', 'timezone'), 'interval_seconds') }} as day_expected_intervals,
        count(value_kwh) over (
            partition by tenant_id, meter_id, channel, reading_date
        ) as day_actual_intervals
    from energy
)

select
    tenant_id,
    property_id,
    unit_id,
    meter_id,
    channel,
    reading_ts,
    reading_date,
    local_ts,
    cast(local_ts as date) as local_date,
    cast(extract(hour from local_ts) as {{ type_integer() }}) as local_hour,
    interval_seconds,
    value_kwh,
    quality,
    quality_method,
    reason_code,
    is_estimated,
    version,
    source_version,
    day_expected_intervals,
    day_actual_intervals,
    {{ share_pct('day_actual_intervals', 'day_expected_intervals') }} as day_completeness_pct,
    day_actual_intervals >= day_expected_intervals as is_day_complete
from counted
