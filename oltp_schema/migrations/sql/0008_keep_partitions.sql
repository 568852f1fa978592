-- The life of a daily partition of readings: made ahead for sources that write single readings, archived and
-- dropped by retention, brought back.


-- ---------------------------------------------------------------------------------------------------------
-- Archived dates: of the system, so without a tenant
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_owner;

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
'Reading dates whose current readings are in a file instead of a partition. Nothing is loaded into such a date '
'before it is restored.';
comment on column warehouse_staging.archived_dates.checksum is
'Sum over the rows of the first 32 bits of the MD5 of their columns, as the gates take it.';

alter table warehouse_staging.archived_dates enable row level security;
alter table warehouse_staging.archived_dates force row level security;
create policy "Only the pipeline sees its own records" on warehouse_staging.archived_dates
to myproperty_loader, myproperty_etl using (true);
create trigger move_version before update on warehouse_staging.archived_dates
for each row execute function myproperty.move_version();

grant select on warehouse_staging.archived_dates to myproperty_loader, myproperty_etl;
grant select, insert, delete on warehouse_staging.archived_dates to myproperty_partitioner;
-- What tells whether the marts of a date are up to date.
grant select on myproperty.ingestion_job_dates, warehouse_staging.published_dates to myproperty_partitioner;

reset role;
set local role myproperty_partitioner;


-- ---------------------------------------------------------------------------------------------------------
-- Loading: an archived date is refused, since a partition with the late rows alone would pass for the whole
-- ---------------------------------------------------------------------------------------------------------

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

create or replace function myproperty.begin_readings_partition(reading_date date) returns text
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
    myproperty.lock_readings_date(date), myproperty.create_readings_table(date),
    myproperty.ensure_readings_partitions(date, date), myproperty.begin_readings_archive(date, boolean),
    myproperty.drop_readings_partition(date, bigint, text, bigint, boolean),
    myproperty.begin_readings_restore(date), myproperty.attach_restored_readings(date)
from public;
grant execute on function
    myproperty.ensure_readings_partitions(date, date), myproperty.begin_readings_archive(date, boolean),
    myproperty.drop_readings_partition(date, bigint, text, bigint, boolean),
    myproperty.begin_readings_restore(date), myproperty.attach_restored_readings(date)
to myproperty_loader;

reset role;
