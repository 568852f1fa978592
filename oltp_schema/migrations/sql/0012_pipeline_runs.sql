-- The runs of the pipeline with their results, and since when a published date is withdrawn.

set local role myproperty_owner;

create table warehouse_staging.pipeline_runs (
    run_id text primary key,
    job text not null,
    launched_by text,
    reading_date_from date,
    reading_date_to date,
    status text not null
    constraint run_status_is_known check (status in ('unfinished', 'succeeded', 'failed', 'canceled')),
    requested_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,
    changed_at timestamptz not null,
    retries integer not null default 0 constraint retries_are_not_negative check (retries >= 0),
    seconds jsonb not null default '{}'
    constraint seconds_are_by_step check (jsonb_typeof(seconds) = 'object'),
    reasons jsonb not null default '[]'
    constraint reasons_are_a_list check (jsonb_typeof(reasons) = 'array'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    constraint both_ends_of_a_range check ((reading_date_from is null) = (reading_date_to is null))
);
create index pipeline_runs_latest on warehouse_staging.pipeline_runs (job, requested_at desc);
create index pipeline_runs_changed on warehouse_staging.pipeline_runs (changed_at desc);
comment on table warehouse_staging.pipeline_runs is
'The runs of Dagster, recorded from its instance: what a run covered, how it ended, and why it failed.';
comment on column warehouse_staging.pipeline_runs.reading_date_to is
'The range of reading dates is half-open. NULL: the job has no reading dates.';
comment on column warehouse_staging.pipeline_runs.changed_at is 'When the state of the run last changed in Dagster.';
comment on column warehouse_staging.pipeline_runs.retries is 'Steps that were tried again.';
comment on column warehouse_staging.pipeline_runs.seconds is 'Seconds of each finished step.';
comment on column warehouse_staging.pipeline_runs.reasons is
'Why the run failed, one object for each: rule, place, expected, observed, mend. Broken rules of gates, failed tests '
'of dbt, and steps that ended in an error.';
alter table warehouse_staging.pipeline_runs enable row level security;
alter table warehouse_staging.pipeline_runs force row level security;
create policy "Only the pipeline sees its own records" on warehouse_staging.pipeline_runs
to myproperty_etl using (true) with check (true);
create trigger move_version before update on warehouse_staging.pipeline_runs
for each row execute function myproperty.move_version();

create table warehouse_staging.withdrawn_dates (
    reading_date date primary key,
    withdrawn_at timestamptz not null default clock_timestamp(),
    reason text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1
);
comment on table warehouse_staging.withdrawn_dates is
'Dates that were published and are pending again, because a row with effect on them changed. A date leaves the '
'table when it is published.';
comment on column warehouse_staging.withdrawn_dates.reason is
'What changed: a table, or the meters that are held back.';
alter table warehouse_staging.withdrawn_dates enable row level security;
alter table warehouse_staging.withdrawn_dates force row level security;
create policy "Only the pipeline sees its own records" on warehouse_staging.withdrawn_dates
to myproperty_etl using (true) with check (true);
create trigger move_version before update on warehouse_staging.withdrawn_dates
for each row execute function myproperty.move_version();

-- Which verdicts of a date are the last: `gates --failed` asks by gate, table and range.
-- squawk-ignore require-concurrent-index-creation
create index gate_results_failed on warehouse_staging.gate_results (gate, table_name, checked_at)
where not passed;

grant select, insert, update on warehouse_staging.pipeline_runs to myproperty_etl;
grant select, insert, delete on warehouse_staging.withdrawn_dates to myproperty_etl;

reset role;
