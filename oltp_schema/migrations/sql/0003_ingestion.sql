-- The ingestion ledger, invalid files and quarantined readings, and the records of the pipeline itself.

set local role myproperty_owner;


-- ---------------------------------------------------------------------------------------------------------
-- Ingestion ledger: the audit of loads, because row triggers do not see the rows of an attached table
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.ingestion_jobs (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null references myproperty.tenants (id) on delete restrict,
    source_uri text not null,
    content_hash text not null
        constraint content_hash_is_sha256_in_hex check (content_hash ~ '^[0-9a-f]{64}$'),
    format text,
    status text not null constraint job_status_is_known check (status in ('loaded', 'refused')),
    source_version timestamptz,
    accepted bigint not null default 0,
    unchanged bigint not null default 0,
    new_versions bigint not null default 0,
    quarantined bigint not null default 0,
    energy_in_kwh numeric,
    energy_accepted_kwh numeric,
    energy_quarantined_kwh numeric,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    mapping jsonb constraint mapping_is_an_object check (jsonb_typeof(mapping) = 'object'),
    superseded bigint not null default 0 constraint superseded_is_not_negative check (superseded >= 0),
    unique (tenant_id, id),
    constraint counts_are_not_negative
        check (least(accepted, unchanged, new_versions, quarantined) >= 0)
);
create unique index ingestion_jobs_load_content_once on myproperty.ingestion_jobs (tenant_id, content_hash)
where status = 'loaded';
comment on table myproperty.ingestion_jobs is 'One row for each received file; the same content is loaded once.';
comment on column myproperty.ingestion_jobs.source_uri is 'Where the file came from.';
comment on column myproperty.ingestion_jobs.content_hash is
'SHA-256 of the file, or of file and mapping where there is a mapping.';
comment on column myproperty.ingestion_jobs.source_version is
'The newest version that the sender gave to a value in the file.';
comment on column myproperty.ingestion_jobs.accepted is 'Number of readings for intervals that had no reading.';
comment on column myproperty.ingestion_jobs.unchanged is
'Number of readings that were stored already, with the same value.';
comment on column myproperty.ingestion_jobs.new_versions is 'Number of readings that replaced an older value.';
comment on column myproperty.ingestion_jobs.quarantined is 'Number of readings that broke a rule.';
comment on column myproperty.ingestion_jobs.energy_in_kwh is 'Energy in the file: accepted and quarantined together.';
comment on column myproperty.ingestion_jobs.mapping is
'The mapping with which the file was read; NULL if it needed none.';
comment on column myproperty.ingestion_jobs.superseded is
'Number of readings that arrived after a better reading of another file, and went to the history.';
select myproperty.protect_tenant_table('myproperty.ingestion_jobs');
create trigger move_version before update on myproperty.ingestion_jobs
for each row execute function myproperty.move_version();
select myproperty.log_actions_of('myproperty.ingestion_jobs', 'update or delete');

create table myproperty.ingestion_job_dates (
    tenant_id uuid not null,
    ingestion_job_id uuid not null,
    reading_date date not null,
    readings bigint not null constraint readings_are_not_negative check (readings >= 0),
    touched_at timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    primary key (tenant_id, ingestion_job_id, reading_date),
    foreign key (tenant_id, ingestion_job_id)
        references myproperty.ingestion_jobs (tenant_id, id) on delete restrict
);
create index ingestion_job_dates_touched on myproperty.ingestion_job_dates (reading_date, touched_at);
comment on table myproperty.ingestion_job_dates is
'The reading dates that a job changed; the pipeline builds them again.';
comment on column myproperty.ingestion_job_dates.readings is 'Number of readings of the date that the job changed.';
comment on column myproperty.ingestion_job_dates.touched_at is
'If later than published_at, the marts of the date are built again.';
select myproperty.protect_tenant_table('myproperty.ingestion_job_dates');
create trigger move_version before update on myproperty.ingestion_job_dates
for each row execute function myproperty.move_version();
select myproperty.log_actions_of(
    'myproperty.ingestion_job_dates', 'update or delete', '{ingestion_job_id,reading_date}'
);

create function myproperty.lock_ledger() returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    lock table myproperty.ingestion_jobs, myproperty.meters in share row exclusive mode;
$$;
comment on function myproperty.lock_ledger is
'Locks the ledger until the end of the transaction. A transaction that will attach a partition calls it before '
'its first write to the ledger: ATTACH takes this lock for its foreign keys, and two transactions that had both '
'written would deadlock.';


-- ---------------------------------------------------------------------------------------------------------
-- Invalid: files that cannot be read. Quarantine: readings that were read but broke a rule
-- ---------------------------------------------------------------------------------------------------------

create table warehouse_staging.invalid_files (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null references myproperty.tenants (id) on delete restrict,
    source_uri text not null,
    content_hash text constraint content_hash_is_sha256_in_hex check (content_hash ~ '^[0-9a-f]{64}$'),
    format text,
    rule text not null,
    line bigint,
    message text not null,
    remedy text not null,
    received_at timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1
);
create index invalid_files_of_tenant on warehouse_staging.invalid_files (tenant_id, received_at);
comment on table warehouse_staging.invalid_files is
'Files that were refused as a whole: the broken rule, its line, and the remedy.';
select myproperty.protect_tenant_table('warehouse_staging.invalid_files');
create trigger move_version before update on warehouse_staging.invalid_files
for each row execute function myproperty.move_version();
select myproperty.log_actions_of('warehouse_staging.invalid_files', 'update or delete');

create table warehouse_staging.quarantined_readings (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    ingestion_job_id uuid not null,
    source_uri text not null,
    line bigint,
    rule text not null,
    severity text not null,
    reason text not null,
    raw_text text,
    identifier text,
    register text,
    reading_ts timestamptz,
    value_native numeric,
    unit text,
    status text not null default 'open'
        constraint quarantine_status_is_known check (status in ('open', 'replayed', 'resolved')),
    resolved_by text,
    resolved_at timestamptz,
    resolution_note text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    foreign key (tenant_id, ingestion_job_id)
        references myproperty.ingestion_jobs (tenant_id, id) on delete restrict,
    constraint closed_quarantine_says_when check ((status = 'open') = (resolved_at is null)),
    constraint resolved_quarantine_says_who_and_why
        check (status <> 'resolved' or (resolved_by is not null and resolution_note is not null))
);
create index quarantined_readings_open on warehouse_staging.quarantined_readings (tenant_id, rule)
where status = 'open';
create index quarantined_readings_of_job
on warehouse_staging.quarantined_readings (tenant_id, ingestion_job_id);
comment on table warehouse_staging.quarantined_readings is
'Rows that broke a rule, as they were in the file, until they are replayed or resolved. No row is deleted.';
select myproperty.protect_tenant_table('warehouse_staging.quarantined_readings');
create trigger move_version before update on warehouse_staging.quarantined_readings
for each row execute function myproperty.move_version();
select myproperty.log_actions_of('warehouse_staging.quarantined_readings', 'update or delete');


-- ---------------------------------------------------------------------------------------------------------
-- Records of the pipeline itself: the only tables without a tenant
-- ---------------------------------------------------------------------------------------------------------

create table warehouse_staging.published_dates (
    reading_date date primary key,
    published_at timestamptz not null default clock_timestamp(),
    run_id text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1
);
comment on table warehouse_staging.published_dates is
'When the marts of a reading date were last built; a date that changed later is pending.';
alter table warehouse_staging.published_dates enable row level security;
alter table warehouse_staging.published_dates force row level security;
create policy "Only the pipeline sees its own records" on warehouse_staging.published_dates
to myproperty_etl using (true) with check (true);
create trigger move_version before update on warehouse_staging.published_dates
for each row execute function myproperty.move_version();

create table warehouse_staging.gate_results (
    id uuid primary key default uuidv7(),
    gate text not null constraint gate_is_known check (gate in ('A', 'B', 'C', 'D')),
    table_name text not null,
    reading_date_from date,
    reading_date_to date,
    run_id text not null,
    passed boolean not null,
    expectations integer not null constraint expectations_are_not_negative check (expectations >= 0),
    failed jsonb not null default '[]'
        constraint failed_is_a_list check (jsonb_typeof(failed) = 'array'),
    checked_at timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1
);
create index gate_results_latest on warehouse_staging.gate_results (gate, table_name, checked_at desc);
comment on table warehouse_staging.gate_results is
'The verdict of a gate on a table and a half-open range of dates, with the broken rules.';
alter table warehouse_staging.gate_results enable row level security;
alter table warehouse_staging.gate_results force row level security;
create policy "Only the pipeline sees its own records" on warehouse_staging.gate_results
to myproperty_etl using (true) with check (true);
create trigger move_version before update on warehouse_staging.gate_results
for each row execute function myproperty.move_version();

create table warehouse_staging.archived_dates (
    reading_date date primary key,
    readings bigint not null constraint an_archived_date_has_readings check (readings > 0),
    url text not null,
    checksum bigint not null,
    archived_at timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1
);
comment on table warehouse_staging.archived_dates is
'Reading dates whose current readings are in a file instead of a partition. Such a date accepts no load until it '
'is restored.';
comment on column warehouse_staging.archived_dates.checksum is
'The first 32 bits of the MD5 of each row, summed; the gates compute it in the same way.';
alter table warehouse_staging.archived_dates enable row level security;
alter table warehouse_staging.archived_dates force row level security;
create policy "Only the pipeline sees its own records" on warehouse_staging.archived_dates
to myproperty_loader, myproperty_etl using (true);
create trigger move_version before update on warehouse_staging.archived_dates
for each row execute function myproperty.move_version();


-- ---------------------------------------------------------------------------------------------------------
-- Grants
-- ---------------------------------------------------------------------------------------------------------

grant select on myproperty.ingestion_jobs, myproperty.ingestion_job_dates
to myproperty_app, myproperty_etl, myproperty_readonly, myproperty_auditor;
grant select, insert, update on myproperty.ingestion_jobs, myproperty.ingestion_job_dates to myproperty_loader;

grant select, insert on warehouse_staging.invalid_files to myproperty_loader;
grant select, insert, update on warehouse_staging.quarantined_readings to myproperty_loader;
grant select on warehouse_staging.invalid_files, warehouse_staging.quarantined_readings to
    myproperty_app, myproperty_etl, myproperty_readonly, myproperty_auditor;
grant update (status, resolved_by, resolved_at, resolution_note, version)
on warehouse_staging.quarantined_readings to myproperty_app;

grant select, insert, update, delete on warehouse_staging.published_dates to myproperty_etl;
grant select, insert on warehouse_staging.gate_results to myproperty_etl;
grant select on warehouse_staging.archived_dates to myproperty_loader, myproperty_etl;
grant select, insert, delete on warehouse_staging.archived_dates to myproperty_partitioner;

-- ATTACH needs these rights to create and check the foreign keys.
grant select, references on myproperty.ingestion_jobs to myproperty_partitioner;
-- Locking a row against deletion needs the right to update one of its columns.
grant update (version) on myproperty.ingestion_jobs to myproperty_partitioner;
-- These tables say whether the marts of a date are up to date.
grant select on myproperty.ingestion_job_dates, warehouse_staging.published_dates to myproperty_partitioner;

revoke execute on function myproperty.lock_ledger() from public;
grant execute on function myproperty.lock_ledger() to myproperty_loader;

reset role;
