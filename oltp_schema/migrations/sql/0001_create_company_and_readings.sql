-- Tenants, what they own, the ledger of ingestion, and readings in daily partitions.
-- The roles exist already (oltp_schema/roles.py makes them before any revision runs).


-- ---------------------------------------------------------------------------------------------------------
-- Schema
-- ---------------------------------------------------------------------------------------------------------

-- uuid equality inside WITHOUT OVERLAPS.
create extension if not exists btree_gist with schema public;

create schema myproperty authorization myproperty_owner;
comment on schema myproperty is 'What a tenant owns, and the readings of its meters.';

set local role myproperty_owner;

grant usage on schema myproperty to
    myproperty_app, myproperty_loader, myproperty_etl, myproperty_readonly, myproperty_auditor;
grant usage, create on schema myproperty to myproperty_partitioner;


-- ---------------------------------------------------------------------------------------------------------
-- What every table shares: a tenant's policy, and a version that an update has to know
-- ---------------------------------------------------------------------------------------------------------

create function myproperty.protect_tenant_table(target regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    -- The sub-select makes the setting be read once a statement, not once a row. No tenant, or the empty
    -- string that a finished transaction leaves behind, equals nothing: nobody sees a row.
    execute format(
        'create policy "A tenant sees only its own rows" on %s '
        'using (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid)) '
        'with check (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))',
        target
    );
end;
$$;
comment on function myproperty.protect_tenant_table is
'Enables and forces row-level security on a table with a tenant_id, and gives it the policy of tenants.';

create function myproperty.move_version() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.version is distinct from old.version then
        raise exception 'stale version of %.%: the row is at version %, the update was made for version %',
            tg_table_schema, tg_table_name, old.version, new.version
            using errcode = 'MP001',
                  hint = 'Send the version that was read, or none; after this error read the row again.';
    end if;
    new.version := old.version + 1;
    new.updated_at := now();
    return new;
end;
$$;
comment on function myproperty.move_version is
'On update: refuses the version of an older read (SQLSTATE MP001), and moves version and updated_at.';

create function myproperty.refuse_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception '%.% is history: a row is never changed or deleted', tg_table_schema, tg_table_name
        using errcode = 'MP002', hint = 'Load a correction: it becomes a new version.';
end;
$$;

-- Letters only outside of Etc/: PostgreSQL reads any other name with a digit as a POSIX rule and accepts it.
create function myproperty.is_timezone(name text) returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if name !~ '^(UTC|Etc/(UTC|GMT([+-][0-9]{1,2})?)|(US|[A-Z][a-z]+)(/[A-Z][A-Za-z]*([_-][A-Za-z]+)*){1,2})$' then
        return false;
    end if;
    perform timezone(name, 'epoch'::timestamptz);
    return true;
exception
    when invalid_parameter_value then
        return false;
end;
$$;


-- ---------------------------------------------------------------------------------------------------------
-- Tenants
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.tenants (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null generated always as (id) stored unique,
    name text not null unique constraint tenant_has_a_name check (name <> ''),
    region text not null constraint region_is_iso_3166_alpha_2 check (region ~ '^[A-Z]{2}$'),
    status text not null default 'active'
        constraint tenant_status_is_known check (status in ('active', 'suspended')),
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1
);
comment on table myproperty.tenants is 'A customer of the platform; every other row belongs to one.';
comment on column myproperty.tenants.tenant_id is 'The id again, so that one policy fits every table.';


-- ---------------------------------------------------------------------------------------------------------
-- Properties and units
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.properties (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null references myproperty.tenants (id) on delete restrict,
    name text not null constraint property_has_a_name check (name <> ''),
    address jsonb not null default '{}',
    timezone text not null constraint timezone_is_an_iana_name check (myproperty.is_timezone(timezone)),
    utility_account_number text,
    solar_capacity_kw numeric(12, 3)
        constraint solar_capacity_is_not_negative check (solar_capacity_kw >= 0),
    status text not null default 'active'
        constraint property_status_is_known check (status in ('active', 'inactive')),
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id)
);
comment on table myproperty.properties is 'A building or site of a tenant.';

create table myproperty.units (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    label text not null constraint unit_has_a_label check (label <> ''),
    floor text,
    sq_ft numeric(10, 2) constraint sq_ft_is_positive check (sq_ft > 0),
    active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    unique (tenant_id, property_id, label),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict
);
comment on table myproperty.units is 'A part of a property that is let or metered by itself.';


-- ---------------------------------------------------------------------------------------------------------
-- Meters, their registers and the units they serve
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.meters (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    type text not null
        constraint meter_type_is_known check (type in ('solar', 'grid', 'water', 'gas')),
    make_model text,
    serial_number text not null constraint meter_has_a_serial_number check (serial_number <> ''),
    timezone text not null constraint timezone_is_an_iana_name check (myproperty.is_timezone(timezone)),
    status text not null default 'active'
        constraint meter_status_is_known check (status in ('active', 'retired')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    unique (tenant_id, serial_number),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict
);
create index meters_of_property on myproperty.meters (tenant_id, property_id);
comment on table myproperty.meters is 'A device that measures; its timezone decides the reading date.';

create table myproperty.meter_registers (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    meter_id uuid not null,
    identifier text not null constraint register_has_an_identifier check (identifier <> ''),
    register text not null,
    channel text not null
        constraint channel_is_known check (channel in (
            'import', 'export', 'generation', 'consumption',
            'reactive_import', 'reactive_export', 'voltage', 'other'
        )),
    unit text,
    interval_seconds integer
        constraint interval_is_within_a_day check (interval_seconds between 1 and 90000),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, identifier, register),
    unique (tenant_id, meter_id, channel),
    foreign key (tenant_id, meter_id) references myproperty.meters (tenant_id, id) on delete restrict
);
comment on table myproperty.meter_registers is
'Which meter and channel a file means by its identifier (NMI, usage point, metering point) and register.';
comment on column myproperty.meter_registers.unit is 'The unit that files must use; NULL accepts any.';
comment on column myproperty.meter_registers.interval_seconds is
'The interval length that files must use; NULL accepts any.';

create table myproperty.meter_assignments (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    meter_id uuid not null,
    unit_id uuid not null,
    assigned_during daterange not null
        constraint assignment_has_a_first_day check (not lower_inf(assigned_during)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    constraint meter_serves_one_unit_at_a_time
        unique (tenant_id, meter_id, assigned_during without overlaps),
    foreign key (tenant_id, meter_id) references myproperty.meters (tenant_id, id) on delete restrict,
    foreign key (tenant_id, unit_id) references myproperty.units (tenant_id, id) on delete restrict
);
create index meter_assignments_of_unit on myproperty.meter_assignments (tenant_id, unit_id);
comment on table myproperty.meter_assignments is 'The unit that a meter serves, by date; half-open ranges.';


-- ---------------------------------------------------------------------------------------------------------
-- Ledger of ingestion: the audit of loads, as row triggers do not see a table that is attached
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
    unique (tenant_id, id),
    constraint counts_are_not_negative
        check (least(accepted, unchanged, new_versions, quarantined) >= 0)
);
create unique index ingestion_jobs_load_content_once on myproperty.ingestion_jobs (tenant_id, content_hash)
where status = 'loaded';
comment on table myproperty.ingestion_jobs is 'One row a file received; the same content is loaded once.';

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
'The reading dates that a job changed: what the pipeline has to build again.';


-- ---------------------------------------------------------------------------------------------------------
-- Readings
-- ---------------------------------------------------------------------------------------------------------

-- No index beside the key: it serves (tenant, meter, time) too, and a second one costs twice the load.
create table myproperty.meter_readings (
    id uuid not null default uuidv7(),
    tenant_id uuid not null,
    meter_id uuid not null,
    channel text not null,
    reading_ts timestamptz not null,
    reading_date date not null,
    interval_seconds integer not null,
    value_native numeric(20, 9),
    unit text not null,
    value_kwh numeric(20, 9),
    quality text not null,
    quality_method text,
    reason_code text,
    is_estimated boolean not null,
    source text not null,
    source_version timestamptz not null,
    ingestion_job_id uuid not null,
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, meter_id, channel, reading_ts, reading_date),
    foreign key (tenant_id, meter_id) references myproperty.meters (tenant_id, id) on delete restrict,
    foreign key (tenant_id, ingestion_job_id)
        references myproperty.ingestion_jobs (tenant_id, id) on delete restrict,
    constraint channel_is_known check (channel in (
        'import', 'export', 'generation', 'consumption',
        'reactive_import', 'reactive_export', 'voltage', 'other'
    )),
    constraint quality_is_known check (quality in ('actual', 'edited', 'estimated', 'null')),
    constraint null_quality_means_no_value check ((quality = 'null') = (value_native is null)),
    constraint value_kwh_is_for_energy_alone
        check ((value_kwh is null) = (value_native is null or unit not in ('Wh', 'kWh', 'MWh'))),
    constraint one_way_energy_is_not_negative
        check (value_native >= 0 or channel not in ('import', 'export', 'generation', 'consumption')),
    constraint interval_is_within_a_day check (interval_seconds between 1 and 90000),
    -- Local dates lead and trail UTC by at most a day: further off is a wrong partition.
    constraint reading_date_is_local_to_reading_ts
        check (abs(reading_date - (reading_ts at time zone 'UTC')::date) <= 1)
) partition by list (reading_date);
comment on table myproperty.meter_readings is
'The current reading of a meter, channel and interval. Query it with a constant reading_date, never without.';
comment on column myproperty.meter_readings.reading_ts is 'Start of the interval.';
comment on column myproperty.meter_readings.reading_date is 'Local date of reading_ts at the meter.';
comment on column myproperty.meter_readings.value_kwh is 'Energy; NULL for what is not energy or not there.';
comment on column myproperty.meter_readings.quality is 'Ranked actual > edited > estimated > null.';
comment on column myproperty.meter_readings.source_version is
'When the source says it made this value: of one rank the newer wins, whatever arrived first.';

create table myproperty.meter_reading_versions (
    id uuid not null,
    tenant_id uuid not null,
    meter_id uuid not null,
    channel text not null,
    reading_ts timestamptz not null,
    reading_date date not null,
    interval_seconds integer not null,
    value_native numeric(20, 9),
    unit text not null,
    value_kwh numeric(20, 9),
    quality text not null,
    quality_method text,
    reason_code text,
    is_estimated boolean not null,
    source text not null,
    source_version timestamptz not null,
    ingestion_job_id uuid not null,
    version integer not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    replaced_at timestamptz not null default now(),
    replaced_by_job_id uuid not null,
    primary key (tenant_id, meter_id, channel, reading_ts, reading_date, version),
    foreign key (tenant_id, meter_id) references myproperty.meters (tenant_id, id) on delete restrict,
    foreign key (tenant_id, ingestion_job_id)
        references myproperty.ingestion_jobs (tenant_id, id) on delete restrict,
    foreign key (tenant_id, replaced_by_job_id)
        references myproperty.ingestion_jobs (tenant_id, id) on delete restrict
);
create index meter_reading_versions_of_date on myproperty.meter_reading_versions (reading_date);
comment on table myproperty.meter_reading_versions is 'Readings as they were before a newer one replaced them.';


-- ---------------------------------------------------------------------------------------------------------
-- Partitions of readings: made when a date is loaded, never in advance, and without a default
-- ---------------------------------------------------------------------------------------------------------

create function myproperty.readings_partition_name(reading_date date) returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if reading_date is null or reading_date not between date '1990-01-01' and date '2099-12-31' then
        raise exception 'no partition of readings for %: dates run from 1990-01-01 to 2099-12-31',
            coalesce(reading_date::text, 'NULL')
            using errcode = 'MP003', hint = 'Put readings of other dates into quarantine.';
    end if;
    return 'meter_readings_' || to_char(reading_date, 'YYYYMMDD');
end;
$$;

create function myproperty.is_partition(target regclass) returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
return (select c.relispartition from pg_class as c where c.oid = target);

-- Two loads of one date: the second waits here for the end of the first, then finds its partition.
create function myproperty.begin_readings_partition(reading_date date) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    name constant text := myproperty.readings_partition_name(reading_date);
    target constant text := format('myproperty.%I', name);
begin
    perform pg_advisory_xact_lock(7305, reading_date - date '2000-01-01');
    if to_regclass(target) is not null then
        if myproperty.is_partition(to_regclass(target)) then
            return null;
        end if;
        raise exception '% is begun and not attached', target
            using errcode = 'MP004',
                  hint = 'Fill it and call myproperty.attach_readings_partition with its date.';
    end if;
    execute format('create table %s (like myproperty.meter_readings including defaults including constraints)',
                   target);
    -- Spares ATTACH the scan that would prove it.
    execute format('alter table %s add constraint of_one_date check (reading_date = %L)', target, reading_date);
    perform myproperty.protect_tenant_table(target::regclass);
    execute format('grant select, insert on %s to myproperty_loader', target);
    return target;
end;
$$;
comment on function myproperty.begin_readings_partition is
'Makes the table of a date apart, for the loader to fill; NULL if the date has its partition already.';

create function myproperty.lock_ledger() returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    lock table myproperty.ingestion_jobs, myproperty.meters in share row exclusive mode;
$$;
comment on function myproperty.lock_ledger is
'Taken to the end of the transaction before its first write to the ledger, if it will attach a partition: '
'ATTACH takes this lock for its foreign keys, and two transactions that had both written would deadlock.';

create function myproperty.attach_readings_partition(reading_date date) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    name constant text := myproperty.readings_partition_name(reading_date);
    target constant text := format('myproperty.%I', name);
begin
    if to_regclass(target) is null or myproperty.is_partition(to_regclass(target)) then
        raise exception 'there is no table apart of % to attach', reading_date
            using errcode = 'MP004', hint = 'Call myproperty.begin_readings_partition first.';
    end if;
    execute format('revoke all on %s from myproperty_loader', target);
    execute format('alter table %s add primary key (tenant_id, meter_id, channel, reading_ts, reading_date)', target);
    execute format('alter table myproperty.meter_readings attach partition %s for values in (%L)',
                   target, reading_date);
    execute format('alter table %s drop constraint of_one_date', target);
    execute format('analyze %s', target);
end;
$$;
comment on function myproperty.attach_readings_partition is
'Gives the table of a date its key, attaches it with both foreign keys checked in bulk, and analyses it.';

create function myproperty.ensure_readings_partition(reading_date date) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if myproperty.begin_readings_partition(reading_date) is not null then
        perform myproperty.attach_readings_partition(reading_date);
    end if;
    return format('myproperty.%I', myproperty.readings_partition_name(reading_date));
end;
$$;
comment on function myproperty.ensure_readings_partition is
'The name of the partition of a date, which is made empty if it is not there.';


-- ---------------------------------------------------------------------------------------------------------
-- Row-level security and versions
-- ---------------------------------------------------------------------------------------------------------

select myproperty.protect_tenant_table('myproperty.tenants');
select myproperty.protect_tenant_table('myproperty.properties');
select myproperty.protect_tenant_table('myproperty.units');
select myproperty.protect_tenant_table('myproperty.meters');
select myproperty.protect_tenant_table('myproperty.meter_registers');
select myproperty.protect_tenant_table('myproperty.meter_assignments');
select myproperty.protect_tenant_table('myproperty.ingestion_jobs');
select myproperty.protect_tenant_table('myproperty.ingestion_job_dates');
select myproperty.protect_tenant_table('myproperty.meter_readings');
select myproperty.protect_tenant_table('myproperty.meter_reading_versions');

create trigger move_version before update on myproperty.tenants
for each row execute function myproperty.move_version();
create trigger move_version before update on myproperty.properties
for each row execute function myproperty.move_version();
create trigger move_version before update on myproperty.units
for each row execute function myproperty.move_version();
create trigger move_version before update on myproperty.meters
for each row execute function myproperty.move_version();
create trigger move_version before update on myproperty.meter_registers
for each row execute function myproperty.move_version();
create trigger move_version before update on myproperty.meter_assignments
for each row execute function myproperty.move_version();
create trigger move_version before update on myproperty.ingestion_jobs
for each row execute function myproperty.move_version();
create trigger move_version before update on myproperty.ingestion_job_dates
for each row execute function myproperty.move_version();
create trigger move_version before update on myproperty.meter_readings
for each row execute function myproperty.move_version();
create trigger refuse_change before update or delete on myproperty.meter_reading_versions
for each row execute function myproperty.refuse_change();


-- ---------------------------------------------------------------------------------------------------------
-- Grants: on tables and functions, never on a partition, which would show every tenant
-- ---------------------------------------------------------------------------------------------------------

grant select on all tables in schema myproperty to myproperty_etl, myproperty_readonly;

-- Where there is a status, a row is retired and not deleted.
grant select, update (name, metadata, version) on myproperty.tenants to myproperty_app;
grant select, insert, update on myproperty.properties, myproperty.units, myproperty.meters to myproperty_app;
grant select, insert, update, delete on myproperty.meter_registers, myproperty.meter_assignments
to myproperty_app;
grant select on
    myproperty.ingestion_jobs, myproperty.ingestion_job_dates,
    myproperty.meter_readings, myproperty.meter_reading_versions
to myproperty_app;

grant select on myproperty.tenants, myproperty.properties, myproperty.units, myproperty.meter_assignments
to myproperty_loader;
grant select, insert on myproperty.meters, myproperty.meter_registers, myproperty.meter_reading_versions
to myproperty_loader;
grant select, insert, update on
    myproperty.ingestion_jobs, myproperty.ingestion_job_dates, myproperty.meter_readings
to myproperty_loader;

grant select on
    myproperty.tenants, myproperty.ingestion_jobs, myproperty.ingestion_job_dates,
    myproperty.meter_reading_versions
to myproperty_auditor;

-- What ATTACH needs to make and check the foreign keys.
grant select, references on myproperty.meters, myproperty.ingestion_jobs to myproperty_partitioner;

-- A function is everybody's unless it is said otherwise.
revoke execute on all functions in schema myproperty from public;
grant execute on function myproperty.is_timezone(text) to public;
grant execute on function
    myproperty.readings_partition_name(date), myproperty.is_partition(regclass),
    myproperty.protect_tenant_table(regclass), myproperty.move_version()
to myproperty_partitioner;
grant execute on function
    myproperty.begin_readings_partition(date), myproperty.attach_readings_partition(date),
    myproperty.ensure_readings_partition(date), myproperty.lock_ledger()
to myproperty_loader;


-- ---------------------------------------------------------------------------------------------------------
-- The owner of partitions
-- ATTACH wants the owner of both tables, and its check of foreign keys runs as that owner: under the policies
-- it would see no tenant and fail. So a role of its own, which bypasses them and owns nothing else, owns the
-- partitioned table, and the loader reaches it through three functions alone.
-- ---------------------------------------------------------------------------------------------------------

reset role;
alter table myproperty.meter_readings owner to myproperty_partitioner;
alter function myproperty.begin_readings_partition(date) owner to myproperty_partitioner;
alter function myproperty.attach_readings_partition(date) owner to myproperty_partitioner;
alter function myproperty.ensure_readings_partition(date) owner to myproperty_partitioner;
