-- Readings of dates that have rows are merged by a function, which proves their references for all rows at once;
-- and a table apart gets its key before the ledger is locked.


-- ---------------------------------------------------------------------------------------------------------
-- What the function needs
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_owner;

-- A row is locked against deletion by whoever may update a column of it.
grant update (version) on myproperty.meters, myproperty.ingestion_jobs to myproperty_partitioner;
grant select, insert on myproperty.meter_reading_versions to myproperty_partitioner;

reset role;
set local role myproperty_partitioner;

-- Where the function switches row triggers off, these go on: versions move, updates are logged.
alter table myproperty.meter_readings enable always trigger move_version;
alter table myproperty.meter_readings enable always trigger log_updates;


-- ---------------------------------------------------------------------------------------------------------
-- Merging
-- ---------------------------------------------------------------------------------------------------------

create function myproperty.begin_readings_merge() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    drop table if exists pg_temp.arriving, pg_temp.arriving_series, pg_temp.decided, pg_temp.merged_readings;
    create temporary table arriving (like myproperty.meter_readings including defaults) on commit drop;
    grant select, insert on pg_temp.arriving to myproperty_loader;
end;
$$;
comment on function myproperty.begin_readings_merge is
'Makes the temporary table arriving, for the loader to fill with readings of dates that have their partition.';

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
    stranger record;
begin
    -- All there are, locked in one order, so that two loads never wait for each other in a ring.
    perform from myproperty.meters as m
    where m.tenant_id = job_tenant and m.id in (select s.meter_id from pg_temp.arriving_series as s)
    order by m.id
    for key share;
    select s.tenant_id, s.meter_id into stranger
    from pg_temp.arriving_series as s
    left join myproperty.meters as m on m.tenant_id = s.tenant_id and m.id = s.meter_id
    where m.id is null or s.tenant_id <> job_tenant
    limit 1;
    if found then
        raise exception 'tenant % of the job has no meter % of tenant %',
            job_tenant, stranger.meter_id, stranger.tenant_id
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
    execute format(
        'update pg_temp.arriving_series as a set has_rows = true where exists (
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
            join pg_temp.arriving_series as s
                on s.has_rows and s.tenant_id = a.tenant_id and s.meter_id = a.meter_id
                and s.channel = a.channel and s.reading_date = a.reading_date
            left join myproperty.meter_readings as c on %1$s and c.reading_date = a.reading_date
            where %7$L
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
comment on function myproperty.merge_readings is
'Merges the table arriving into the readings of its dates; returns how many are new, newer (the reading they '
'replace goes to the history), older (they go there themselves) and confirmed; the rest said what was there. '
'Refuses (23503) a job that is not in the ledger, and a meter that its tenant does not have. Leaves the '
'temporary table merged_readings: what changed of each series and date.';


-- ---------------------------------------------------------------------------------------------------------
-- A table apart gets its key before the ledger is locked
-- ---------------------------------------------------------------------------------------------------------

create function myproperty.index_readings_partition(reading_date date) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
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
    execute format('alter table %s drop constraint of_one_date', target);
    perform myproperty.refuse_writes_to_partition(target);
end;
$$;

revoke execute on function
    myproperty.begin_readings_merge(), myproperty.write_without_row_checks(text), myproperty.prove_job(uuid),
    myproperty.prove_series(uuid), myproperty.merge_readings(uuid, date[]),
    myproperty.index_readings_partition(date)
from public;
grant execute on function
    myproperty.begin_readings_merge(), myproperty.merge_readings(uuid, date[]),
    myproperty.index_readings_partition(date)
to myproperty_loader;
reset role;
