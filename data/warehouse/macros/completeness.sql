{# What should have reported on a day, beside what did. #}

{% macro meter_days(registers) -%}
    {#- Common table expressions up to `meter_days`: a row a meter, channel and day of the run's range that reported or
        should have, with expected_intervals, actual_intervals, estimated_intervals and energy_kwh.

        Above it stand `reported`, the same of the days that have readings, and `properties`, all their versions.
        `registers` is SQL on meter_registers: which of them count. -#}
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

    -- A register is of a meter and property since all three are what they are.
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

    -- What should report, whether or not it did: else a silent meter would leave its day complete and its energy low.
    -- History that is older than the registers of a property counts on the days that it has any. A register that comes
    -- to them on a later date, as of a meter that was exchanged, is expected from then on. Whether meter and property are
    -- in use is of the versions in force as the day begins: what is retired later leaves the day as it was.
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

    -- The length a meter reported that day comes first: ingestion held it to the configuration of its time, which may
    -- have changed since. Nothing here looks at other days, so a day rebuilt alone equals the day in any range.
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
