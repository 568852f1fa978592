-- No change passes the audit trail by, not even one of the owner's: what the trail cannot see is refused, and
-- readings that are mended by hand are logged with their values.

set local role myproperty_owner;


-- ---------------------------------------------------------------------------------------------------------
-- Truncate: no trigger of rows sees it
-- ---------------------------------------------------------------------------------------------------------

create function myproperty.refuse_unseen_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception '% of %.% would pass the audit trail by', lower(tg_op), tg_table_schema, tg_table_name
        using errcode = 'MP014', hint = coalesce(tg_argv[0], 'Delete the rows: each goes into the trail.');
end;
$$;
comment on function myproperty.refuse_unseen_change is
'Refuses what the audit trail does not see (SQLSTATE MP014); the argument says what to do instead.';

create function myproperty.refuse_truncate_of(target regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format(
        'create trigger refuse_truncate before truncate on %s '
        'for each statement execute function myproperty.refuse_unseen_change()', target
    );
end;
$$;
comment on function myproperty.refuse_truncate_of is 'Refuses to truncate a table whose rows are logged.';

create or replace function myproperty.log_actions_of(
    target regclass, events text, key text [] default '{id}', personal text [] default '{}'
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format(
        'create trigger log_action after %s on %s for each row execute function audit.log_action(%L, %L)',
        events, target, key, personal
    );
    perform myproperty.refuse_truncate_of(target);
end;
$$;
comment on function myproperty.log_actions_of is
'Gives a table the audit trail of the events, and the refusal of truncate, which the trail would not see.';

revoke execute on function myproperty.refuse_unseen_change(), myproperty.refuse_truncate_of(regclass) from public;
grant execute on function myproperty.refuse_unseen_change() to myproperty_partitioner;

do $$
declare
    target regclass;
begin
    for target in
        select t.tgrelid::regclass from pg_trigger as t
        where t.tgfoid = 'audit.log_action'::regproc and t.tgparentid = 0 order by t.tgrelid
    loop
        perform myproperty.refuse_truncate_of(target);
    end loop;
end;
$$;


-- ---------------------------------------------------------------------------------------------------------
-- Rows: when they were made stays, and a payment that is booked stays
-- ---------------------------------------------------------------------------------------------------------

create or replace function myproperty.move_version() returns trigger
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
    new.created_at := old.created_at;
    new.updated_at := now();
    return new;
end;
$$;
comment on function myproperty.move_version is
'On update: refuses the version of an older read (SQLSTATE MP001), moves version and updated_at, keeps created_at.';

create function myproperty.keep_booked_payment() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (
        select from myproperty.ledger_entries as e
        where e.tenant_id = old.tenant_id and e.reference_type = 'payment' and e.reference_id = old.id
    ) then
        raise exception 'the payment % is booked and is not deleted', old.reference
            using errcode = 'MP011', hint = 'Reverse it, and book that.';
    end if;
    return old;
end;
$$;
comment on function myproperty.keep_booked_payment is
'Refuses to delete a payment that the ledger has booked (SQLSTATE MP011).';
revoke execute on function myproperty.keep_booked_payment() from public;
create trigger keep_booked_payment before delete on myproperty.payments
for each row execute function myproperty.keep_booked_payment();

reset role;


-- ---------------------------------------------------------------------------------------------------------
-- Readings: written through their table, whose triggers log it, and never through a partition
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_partitioner;

create trigger refuse_truncate before truncate on myproperty.meter_readings
for each statement execute function myproperty.refuse_unseen_change();
grant select on myproperty.meter_readings to myproperty_guardian;

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

create or replace function myproperty.attach_readings_partition(reading_date date) returns void
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
    perform myproperty.refuse_writes_to_partition(target);
    execute format('analyze %s', target);
end;
$$;

revoke execute on function myproperty.refuse_writes_to_partition(regclass) from public;

do $$
declare
    target regclass;
begin
    for target in
        select i.inhrelid::regclass from pg_inherits as i
        where i.inhparent = 'myproperty.meter_readings'::regclass order by i.inhrelid
    loop
        perform myproperty.refuse_writes_to_partition(target);
    end loop;
end;
$$;
reset role;

set local role myproperty_guardian;

create or replace function audit.log_readings() returns trigger
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

reset role;
