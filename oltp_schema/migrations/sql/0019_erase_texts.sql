-- The texts that people write are erased too: kept out of the audit trail and of landing, and cleared on command.


-- ---------------------------------------------------------------------------------------------------------
-- The audit trail says that a text changed, and not what it said
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_owner;

create function myproperty.hide_from_trail(target regclass, personal text []) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Ends with: audit.log_action('{key}', '{personal}').
    definition constant text := (
        select pg_get_triggerdef(t.oid) from pg_trigger as t where t.tgrelid = target and t.tgname = 'log_action'
    );
begin
    execute format(
        '%s, %L)',
        regexp_replace(
            replace(definition, 'CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER'), ', ''[^'']*''\)$', ''
        ),
        personal
    );
end;
$$;
comment on function myproperty.hide_from_trail is
'Names the columns of a table whose values the audit trail does not log.';
revoke execute on function myproperty.hide_from_trail(regclass, text []) from public;

select myproperty.hide_from_trail('myproperty.tenants', '{metadata}');
select myproperty.hide_from_trail('myproperty.properties', '{address,utility_account_number,metadata}');
select myproperty.hide_from_trail('myproperty.allocation_ledger', '{notes}');
select myproperty.hide_from_trail('myproperty.adjustment_tasks', '{reason}');
select myproperty.hide_from_trail('myproperty.invoices', '{metadata}');
select myproperty.hide_from_trail('myproperty.invoice_lines', '{description}');
select myproperty.hide_from_trail('myproperty.payments', '{reference}');
select myproperty.hide_from_trail('myproperty.ledger_entries', '{description}');
select myproperty.hide_from_trail('myproperty.project_links', '{scope_summary,sync_payload}');
select myproperty.hide_from_trail('myproperty.compliance_rule_states', '{evidence}');
select myproperty.hide_from_trail(
    'myproperty.reading_issues',
    '{resolved_by,resolution_note,accepted_by,acceptance_reason}'
);
select myproperty.hide_from_trail('myproperty.ingestion_jobs', '{source_uri}');
select myproperty.hide_from_trail('warehouse_staging.invalid_files', '{source_uri,message}');
select myproperty.hide_from_trail(
    'warehouse_staging.quarantined_readings',
    '{source_uri,reason,raw_text,resolved_by,resolution_note}'
);


-- ---------------------------------------------------------------------------------------------------------
-- Rows that are only added: their texts can be cleared, by the function below alone, and the trail logs it
-- ---------------------------------------------------------------------------------------------------------

create or replace trigger refuse_change before update or delete or truncate on myproperty.allocation_adjustments
for each statement when (current_user <> 'myproperty_guardian')
execute function myproperty.refuse_change('Adjust the allocation again: that writes a new row.');
create trigger move_version before update on myproperty.allocation_adjustments
for each row execute function myproperty.move_version();
create or replace trigger log_action after insert or update on myproperty.allocation_adjustments
for each row execute function audit.log_action('{id}', '{reason}');
create or replace trigger refuse_change before update or delete or truncate on myproperty.ticket_activities
for each statement when (current_user <> 'myproperty_guardian')
execute function myproperty.refuse_change('Add an activity that corrects it.');
create trigger move_version before update on myproperty.ticket_activities
for each row execute function myproperty.move_version();
create or replace trigger log_action after insert or update on myproperty.ticket_activities
for each row execute function audit.log_action('{id}', '{body,details}');
create or replace trigger refuse_change before update or delete or truncate on myproperty.agent_audit
for each statement when (current_user <> 'myproperty_guardian')
execute function myproperty.refuse_change('Add the next action.');
create trigger move_version before update on myproperty.agent_audit
for each row execute function myproperty.move_version();
create or replace trigger log_action after insert or update on myproperty.agent_audit
for each row execute function audit.log_action('{id}', '{input_hash}');
-- Only the metadata changes there.
create or replace trigger freeze_issued_invoice before update on myproperty.invoices
for each row when (old.status <> 'draft' and current_user <> 'myproperty_guardian')
execute function myproperty.freeze_issued_invoice();

alter table myproperty.data_keys add column erased_texts jsonb not null default '[]';
-- squawk-ignore constraint-missing-not-valid
alter table myproperty.data_keys add constraint erased_texts_are_a_list check (jsonb_typeof(erased_texts) = 'array');
comment on column myproperty.data_keys.erased_texts is
'Texts that named the erased person: column, id of the row, and path in a document. A restored database is cleared '
'there again. Also in the tombstone of the key.';

grant select on
    myproperty.tenants, myproperty.properties, myproperty.users, myproperty.tenancies, myproperty.project_links,
    myproperty.compliance_rule_states, myproperty.adjustment_tasks, myproperty.allocation_adjustments,
    myproperty.ticket_activities, myproperty.agent_audit, myproperty.reading_issues, myproperty.ingestion_jobs,
    warehouse_staging.invalid_files, warehouse_staging.quarantined_readings
to myproperty_guardian;
grant usage on schema warehouse_staging to myproperty_guardian;
grant update (input_hash) on myproperty.agent_audit to myproperty_guardian;
grant update (summary, description, attachments) on myproperty.service_tickets to myproperty_guardian;
grant update (body, details) on myproperty.ticket_activities to myproperty_guardian;
grant update (notes) on myproperty.allocation_ledger to myproperty_guardian;
grant update (reason) on myproperty.allocation_adjustments to myproperty_guardian;
grant update (metadata) on myproperty.invoices to myproperty_guardian;
grant update (metadata) on myproperty.tenants to myproperty_guardian;
grant update (metadata, address, utility_account_number) on myproperty.properties to myproperty_guardian;
grant update (sync_payload, scope_summary) on myproperty.project_links to myproperty_guardian;
grant update (evidence) on myproperty.compliance_rule_states to myproperty_guardian;
grant update (reason) on myproperty.adjustment_tasks to myproperty_guardian;
grant update (resolution_note, acceptance_reason, resolved_by, accepted_by)
on myproperty.reading_issues to myproperty_guardian;
grant update (message, source_uri) on warehouse_staging.invalid_files to myproperty_guardian;
grant update (reason, raw_text, resolution_note, resolved_by, source_uri)
on warehouse_staging.quarantined_readings to myproperty_guardian;
grant update (source_uri) on myproperty.ingestion_jobs to myproperty_guardian;

-- A table that is written anew loses the former texts on disk too. It needs no right to read.
grant usage on schema myproperty, warehouse_staging to myproperty_maintainer;
grant maintain on
    myproperty.adjustment_tasks, myproperty.agent_audit, myproperty.allocation_adjustments,
    myproperty.allocation_ledger, myproperty.compliance_rule_states, myproperty.ingestion_jobs,
    myproperty.invoices, myproperty.notification_preferences, myproperty.project_links, myproperty.properties,
    myproperty.reading_issues, myproperty.service_tickets, myproperty.tenants, myproperty.ticket_activities,
    myproperty.users, warehouse_staging.invalid_files, warehouse_staging.quarantined_readings
to myproperty_maintainer;
reset role;


-- ---------------------------------------------------------------------------------------------------------
-- Clearing. Bypasses the policies, and reads and writes only the tenant of the session
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_guardian;

create function audit.erase_texts(people uuid [], named jsonb) returns table (place text, texts bigint)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    tenant constant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
    erasable constant text[] := array[
        'myproperty.service_tickets.summary', 'myproperty.service_tickets.description',
        'myproperty.ticket_activities.body', 'myproperty.allocation_ledger.notes',
        'myproperty.allocation_adjustments.reason', 'myproperty.service_tickets.attachments',
        'myproperty.ticket_activities.details', 'myproperty.invoices.metadata',
        'audit.invoices_history.metadata', 'myproperty.tenants.metadata',
        'myproperty.properties.metadata', 'myproperty.project_links.sync_payload',
        'myproperty.compliance_rule_states.evidence', 'myproperty.properties.address',
        'myproperty.properties.utility_account_number', 'myproperty.project_links.scope_summary',
        'myproperty.adjustment_tasks.reason', 'myproperty.reading_issues.resolution_note',
        'myproperty.reading_issues.acceptance_reason', 'warehouse_staging.invalid_files.message',
        'warehouse_staging.quarantined_readings.reason', 'warehouse_staging.quarantined_readings.raw_text',
        'warehouse_staging.quarantined_readings.resolution_note', 'myproperty.reading_issues.resolved_by',
        'myproperty.reading_issues.accepted_by', 'warehouse_staging.quarantined_readings.resolved_by',
        'myproperty.ingestion_jobs.source_uri', 'warehouse_staging.invalid_files.source_uri',
        'warehouse_staging.quarantined_readings.source_uri'
    ];
    residents constant uuid[] := array(
        select u.id from myproperty.users as u
        where u.tenant_id = tenant and u.id = any (people) and u.role = 'resident'
    );
    -- What a resident opened, and what anybody opened for their unit while they lived there.
    tickets constant uuid[] := array(
        select t.id
        from myproperty.service_tickets as t
        join myproperty.properties as p on p.tenant_id = t.tenant_id and p.id = t.property_id
        where t.tenant_id = tenant and (
            t.opened_by = any (residents)
            or exists (
                select from myproperty.tenancies as n
                where n.tenant_id = tenant and n.unit_id = t.unit_id and n.user_id = any (people)
                  and n.occupied_during @> (t.opened_at at time zone p.timezone)::date
            )
        )
    );
    allocations constant uuid[] := array(
        select a.id
        from myproperty.allocation_ledger as a
        join myproperty.tenancies as n on n.tenant_id = a.tenant_id and n.id = a.tenancy_id
        where a.tenant_id = tenant and n.user_id = any (people)
    );
    item record;
begin
    select p.id into item
    from unnest(people) as p (id)
    where not exists (
        select from myproperty.users as u where u.tenant_id = tenant and u.id = p.id and u.status = 'erased'
    );
    if item.id is not null then
        raise exception 'the person % is not erased, so their texts stay', item.id
            using errcode = 'MP015', hint = 'Run `myproperty keys erase`: it erases the person first.';
    end if;

    update myproperty.service_tickets as t set summary = '(erased)', description = '', attachments = '[]'
    where t.tenant_id = tenant and t.id = any (tickets)
      and (t.summary, t.description, t.attachments) is distinct from ('(erased)', '', '[]'::jsonb);
    place := 'myproperty.service_tickets'; get diagnostics texts = row_count; return next;

    update myproperty.ticket_activities as a set body = null, details = '{}'
    where a.tenant_id = tenant and (a.ticket_id = any (tickets) or a.user_id = any (residents))
      and (a.body, a.details) is distinct from (null, '{}'::jsonb);
    place := 'myproperty.ticket_activities'; get diagnostics texts = row_count; return next;

    update myproperty.allocation_ledger as a set notes = '(erased)'
    where a.tenant_id = tenant and a.id = any (allocations) and a.notes <> '(erased)';
    place := 'myproperty.allocation_ledger'; get diagnostics texts = row_count; return next;

    update myproperty.allocation_adjustments as a set reason = '(erased)'
    where a.tenant_id = tenant and a.allocation_id = any (allocations) and a.reason <> '(erased)';
    place := 'myproperty.allocation_adjustments'; get diagnostics texts = row_count; return next;

    -- The accepted values explain the amounts of the invoice, and the program writes them.
    update myproperty.invoices as i
    set metadata = case when i.metadata ? 'accepted_values'
                        then jsonb_build_object('accepted_values', i.metadata -> 'accepted_values')
                        else '{}' end
    where i.tenant_id = tenant and i.tenant_user_id = any (people) and i.metadata - 'accepted_values' <> '{}';
    place := 'myproperty.invoices'; get diagnostics texts = row_count; return next;

    update audit.invoices_history as i
    set metadata = case when i.metadata ? 'accepted_values'
                        then jsonb_build_object('accepted_values', i.metadata -> 'accepted_values')
                        else '{}' end
    where i.tenant_id = tenant and i.tenant_user_id = any (people) and i.metadata - 'accepted_values' <> '{}';
    place := 'audit.invoices_history'; get diagnostics texts = row_count; return next;

    -- A hash of a short text is item by trying.
    update myproperty.agent_audit as a set input_hash = repeat('0', 64)
    where a.tenant_id = tenant and a.performed_by_user_id = any (people) and a.input_hash <> repeat('0', 64);
    place := 'myproperty.agent_audit'; get diagnostics texts = row_count; return next;

    for item in select * from jsonb_to_recordset(named) as n (field text, id uuid, path text[]) loop
        if item.field <> all (erasable) then
            raise exception '% is not a text that can be erased', item.field
                using errcode = 'MP015', hint = 'myproperty/personal.py lists the texts.';
        end if;
        place := substring(item.field from '^[^.]+[.][^.]+');
        if item.path is null then
            execute format(
                'update %s set %I = ''(erased)'' '
                'where tenant_id = $1 and id = $2 and %2$I not in ('''', ''(erased)'')',
                place, split_part(item.field, '.', 3)
            ) using tenant, item.id;
        elsif cardinality(item.path) = 0 then
            execute format(
                'update %s set %I = ''{}'' where tenant_id = $1 and id = $2 and %2$I <> ''{}''',
                place, split_part(item.field, '.', 3)
            ) using tenant, item.id;
        else
            -- A member goes; an element is replaced, because the others keep their places.
            execute format(
                'update %s set %I = case jsonb_typeof(%2$I #> $4) when ''array'' '
                'then jsonb_set(%2$I, $3, ''"(erased)"'', false) else %2$I #- $3 end '
                'where tenant_id = $1 and id = $2 and %2$I #> $3 <> ''"(erased)"''',
                place, split_part(item.field, '.', 3)
            ) using tenant, item.id, item.path, item.path[:cardinality(item.path) - 1];
        end if;
        get diagnostics texts = row_count; return next;
    end loop;
end;
$$;
comment on function audit.erase_texts is
'Clears the texts of erased people: tickets, their timelines, notes on allocations, metadata of invoices, hashes; '
'and the texts of `named`, a list of field (schema.table.column), id and path in a document. Returns the number of '
'texts by table. Refuses people who are not erased, and other columns (SQLSTATE MP015). `myproperty keys erase` calls '
'it.';
revoke execute on function audit.erase_texts(uuid [], jsonb) from public;
grant execute on function audit.erase_texts(uuid [], jsonb) to myproperty_app;
grant usage on schema audit to myproperty_maintainer;
grant maintain on audit.invoices_history to myproperty_maintainer;


-- ---------------------------------------------------------------------------------------------------------
-- What the trail logged before: the values of these columns go, once
-- ---------------------------------------------------------------------------------------------------------

alter table audit.logged_actions disable trigger refuse_change;

with hidden (schema_name, table_name, names) as (
    values
    ('myproperty', 'tenants', '{metadata}'::text []),
    ('myproperty', 'properties', '{address,utility_account_number,metadata}'::text []),
    ('myproperty', 'allocation_ledger', '{notes}'::text []),
    ('myproperty', 'adjustment_tasks', '{reason}'::text []),
    ('myproperty', 'invoices', '{metadata}'::text []),
    ('myproperty', 'invoice_lines', '{description}'::text []),
    ('myproperty', 'payments', '{reference}'::text []),
    ('myproperty', 'ledger_entries', '{description}'::text []),
    ('myproperty', 'project_links', '{scope_summary,sync_payload}'::text []),
    ('myproperty', 'compliance_rule_states', '{evidence}'::text []),
    ('myproperty', 'reading_issues', '{resolved_by,resolution_note,accepted_by,acceptance_reason}'::text []),
    ('myproperty', 'ingestion_jobs', '{source_uri}'::text []),
    ('warehouse_staging', 'invalid_files', '{source_uri,message}'::text []),
    ('warehouse_staging', 'quarantined_readings', '{source_uri,reason,raw_text,resolved_by,resolution_note}'::text []),
    ('myproperty', 'allocation_adjustments', '{reason}'::text []),
    ('myproperty', 'agent_audit', '{input_hash}'::text [])
)

update audit.logged_actions as a
set
    old_values = (
        select jsonb_object_agg(o.key, case when o.key = any(h.names) then '"(personal)"' else o.value end)
        from jsonb_each(a.old_values) as o
    ),
    new_values = (
        select jsonb_object_agg(n.key, case when n.key = any(h.names) then '"(personal)"' else n.value end)
        from jsonb_each(a.new_values) as n
    )
from hidden as h
where
    h.schema_name = a.schema_name and h.table_name = a.table_name
    and (a.old_values ?| h.names or a.new_values ?| h.names);

alter table audit.logged_actions enable trigger refuse_change;
reset role;

-- The planner's samples of values. Only a superuser may grant it; without, an erasure names the table that it left.
do $$
begin
    grant maintain on pg_catalog.pg_statistic to myproperty_maintainer;
exception
    when insufficient_privilege then
        raise notice 'myproperty_maintainer may not write pg_statistic anew: grant it as a superuser';
end;
$$;


-- ---------------------------------------------------------------------------------------------------------
-- Landing: no reader of the warehouse needs them
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_owner;
-- squawk-ignore ban-drop-column
alter table warehouse_staging.tenants drop column metadata;
-- squawk-ignore ban-drop-column
alter table warehouse_staging.properties drop column address;
-- squawk-ignore ban-drop-column
alter table warehouse_staging.properties drop column utility_account_number;
-- squawk-ignore ban-drop-column
alter table warehouse_staging.properties drop column metadata;
reset role;


-- ---------------------------------------------------------------------------------------------------------
-- The comment of a personal column says what becomes of it: myproperty/personal.py
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_owner;
comment on column myproperty.users.full_name is 'Personal (name): sealed with the key of the person.';
comment on column myproperty.notification_preferences.destination is
'An address or number that differs from the login. Personal (address or phone): sealed with the key of the person.';
comment on column myproperty.agent_messages.content is
'Without a person it is sealed with the key of the tenant. Personal (free text): sealed with the key of the person.';
comment on column myproperty.agent_audit.payload is
'Input and output. Without a person it is sealed with the key of the tenant. '
'Personal (free text): sealed with the key of the person.';
comment on column myproperty.users.email is
'Becomes erased-<id>@invalid. Personal (e-mail): cleared when the person is erased.';
comment on column myproperty.agent_audit.input_hash is
'SHA-256 of the input: the same input has the same hash. '
'Personal (hash of a text): cleared when the person is erased.';
comment on column myproperty.service_tickets.summary is 'Personal (free text): cleared when the person is erased.';
comment on column myproperty.service_tickets.description is
'Personal (free text): cleared when the person is erased.';
comment on column myproperty.service_tickets.search is
'The words of summary (A) and description (B). Personal (free text): cleared when the person is erased.';
comment on column myproperty.ticket_activities.body is 'Personal (free text): cleared when the person is erased.';
comment on column myproperty.allocation_ledger.notes is
'Reason of the last adjustment. Personal (free text): cleared when the person is erased.';
comment on column myproperty.allocation_adjustments.reason is
'Personal (free text): cleared when the person is erased.';
comment on column myproperty.service_tickets.attachments is
'A list of references to files, which are stored elsewhere. Personal (metadata): cleared when the person is erased.';
comment on column myproperty.ticket_activities.details is
'For a status change: the old and the new status. For an attachment: the reference. '
'Personal (metadata): cleared when the person is erased.';
comment on column myproperty.invoices.metadata is 'Personal (metadata): cleared when the person is erased.';
set local role myproperty_guardian;
comment on column audit.invoices_history.metadata is 'Personal (metadata): cleared when the person is erased.';
set local role myproperty_owner;
comment on column myproperty.tenants.metadata is
'Settings of the tenant. Personal (metadata): cleared where it names an erased person.';
comment on column myproperty.properties.metadata is 'Personal (metadata): cleared where it names an erased person.';
comment on column myproperty.project_links.sync_payload is
'The last data that OriginFD sent about the project. Personal (metadata): cleared where it names an erased person.';
comment on column myproperty.compliance_rule_states.evidence is
'The data on which the state is based. Personal (metadata): cleared where it names an erased person.';
comment on column myproperty.properties.address is
'The parts of the postal address by name. Personal (address): cleared where it names an erased person.';
comment on column myproperty.properties.utility_account_number is
'Account number at the energy retailer. Personal (account number): cleared where it names an erased person.';
comment on column myproperty.project_links.scope_summary is
'Personal (free text): cleared where it names an erased person.';
comment on column myproperty.adjustment_tasks.reason is
'Reason of the decision. Personal (free text): cleared where it names an erased person.';
comment on column myproperty.reading_issues.resolution_note is
'Personal (free text): cleared where it names an erased person.';
comment on column myproperty.reading_issues.acceptance_reason is
'Personal (free text): cleared where it names an erased person.';
comment on column warehouse_staging.invalid_files.message is
'Personal (free text): cleared where it names an erased person.';
comment on column warehouse_staging.quarantined_readings.reason is
'Personal (free text): cleared where it names an erased person.';
comment on column warehouse_staging.quarantined_readings.raw_text is
'Personal (free text): cleared where it names an erased person.';
comment on column warehouse_staging.quarantined_readings.resolution_note is
'Personal (free text): cleared where it names an erased person.';
comment on column myproperty.reading_issues.resolved_by is
'A person; or validation itself, if it ran again and did not find the issue. '
'Personal (name): cleared where it names an erased person.';
comment on column myproperty.reading_issues.accepted_by is
'The person who accepted the values of a severe issue. Personal (name): cleared where it names an erased person.';
comment on column warehouse_staging.quarantined_readings.resolved_by is
'Personal (name): cleared where it names an erased person.';
comment on column myproperty.ingestion_jobs.source_uri is
'Where the file came from. Personal (name of a file): cleared where it names an erased person.';
comment on column warehouse_staging.invalid_files.source_uri is
'Personal (name of a file): cleared where it names an erased person.';
comment on column warehouse_staging.quarantined_readings.source_uri is
'Personal (name of a file): cleared where it names an erased person.';
comment on column myproperty.invoice_lines.description is 'Personal (free text): kept with the books.';
comment on column myproperty.payments.reference is
'Reference of the bank or processor; each reference is recorded once. Personal (free text): kept with the books.';
comment on column myproperty.ledger_entries.description is 'Personal (free text): kept with the books.';
set local role myproperty_guardian;
comment on column audit.ledger_entries_history.description is 'Personal (free text): kept with the books.';
reset role;
