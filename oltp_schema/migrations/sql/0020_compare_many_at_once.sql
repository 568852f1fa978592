-- Readings that arrive are compared with those that are there by one join, not looked up one by one.

set local role myproperty_partitioner;

create or replace function myproperty.merge_readings(job_id uuid, dates date[])
returns table (reading_date date, outcome text, readings bigint)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    job_tenant constant uuid := myproperty.prove_job(job_id);
    -- All but reading_date, which each statement names.
    other_columns constant text :=
        'id, tenant_id, meter_id, channel, reading_ts, interval_seconds, value_native, unit, '
        'value_kwh, quality, quality_method, reason_code, is_estimated, source, source_version, '
        'ingestion_job_id, version, created_at, updated_at';
    -- Constant dates: any other statement opens every partition.
    current_of constant text := format(
        'a.tenant_id = c.tenant_id and a.meter_id = c.meter_id and a.channel = c.channel '
        'and a.reading_ts = c.reading_ts and c.reading_date = any(%L::date[])', dates
    );
    history_of constant text :=
        'a.tenant_id = h.tenant_id and a.meter_id = h.meter_id and a.channel = h.channel '
        'and a.reading_ts = h.reading_ts and a.reading_date = h.reading_date';
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
    select a.tenant_id, a.meter_id, a.channel, a.reading_date, count(*) as readings,
        coalesce(sum(a.value_kwh), 0) as after_kwh, false as has_rows
    from pg_temp.arriving as a
    group by a.tenant_id, a.meter_id, a.channel, a.reading_date;
    perform myproperty.prove_series(job_tenant);
    if exists (
        select from pg_temp.arriving as a
        where a.ingestion_job_id <> job_id or a.reading_date <> all(dates)
    ) then
        raise exception 'a reading is not of job %, or of none of the dates of the merge', job_id
            using errcode = 'MP004', hint = 'Merge the readings of one job, and name all of their dates.';
    end if;

    -- A series without a row on the date has nothing to be compared with: usual where meters share dates.
    -- Asked series by series, each a look into the key: as a join it would read all readings of the dates.
    execute format(
        'update pg_temp.arriving_series as a set has_rows = exists (
            select from myproperty.meter_readings as c
            where c.tenant_id = a.tenant_id and c.meter_id = a.meter_id and c.channel = a.channel
              and c.reading_date = a.reading_date and c.reading_date = any(%L::date[])
        )', dates
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
                    when %2$s and a.source_version > c.source_version then ''confirmed''
                    when %2$s then ''unchanged''
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
            where %7$L and (a.tenant_id, a.meter_id, a.channel, a.reading_date) not in (
                select s.tenant_id, s.meter_id, s.channel, s.reading_date
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
        'insert into myproperty.meter_readings (reading_date, %1$s)
        select reading_date, %1$s from pg_temp.arriving as a
        where (a.tenant_id, a.meter_id, a.channel, a.reading_date) not in (
            select s.tenant_id, s.meter_id, s.channel, s.reading_date
            from pg_temp.arriving_series as s where s.has_rows
        )', other_columns
    ));
    perform myproperty.write_without_row_checks(format(
        'insert into myproperty.meter_readings (reading_date, %1$s)
        select reading_date, %1$s from pg_temp.decided as d where d.outcome = ''new''', other_columns
    ));
    perform myproperty.write_without_row_checks(format(
        'insert into myproperty.meter_reading_versions (reading_date, %1$s, replaced_at, replaced_by_job_id)
        select a.reading_date, %2$s, now(), %3$L
        from pg_temp.decided as a
        join myproperty.meter_readings as c on %4$s and c.reading_date = a.reading_date
        where a.outcome = ''newer''',
        other_columns, regexp_replace(other_columns, '(\w+)', 'c.\1', 'g'), job_id, current_of
    ));
    perform myproperty.write_without_row_checks(format(
        'update myproperty.meter_readings as c
        set id = a.id, interval_seconds = a.interval_seconds, value_native = a.value_native, unit = a.unit,
            value_kwh = a.value_kwh, quality = a.quality, quality_method = a.quality_method,
            reason_code = a.reason_code, is_estimated = a.is_estimated, source = a.source,
            source_version = a.source_version, ingestion_job_id = a.ingestion_job_id
        from pg_temp.decided as a
        where %s and c.reading_date = a.reading_date and a.outcome = ''newer''', current_of
    ));
    execute format(
        'update myproperty.meter_readings as c set source_version = a.source_version
        from pg_temp.decided as a
        where %s and c.reading_date = a.reading_date and a.outcome = ''confirmed''', current_of
    );
    -- A reading that was never current has a version below 1, counted down: 1, 2, 3 ... stay those that were.
    perform myproperty.write_without_row_checks(format(
        'insert into myproperty.meter_reading_versions (reading_date, %1$s, replaced_at, replaced_by_job_id)
        select a.reading_date, %2$s,
            least(1, (select min(h.version) from myproperty.meter_reading_versions as h where %3$s)) - 1,
            a.created_at, a.updated_at, now(), %4$L
        from pg_temp.decided as a
        where a.outcome = ''older''',
        other_columns,
        regexp_replace(
            replace(other_columns, ', version, created_at, updated_at', ''), '(\w+)', 'a.\1', 'g'
        ),
        history_of, job_id
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
