-- Readings in daily partitions: how they are loaded, merged, archived, restored and validated.


-- ---------------------------------------------------------------------------------------------------------
-- Names of partitions
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_owner;

create function myproperty.readings_partition_name(reading_date date) returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if reading_date is null or reading_date not between date '1990-01-01' and date '2099-12-31' then
        raise exception 'no partition of readings for %: dates must be from 1990-01-01 to 2099-12-31',
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

revoke execute on function myproperty.readings_partition_name(date), myproperty.is_partition(regclass) from public;
grant execute on function myproperty.readings_partition_name(date), myproperty.is_partition(regclass)
to myproperty_partitioner;
reset role;


-- ---------------------------------------------------------------------------------------------------------
-- Readings. ATTACH requires the owner of both tables, and checks foreign keys as that owner. The policies would
-- hide every tenant from an ordinary owner, and the check would fail. So the partitioned table belongs to a role
-- that bypasses the policies and owns nothing else. The loader reaches it through functions only.
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_partitioner;

-- No second index: the key serves (tenant, meter, time) too, and a second index would double the time of a load.
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
    -- A local date differs from the UTC date by at most a day; any other date is a wrong partition.
    constraint reading_date_is_local_to_reading_ts
        check (abs(reading_date - (reading_ts at time zone 'UTC')::date) <= 1)
) partition by list (reading_date);
comment on table myproperty.meter_readings is
'The current reading of a meter, channel and interval. Query it with a constant reading_date.';
comment on column myproperty.meter_readings.channel is 'The meaning of the series in this system.';
comment on column myproperty.meter_readings.reading_ts is 'Start of the interval.';
comment on column myproperty.meter_readings.reading_date is 'Local date of reading_ts at the meter.';
comment on column myproperty.meter_readings.value_native is
'The value in the file, in `unit`; NULL if quality is null.';
comment on column myproperty.meter_readings.value_kwh is
'Energy in kWh; NULL if the reading is not energy or has no value.';
comment on column myproperty.meter_readings.quality is 'Ranked: actual, edited, estimated, null.';
comment on column myproperty.meter_readings.quality_method is 'Quality flag and method as in the file.';
comment on column myproperty.meter_readings.reason_code is 'Why the sender changed or substituted the value.';
comment on column myproperty.meter_readings.is_estimated is 'True if quality is estimated.';
comment on column myproperty.meter_readings.source is 'The format of the file.';
comment on column myproperty.meter_readings.source_version is
'When the source made this value. Of two values of one quality the newer one is current, whichever arrived first.';

select myproperty.protect_tenant_table('myproperty.meter_readings');
create trigger move_version before update on myproperty.meter_readings
for each row execute function myproperty.move_version();
create trigger refuse_truncate before truncate on myproperty.meter_readings
for each statement execute function myproperty.refuse_unseen_change();

grant select on myproperty.meter_readings
to myproperty_app, myproperty_etl, myproperty_readonly, myproperty_guardian;
grant select, insert, update on myproperty.meter_readings to myproperty_loader;

set local role myproperty_guardian;

create function audit.log_readings() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    actor constant text := coalesce(nullif(current_setting('role'), 'none'), session_user);
    dates date[];
begin
    if actor = 'myproperty_loader' then
        insert into audit.logged_actions
            (tenant_id, schema_name, table_name, row_key, action, old_values,
             user_id, role_name, login_name, application_name)
        select
            o.tenant_id, tg_table_schema, tg_table_name,
            jsonb_build_object('readings', count(*), 'reading_dates', jsonb_agg(distinct o.reading_date)),
            lower(tg_op),
            jsonb_build_object('ingestion_job_ids', jsonb_agg(distinct o.ingestion_job_id)),
            nullif(current_setting('app.user_id', true), '')::uuid, actor,
            session_user, current_setting('application_name')
        from old_rows as o
        group by o.tenant_id;
        return null;
    end if;
    select array_agg(distinct o.reading_date) into dates from old_rows as o;
    insert into audit.logged_actions
        (tenant_id, schema_name, table_name, row_key, action, old_values, new_values,
         user_id, role_name, login_name, application_name)
    select
        o.tenant_id, tg_table_schema, tg_table_name,
        jsonb_build_object(
            'id', o.id, 'meter_id', o.meter_id, 'channel', o.channel, 'reading_ts', o.reading_ts,
            'reading_date', o.reading_date
        ),
        lower(tg_op), d.old_values, d.new_values,
        nullif(current_setting('app.user_id', true), '')::uuid, actor,
        session_user, current_setting('application_name')
    from old_rows as o
    left join myproperty.meter_readings as n
        on tg_op = 'UPDATE' and n.tenant_id = o.tenant_id and n.meter_id = o.meter_id and n.channel = o.channel
        and n.reading_ts = o.reading_ts and n.reading_date = o.reading_date and n.reading_date = any (dates)
    cross join lateral (
        select
            jsonb_object_agg(b.key, b.value) as old_values,
            case when n.id is not null then jsonb_object_agg(b.key, to_jsonb(n) -> b.key) end as new_values
        from jsonb_each(to_jsonb(o)) as b
        where b.key <> 'updated_at' and (n.id is null or b.value is distinct from to_jsonb(n) -> b.key)
    ) as d;
    return null;
end;
$$;
comment on function audit.log_readings is
'Statement trigger of readings. Logs a load with one row for each tenant: the replaced values are in '
'meter_reading_versions. Logs any other change with one row for each reading, with the changed columns before and '
'after.';

revoke execute on function audit.log_readings() from public;
grant execute on function audit.log_readings() to myproperty_owner, myproperty_partitioner;

set local role myproperty_partitioner;

create trigger log_updates after update on myproperty.meter_readings
referencing old table as old_rows
for each statement execute function audit.log_readings();
create trigger log_deletes after delete on myproperty.meter_readings
referencing old table as old_rows
for each statement execute function audit.log_readings();

-- The merge switches row triggers off. These stay on: versions move, updates are logged.
alter table myproperty.meter_readings enable always trigger move_version;
alter table myproperty.meter_readings enable always trigger log_updates;

set local role myproperty_owner;

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
comment on table myproperty.meter_reading_versions is 'Readings that a newer reading replaced, as they were.';
comment on column myproperty.meter_reading_versions.replaced_at is 'When the newer reading arrived.';
select myproperty.protect_tenant_table('myproperty.meter_reading_versions');
create trigger refuse_change before update or delete or truncate on myproperty.meter_reading_versions
for each statement execute function myproperty.refuse_change();

grant select on myproperty.meter_reading_versions
to myproperty_app, myproperty_etl, myproperty_readonly, myproperty_auditor;
grant select, insert on myproperty.meter_reading_versions to myproperty_loader, myproperty_partitioner;

reset role;


-- ---------------------------------------------------------------------------------------------------------
-- Partitions: created when a date is loaded; there is no default partition
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_partitioner;

create function myproperty.lock_readings_date(reading_date date) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    select pg_advisory_xact_lock(7305, reading_date - date '2000-01-01');
$$;

create function myproperty.create_readings_table(reading_date date) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    target constant text := format('myproperty.%I', myproperty.readings_partition_name(reading_date));
begin
    if to_regclass(target) is not null then
        if myproperty.is_partition(to_regclass(target)) then
            return null;
        end if;
        raise exception '% was created but not attached', target
            using errcode = 'MP004',
                  hint = 'Fill it, then call myproperty.attach_readings_partition with its date.';
    end if;
    execute format('create table %s (like myproperty.meter_readings including defaults including constraints)',
                   target);
    -- With this constraint ATTACH does not scan the table.
    execute format('alter table %s add constraint of_one_date check (reading_date = %L)', target, reading_date);
    perform myproperty.protect_tenant_table(target::regclass);
    execute format('grant select, insert on %s to myproperty_loader', target);
    return target;
end;
$$;
comment on function myproperty.create_readings_table is
'Creates the separate table of a date, under the lock of the caller; NULL if the date has its partition.';

-- A second load of the same date waits here for the first, then finds its partition.
create function myproperty.begin_readings_partition(reading_date date) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform myproperty.readings_partition_name(reading_date);
    perform myproperty.lock_readings_date(reading_date);
    if exists (
        select from warehouse_staging.archived_dates as a
        where a.reading_date = begin_readings_partition.reading_date
    ) then
        raise exception 'the readings of % are archived', reading_date
            using errcode = 'MP003',
                  hint = format('Quarantine the new readings, or run `myproperty partitions restore %s` first.',
                                reading_date);
    end if;
    return myproperty.create_readings_table(reading_date);
end;
$$;
comment on function myproperty.begin_readings_partition(date) is
'Creates the separate table of a date, which the loader fills; NULL if the date has its partition already.';

create function myproperty.begin_readings_partition(reading_date date, of_tenant uuid, of_job uuid) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    target constant text := myproperty.begin_readings_partition(reading_date);
begin
    if target is not null then
        execute format(
            'alter table %s alter column tenant_id set default %L, alter column ingestion_job_id set default %L',
            target, of_tenant, of_job
        );
    end if;
    return target;
end;
$$;
comment on function myproperty.begin_readings_partition(date, uuid, uuid) is
'As begin_readings_partition(date), for readings of one tenant and job: these two are the defaults of the table. '
'ATTACH checks them like any other value.';

-- Target 10 samples 3,000 rows instead of 30,000: enough for a date, because meters send similar readings, and it
-- saves a fifth of the time of a load. Automatic analysis later uses the usual sample.
create function myproperty.index_readings_partition(reading_date date) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set default_statistics_target = 10
as $$
declare
    target constant text := format('myproperty.%I', myproperty.readings_partition_name(reading_date));
begin
    if to_regclass(target) is null or myproperty.is_partition(to_regclass(target)) then
        raise exception 'there is no separate table of % to attach', reading_date
            using errcode = 'MP004', hint = 'Call myproperty.begin_readings_partition first.';
    end if;
    if exists (
        select from pg_constraint as c where c.conrelid = to_regclass(target) and c.contype = 'p'
    ) then
        return;
    end if;
    execute format('alter table %s add primary key (tenant_id, meter_id, channel, reading_ts, reading_date)', target);
    execute format('analyze %s', target);
end;
$$;
comment on function myproperty.index_readings_partition is
'Adds the primary key to the separate table of a date, and analyses the table; attach_readings_partition does it '
'if nobody has.';

create function myproperty.refuse_writes_to_partition(target regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format(
        'create trigger refuse_write before update or delete or truncate on %s '
        'for each statement execute function myproperty.refuse_unseen_change(%L)',
        target, 'Write to myproperty.meter_readings, with the reading_date.'
    );
end;
$$;
comment on function myproperty.refuse_writes_to_partition is
'Makes a partition refuse writes that name it: the statement triggers of the parent table would not run, and '
'nothing would be logged.';

create function myproperty.attach_readings_partition(reading_date date) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    name constant text := myproperty.readings_partition_name(reading_date);
    target constant text := format('myproperty.%I', name);
begin
    perform myproperty.index_readings_partition(reading_date);
    execute format('revoke all on %s from myproperty_loader', target);
    execute format('alter table myproperty.meter_readings attach partition %s for values in (%L)',
                   target, reading_date);
    execute format(
        'alter table %s drop constraint of_one_date, alter column tenant_id drop default, '
        'alter column ingestion_job_id drop default', target
    );
    perform myproperty.refuse_writes_to_partition(target);
end;
$$;
comment on function myproperty.attach_readings_partition is
'Attaches the separate table of a date, with its key, and with both foreign keys checked in bulk.';

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
'Returns the name of the partition of a date, and creates it empty if it is missing.';

create function myproperty.ensure_readings_partitions(first_date date, last_date date) returns setof text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if last_date - first_date between 0 and 365 then
        for days in 0 .. last_date - first_date loop
            return next myproperty.ensure_readings_partition(first_date + days);
        end loop;
        return;
    end if;
    raise exception 'cannot make partitions from % to %: at least one date and at most 366',
        coalesce(first_date::text, 'NULL'), coalesce(last_date::text, 'NULL')
        using errcode = 'MP004', hint = 'Both dates are included; ask for a longer range in parts.';
end;
$$;
comment on function myproperty.ensure_readings_partitions is
'Returns the names of the partitions from the first to the last date, both included, and creates the missing ones '
'empty.';

revoke execute on function
    myproperty.lock_readings_date(date), myproperty.create_readings_table(date),
    myproperty.begin_readings_partition(date), myproperty.begin_readings_partition(date, uuid, uuid),
    myproperty.index_readings_partition(date), myproperty.refuse_writes_to_partition(regclass),
    myproperty.attach_readings_partition(date), myproperty.ensure_readings_partition(date),
    myproperty.ensure_readings_partitions(date, date)
from public;
-- The loader names tenant and job. The variant without them is for the functions that create empty partitions.
grant execute on function
    myproperty.begin_readings_partition(date, uuid, uuid), myproperty.index_readings_partition(date),
    myproperty.attach_readings_partition(date), myproperty.ensure_readings_partition(date),
    myproperty.ensure_readings_partitions(date, date)
to myproperty_loader;


-- ---------------------------------------------------------------------------------------------------------
-- Merging readings of dates that have rows. References are checked for all rows at once
-- ---------------------------------------------------------------------------------------------------------

create function myproperty.begin_readings_merge() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    drop table if exists pg_temp.arriving, pg_temp.arriving_series, pg_temp.decided, pg_temp.merged_readings;
    create temporary table arriving (
        id uuid not null default uuidv7(),
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
        source_version timestamptz not null
    ) on commit drop;
    grant select, insert on pg_temp.arriving to myproperty_loader;
end;
$$;
comment on function myproperty.begin_readings_merge is
'Creates the temporary table arriving, which the loader fills with readings of dates that have their partition. '
'Tenant and job are those of the merge.';

-- The triggers of foreign keys query once for each row, which takes longer than the rest of a load. If this role has
-- the right, it switches them off while it writes readings: the references of all rows were checked at once, and the
-- referenced rows are locked, as the triggers would do. Keys, checks and triggers marked ALWAYS stay on.
create function myproperty.write_without_row_checks(statement text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    may_skip constant boolean :=
        has_parameter_privilege(current_user, 'session_replication_role', 'SET');
    role_before constant text := current_setting('session_replication_role');
begin
    if may_skip then
        perform set_config('session_replication_role', 'replica', true);
    end if;
    execute statement;
    if may_skip then
        perform set_config('session_replication_role', role_before, true);
    end if;
end;
$$;

create function myproperty.prove_job(job_id uuid) returns uuid
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    job_tenant uuid;
begin
    select j.tenant_id into job_tenant from myproperty.ingestion_jobs as j where j.id = job_id for key share;
    if job_tenant is null then
        raise exception 'there is no ingestion job %', job_id
            using errcode = 'foreign_key_violation', hint = 'Write the job to the ledger before the merge.';
    end if;
    return job_tenant;
end;
$$;

create function myproperty.prove_series(job_tenant uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    stranger uuid;
begin
    -- Locked in one order, so that two loads never deadlock.
    perform from myproperty.meters as m
    where m.tenant_id = job_tenant and m.id in (select s.meter_id from pg_temp.arriving_series as s)
    order by m.id
    for key share;
    select s.meter_id into stranger
    from pg_temp.arriving_series as s
    left join myproperty.meters as m on m.tenant_id = job_tenant and m.id = s.meter_id
    where m.id is null
    limit 1;
    if found then
        raise exception 'tenant % of the job has no meter %', job_tenant, stranger
            using errcode = 'foreign_key_violation', hint = 'Register the meter first.';
    end if;
end;
$$;

create function myproperty.merge_readings(job_id uuid, dates date[])
returns table (reading_date date, outcome text, readings bigint)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    job_tenant constant uuid := myproperty.prove_job(job_id);
    -- The columns of an arriving reading except reading_date, which each statement names.
    own_columns constant text :=
        'id, meter_id, channel, reading_ts, interval_seconds, value_native, unit, value_kwh, quality, '
        'quality_method, reason_code, is_estimated, source, source_version';
    -- The columns with one value for the whole job.
    job_columns constant text := 'tenant_id, ingestion_job_id, version, created_at, updated_at';
    of_job constant text := format('%L, %L, 1, now(), now()', job_tenant, job_id);
    -- With one date, no search for the partition of each reading is needed.
    target constant text := case
        when cardinality(dates) = 1 then format('myproperty.%I', myproperty.readings_partition_name(dates[1]))
        else 'myproperty.meter_readings'
    end;
    -- Constant dates: a statement without them opens every partition.
    current_of constant text := format(
        'c.tenant_id = %L and a.meter_id = c.meter_id and a.channel = c.channel '
        'and a.reading_ts = c.reading_ts and c.reading_date = any(%L::date[])', job_tenant, dates
    );
    history_of constant text := format(
        'h.tenant_id = %L and a.meter_id = h.meter_id and a.channel = h.channel '
        'and a.reading_ts = h.reading_ts and a.reading_date = h.reading_date', job_tenant
    );
    -- A change of method or reason alone makes no new version.
    says_the_same constant text :=
        '(a.value_native, a.unit, a.interval_seconds, a.quality) is not distinct from '
        '(%1$I.value_native, %1$I.unit, %1$I.interval_seconds, %1$I.quality)';
    -- An array of strings: in an array literal, null would become NULL.
    rank_of constant text := 'array_position(array[''actual'', ''edited'', ''estimated'', ''null''], %I.quality)';
    has_known boolean;
begin
    if (select c.relowner from pg_class as c where c.oid = to_regclass('pg_temp.arriving'))
        is distinct from current_user::regrole then
        raise exception 'job % has no table arriving created by myproperty.begin_readings_merge', job_id
            using errcode = 'MP004', hint = 'Call that function first, and fill the table.';
    end if;

    create temporary table arriving_series on commit drop as
    select a.meter_id, a.channel, a.reading_date, count(*) as readings,
        coalesce(sum(a.value_kwh), 0) as after_kwh, false as has_rows
    from pg_temp.arriving as a
    group by a.meter_id, a.channel, a.reading_date;
    perform myproperty.prove_series(job_tenant);
    if exists (select from pg_temp.arriving_series as s where s.reading_date <> all(dates)) then
        raise exception 'a reading of job % has a date that the merge does not name', job_id
            using errcode = 'MP004', hint = 'Name every date of the readings.';
    end if;

    -- A series without rows on the date needs no comparison, which is common when meters share dates.
    -- One lookup in the key for each series: a join would read all readings of the dates.
    execute format(
        'update pg_temp.arriving_series as a set has_rows = exists (
            select from myproperty.meter_readings as c
            where c.tenant_id = %L and c.meter_id = a.meter_id and c.channel = a.channel
              and c.reading_date = a.reading_date and c.reading_date = any(%L::date[])
        )', job_tenant, dates
    );
    select coalesce(bool_or(s.has_rows), false) into has_known from pg_temp.arriving_series as s;

    -- Quality rank decides first, then the version of the source. With equal rank and version the later arrival is
    -- current: a corrected file often keeps the creation time of the first file.
    execute format(
        'create temporary table decided on commit drop as
        select * from (
            select a.*, c.value_kwh as before_kwh, c.ingestion_job_id as replaced_job_id,
                case
                    when c.id is null then ''new''
                    when %2$s
                    then case when a.source_version > c.source_version then ''confirmed'' else ''unchanged'' end
                    when exists (
                        select from myproperty.meter_reading_versions as h
                        where %4$s and %3$s and h.source_version = a.source_version
                    ) then ''unchanged''
                    when %5$s < %6$s then ''newer''
                    when %5$s = %6$s and a.source_version >= c.source_version then ''newer''
                    else ''older''
                end as outcome
            from pg_temp.arriving as a
            left join myproperty.meter_readings as c on %1$s and c.reading_date = a.reading_date
            -- The planner would estimate one row for a join to the series, and would look up each reading.
            where %7$L and (a.meter_id, a.channel, a.reading_date) not in (
                select s.meter_id, s.channel, s.reading_date
                from pg_temp.arriving_series as s where not s.has_rows
            )
        ) as d
        where d.outcome <> ''unchanged''',
        current_of, format(says_the_same, 'c'), format(says_the_same, 'h'), history_of,
        format(rank_of, 'a'), format(rank_of, 'c'), has_known
    );
    analyze pg_temp.decided;
    -- History rows reference the jobs of the replaced readings too.
    perform from myproperty.ingestion_jobs as j
    where j.tenant_id = job_tenant
      and j.id in (select d.replaced_job_id from pg_temp.decided as d where d.outcome = 'newer')
    order by j.id
    for key share;

    perform myproperty.write_without_row_checks(format(
        'insert into %1$s (reading_date, %2$s, %3$s)
        select reading_date, %2$s, %4$s from pg_temp.arriving as a
        where (a.meter_id, a.channel, a.reading_date) not in (
            select s.meter_id, s.channel, s.reading_date from pg_temp.arriving_series as s where s.has_rows
        )', target, own_columns, job_columns, of_job
    ));
    perform myproperty.write_without_row_checks(format(
        'insert into myproperty.meter_readings (reading_date, %1$s, %2$s)
        select reading_date, %1$s, %3$s from pg_temp.decided as d where d.outcome = ''new''',
        own_columns, job_columns, of_job
    ));
    perform myproperty.write_without_row_checks(format(
        'insert into myproperty.meter_reading_versions (reading_date, %1$s, replaced_at, replaced_by_job_id)
        select a.reading_date, %2$s, now(), %3$L
        from pg_temp.decided as a
        join myproperty.meter_readings as c on %4$s and c.reading_date = a.reading_date
        where a.outcome = ''newer''',
        concat_ws(', ', own_columns, job_columns),
        regexp_replace(concat_ws(', ', own_columns, job_columns), '(\w+)', 'c.\1', 'g'), job_id, current_of
    ));
    perform myproperty.write_without_row_checks(format(
        'update myproperty.meter_readings as c
        set id = a.id, interval_seconds = a.interval_seconds, value_native = a.value_native, unit = a.unit,
            value_kwh = a.value_kwh, quality = a.quality, quality_method = a.quality_method,
            reason_code = a.reason_code, is_estimated = a.is_estimated, source = a.source,
            source_version = a.source_version, ingestion_job_id = %L
        from pg_temp.decided as a
        where %s and c.reading_date = a.reading_date and a.outcome = ''newer''', job_id, current_of
    ));
    execute format(
        'update myproperty.meter_readings as c set source_version = a.source_version
        from pg_temp.decided as a
        where %s and c.reading_date = a.reading_date and a.outcome = ''confirmed''', current_of
    );
    -- A reading that was never current gets a version below 1, counted down: versions from 1 on were all current.
    perform myproperty.write_without_row_checks(format(
        'insert into myproperty.meter_reading_versions (
            reading_date, %1$s, tenant_id, ingestion_job_id, version, created_at, updated_at, replaced_at,
            replaced_by_job_id
        )
        select a.reading_date, %2$s, %4$L, %5$L,
            least(1, (select min(h.version) from myproperty.meter_reading_versions as h where %3$s)) - 1,
            now(), now(), now(), %5$L
        from pg_temp.decided as a
        where a.outcome = ''older''',
        own_columns, regexp_replace(own_columns, '(\w+)', 'a.\1', 'g'), history_of, job_tenant, job_id
    ));

    create temporary table merged_readings on commit drop as
    select s.meter_id, s.channel, s.reading_date, s.readings, 0::numeric as before_kwh, s.after_kwh
    from pg_temp.arriving_series as s where not s.has_rows
    union all
    select d.meter_id, d.channel, d.reading_date, count(*), coalesce(sum(d.before_kwh), 0),
        coalesce(sum(d.value_kwh), 0)
    from pg_temp.decided as d where d.outcome in ('new', 'newer')
    group by d.meter_id, d.channel, d.reading_date;
    grant select on pg_temp.merged_readings to myproperty_loader;

    return query
    select s.reading_date, 'new', sum(s.readings)::bigint
    from pg_temp.arriving_series as s where not s.has_rows group by s.reading_date
    union all
    select d.reading_date, d.outcome, count(*) from pg_temp.decided as d group by d.reading_date, d.outcome;
end;
$$;
comment on function myproperty.merge_readings is
'Merges the table arriving into the readings of its dates. Returns for each date how many readings are new, newer '
'(the replaced reading goes to the history), older (the arriving reading goes to the history) and confirmed; the '
'rest changed nothing. Refuses (23503) a job that is not in the ledger, and a meter that its tenant does not '
'have. Leaves the temporary table merged_readings: the changes of each series and date.';

revoke execute on function
    myproperty.begin_readings_merge(), myproperty.write_without_row_checks(text), myproperty.prove_job(uuid),
    myproperty.prove_series(uuid), myproperty.merge_readings(uuid, date[])
from public;
grant execute on function myproperty.begin_readings_merge(), myproperty.merge_readings(uuid, date[])
to myproperty_loader;


-- ---------------------------------------------------------------------------------------------------------
-- Archiving
-- ---------------------------------------------------------------------------------------------------------

create function myproperty.begin_readings_archive(reading_date date, even_if_pending boolean default false)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    target constant text := format('myproperty.%I', myproperty.readings_partition_name(reading_date));
    -- A quarter: its months are still billed, and corrected files still arrive.
    youngest constant date := current_date - 92;
    has_readings boolean;
begin
    perform myproperty.lock_readings_date(reading_date);
    if to_regclass(target) is null or not myproperty.is_partition(to_regclass(target)) then
        raise exception '% has no partition to archive', reading_date
            using errcode = 'MP004', hint = '`myproperty partitions list` shows the partitions.';
    end if;
    if reading_date > youngest then
        raise exception '% is too recent to be archived: dates after % stay', reading_date, youngest
            using errcode = 'MP004', hint = 'Archive it when 92 days have passed.';
    end if;
    -- From here on writers of this date wait; readers do not.
    execute format('lock table %s in share mode', target);
    execute format('select exists (select from %s)', target) into has_readings;
    if has_readings and not even_if_pending and not exists (
        select from warehouse_staging.published_dates as p
        where p.reading_date = begin_readings_archive.reading_date
          and p.published_at >= all (
              select d.touched_at from myproperty.ingestion_job_dates as d
              where d.reading_date = begin_readings_archive.reading_date
          )
    ) then
        raise exception 'the readings of % have changed since its marts were built, or its marts were never built',
            reading_date
            using errcode = 'MP004', hint = 'Run `myproperty run` first, or archive the date with --force.';
    end if;
end;
$$;
comment on function myproperty.begin_readings_archive is
'Locks the date against loads and other writers until the end of the transaction. Refuses (MP004) a date without '
'partition, a date of the last 92 days, and a date whose marts are pending.';

-- DROP of the attached partition: DETACH would first turn its foreign keys into separate ones, and dropping those
-- takes ACCESS EXCLUSIVE locks on meters and ingestion_jobs too.
create function myproperty.drop_readings_partition(
    reading_date date, expected_rows bigint, url text, checksum bigint, even_if_pending boolean default false
) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    target constant text := format('myproperty.%I', myproperty.readings_partition_name(reading_date));
    found_rows bigint;
begin
    perform myproperty.begin_readings_archive(reading_date, even_if_pending);
    execute format('select count(*) from %s', target) into found_rows;
    if found_rows is distinct from expected_rows then
        raise exception 'the partition of % has % readings, its archive has %: it is not dropped',
            reading_date, found_rows, coalesce(expected_rows::text, 'NULL')
            using errcode = 'MP004', hint = 'Write the archive again from the current readings.';
    end if;
    -- Readers of all dates queue behind this lock. Shorter than deadlock_timeout, so that this side always gives way.
    perform set_config('lock_timeout', '500ms', true);
    execute format('drop table %s', target);
    if found_rows > 0 then
        insert into warehouse_staging.archived_dates (reading_date, readings, url, checksum)
        values (reading_date, found_rows, url, checksum);
    end if;
end;
$$;
comment on function myproperty.drop_readings_partition is
'Drops the partition of a date that was copied to `url`, and records the date in archived_dates; an empty '
'partition leaves no record. Refuses what begin_readings_archive refuses, and a number of rows that differs '
'(MP004).';


-- ---------------------------------------------------------------------------------------------------------
-- Restoring
-- ---------------------------------------------------------------------------------------------------------

create function myproperty.begin_readings_restore(reading_date date) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform myproperty.readings_partition_name(reading_date);
    perform myproperty.lock_readings_date(reading_date);
    if not exists (
        select from warehouse_staging.archived_dates as a
        where a.reading_date = begin_readings_restore.reading_date
    ) then
        raise exception '% is not archived', reading_date
            using errcode = 'MP004', hint = '`myproperty partitions list` shows the archived dates.';
    end if;
    return myproperty.create_readings_table(reading_date);
end;
$$;
comment on function myproperty.begin_readings_restore is
'Creates the separate table of an archived date, which the loader fills.';

create function myproperty.attach_restored_readings(reading_date date) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    target constant text := format('myproperty.%I', myproperty.readings_partition_name(reading_date));
    archived_rows bigint;
    found_rows bigint;
begin
    perform myproperty.attach_readings_partition(reading_date);
    delete from warehouse_staging.archived_dates as a
    where a.reading_date = attach_restored_readings.reading_date
    returning a.readings into archived_rows;
    execute format('select count(*) from %s', target) into found_rows;
    if found_rows is distinct from archived_rows then
        raise exception '% readings of % were restored, % were archived',
            found_rows, reading_date, coalesce(archived_rows::text, 'none')
            using errcode = 'MP004', hint = 'Restore every reading of the file that archived_dates names.';
    end if;
end;
$$;
comment on function myproperty.attach_restored_readings is
'Attaches the separate table of an archived date, with its foreign keys checked, and removes the date from '
'archived_dates. Refuses (MP004) a number of rows that differs from the archived number.';

revoke execute on function
    myproperty.begin_readings_archive(date, boolean),
    myproperty.drop_readings_partition(date, bigint, text, bigint, boolean),
    myproperty.begin_readings_restore(date), myproperty.attach_restored_readings(date)
from public;
grant execute on function
    myproperty.begin_readings_archive(date, boolean),
    myproperty.drop_readings_partition(date, bigint, text, bigint, boolean),
    myproperty.begin_readings_restore(date), myproperty.attach_restored_readings(date)
to myproperty_loader;

reset role;


-- ---------------------------------------------------------------------------------------------------------
-- Register reads: values on the dial; energy is the difference of two
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_owner;

create table myproperty.register_reads (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    meter_id uuid not null,
    channel text not null
        constraint channel_is_known check (channel in (
            'import', 'export', 'generation', 'consumption',
            'reactive_import', 'reactive_export', 'voltage', 'other'
        )),
    read_at timestamptz not null,
    kind text not null default 'periodic'
        constraint read_kind_is_known check (kind in ('initial', 'periodic', 'final')),
    serial_number text not null constraint read_has_a_serial_number check (serial_number <> ''),
    value numeric(20, 9) not null constraint register_is_not_negative check (value >= 0),
    digits integer not null constraint register_has_digits check (digits between 1 and 11),
    multiplier numeric(12, 6) not null default 1 constraint multiplier_is_positive check (multiplier > 0),
    unit text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    quality text not null default 'actual'
        constraint read_quality_is_known check (quality in ('actual', 'edited', 'estimated')),
    source_version timestamptz,
    ingestion_job_id uuid,
    -- The key names the device: in a meter exchange both devices are read at the same instant.
    constraint one_read_of_a_device_at_a_time unique (tenant_id, meter_id, channel, read_at, kind, serial_number),
    foreign key (tenant_id, meter_id) references myproperty.meters (tenant_id, id) on delete restrict,
    foreign key (tenant_id, ingestion_job_id)
        references myproperty.ingestion_jobs (tenant_id, id) on delete restrict,
    constraint read_of_a_file_has_a_version check (num_nonnulls(source_version, ingestion_job_id) in (0, 2)),
    constraint value_has_no_more_digits_than_the_dial check (value < power(10::numeric, digits))
);
comment on table myproperty.register_reads is
'Accumulated register values as they were read. A register value is not energy; the difference of two is compared '
'with the intervals.';
comment on column myproperty.register_reads.kind is
'initial: the device is installed. final: the device is removed, and no reading is expected afterwards.';
comment on column myproperty.register_reads.serial_number is
'Serial number of the device; it changes when the meter is exchanged.';
comment on column myproperty.register_reads.digits is
'Number of digits before the decimal point; the register restarts at 0 after them.';
comment on column myproperty.register_reads.multiplier is
'Energy for each step of the register, as behind a current transformer.';
comment on column myproperty.register_reads.quality is
'An estimated read is stored, but validation does not compare it with intervals.';
comment on column myproperty.register_reads.source_version is
'When the sender made the read; NULL if a person entered it. Of two reads from files the newer one counts.';
comment on column myproperty.register_reads.ingestion_job_id is
'The job of the file that brought the read; NULL if a person entered it. A file never replaces the read of a '
'person.';
select myproperty.add_tenant_table('myproperty.register_reads');


-- ---------------------------------------------------------------------------------------------------------
-- Thresholds of a tenant; the defaults are in the program, beside the rules
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.vee_thresholds (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null references myproperty.tenants (id) on delete restrict,
    rule text not null constraint threshold_is_of_a_rule check (rule ~ '^VEE-[A-Z-]+$'),
    meter_type text
        constraint meter_type_is_known check (meter_type in ('solar', 'grid', 'water', 'gas')),
    parameters jsonb not null
        constraint parameters_are_an_object check (jsonb_typeof(parameters) = 'object'),
    valid_during daterange not null
        constraint threshold_has_a_first_day check (not lower_inf(valid_during)),
    applies_to text not null generated always as (coalesce(meter_type, 'all')) stored,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    constraint one_threshold_at_a_time unique (tenant_id, rule, applies_to, valid_during without overlaps)
);
comment on table myproperty.vee_thresholds is
'Thresholds of validation rules that differ from the defaults, for a tenant and by reading date.';
comment on column myproperty.vee_thresholds.meter_type is
'NULL: for all meters. A row for one type takes precedence.';
comment on column myproperty.vee_thresholds.parameters is
'Parameter name to number, with the names in docs/rules.md; a missing name keeps its default.';
comment on column myproperty.vee_thresholds.applies_to is 'The meter type, or all.';
select myproperty.add_tenant_table('myproperty.vee_thresholds');


-- ---------------------------------------------------------------------------------------------------------
-- Issues: one row for each rule, series and date, however often the date is validated
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.reading_issues (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    meter_id uuid,
    channel text,
    reading_date date not null,
    rule text not null,
    severity text not null constraint severity_is_known check (severity in ('info', 'issue')),
    first_reading_ts timestamptz,
    last_reading_ts timestamptz,
    details jsonb not null default '{}'
        constraint details_are_an_object check (jsonb_typeof(details) = 'object'),
    status text not null default 'open'
        constraint issue_status_is_known check (status in ('open', 'resolved')),
    resolved_by text,
    resolved_at timestamptz,
    resolution_note text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    constraint found_once unique nulls not distinct (tenant_id, property_id, meter_id, channel, reading_date, rule),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict,
    foreign key (tenant_id, meter_id) references myproperty.meters (tenant_id, id) on delete restrict,
    constraint resolved_issue_says_who_when_and_why
        check (num_nonnulls(resolved_by, resolved_at, resolution_note) = case status when 'open' then 0 else 3 end)
);
create index reading_issues_of_date on myproperty.reading_issues (tenant_id, reading_date) where status = 'open';
comment on table myproperty.reading_issues is
'Issues that validation found on a reading date. The readings stay, and a person looks at them. An issue that is '
'found again keeps its row.';
comment on column myproperty.reading_issues.meter_id is
'NULL if the issue concerns the property: its energy balance.';
comment on column myproperty.reading_issues.details is 'The observed values by name.';
comment on column myproperty.reading_issues.resolved_by is
'A person; or validation itself, if it ran again and did not find the issue.';
select myproperty.add_tenant_table('myproperty.reading_issues');

create table myproperty.validated_dates (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null references myproperty.tenants (id) on delete restrict,
    reading_date date not null,
    validated_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, reading_date)
);
comment on table myproperty.validated_dates is
'When the readings of a date were last validated. A date that a file changes later is validated again.';
select myproperty.add_tenant_table('myproperty.validated_dates');

grant select on
    myproperty.vee_thresholds, myproperty.register_reads, myproperty.reading_issues, myproperty.validated_dates
to myproperty_app, myproperty_loader, myproperty_etl, myproperty_readonly, myproperty_auditor;
grant insert, update, delete on myproperty.vee_thresholds, myproperty.register_reads to myproperty_app;
grant update (status, resolved_by, resolved_at, resolution_note, version) on myproperty.reading_issues
to myproperty_app;
grant insert, update on myproperty.register_reads, myproperty.reading_issues, myproperty.validated_dates
to myproperty_loader;
reset role;
