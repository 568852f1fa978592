-- Schemas, functions that every table uses, and the audit trail.
-- The roles exist already: oltp_schema/roles.py creates them before any revision runs.


-- ---------------------------------------------------------------------------------------------------------
-- Schemas
-- ---------------------------------------------------------------------------------------------------------

-- WITHOUT OVERLAPS needs it to compare uuids.
create extension if not exists btree_gist with schema public;
create extension if not exists citext with schema public;

create schema myproperty authorization myproperty_owner;
comment on schema myproperty is 'The data of tenants, and the readings of their meters.';
create schema warehouse_staging authorization myproperty_owner;
comment on schema warehouse_staging is 'Quarantine, landing tables, and the records of the pipeline itself.';
create schema audit authorization myproperty_guardian;
comment on schema audit is 'Who changed what, and the history of invoices and ledger entries.';

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
-- Functions that every table uses: the tenant policy, versions, the refusal of changes
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_owner;

create function myproperty.protect_tenant_table(target regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    -- The sub-select reads the setting once for each statement, not once for each row. Without a tenant, and with
    -- the empty string that a finished transaction leaves behind, the policy shows no row.
    execute format(
        'create policy "A tenant sees only its own rows" on %s '
        'using (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid)) '
        'with check (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))',
        target
    );
end;
$$;
comment on function myproperty.protect_tenant_table is
'Enables and forces row-level security on a table with a tenant_id, and adds the tenant policy.';

create function myproperty.move_version() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.version is distinct from old.version then
        raise exception 'stale version of %.%: the row is at version %, the update was made for version %',
            tg_table_schema, tg_table_name, old.version, new.version
            using errcode = 'MP001',
                  hint = 'Read the row again and send the version that you read, or send no version.';
    end if;
    new.version := old.version + 1;
    new.created_at := old.created_at;
    new.updated_at := now();
    return new;
end;
$$;
comment on function myproperty.move_version is
'On update: refuses an update based on an older version (SQLSTATE MP001), sets version and updated_at, keeps '
'created_at.';

create function myproperty.refuse_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception '%.% is history: its rows are never changed or deleted', tg_table_schema, tg_table_name
        using errcode = 'MP002', hint = coalesce(tg_argv[0], 'Load a correction: it becomes a new version.');
end;
$$;
comment on function myproperty.refuse_change is
'Refuses update, delete and truncate (SQLSTATE MP002); the argument is the hint.';

create function myproperty.refuse_unseen_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception '% of %.% would bypass the audit trail', lower(tg_op), tg_table_schema, tg_table_name
        using errcode = 'MP014', hint = coalesce(tg_argv[0], 'Delete the rows: the trail logs each of them.');
end;
$$;
comment on function myproperty.refuse_unseen_change is
'Refuses a change that the audit trail does not see (SQLSTATE MP014); the argument is the hint.';

-- Digits are allowed below Etc/ only: PostgreSQL accepts any other name with a digit as a POSIX rule.
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
comment on function myproperty.is_timezone(text) is
'Whether a name is a time zone of the IANA list, and not a POSIX rule.';

-- By default everybody may execute a new function.
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
-- The trail. Nobody takes its owner on, so not even the owner of the tables can rewrite it
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_guardian;

create table audit.logged_actions (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    schema_name text not null,
    table_name text not null,
    row_key jsonb not null,
    -- A column, because under a policy no index on the expression would be used: `->>` is not leakproof.
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
'Every change of every table: who, when, and the changed columns. Rows are added, never changed.';
comment on column audit.logged_actions.row_key is
'The key of the row. For readings, which are logged once for each statement: the dates and the number of rows.';
comment on column audit.logged_actions.row_id is 'The id from the key, for looking up a row.';
comment on column audit.logged_actions.action is 'insert, update or delete.';
comment on column audit.logged_actions.old_values is
'Before the change: the changed columns, or the whole deleted row.';
comment on column audit.logged_actions.new_values is
'After the change: the changed columns, or the whole inserted row.';
comment on column audit.logged_actions.user_id is
'The setting app.user_id: the person on whose behalf the session acts.';
comment on column audit.logged_actions.role_name is 'The role that the session had taken on, else its login.';
comment on column audit.logged_actions.login_name is 'The login of the session.';
comment on column audit.logged_actions.application_name is 'The name that the client gave itself.';
comment on column audit.logged_actions.transaction_id is 'The same for all changes of one transaction.';

select myproperty.protect_tenant_table('audit.logged_actions');
create trigger refuse_change before update or delete or truncate on audit.logged_actions
for each statement execute function myproperty.refuse_change('The trail is added to, and never mended.');
grant select on audit.logged_actions to myproperty_auditor;

-- Bypasses the policies: the row belongs to the tenant of the changed row, whichever tenant the session has set.
create function audit.log_action() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    -- The arguments: the key columns, and the columns with personal data, whose values are not logged.
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
'Writes audit.logged_actions. Arguments: the key columns; the columns with personal data, whose values are not '
'logged.';

revoke execute on function audit.log_action() from public;
grant execute on function audit.log_action() to myproperty_owner, myproperty_partitioner;
reset role;


-- ---------------------------------------------------------------------------------------------------------
-- Functions that give a new table its policy, its version trigger and its audit trail
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
comment on function myproperty.refuse_truncate_of is
'Makes a table refuse truncate, because its rows are logged one by one.';

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
'Logs the given events of a table in the audit trail, and makes the table refuse truncate, which no row trigger '
'sees.';

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
'Gives a new table the tenant policy, the version trigger and the audit trail. The trail omits the values of '
'columns with personal data.';

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
'Gives a new table, whose rows never change, the tenant policy, the refusal of changes and the audit trail.';

revoke execute on function
    myproperty.refuse_truncate_of(regclass),
    myproperty.log_actions_of(regclass, text, text [], text []),
    myproperty.add_tenant_table(regclass, text []),
    myproperty.add_append_only_table(regclass, text)
from public;

reset role;
