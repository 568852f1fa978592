-- Readings in daily partitions: loaded, merged, archived and brought back, and the validation of whole days.


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

revoke execute on function myproperty.readings_partition_name(date), myproperty.is_partition(regclass) from public;
grant execute on function myproperty.readings_partition_name(date), myproperty.is_partition(regclass)
to myproperty_partitioner;
reset role;


-- ---------------------------------------------------------------------------------------------------------
-- Readings. ATTACH wants the owner of both tables, and its check of foreign keys runs as that owner: under the policies
-- it would see no tenant and fail. So a role of its own, which bypasses them and owns nothing else, owns the
-- partitioned table, and the loader reaches it through functions alone.
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_partitioner;

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
comment on column myproperty.meter_readings.channel is 'What the series means to us.';
comment on column myproperty.meter_readings.reading_ts is 'Start of the interval.';
comment on column myproperty.meter_readings.reading_date is 'Local date of reading_ts at the meter.';
comment on column myproperty.meter_readings.value_native is
'As the file has it, in unit; NULL if quality is null.';
comment on column myproperty.meter_readings.value_kwh is 'Energy; NULL for what is not energy or not there.';
comment on column myproperty.meter_readings.quality is 'Ranked actual > edited > estimated > null.';
comment on column myproperty.meter_readings.quality_method is 'The flag and method of the file itself.';
comment on column myproperty.meter_readings.reason_code is 'Why the sender changed or made up the value.';
comment on column myproperty.meter_readings.is_estimated is 'True if quality is estimated.';
comment on column myproperty.meter_readings.source is 'The format that it came in.';
comment on column myproperty.meter_readings.source_version is
'When the source says it made this value: of one rank the newer wins, whatever arrived first.';

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
'Statement trigger of readings. Of a load one row a tenant: the values replaced are in meter_reading_versions. Of any '
'other change one row a reading, with what changed before and after.';

revoke execute on function audit.log_readings() from public;
grant execute on function audit.log_readings() to myproperty_owner, myproperty_partitioner;

set local role myproperty_partitioner;

create trigger log_updates after update on myproperty.meter_readings
referencing old table as old_rows
for each statement execute function audit.log_readings();
create trigger log_deletes after delete on myproperty.meter_readings
referencing old table as old_rows
for each statement execute function audit.log_readings();

-- Where the merge switches row triggers off, these go on: versions move, updates are logged.
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
comment on table myproperty.meter_reading_versions is 'Readings as they were before a newer one replaced them.';
comment on column myproperty.meter_reading_versions.replaced_at is 'When a newer value came.';
select myproperty.protect_tenant_table('myproperty.meter_reading_versions');
create trigger refuse_change before update or delete or truncate on myproperty.meter_reading_versions
for each statement execute function myproperty.refuse_change();

grant select on myproperty.meter_reading_versions
to myproperty_app, myproperty_etl, myproperty_readonly, myproperty_auditor;
grant select, insert on myproperty.meter_reading_versions to myproperty_loader, myproperty_partitioner;

reset role;


-- ---------------------------------------------------------------------------------------------------------
-- Partitions: made when a date is loaded, and without a default
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
comment on function myproperty.create_readings_table is
'Makes the table of a date apart, under the lock of the caller; NULL if the date has its partition.';

-- Two loads of one date: the second waits here for the end of the first, then finds its partition.
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
                  hint = format('Put them into quarantine, or first run `myproperty partitions restore %s`.',
                                reading_date);
    end if;
    return myproperty.create_readings_table(reading_date);
end;
$$;
comment on function myproperty.begin_readings_partition(date) is
'Makes the table of a date apart, for the loader to fill; NULL if the date has its partition already.';

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
'The same for readings of one tenant and job, which its rows need not say; ATTACH proves them as any other.';

-- 3,000 rows tell of a date what 30,000 do, since meters send alike; those took a fifth of a load. What the
-- server analyses later by itself it looks at as ever.
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
        raise exception 'there is no table apart of % to attach', reading_date
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
'Gives the table of a date its key and analyses it; attach_readings_partition does so where nobody has.';

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
'Triggers of statements are those of the table that a statement names: a partition named itself would log nothing.';

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
'The names of the partitions of a range, both dates included; those that are not there are made empty.';

revoke execute on function
    myproperty.lock_readings_date(date), myproperty.create_readings_table(date),
    myproperty.begin_readings_partition(date), myproperty.begin_readings_partition(date, uuid, uuid),
    myproperty.index_readings_partition(date), myproperty.refuse_writes_to_partition(regclass),
    myproperty.attach_readings_partition(date), myproperty.ensure_readings_partition(date),
    myproperty.ensure_readings_partitions(date, date)
from public;
-- The loader says whose readings come; the other begin_readings_partition is for the functions that make partitions.
grant execute on function
    myproperty.begin_readings_partition(date, uuid, uuid), myproperty.index_readings_partition(date),
    myproperty.attach_readings_partition(date), myproperty.ensure_readings_partition(date),
    myproperty.ensure_readings_partitions(date, date)
to myproperty_loader;


-- ---------------------------------------------------------------------------------------------------------
-- Merging: readings of dates that have rows. Their references are proved for all rows at once
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
'Makes the temporary table arriving, for the loader to fill with readings of dates that have their partition. '
'Their tenant and job are those of the merge.';

-- The triggers of a foreign key ask for each row, which takes longer than all else of a load together. Where this
-- role may, they are off while readings are written, since the references of all rows were proved at once: the
-- rows they lead to are locked before, as those triggers would. Keys, checks and user triggers hold as ever.
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
            using errcode = 'foreign_key_violation', hint = 'Enter the job in the ledger, then merge.';
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
    -- All there are, locked in one order, so that two loads never wait for each other in a ring.
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
            using errcode = 'foreign_key_violation', hint = 'Register the meter of the reading first.';
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
    -- What each arriving reading says, but for reading_date, which each statement names.
    own_columns constant text :=
        'id, meter_id, channel, reading_ts, interval_seconds, value_native, unit, value_kwh, quality, '
        'quality_method, reason_code, is_estimated, source, source_version';
    -- What is the same for all of a job.
    job_columns constant text := 'tenant_id, ingestion_job_id, version, created_at, updated_at';
    of_job constant text := format('%L, %L, 1, now(), now()', job_tenant, job_id);
    -- One date needs no search for the partition of each reading.
    target constant text := case
        when cardinality(dates) = 1 then format('myproperty.%I', myproperty.readings_partition_name(dates[1]))
        else 'myproperty.meter_readings'
    end;
    -- Constant dates: any other statement opens every partition.
    current_of constant text := format(
        'c.tenant_id = %L and a.meter_id = c.meter_id and a.channel = c.channel '
        'and a.reading_ts = c.reading_ts and c.reading_date = any(%L::date[])', job_tenant, dates
    );
    history_of constant text := format(
        'h.tenant_id = %L and a.meter_id = h.meter_id and a.channel = h.channel '
        'and a.reading_ts = h.reading_ts and a.reading_date = h.reading_date', job_tenant
    );
    -- What a reading says; how the sender got there (method, reason) makes no new version by itself.
    says_the_same constant text :=
        '(a.value_native, a.unit, a.interval_seconds, a.quality) is not distinct from '
        '(%1$I.value_native, %1$I.unit, %1$I.interval_seconds, %1$I.quality)';
    -- As strings: in the text of an array literal null is NULL, and nothing would be better than that.
    rank_of constant text := 'array_position(array[''actual'', ''edited'', ''estimated'', ''null''], %I.quality)';
    has_known boolean;
begin
    if (select c.relowner from pg_class as c where c.oid = to_regclass('pg_temp.arriving'))
        is distinct from current_user::regrole then
        raise exception 'job % has no table arriving that myproperty.begin_readings_merge made', job_id
            using errcode = 'MP004', hint = 'Call it first, and fill the table that it makes.';
    end if;

    create temporary table arriving_series on commit drop as
    select a.meter_id, a.channel, a.reading_date, count(*) as readings,
        coalesce(sum(a.value_kwh), 0) as after_kwh, false as has_rows
    from pg_temp.arriving as a
    group by a.meter_id, a.channel, a.reading_date;
    perform myproperty.prove_series(job_tenant);
    if exists (select from pg_temp.arriving_series as s where s.reading_date <> all(dates)) then
        raise exception 'a reading of job % is of none of the dates of the merge', job_id
            using errcode = 'MP004', hint = 'Name all dates of the readings.';
    end if;

    -- A series without a row on the date has nothing to be compared with: usual where meters share dates.
    -- Asked series by series, each a look into the key: as a join it would read all readings of the dates.
    execute format(
        'update pg_temp.arriving_series as a set has_rows = exists (
            select from myproperty.meter_readings as c
            where c.tenant_id = %L and c.meter_id = a.meter_id and c.channel = a.channel
              and c.reading_date = a.reading_date and c.reading_date = any(%L::date[])
        )', job_tenant, dates
    );
    select coalesce(bool_or(s.has_rows), false) into has_known from pg_temp.arriving_series as s;

    -- Rank decides, then the source's version. Of the same rank and version the later arrival is current: the
    -- sender told us no order, and a corrected file often keeps the time of its first making.
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
            -- A join to the series would be taken for one row, and that for a reason to look up each reading.
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
    -- History leads to the jobs of what is replaced too.
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
    -- A reading that was never current has a version below 1, counted down: 1, 2, 3 ... stay those that were.
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
'Merges the table arriving into the readings of its dates; returns how many are new, newer (the reading they '
'replace goes to the history), older (they go there themselves) and confirmed; the rest said what was there. '
'Refuses (23503) a job that is not in the ledger, and a meter that its tenant does not have. Leaves the '
'temporary table merged_readings: what changed of each series and date.';

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
    -- A quarter: its months are still billed, and corrected files still come.
    youngest constant date := current_date - 92;
    has_readings boolean;
begin
    perform myproperty.lock_readings_date(reading_date);
    if to_regclass(target) is null or not myproperty.is_partition(to_regclass(target)) then
        raise exception '% has no partition to archive', reading_date
            using errcode = 'MP004', hint = '`myproperty partitions list` shows those that are there.';
    end if;
    if reading_date > youngest then
        raise exception '% is too young to be archived: what is later than % stays', reading_date, youngest
            using errcode = 'MP004', hint = 'Archive it when 92 days have passed.';
    end if;
    -- Writers of this one date wait from here on; readers do not.
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
        raise exception 'the readings of % have changed since its marts were built, or they never were',
            reading_date
            using errcode = 'MP004', hint = 'Run `myproperty run` first, or archive it with --force.';
    end if;
end;
$$;
comment on function myproperty.begin_readings_archive is
'Locks the date against loads and other writers to the end of the transaction; refuses (MP004) a date without '
'partition, one of the last 92 days, and one whose marts are pending.';

-- DROP of an attached partition: DETACH would first make its foreign keys stand alone, and dropping those takes
-- ACCESS EXCLUSIVE on meters and ingestion_jobs too.
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
        raise exception 'the partition of % has % readings, its archive %: it is not dropped',
            reading_date, found_rows, coalesce(expected_rows::text, 'NULL')
            using errcode = 'MP004', hint = 'Write the archive again, from what is there now.';
    end if;
    -- Readers of all dates queue behind this lock. Less than deadlock_timeout: this side always gives way.
    perform set_config('lock_timeout', '500ms', true);
    execute format('drop table %s', target);
    if found_rows > 0 then
        insert into warehouse_staging.archived_dates (reading_date, readings, url, checksum)
        values (reading_date, found_rows, url, checksum);
    end if;
end;
$$;
comment on function myproperty.drop_readings_partition is
'Drops the partition of a date that was copied to `url`, and keeps that in archived_dates; an empty one is '
'dropped without a trace. Refuses as begin_readings_archive does, and when the rows are not as many (MP004).';


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
            using errcode = 'MP004', hint = '`myproperty partitions list` shows the dates that are.';
    end if;
    return myproperty.create_readings_table(reading_date);
end;
$$;
comment on function myproperty.begin_readings_restore is
'Makes the table of an archived date apart, for the loader to fill.';

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
            using errcode = 'MP004', hint = 'Restore all of them, from the file in archived_dates.';
    end if;
end;
$$;
comment on function myproperty.attach_restored_readings is
'Attaches the table of an archived date, foreign keys checked, and strikes it off archived_dates; refuses (MP004) '
'when the rows are not as many as were archived.';

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
-- Register reads: what stood on the dial, of which the difference is energy
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
    -- When a meter is exchanged both devices are read at one instant: the key has the device.
    constraint one_read_of_a_device_at_a_time unique (tenant_id, meter_id, channel, read_at, kind, serial_number),
    foreign key (tenant_id, meter_id) references myproperty.meters (tenant_id, id) on delete restrict,
    foreign key (tenant_id, ingestion_job_id)
        references myproperty.ingestion_jobs (tenant_id, id) on delete restrict,
    constraint read_of_a_file_has_a_version check (num_nonnulls(source_version, ingestion_job_id) in (0, 2)),
    constraint value_has_no_more_digits_than_the_dial check (value < power(10::numeric, digits))
);
comment on table myproperty.register_reads is
'Accumulated registers as they were read; never energy by themselves. Intervals are compared with differences.';
comment on column myproperty.register_reads.kind is
'initial: of a device that is put in. final: of one that is taken out; nothing is expected of it afterwards.';
comment on column myproperty.register_reads.serial_number is 'Of the device; it changes when a meter is exchanged.';
comment on column myproperty.register_reads.digits is
'Before the decimal point: after so many the register is 0 again.';
comment on column myproperty.register_reads.multiplier is 'Energy per step, as behind a current transformer.';
comment on column myproperty.register_reads.quality is 'An estimated read is kept, and nothing is held against it.';
comment on column myproperty.register_reads.source_version is
'When the sender made the read, null for one that a person entered; of two from files the newer one holds.';
comment on column myproperty.register_reads.ingestion_job_id is
'The file that brought the read, null for one that a person entered: no file replaces that.';
select myproperty.add_tenant_table('myproperty.register_reads');


-- ---------------------------------------------------------------------------------------------------------
-- Thresholds of a tenant; the defaults stand beside the rules in the program
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
'What a tenant asks of its readings where that differs from the defaults of a rule, by reading date.';
comment on column myproperty.vee_thresholds.meter_type is 'NULL is for all; a type of its own goes before it.';
comment on column myproperty.vee_thresholds.parameters is
'Name to number, with the names that docs/rules.md gives; a name that is left out keeps its default.';
comment on column myproperty.vee_thresholds.applies_to is 'The meter type, or all.';
select myproperty.add_tenant_table('myproperty.vee_thresholds');


-- ---------------------------------------------------------------------------------------------------------
-- Issues: one row a rule, series and date, however often the date is validated
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
'What validation found on a reading date. The readings are kept; a person looks. Found again, the row is the same.';
comment on column myproperty.reading_issues.meter_id is 'NULL where it is of the property: its energy balance.';
comment on column myproperty.reading_issues.details is 'What was observed, by name.';
comment on column myproperty.reading_issues.resolved_by is
'A person, or validation itself where the date was validated again and the issue was not found.';
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
'When the readings of a date were last validated; a date that a file touched later is to be validated again.';
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
