-- Not behind gate D: it says what the gates of each run said.
with runs as (
    select * from {{ ref('stg_oltp__quality_runs') }}
)

select
    run_id,
    job,
    launcher,
    reading_date_from,
    reading_date_to,
    {{ days_between('reading_date_from', 'reading_date_to') }} as reading_dates,
    status,
    requested_at,
    started_at,
    ended_at,
    {{ seconds_between('requested_at', 'started_at') }} as queued_seconds,
    {{ seconds_between('started_at', 'ended_at') }} as run_seconds,
    retries,
    steps,
    slowest_step,
    slowest_step_seconds,
    gates_passed,
    gates_warned,
    gates_failed,
    broken_rules,
    judged_rows,
    gate_seconds
from runs
