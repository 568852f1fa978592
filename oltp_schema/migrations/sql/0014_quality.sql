-- What is known of the quality of each tenant's dates and of each run, on its way to the warehouse.

set local role myproperty_owner;

create table warehouse_staging.quality_days (
    tenant_id uuid not null,
    tenant_name text not null,
    reading_date date not null,
    readings integer,
    estimated_readings integer,
    energy_kwh numeric(20, 9),
    open_infos integer not null default 0,
    open_issues integer not null default 0,
    open_severe_issues integer not null default 0,
    accepted_issues integer not null default 0,
    quarantined_readings integer not null default 0,
    open_quarantined_readings integer not null default 0,
    files integer not null default 0,
    refused_files integer not null default 0,
    first_loaded_at timestamptz,
    silent_formats integer not null default 0,
    landed_at timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    primary key (tenant_id, reading_date)
);
comment on table warehouse_staging.quality_days is
'The quality of the data of a tenant on a reading date: counted from the operational tables, for the warehouse.';
comment on column warehouse_staging.quality_days.readings is
'Current readings of the date. NULL: the date was archived before it was counted.';
comment on column warehouse_staging.quality_days.energy_kwh is
'Energy of all channels together: it shows a change, not a use.';
comment on column warehouse_staging.quality_days.quarantined_readings is
'Rows that were ever quarantined, by the local date of their time; without a date of the tenant, on its nearest date.';
comment on column warehouse_staging.quality_days.files is
'Loaded files that changed readings of the date.';
comment on column warehouse_staging.quality_days.refused_files is
'Files that were refused on this UTC date.';
comment on column warehouse_staging.quality_days.silent_formats is
'Formats of which a file was expected for the date and none came, by the rule A-READINGS-013.';
comment on column warehouse_staging.quality_days.landed_at is 'When the row last changed.';
select myproperty.protect_tenant_table('warehouse_staging.quality_days');
create trigger move_version before update on warehouse_staging.quality_days
for each row execute function myproperty.move_version();

create table warehouse_staging.quality_runs (
    run_id text primary key,
    job text not null,
    launcher text not null,
    reading_date_from date,
    reading_date_to date,
    status text not null,
    requested_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,
    retries integer not null,
    steps integer not null,
    slowest_step text,
    slowest_step_seconds numeric(20, 9),
    gates_passed integer not null default 0,
    gates_warned integer not null default 0,
    gates_failed integer not null default 0,
    broken_rules text,
    judged_rows numeric(20, 9) not null default 0,
    gate_seconds numeric(20, 9) not null default 0,
    landed_at timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1
);
comment on table warehouse_staging.quality_runs is
'The finished runs of Dagster with the verdicts of their gates, for the warehouse. Without names and texts of errors.';
comment on column warehouse_staging.quality_runs.launcher is 'schedule, sensor or person.';
comment on column warehouse_staging.quality_runs.reading_date_to is
'The range of reading dates is half-open. NULL: the job has no reading dates.';
comment on column warehouse_staging.quality_runs.steps is 'Steps that succeeded.';
comment on column warehouse_staging.quality_runs.gates_warned is
'Verdicts that passed with broken rules that only warn; gates_passed counts them too.';
comment on column warehouse_staging.quality_runs.broken_rules is
'What failed the run, with commas between: ids of rules and tests, and STEP with a step that crashed. NULL: nothing.';
comment on column warehouse_staging.quality_runs.landed_at is 'When the row last changed.';
alter table warehouse_staging.quality_runs enable row level security;
alter table warehouse_staging.quality_runs force row level security;
create policy "Only the pipeline sees its own records" on warehouse_staging.quality_runs
to myproperty_etl using (true) with check (true);
create trigger move_version before update on warehouse_staging.quality_runs
for each row execute function myproperty.move_version();

-- The verdicts of a run are counted. Only gates write this table.
-- squawk-ignore require-concurrent-index-creation
create index gate_results_of_run on warehouse_staging.gate_results (run_id);

grant select, insert, update, delete on warehouse_staging.quality_days to myproperty_etl;
grant select, insert, update on warehouse_staging.quality_runs to myproperty_etl;

reset role;
