-- A merge takes a time that depends on its own readings and meters, and not on the meters of the tenant.

set local role myproperty_partitioner;


-- ---------------------------------------------------------------------------------------------------------
-- Without the right to switch row checks off, a connection keeps the plan of each check. A plan from the time when
-- there were few meters scans them, and would scan them for each reading later on. So it looks them up
-- ---------------------------------------------------------------------------------------------------------

create or replace function myproperty.write_without_row_checks(statement text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    may_skip constant boolean :=
        has_parameter_privilege(current_user, 'session_replication_role', 'SET');
    setting constant text := case when may_skip then 'session_replication_role' else 'enable_seqscan' end;
    value_before constant text := current_setting(setting);
begin
    perform set_config(setting, case when may_skip then 'replica' else 'off' end, true);
    execute statement;
    perform set_config(setting, value_before, true);
end;
$$;


-- ---------------------------------------------------------------------------------------------------------
-- One lookup for each meter of the file: a join without statistics reads all meters of the tenant
-- ---------------------------------------------------------------------------------------------------------

create or replace function myproperty.prove_series(job_tenant uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    stranger uuid;
begin
    -- Locked in one order, so that two loads never deadlock.
    select a.meter_id into stranger
    from (select distinct s.meter_id from pg_temp.arriving_series as s order by s.meter_id) as a
    left join lateral (
        select m.id from myproperty.meters as m where m.tenant_id = job_tenant and m.id = a.meter_id for key share
    ) as m on true
    where m.id is null
    limit 1;
    if found then
        raise exception 'tenant % of the job has no meter %', job_tenant, stranger
            using errcode = 'foreign_key_violation', hint = 'Register the meter first.';
    end if;
end;
$$;


-- ---------------------------------------------------------------------------------------------------------
-- Series with and without rows are told apart by a semi-join: NOT IN is compared row by row where its list is
-- estimated to exceed the memory. Where no series has rows, nothing is compared
-- ---------------------------------------------------------------------------------------------------------

create or replace function myproperty.merge_readings(job_id uuid, dates date[])
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
    series_with constant text :=
        '(a.meter_id, a.channel, a.reading_date) in (
            select s.meter_id, s.channel, s.reading_date from pg_temp.arriving_series as s where s.has_rows = %L
        )';
    has_known boolean;
    has_new boolean;
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
    select coalesce(bool_or(s.has_rows), false), coalesce(bool_or(not s.has_rows), false)
    into has_known, has_new
    from pg_temp.arriving_series as s;
    if has_known and has_new then
        analyze pg_temp.arriving_series;
    end if;

    if has_new then
        perform myproperty.write_without_row_checks(format(
            'insert into %1$s (reading_date, %2$s, %3$s)
            select reading_date, %2$s, %4$s from pg_temp.arriving as a where %5$s',
            target, own_columns, job_columns, of_job,
            case when has_known then format(series_with, false) else 'true' end
        ));
    end if;
    create temporary table merged_readings on commit drop as
    select s.meter_id, s.channel, s.reading_date, s.readings, 0::numeric as before_kwh, s.after_kwh
    from pg_temp.arriving_series as s where not s.has_rows;
    grant select on pg_temp.merged_readings to myproperty_loader;
    return query
    select s.reading_date, 'new', sum(s.readings)::bigint
    from pg_temp.arriving_series as s where not s.has_rows group by s.reading_date;
    if not has_known then
        return;
    end if;

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
            where %7$s
        ) as d
        where d.outcome <> ''unchanged''',
        current_of, format(says_the_same, 'c'), format(says_the_same, 'h'), history_of,
        format(rank_of, 'a'), format(rank_of, 'c'),
        case when has_new then format(series_with, true) else 'true' end
    );
    analyze pg_temp.decided;
    -- History rows reference the jobs of the replaced readings too.
    perform from myproperty.ingestion_jobs as j
    where j.tenant_id = job_tenant
      and j.id in (select d.replaced_job_id from pg_temp.decided as d where d.outcome = 'newer')
    order by j.id
    for key share;

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

    insert into pg_temp.merged_readings
    select d.meter_id, d.channel, d.reading_date, count(*), coalesce(sum(d.before_kwh), 0),
        coalesce(sum(d.value_kwh), 0)
    from pg_temp.decided as d where d.outcome in ('new', 'newer')
    group by d.meter_id, d.channel, d.reading_date;
    return query
    select d.reading_date, d.outcome, count(*) from pg_temp.decided as d group by d.reading_date, d.outcome;
end;
$$;

reset role;
