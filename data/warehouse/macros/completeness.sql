{# Expected and reported intervals of a day. #}

{% macro meter_days(registers) -%}
    {#- Common table expressions up to `meter_days`: one row for each meter, channel and day of the run's range that
        reported or was expected to, with expected_intervals, actual_intervals, estimated_intervals and energy_kwh.

        The query needs two expressions above it: `reported` (the same columns for the days with readings) and
        `properties` (all versions). `registers` is an SQL condition on meter_registers: those that count. -#}
    meters as (
        select
            tenant_id,
            meter_id,
            property_id,
            timezone,
            status,
            created_at,
            valid_from,
            valid_to
        from {{ ref('dim_meter') }}
    ),

    registers as (
        select
            tenant_id,
            meter_id,
            channel,
            interval_seconds,
            created_at
        from {{ ref('stg_oltp__meter_registers') }}
        where {{ registers }}
    ),

    days as (
        {{ date_series(range_bound('start_date'), range_bound('end_date')) }}
    ),

    -- A register belongs to a meter and property from the time at which all three exist.
    placed_registers as (
        select
            registers.tenant_id,
            registers.meter_id,
            registers.channel,
            registers.interval_seconds,
            meters.property_id,
            greatest(registers.created_at, min(meters.created_at), min(meters.valid_from)) as configured_at
        from registers
        inner join meters
            on
                registers.tenant_id = meters.tenant_id
                and registers.meter_id = meters.meter_id
        group by
            registers.tenant_id,
            registers.meter_id,
            registers.channel,
            registers.interval_seconds,
            registers.created_at,
            meters.property_id
    ),

    compared_registers as (
        select
            placed_registers.*,
            min(configured_at) over (partition by tenant_id, property_id) as first_configured_at
        from placed_registers
    ),

    reporting_days as (
        select distinct
            tenant_id,
            property_id,
            reading_date
        from reported
    ),

    -- Registers that are expected to report, whether or not they did: without them the day of a silent meter would look
    -- complete, with too little energy. Before the first registers of a property were configured, only days with
    -- readings count. A register that is added later, as when a meter is exchanged, is expected from the day after. The
    -- versions in force as the day begins decide whether meter and property are in use: a later retirement changes no
    -- past day.
    configured as (
        select
            compared_registers.tenant_id,
            compared_registers.property_id,
            days.date_day as reading_date,
            compared_registers.channel,
            compared_registers.meter_id,
            {{ day_seconds('days.date_day', 'meters.timezone') }} as day_seconds,
            compared_registers.interval_seconds
        from compared_registers
        cross join days
        inner join meters
            on
                compared_registers.tenant_id = meters.tenant_id
                and compared_registers.meter_id = meters.meter_id
                and compared_registers.property_id = meters.property_id
                and {{ in_force('meters', day_start('days.date_day', 'meters.timezone')) }}
        inner join properties
            on
                meters.tenant_id = properties.tenant_id
                and meters.property_id = properties.property_id
                and {{ in_force('properties', day_start('days.date_day', 'properties.timezone')) }}
        left join reporting_days
            on
                compared_registers.tenant_id = reporting_days.tenant_id
                and compared_registers.property_id = reporting_days.property_id
                and days.date_day = reporting_days.reading_date
        where
            meters.status = 'active'
            and properties.status = 'active'
            and (
                days.date_day > {{ local_date('compared_registers.configured_at', 'meters.timezone') }}
                or (
                    reporting_days.tenant_id is not null
                    and {{ local_date('compared_registers.configured_at', 'meters.timezone') }}
                    = {{ local_date('compared_registers.first_configured_at', 'meters.timezone') }}
                )
            )
    ),

    -- The interval length that a meter reported that day comes first: ingestion checked it against the configuration of
    -- the time, which may have changed since. No other day is read, so a day rebuilt alone equals the day in any range.
    meter_days as (
        select
            coalesce(configured.tenant_id, reported.tenant_id) as tenant_id,
            coalesce(configured.property_id, reported.property_id) as property_id,
            coalesce(configured.reading_date, reported.reading_date) as reading_date,
            coalesce(configured.channel, reported.channel) as channel,
            coalesce(configured.meter_id, reported.meter_id) as meter_id,
            coalesce(
                reported.expected_intervals,
                {{ whole_quotient('configured.day_seconds', 'configured.interval_seconds') }},
                max(reported.expected_intervals) over (
                    partition by
                        coalesce(configured.tenant_id, reported.tenant_id),
                        coalesce(configured.property_id, reported.property_id),
                        coalesce(configured.reading_date, reported.reading_date),
                        coalesce(configured.channel, reported.channel)
                ),
                {{ whole_quotient('configured.day_seconds', '3600') }}
            ) as expected_intervals,
            coalesce(reported.actual_intervals, 0) as actual_intervals,
            coalesce(reported.estimated_intervals, 0) as estimated_intervals,
            reported.energy_kwh
        from configured
        full outer join reported
            on
                configured.tenant_id = reported.tenant_id
                and configured.property_id = reported.property_id
                and configured.reading_date = reported.reading_date
                and configured.channel = reported.channel
                and configured.meter_id = reported.meter_id
    )
{%- endmacro %}
