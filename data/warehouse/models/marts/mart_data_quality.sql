-- Not behind gate D, and from records of its own: a night that failed a gate has rows too.
with days as (
    select * from {{ ref('stg_oltp__quality_days') }}
),

weeks as (
    {{ integer_series(1, 9) }}
),

-- The same day of the week in the eight weeks before, if anything came: a silent week says nothing about what is usual.
like_days as (
    select
        days.tenant_id,
        days.reading_date,
        earlier.readings,
        earlier.energy_kwh
    from days
    cross join weeks
    inner join days as earlier
        on
            days.tenant_id = earlier.tenant_id
            and {{ add_days('days.reading_date', '-7 * weeks.number') }} = earlier.reading_date
    where earlier.readings > 0
),

ranked as (
    select
        tenant_id,
        reading_date,
        readings,
        energy_kwh,
        row_number() over (partition by tenant_id, reading_date order by readings) as readings_rank,
        row_number() over (partition by tenant_id, reading_date order by energy_kwh) as energy_rank,
        count(*) over (partition by tenant_id, reading_date) as like_days
    from like_days
),

-- Medians by nearest rank: one wrong day does not move them.
usual as (
    select
        tenant_id,
        reading_date,
        max(like_days) as like_days,
        min(case when readings_rank * 2 >= like_days then readings end) as median_readings,
        min(case when energy_rank * 2 >= like_days then energy_kwh end) as median_kwh
    from ranked
    group by tenant_id, reading_date
),

compared as (
    select
        days.*,
        coalesce(usual.like_days, 0) as like_days,
        case when usual.like_days >= {{ var('least_like_days') }} then usual.median_readings end as expected_readings,
        case when usual.like_days >= {{ var('least_like_days') }} then usual.median_kwh end as expected_kwh,
        -- Windows of whole partitions, not a self-join: the cost grows with the dates, not with their square.
        min(days.first_loaded_at) over (partition by days.tenant_id) as tenant_loaded_at,
        max(case when days.files > 0 then days.reading_date end) over (
            partition by days.tenant_id
            order by days.reading_date
            rows between unbounded preceding and current row
        ) as last_file_date
    from days
    left join usual
        on
            days.tenant_id = usual.tenant_id
            and days.reading_date = usual.reading_date
),

deviating as (
    select
        compared.*,
        {{ share_pct('readings - expected_readings', 'expected_readings') }} as readings_deviation_pct,
        {{ share_pct('energy_kwh - expected_kwh', 'expected_kwh') }} as energy_deviation_pct,
        {{ day_start(add_days('reading_date', '1'), "'UTC'") }} as ended_at,
        {{ days_between('last_file_date', 'reading_date') }} as days_since_last_file
    from compared
)

select
    tenant_id,
    tenant_name,
    reading_date,
    {{ iso_day_of_week('reading_date') }} as day_of_week,
    readings,
    estimated_readings,
    {{ share_pct('estimated_readings', 'readings') }} as estimated_share_pct,
    energy_kwh,
    like_days,
    expected_readings,
    readings_deviation_pct,
    expected_kwh,
    energy_deviation_pct,
    coalesce(abs(readings_deviation_pct) > {{ var('unusual_readings_pct') }}, false)
    or coalesce(abs(energy_deviation_pct) > {{ var('unusual_energy_pct') }}, false) as is_unusual,
    open_infos,
    open_issues,
    open_severe_issues,
    accepted_issues,
    quarantined_readings,
    open_quarantined_readings,
    files,
    refused_files,
    first_loaded_at,
    {{ as_decimal(divide(seconds_between('ended_at', 'first_loaded_at'), '3600'), 9, 2) }} as hours_to_first_file,
    coalesce(
        {{ seconds_between('ended_at', 'first_loaded_at') }} > {{ var('late_hours') }} * 3600
        and ended_at >= tenant_loaded_at,
        false
    ) as is_late,
    silent_formats,
    days_since_last_file,
    publication,
    silent_formats > 0
    or coalesce(days_since_last_file >= {{ var('silent_days') }}, false) as is_silent
from deviating
