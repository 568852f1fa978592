-- The schemas, what every table shares, and the audit trail.
-- The roles exist already (oltp_schema/roles.py makes them before any revision runs).


-- ---------------------------------------------------------------------------------------------------------
-- Schemas
-- ---------------------------------------------------------------------------------------------------------

-- uuid equality inside WITHOUT OVERLAPS.
create extension if not exists btree_gist with schema public;
create extension if not exists citext with schema public;

create schema myproperty authorization myproperty_owner;
comment on schema myproperty is 'What a tenant owns, and the readings of its meters.';
create schema warehouse_staging authorization myproperty_owner;
comment on schema warehouse_staging is 'What is between the OLTP tables and the warehouse.';
create schema audit authorization myproperty_guardian;
comment on schema audit is 'Who changed what, and how invoices and the ledger stood at any time.';

set local role myproperty_owner;
grant usage on schema myproperty, warehouse_staging to
    myproperty_app, myproperty_loader, myproperty_etl, myproperty_readonly, myproperty_auditor;
grant usage, create on schema myproperty, warehouse_staging to myproperty_partitioner;
grant usage, create on schema myproperty to myproperty_guardian;

set local role myproperty_guardian;
grant usage on schema audit to
    myproperty_owner, myproperty_partitioner, myproperty_app, myproperty_etl, myproperty_readonly,
    myproperty_auditor;
reset role;


-- ---------------------------------------------------------------------------------------------------------
-- What every table shares: a tenant's policy, and a version that an update has to know
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_owner;

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
    new.created_at := old.created_at;
    new.updated_at := now();
    return new;
end;
$$;
comment on function myproperty.move_version is
'On update: refuses the version of an older read (SQLSTATE MP001), moves version and updated_at, keeps created_at.';

create function myproperty.refuse_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception '%.% is history: a row is never changed or deleted', tg_table_schema, tg_table_name
        using errcode = 'MP002', hint = coalesce(tg_argv[0], 'Load a correction: it becomes a new version.');
end;
$$;
comment on function myproperty.refuse_change is
'Refuses update, delete and truncate (SQLSTATE MP002); the argument says what to do instead.';

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
comment on function myproperty.is_timezone(text) is 'Whether a name is of the IANA list, and not a POSIX rule.';

-- A function is everybody's unless it is said otherwise.
revoke execute on function
    myproperty.protect_tenant_table(regclass), myproperty.move_version(), myproperty.refuse_change(),
    myproperty.refuse_unseen_change()
from public;
grant execute on function myproperty.protect_tenant_table(regclass), myproperty.move_version()
to myproperty_partitioner, myproperty_guardian;
grant execute on function myproperty.refuse_change() to myproperty_guardian;
grant execute on function myproperty.refuse_unseen_change() to myproperty_partitioner;
reset role;


-- ---------------------------------------------------------------------------------------------------------
-- The trail: owned by a role that nobody takes on, so that not even the owner of the tables can rewrite it
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_guardian;

create table audit.logged_actions (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    schema_name text not null,
    table_name text not null,
    row_key jsonb not null,
    -- Getting a field of jsonb is not leakproof: under a policy no index on the expression would find the row.
    row_id text generated always as (row_key ->> 'id') stored,
    action text not null constraint action_is_known check (action in ('insert', 'update', 'delete')),
    old_values jsonb,
    new_values jsonb,
    user_id uuid,
    role_name text not null,
    login_name text not null,
    application_name text not null,
    transaction_id xid8 not null default pg_current_xact_id(),
    occurred_at timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1
);
create index logged_actions_of_row
on audit.logged_actions (tenant_id, table_name, row_id, occurred_at);
comment on table audit.logged_actions is
'Every change of every table: who, when, and the columns that changed. Rows are only ever added.';
comment on column audit.logged_actions.row_key is
'The key of the row; for readings, which are logged a statement at a time, the dates and how many.';
comment on column audit.logged_actions.row_id is 'The id of the key, to look the row up by.';
comment on column audit.logged_actions.action is 'insert, update or delete.';
comment on column audit.logged_actions.old_values is 'Before: the columns that changed, or the row deleted.';
comment on column audit.logged_actions.new_values is 'After: the columns that changed, or the row inserted.';
comment on column audit.logged_actions.user_id is 'The setting app.user_id: the person on whose behalf.';
comment on column audit.logged_actions.role_name is 'The role that was taken on, or the login.';
comment on column audit.logged_actions.login_name is 'Who logged in.';
comment on column audit.logged_actions.application_name is 'As the client calls itself.';
comment on column audit.logged_actions.transaction_id is 'The same for all that one transaction changed.';

select myproperty.protect_tenant_table('audit.logged_actions');
create trigger refuse_change before update or delete or truncate on audit.logged_actions
for each statement execute function myproperty.refuse_change('The trail is added to, and never mended.');
grant select on audit.logged_actions to myproperty_auditor;

-- Past the policies: a row of the tenant that it is about, whichever tenant the session has set.
create function audit.log_action() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    -- The arguments: columns of the key, and columns with personal data, whose values stay out of the trail.
    key_columns constant text[] := tg_argv[0]::text[];
    personal constant text[] := tg_argv[1]::text[];
    old_row constant jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
    new_row constant jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
    the_row constant jsonb := coalesce(new_row, old_row);
    old_values jsonb;
    new_values jsonb;
    key jsonb;
begin
    select jsonb_object_agg(o.key, case when o.key = any (personal) then '"(personal)"' else o.value end)
    into old_values
    from jsonb_each(old_row) as o
    where o.key <> 'updated_at' and (new_row is null or o.value is distinct from new_row -> o.key);
    select jsonb_object_agg(n.key, case when n.key = any (personal) then '"(personal)"' else n.value end)
    into new_values
    from jsonb_each(new_row) as n
    where n.key <> 'updated_at' and (old_row is null or n.value is distinct from old_row -> n.key);
    select jsonb_object_agg(k, the_row -> k) into key from unnest(key_columns) as k;
    insert into audit.logged_actions
        (tenant_id, schema_name, table_name, row_key, action, old_values, new_values,
         user_id, role_name, login_name, application_name)
    values
        ((the_row ->> 'tenant_id')::uuid, tg_table_schema, tg_table_name, key, lower(tg_op), old_values, new_values,
         nullif(current_setting('app.user_id', true), '')::uuid,
         coalesce(nullif(current_setting('role'), 'none'), session_user),
         session_user, current_setting('application_name'));
    return null;
end;
$$;
comment on function audit.log_action is
'Writes audit.logged_actions. Arguments: columns of the key; columns with personal data, whose values stay out.';

revoke execute on function audit.log_action() from public;
grant execute on function audit.log_action() to myproperty_owner, myproperty_partitioner;
reset role;


-- ---------------------------------------------------------------------------------------------------------
-- What a table of tenants is given: the policy, the version, the trail
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_owner;

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

create function myproperty.log_actions_of(
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

create function myproperty.add_tenant_table(target regclass, personal text [] default '{}') returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform myproperty.protect_tenant_table(target);
    execute format(
        'create trigger move_version before update on %s for each row execute function myproperty.move_version()',
        target
    );
    perform myproperty.log_actions_of(target, 'insert or update or delete', personal => personal);
end;
$$;
comment on function myproperty.add_tenant_table is
'Gives a new table the policy of tenants, the trigger of versions and the audit trail, from which the values '
'of columns with personal data stay away.';

create function myproperty.add_append_only_table(target regclass, remedy text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform myproperty.protect_tenant_table(target);
    execute format(
        'create trigger refuse_change before update or delete or truncate on %s '
        'for each statement execute function myproperty.refuse_change(%L)',
        target, remedy
    );
    perform myproperty.log_actions_of(target, 'insert');
end;
$$;
comment on function myproperty.add_append_only_table is
'Gives a new table whose rows are never changed the policy of tenants, the refusal and the audit trail.';

revoke execute on function
    myproperty.refuse_truncate_of(regclass),
    myproperty.log_actions_of(regclass, text, text [], text []),
    myproperty.add_tenant_table(regclass, text []),
    myproperty.add_append_only_table(regclass, text)
from public;

reset role;
