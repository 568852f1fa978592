{# What should have reported on a day, beside what did. #}

{% macro meter_days(registers) -%}
    {#- Common table expressions up to `meter_days`: a row a meter, channel and day of the run's range that reported or
        should have, with expected_intervals, actual_intervals, estimated_intervals and energy_kwh.

        Above it stand `reported`, the same of the days that have readings, and `properties`, the current ones.
        `registers` is SQL on meter_registers: which of them count. -#}
    meters as (
        select
            tenant_id,
            meter_id,
            property_id,
            timezone
        from {{ ref('stg_oltp__meters') }}
        where status = 'active'
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
        {{ date_spine(range_bound('start_date'), range_bound('end_date')) }}
    ),

    reporting_days as (
        select distinct
            tenant_id,
            property_id,
            reading_date
        from reported
    ),

    -- What should report, whether or not it did: else a silent meter would leave its day complete and its energy low.
    -- Before a register was configured its history counts on the days that the property has any.
    configured as (
        select
            registers.tenant_id,
            meters.property_id,
            days.date_day as reading_date,
            registers.channel,
            registers.meter_id,
            {{ day_seconds('days.date_day', 'meters.timezone') }} as day_seconds,
            registers.interval_seconds
        from registers
        inner join meters
            on
                registers.tenant_id = meters.tenant_id
                and registers.meter_id = meters.meter_id
        inner join properties
            on
                meters.tenant_id = properties.tenant_id
                and meters.property_id = properties.property_id
        cross join days
        left join reporting_days
            on
                registers.tenant_id = reporting_days.tenant_id
                and meters.property_id = reporting_days.property_id
                and days.date_day = reporting_days.reading_date
        where
            properties.status = 'active'
            and (
                reporting_days.tenant_id is not null
                or days.date_day > {{ local_date('registers.created_at', 'meters.timezone') }}
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
