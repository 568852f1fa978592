{{ config(
    cluster_by=['tenant_id', 'property_key', 'meter_key'],
    indexes=[{'columns': ['reading_date', 'property_key']}],
    pre_hook="{{ joins_as_written() }}",
) }}
{{ by_reading_date(has_intervals=true) }}

-- Only energy: reactive power, voltage, water and gas have no kWh and would count as gaps.
with readings as (
    select
        reading_ts,
        reading_date,
        interval_seconds,
        version,
        source_version,
        is_estimated,
        tenant_id,
        meter_id,
        channel,
        value_kwh,
        quality,
        quality_method,
        reason_code
    from {{ ref('stg_oltp__meter_readings') }}
    where
        channel in ('import', 'export', 'generation', 'consumption')
        and unit in ('kWh', 'Wh', 'MWh')
),

-- A meter with an open severe issue on a date is held back: its values count as missing, so no sum, share or saving
-- uses them, and no energy moves to another participant.
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

assignments as (
    select * from {{ ref('stg_oltp__meter_assignments') }}
),

tenancies as (
    select * from {{ ref('bridge_unit_tenancy') }}
),

-- A unit has a plan for what it draws, a property one for what it exports.
plans as (
    select
        tenant_id,
        unit_id as holder_id,
        'grid' as charge,
        rate_plan_id,
        assigned_from,
        assigned_to
    from {{ ref('stg_oltp__rate_plan_assignments') }}
    union all
    select
        tenant_id,
        property_id as holder_id,
        'feed_in' as charge,
        rate_plan_id,
        assigned_from,
        assigned_to
    from {{ ref('stg_oltp__feed_in_assignments') }}
),

-- Prices of energy from and to the grid. The price of solar energy depends on its allocation, which this model does
-- not know.
bands as (
    select * from {{ ref('dim_rate_plan_band') }}
    where charge in ('grid', 'feed_in')
),

meter_versions as (
    select * from {{ ref('dim_meter') }}
),

property_versions as (
    select * from {{ ref('dim_property') }}
),

unit_versions as (
    select * from {{ ref('dim_unit') }}
),

plan_versions as (
    select * from {{ ref('dim_rate_plan') }}
),

regions as (
    select * from {{ ref('stg_oltp__emission_factor_regions') }}
),

-- Emissions of a kWh of the grid, by the average of the location (scope 2).
factors as (
    select * from {{ ref('dim_emission_factor') }}
    where
        scope = 2
        and basis = 'location'
),

-- What is the same for a series on a date is looked up once.
counted as (
    select
        tenant_id,
        meter_id,
        channel,
        reading_date,
        count(value_kwh) as actual_intervals
    from readings
    group by tenant_id, meter_id, channel, reading_date
),

series_days as (
    select
        counted.tenant_id,
        counted.meter_id,
        counted.channel,
        counted.reading_date,
        assignments.unit_id,
        tenancies.tenancy_key,
        coalesce(holds.open_issues, 0) > 0 as is_held,
        case when holds.open_issues = 0 then holds.accepted_until end as accepted_until,
        case when holds.open_issues > 0 then 0 else counted.actual_intervals end as day_actual_intervals,
        case when counted.channel = 'export' then 'feed_in' else 'grid' end as charge
    from counted
    left join holds
        on
            counted.tenant_id = holds.tenant_id
            and counted.meter_id = holds.meter_id
            and counted.reading_date = holds.reading_date
    left join assignments
        on
            counted.tenant_id = assignments.tenant_id
            and counted.meter_id = assignments.meter_id
            and {{ on_date('assignments', 'counted.reading_date', 'assigned_from', 'assigned_to') }}
    left join tenancies
        on
            assignments.tenant_id = tenancies.tenant_id
            and assignments.unit_id = tenancies.unit_id
            and {{ on_date('tenancies', 'counted.reading_date', 'occupied_from', 'occupied_to') }}
),

zones as (
    select distinct
        tenant_id,
        timezone
    from meter_versions
),

instants as (
    select distinct
        tenant_id,
        reading_ts,
        reading_date
    from readings
),

-- The wall clock and the length of a day are looked up too: to compute them for each reading costs more. DISTINCT keeps
-- PostgreSQL from computing them after the join.
clocks as (
    select distinct
        instants.tenant_id,
        zones.timezone,
        instants.reading_ts,
        instants.reading_date,
        {{ local_timestamp('instants.reading_ts', 'zones.timezone') }} as local_ts,
        {{ local_hour('instants.reading_ts', 'zones.timezone') }} as local_hour,
        {{ minute_of_day(local_timestamp('instants.reading_ts', 'zones.timezone')) }} as local_minute,
        {{ day_seconds('instants.reading_date', 'zones.timezone') }} as day_seconds,
        {{ date_part_integer('year', 'instants.reading_date') }} as reading_year,
        case when {{ iso_day_of_week('instants.reading_date') }} >= 6 then 'weekend' else 'weekday' end as day_kind
    from instants
    inner join zones on instants.tenant_id = zones.tenant_id
),

-- Place and zone of a meter come from the version in force, so a day that is rebuilt later stays the same.
clocked as (
    select
        readings.tenant_id,
        meter_versions.meter_key,
        meter_versions.property_id,
        series_days.unit_id,
        series_days.tenancy_key,
        readings.channel,
        readings.reading_ts,
        readings.reading_date,
        clocks.local_ts,
        clocks.local_hour,
        clocks.local_minute,
        readings.interval_seconds,
        case when not series_days.is_held then readings.value_kwh end as value_kwh,
        case when series_days.is_held then readings.value_kwh end as held_kwh,
        series_days.is_held,
        series_days.accepted_until,
        readings.quality,
        readings.quality_method,
        readings.reason_code,
        readings.is_estimated,
        readings.source_version,
        readings.version,
        {{ whole_quotient('clocks.day_seconds', 'readings.interval_seconds') }} as day_expected_intervals,
        series_days.day_actual_intervals,
        clocks.reading_year,
        clocks.day_kind,
        series_days.charge,
        case
            when readings.channel in ('consumption', 'import') then series_days.unit_id
            when readings.channel = 'export' then meter_versions.property_id
        end as holder_id
    from readings
    left join series_days
        on
            readings.tenant_id = series_days.tenant_id
            and readings.meter_id = series_days.meter_id
            and readings.channel = series_days.channel
            and readings.reading_date = series_days.reading_date
    left join meter_versions
        on
            readings.tenant_id = meter_versions.tenant_id
            and readings.meter_id = meter_versions.meter_id
            and {{ in_force('meter_versions', 'readings.reading_ts') }}
    left join clocks
        on
            readings.tenant_id = clocks.tenant_id
            and meter_versions.timezone = clocks.timezone
            and readings.reading_ts = clocks.reading_ts
            and readings.reading_date = clocks.reading_date
),

-- The wall clock at the start of an interval decides its price, also when clocks change: an hour that happens twice has
-- the same price both times. Generated energy has no price.
priced as (
    select
        clocked.*,
        plans.rate_plan_id,
        bands.rate_plan_band_key,
        bands.unit_amount
    from clocked
    left join plans
        on
            clocked.tenant_id = plans.tenant_id
            and clocked.holder_id = plans.holder_id
            and clocked.charge = plans.charge
            and {{ on_date('plans', 'clocked.reading_date', 'assigned_from', 'assigned_to') }}
    left join bands
        on
            plans.tenant_id = bands.tenant_id
            and plans.rate_plan_id = bands.rate_plan_id
            and plans.charge = bands.charge
            and clocked.day_kind = bands.day_kind
            and clocked.local_minute >= bands.minutes_from
            and clocked.local_minute < bands.minutes_to
            and {{ on_date('bands', 'clocked.reading_date', 'valid_from', 'valid_to') }}
),

keyed as (
    select
        priced.*,
        property_versions.property_key,
        unit_versions.unit_key,
        plan_versions.rate_plan_key,
        factors.emission_factor_key
    from priced
    left join property_versions
        on
            priced.tenant_id = property_versions.tenant_id
            and coalesce(priced.property_id, 'unknown') = property_versions.property_id
            and {{ in_force('property_versions', 'priced.reading_ts') }}
    left join unit_versions
        on
            priced.tenant_id = unit_versions.tenant_id
            and coalesce(priced.unit_id, 'unknown') = unit_versions.unit_id
            and {{ in_force('unit_versions', 'priced.reading_ts') }}
    left join plan_versions
        on
            priced.tenant_id = plan_versions.tenant_id
            and coalesce(priced.rate_plan_id, 'unknown') = plan_versions.rate_plan_id
            and {{ in_force('plan_versions', 'priced.reading_ts') }}
    left join regions
        on
            priced.tenant_id = regions.tenant_id
            and priced.property_id = regions.property_id
            and {{ on_date('regions', 'priced.reading_date', 'valid_from', 'valid_to') }}
    left join factors
        on
            regions.region = factors.region
            and priced.reading_year >= factors.first_year
            and priced.reading_year < factors.end_year
)

select
    tenant_id,
    property_key,
    unit_key,
    meter_key,
    rate_plan_key,
    rate_plan_band_key,
    tenancy_key,
    emission_factor_key,
    channel,
    reading_ts,
    reading_date,
    local_ts,
    local_hour,
    interval_seconds,
    {{ as_energy('value_kwh') }} as value_kwh,
    quality,
    quality_method,
    reason_code,
    is_estimated,
    version,
    source_version,
    {{ as_energy("case when charge = 'grid' then value_kwh * unit_amount end") }} as cost_amount,
    day_expected_intervals,
    day_actual_intervals,
    is_held,
    {{ as_energy('held_kwh') }} as held_kwh,
    accepted_until,
    {{ as_energy("case when charge = 'feed_in' then value_kwh * unit_amount end") }} as feed_in_amount
from keyed
