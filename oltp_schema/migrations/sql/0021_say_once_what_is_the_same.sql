-- What is the same for all readings of a job is said once: neither sent with each of them nor kept beside it.


-- ---------------------------------------------------------------------------------------------------------
-- Dates without rows: the table apart fills it in
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_partitioner;

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

-- A sample of 3,000 rows tells how many readings a meter has; 30,000 take longer than the key.
alter function myproperty.index_readings_partition(date) set default_statistics_target = 10;

create or replace function myproperty.attach_readings_partition(reading_date date) returns void
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

-- The loader says whose readings come; the other is for the functions that make partitions.
revoke execute on function myproperty.begin_readings_partition(date) from myproperty_loader;
revoke execute on function myproperty.begin_readings_partition(date, uuid, uuid) from public;
grant execute on function myproperty.begin_readings_partition(date, uuid, uuid) to myproperty_loader;


-- ---------------------------------------------------------------------------------------------------------
-- Dates with rows: the merge adds it
-- ---------------------------------------------------------------------------------------------------------

create or replace function myproperty.begin_readings_merge() returns void
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

create or replace function myproperty.prove_series(job_tenant uuid) returns void
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

create or replace function myproperty.merge_readings(job_id uuid, dates date[])
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

reset role;
