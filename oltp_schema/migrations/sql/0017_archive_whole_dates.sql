-- A date that was published without a tenant is not archived: its marts could no longer be built.

set local role myproperty_owner;
grant select on warehouse_staging.left_out_tenants to myproperty_partitioner;
reset role;

set local role myproperty_partitioner;

create or replace function myproperty.begin_readings_archive(reading_date date, even_if_pending boolean default false)
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
    if has_readings and not even_if_pending and exists (
        select from warehouse_staging.left_out_tenants as l
        where l.reading_date = begin_readings_archive.reading_date
    ) then
        raise exception 'the marts of % were published without a tenant, for which a gate failed', reading_date
            using errcode = 'MP004',
            hint = 'See `myproperty pending`, mend the cause and run the date, or archive it with --force.';
    end if;
end;
$$;

reset role;
