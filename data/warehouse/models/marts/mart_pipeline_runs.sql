-- Not behind gate D: it says what the gates of each run said.
with runs as (
    select
        recorded.*,
        {{ days_between('reading_date_from', 'reading_date_to') }} as reading_dates,
        {{ seconds_between('requested_at', 'started_at') }} as queued_seconds,
        {{ seconds_between('started_at', 'ended_at') }} as run_seconds
    from {{ ref('stg_oltp__quality_runs') }} as recorded
),

-- A run takes as long as others of its job over as many dates; one that failed ended early.
numbered as (
    select
        run_id,
        job,
        coalesce(reading_dates, 0) as dates_or_none,
        run_seconds,
        row_number() over (partition by job, coalesce(reading_dates, 0) order by ended_at, run_id) as place
    from runs
    where status = 'succeeded'
),

steps_back as (
    {{ integer_series(1, (var('most_like_runs') | int) + 1) }}
),

ranked as (
    select
        numbered.run_id,
        earlier.run_seconds,
        row_number() over (partition by numbered.run_id order by earlier.run_seconds) as seconds_rank,
        count(*) over (partition by numbered.run_id) as like_runs
    from numbered
    cross join steps_back
    inner join numbered as earlier
        on
            numbered.job = earlier.job
            and numbered.dates_or_none = earlier.dates_or_none
            and numbered.place - steps_back.number = earlier.place
),

-- Medians by nearest rank: one slow run does not move them.
usual as (
    select
        run_id,
        max(like_runs) as like_runs,
        min(case when seconds_rank * 2 >= like_runs then run_seconds end) as median_seconds
    from ranked
    group by run_id
),

compared as (
    select
        runs.*,
        coalesce(usual.like_runs, 0) as like_runs,
        case when usual.like_runs >= {{ var('least_like_runs') }} then usual.median_seconds end as usual_seconds
    from runs
    left join usual on runs.run_id = usual.run_id
)

select
    run_id,
    job,
    launcher,
    reading_date_from,
    reading_date_to,
    reading_dates,
    status,
    requested_at,
    started_at,
    ended_at,
    queued_seconds,
    run_seconds,
    like_runs,
    usual_seconds,
    {{ share_pct('run_seconds - usual_seconds', 'usual_seconds') }} as run_seconds_deviation_pct,
    coalesce(
        run_seconds - usual_seconds > {{ var('slow_run_seconds') }}
        and {{ share_pct('run_seconds - usual_seconds', 'usual_seconds') }} > {{ var('slow_run_pct') }},
        false
    ) as is_slow,
    retries,
    steps,
    slowest_step,
    slowest_step_seconds,
    step_seconds,
    gates_passed,
    gates_warned,
    gates_failed,
    broken_rules,
    judged_rows,
    gate_seconds
from compared
