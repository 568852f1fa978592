-- Files and readings that were turned away, the landing tables on the way to the warehouse, and what the
-- pipeline writes about itself.


-- ---------------------------------------------------------------------------------------------------------
-- Schema
-- ---------------------------------------------------------------------------------------------------------

create schema warehouse_staging authorization myproperty_owner;
comment on schema warehouse_staging is 'What is between the OLTP tables and the warehouse.';

set local role myproperty_owner;

grant usage on schema warehouse_staging to
    myproperty_app, myproperty_loader, myproperty_etl, myproperty_readonly, myproperty_auditor;
grant usage, create on schema warehouse_staging to myproperty_partitioner;


-- ---------------------------------------------------------------------------------------------------------
-- Invalid: files that cannot be read. Quarantine: readings that were read, and are wrong
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
comment on table warehouse_staging.invalid_files is 'Files refused whole: which rule, in which line, what to do.';

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
'Rows that broke a rule, as they stood in the file: to be replayed or resolved, never lost.';


-- ---------------------------------------------------------------------------------------------------------
-- Landing: rows as the OLTP tables had them when they were taken over
-- No keys and no checks here: whether a landed batch is whole and right is for the gate to say.
-- ---------------------------------------------------------------------------------------------------------

create table warehouse_staging.tenants (
    id uuid not null,
    tenant_id uuid not null,
    name text,
    region text,
    status text,
    metadata jsonb,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.properties (
    id uuid not null,
    tenant_id uuid not null,
    name text,
    address jsonb,
    timezone text,
    utility_account_number text,
    solar_capacity_kw numeric(12, 3),
    status text,
    metadata jsonb,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.units (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    label text,
    floor text,
    sq_ft numeric(10, 2),
    active boolean,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.meters (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    type text,
    make_model text,
    serial_number text,
    timezone text,
    status text,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.meter_registers (
    id uuid not null,
    tenant_id uuid not null,
    meter_id uuid,
    identifier text,
    register text,
    channel text,
    unit text,
    interval_seconds integer,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.meter_assignments (
    id uuid not null,
    tenant_id uuid not null,
    meter_id uuid,
    unit_id uuid,
    assigned_from date,
    assigned_to date,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);
comment on column warehouse_staging.meter_assignments.assigned_to is 'The first day no longer served; NULL if open.';

create table warehouse_staging.meter_readings (
    id uuid not null,
    tenant_id uuid not null,
    meter_id uuid,
    channel text,
    reading_ts timestamptz,
    reading_date date not null,
    interval_seconds integer,
    value_native numeric(20, 9),
    unit text,
    value_kwh numeric(20, 9),
    quality text,
    quality_method text,
    reason_code text,
    is_estimated boolean,
    source text,
    source_version timestamptz,
    ingestion_job_id uuid,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
) partition by list (reading_date);
comment on table warehouse_staging.meter_readings is
'Readings taken over for the warehouse. Query it with a constant reading_date, never without.';

create function warehouse_staging.ensure_readings_partition(reading_date date) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    name constant text := myproperty.readings_partition_name(reading_date);
    target constant text := format('warehouse_staging.%I', name);
begin
    perform pg_advisory_xact_lock(7306, reading_date - date '2000-01-01');
    if to_regclass(target) is null then
        -- A table apart and ATTACH: PARTITION OF would lock out the readers of all other dates.
        execute format('create table %s (like warehouse_staging.meter_readings including defaults)', target);
        perform myproperty.protect_tenant_table(target::regclass);
        execute format('alter table warehouse_staging.meter_readings attach partition %s for values in (%L)',
                       target, reading_date);
    end if;
    return target;
end;
$$;
comment on function warehouse_staging.ensure_readings_partition is
'The name of the landing partition of a date, which is made empty if it is not there.';


-- ---------------------------------------------------------------------------------------------------------
-- What the pipeline writes about itself: of the system, so the only tables without a tenant
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
'When the marts of a reading date were last built; a date touched later is pending.';

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
'The verdict of a gate on a table and half-open range of dates, with the rules that were broken.';


-- ---------------------------------------------------------------------------------------------------------
-- Row-level security and versions
-- ---------------------------------------------------------------------------------------------------------

select myproperty.protect_tenant_table('warehouse_staging.invalid_files');
select myproperty.protect_tenant_table('warehouse_staging.quarantined_readings');
select myproperty.protect_tenant_table('warehouse_staging.tenants');
select myproperty.protect_tenant_table('warehouse_staging.properties');
select myproperty.protect_tenant_table('warehouse_staging.units');
select myproperty.protect_tenant_table('warehouse_staging.meters');
select myproperty.protect_tenant_table('warehouse_staging.meter_registers');
select myproperty.protect_tenant_table('warehouse_staging.meter_assignments');
select myproperty.protect_tenant_table('warehouse_staging.meter_readings');

alter table warehouse_staging.published_dates enable row level security;
alter table warehouse_staging.published_dates force row level security;
create policy "Only the pipeline sees its own records" on warehouse_staging.published_dates
to myproperty_etl using (true) with check (true);

alter table warehouse_staging.gate_results enable row level security;
alter table warehouse_staging.gate_results force row level security;
create policy "Only the pipeline sees its own records" on warehouse_staging.gate_results
to myproperty_etl using (true) with check (true);

create trigger move_version before update on warehouse_staging.invalid_files
for each row execute function myproperty.move_version();
create trigger move_version before update on warehouse_staging.quarantined_readings
for each row execute function myproperty.move_version();
create trigger move_version before update on warehouse_staging.published_dates
for each row execute function myproperty.move_version();
create trigger move_version before update on warehouse_staging.gate_results
for each row execute function myproperty.move_version();


-- ---------------------------------------------------------------------------------------------------------
-- Grants
-- ---------------------------------------------------------------------------------------------------------

grant select, insert, update, delete, truncate on
    warehouse_staging.tenants, warehouse_staging.properties, warehouse_staging.units,
    warehouse_staging.meters, warehouse_staging.meter_registers, warehouse_staging.meter_assignments
to myproperty_etl;
-- No truncate: it would empty every date.
grant select, insert, update, delete on warehouse_staging.meter_readings to myproperty_etl;
grant select, insert, update, delete on warehouse_staging.published_dates to myproperty_etl;
grant select, insert on warehouse_staging.gate_results to myproperty_etl;

grant select, insert on warehouse_staging.invalid_files to myproperty_loader;
grant select, insert, update on warehouse_staging.quarantined_readings to myproperty_loader;
grant select on warehouse_staging.invalid_files, warehouse_staging.quarantined_readings to
    myproperty_app, myproperty_etl, myproperty_readonly, myproperty_auditor;
grant update (status, resolved_by, resolved_at, resolution_note, version)
on warehouse_staging.quarantined_readings to myproperty_app;

revoke execute on all functions in schema warehouse_staging from public;
grant execute on function warehouse_staging.ensure_readings_partition(date) to myproperty_etl;

reset role;
alter table warehouse_staging.meter_readings owner to myproperty_partitioner;
alter function warehouse_staging.ensure_readings_partition(date) owner to myproperty_partitioner;
