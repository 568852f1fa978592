-- The audit trail, and what every table from here on is given when it is made.


-- ---------------------------------------------------------------------------------------------------------
-- The trail: owned by a role that nobody takes on, so that not even the owner of the tables can rewrite it
-- ---------------------------------------------------------------------------------------------------------

create schema audit authorization myproperty_guardian;
comment on schema audit is 'Who changed what, and how invoices and the ledger stood at any time.';
grant usage, create on schema myproperty to myproperty_guardian;

set local role myproperty_owner;
grant execute on function
    myproperty.protect_tenant_table(regclass), myproperty.move_version(), myproperty.refuse_change()
to myproperty_guardian;

create or replace function myproperty.refuse_change() returns trigger
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
-- A trigger of rows does not see a truncate.
drop trigger refuse_change on myproperty.meter_reading_versions;
create trigger refuse_change before update or delete or truncate on myproperty.meter_reading_versions
for each statement execute function myproperty.refuse_change();

set local role myproperty_guardian;
grant usage on schema audit to
    myproperty_owner, myproperty_partitioner, myproperty_app, myproperty_etl, myproperty_readonly,
    myproperty_auditor;

create table audit.logged_actions (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    schema_name text not null,
    table_name text not null,
    row_key jsonb not null,
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
comment on column audit.logged_actions.action is 'insert, update or delete.';
comment on column audit.logged_actions.role_name is 'The role that was taken on, or the login.';
comment on column audit.logged_actions.login_name is 'Who logged in.';
comment on column audit.logged_actions.application_name is 'As the client calls itself.';
comment on column audit.logged_actions.transaction_id is 'The same for all that one transaction changed.';
comment on column audit.logged_actions.row_key is
'The key of the row; for readings, which are logged a statement at a time, the dates and how many.';
-- Getting a field of jsonb is not leakproof: under a policy no index on the expression would find the row.
comment on column audit.logged_actions.row_id is 'The id of the key, to look the row up by.';
comment on column audit.logged_actions.old_values is 'Before: the columns that changed, or the row deleted.';
comment on column audit.logged_actions.new_values is 'After: the columns that changed, or the row inserted.';
comment on column audit.logged_actions.user_id is 'The setting app.user_id: the person on whose behalf.';

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

create function audit.log_readings() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into audit.logged_actions
        (tenant_id, schema_name, table_name, row_key, action, old_values,
         user_id, role_name, login_name, application_name)
    select
        o.tenant_id, tg_table_schema, tg_table_name,
        jsonb_build_object('readings', count(*), 'reading_dates', jsonb_agg(distinct o.reading_date)),
        lower(tg_op),
        jsonb_build_object('ingestion_job_ids', jsonb_agg(distinct o.ingestion_job_id)),
        nullif(current_setting('app.user_id', true), '')::uuid,
        coalesce(nullif(current_setting('role'), 'none'), session_user),
        session_user, current_setting('application_name')
    from old_rows as o
    group by o.tenant_id;
    return null;
end;
$$;
comment on function audit.log_readings is
'Statement trigger of readings: one row a tenant. The values replaced are in meter_reading_versions.';

revoke execute on all functions in schema audit from public;
grant execute on function audit.log_action(), audit.log_readings()
to myproperty_owner, myproperty_partitioner;


-- ---------------------------------------------------------------------------------------------------------
-- What a table of tenants is given: the policy, the version, the trail
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_owner;

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
end;
$$;

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
    myproperty.log_actions_of(regclass, text, text [], text []),
    myproperty.add_tenant_table(regclass, text []),
    myproperty.add_append_only_table(regclass, text)
from public;

-- The tables there are. Loads are audited by the ledger of ingestion, what they replace by the versions.
select myproperty.log_actions_of('myproperty.tenants', 'insert or update or delete');
select myproperty.log_actions_of('myproperty.properties', 'insert or update or delete');
select myproperty.log_actions_of('myproperty.units', 'insert or update or delete');
select myproperty.log_actions_of('myproperty.meters', 'insert or update or delete');
select myproperty.log_actions_of('myproperty.meter_registers', 'insert or update or delete');
select myproperty.log_actions_of('myproperty.meter_assignments', 'insert or update or delete');
select myproperty.log_actions_of('myproperty.ingestion_jobs', 'update or delete');
select myproperty.log_actions_of(
    'myproperty.ingestion_job_dates', 'update or delete', '{ingestion_job_id,reading_date}'
);
select myproperty.log_actions_of('warehouse_staging.invalid_files', 'update or delete');
select myproperty.log_actions_of('warehouse_staging.quarantined_readings', 'update or delete');

reset role;
set local role myproperty_partitioner;
create trigger log_updates after update on myproperty.meter_readings
referencing old table as old_rows
for each statement execute function audit.log_readings();
create trigger log_deletes after delete on myproperty.meter_readings
referencing old table as old_rows
for each statement execute function audit.log_readings();
reset role;


-- ---------------------------------------------------------------------------------------------------------
-- What the tables there are hold
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_owner;

comment on function myproperty.is_timezone(text) is 'Whether a name is of the IANA list, and not a POSIX rule.';
comment on column myproperty.tenants.region is 'ISO 3166-1 alpha-2.';
comment on column myproperty.tenants.metadata is 'Settings of the tenant.';
comment on column myproperty.properties.address is 'Parts of the postal address, by name.';
comment on column myproperty.properties.timezone is 'An IANA name.';
comment on column myproperty.properties.utility_account_number is 'Of the account with the retailer.';
comment on column myproperty.properties.solar_capacity_kw is 'kW peak (DC) of all arrays.';
comment on column myproperty.units.sq_ft is 'Floor area in square feet.';
comment on column myproperty.units.active is 'False once it is not let any more.';
comment on column myproperty.meters.type is 'What it measures.';
comment on column myproperty.meters.timezone is 'An IANA name; decides the reading date.';
comment on column myproperty.meter_registers.identifier is
'As files name the meter: NMI, usage point, metering point.';
comment on column myproperty.meter_registers.register is
'As files name the series: E1, an OBIS code, a flow direction.';
comment on column myproperty.meter_registers.channel is 'What the series means to us.';
comment on column myproperty.meter_assignments.assigned_during is 'Local dates, half-open.';
comment on column myproperty.ingestion_jobs.source_uri is 'Where the file came from.';
comment on column myproperty.ingestion_jobs.content_hash is 'SHA-256 of the content.';
comment on column myproperty.ingestion_jobs.source_version is
'The newest version that the sender gave to a value of the file.';
comment on column myproperty.ingestion_jobs.accepted is 'Readings where there was none before.';
comment on column myproperty.ingestion_jobs.unchanged is
'Readings that were there already, with the same value.';
comment on column myproperty.ingestion_jobs.new_versions is 'Readings that replaced an older value.';
comment on column myproperty.ingestion_jobs.quarantined is 'Readings that broke a rule.';
comment on column myproperty.ingestion_jobs.energy_in_kwh is
'In the file: what was accepted and what was quarantined together.';
comment on column myproperty.ingestion_job_dates.readings is 'How many readings of the date the job changed.';
comment on column myproperty.ingestion_job_dates.touched_at is
'Later than published_at means: to be built again.';
comment on column myproperty.meter_readings.channel is 'What the series means to us.';
comment on column myproperty.meter_readings.value_native is
'As the file has it, in unit; NULL if quality is null.';
comment on column myproperty.meter_readings.quality_method is 'The flag and method of the file itself.';
comment on column myproperty.meter_readings.reason_code is 'Why the sender changed or made up the value.';
comment on column myproperty.meter_readings.is_estimated is 'True if quality is estimated.';
comment on column myproperty.meter_readings.source is 'The format that it came in.';
comment on column myproperty.meter_reading_versions.replaced_at is 'When a newer value came.';
comment on table warehouse_staging.tenants is
'Rows of myproperty.tenants as they were at landed_at, on their way to the warehouse.';
comment on table warehouse_staging.properties is
'Rows of myproperty.properties as they were at landed_at, on their way to the warehouse.';
comment on table warehouse_staging.units is
'Rows of myproperty.units as they were at landed_at, on their way to the warehouse.';
comment on table warehouse_staging.meters is
'Rows of myproperty.meters as they were at landed_at, on their way to the warehouse.';
comment on table warehouse_staging.meter_registers is
'Rows of myproperty.meter_registers as they were at landed_at, on their way to the warehouse.';
comment on table warehouse_staging.meter_assignments is
'Rows of myproperty.meter_assignments as they were at landed_at, on their way to the warehouse.';
comment on column warehouse_staging.meter_assignments.assigned_from is 'The first day served.';
reset role;
