-- Projects of OriginFD, compliance, service tickets, and agents.


-- ---------------------------------------------------------------------------------------------------------
-- originfd: another system owns it. Where it is missing, as on an embedded engine, the part that we read is created
-- ---------------------------------------------------------------------------------------------------------

create schema if not exists originfd authorization originfd;
comment on schema originfd is 'Managed by OriginFD; MyProperty reads it.';
grant usage on schema myproperty to originfd;

set local role myproperty_owner;
grant execute on function myproperty.protect_tenant_table(regclass) to originfd;

set local role originfd;
create table if not exists originfd.projects (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    name text not null,
    status text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id)
);
comment on table originfd.projects is 'A project that OriginFD plans or builds for a tenant.';
select myproperty.protect_tenant_table('originfd.projects');
grant usage on schema originfd to
    myproperty_owner, myproperty_app, myproperty_etl, myproperty_readonly, myproperty_guardian;
grant select on originfd.projects to myproperty_app, myproperty_etl, myproperty_readonly;
grant references on originfd.projects to myproperty_owner;

set local role myproperty_owner;
revoke execute on function myproperty.protect_tenant_table(regclass) from originfd;


-- ---------------------------------------------------------------------------------------------------------
-- Projects and compliance
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.project_links (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    originfd_project_id uuid not null,
    project_type text not null
        constraint project_type_is_known check (project_type in ('solar', 'battery', 'retrofit', 'metering')),
    status text not null default 'proposed'
        constraint project_status_is_known
            check (status in ('proposed', 'approved', 'in_progress', 'live', 'cancelled')),
    scope_summary text,
    target_live_date date,
    sync_payload jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    unique (tenant_id, property_id, originfd_project_id),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict,
    constraint project_is_known_to_originfd
        foreign key (tenant_id, originfd_project_id)
        references originfd.projects (tenant_id, id) on delete restrict
);
comment on table myproperty.project_links is 'The OriginFD projects of a property.';
comment on column myproperty.project_links.originfd_project_id is 'The project in the schema originfd.';
comment on column myproperty.project_links.target_live_date is 'The planned date of going live.';
comment on column myproperty.project_links.sync_payload is 'The last data that OriginFD sent about the project.';
select myproperty.add_tenant_table('myproperty.project_links');

create table myproperty.compliance_rule_states (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    rule_code text not null constraint rule_has_a_code check (rule_code <> ''),
    state text not null
        constraint compliance_state_is_known
            check (state in ('unknown', 'compliant', 'due', 'breached', 'exempt')),
    evaluated_at timestamptz not null,
    due_on date,
    evidence jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    unique (tenant_id, property_id, rule_code),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict
);
comment on table myproperty.compliance_rule_states is
'Whether a property complies with a rule, such as the yearly inspection of its inverters.';
comment on column myproperty.compliance_rule_states.evaluated_at is 'When the state was determined.';
comment on column myproperty.compliance_rule_states.due_on is 'The date by which the property has to comply.';
comment on column myproperty.compliance_rule_states.evidence is 'The data on which the state is based.';
select myproperty.add_tenant_table('myproperty.compliance_rule_states');


-- ---------------------------------------------------------------------------------------------------------
-- Service tickets
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.service_tickets (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    unit_id uuid,
    opened_by uuid not null,
    status text not null default 'open'
        constraint ticket_status_is_known
            check (status in ('open', 'quoted', 'scheduled', 'in_progress', 'resolved', 'closed', 'cancelled')),
    priority text not null default 'normal'
        constraint ticket_priority_is_known check (priority in ('low', 'normal', 'high', 'urgent')),
    summary text not null constraint ticket_has_a_summary check (summary ~ '\S'),
    description text not null default '',
    category text not null
        constraint ticket_category_is_known
            check (category in ('solar', 'metering', 'billing', 'plumbing', 'electrical', 'other')),
    attachments jsonb not null default '[]'
        constraint attachments_are_a_list check (jsonb_typeof(attachments) = 'array'),
    sla_target_at timestamptz,
    opened_at timestamptz not null default now(),
    resolved_at timestamptz,
    search tsvector not null generated always as (
        setweight(to_tsvector('english', summary), 'A') || setweight(to_tsvector('english', description), 'B')
    ) stored,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict,
    constraint unit_is_of_the_property
        foreign key (tenant_id, property_id, unit_id)
        references myproperty.units (tenant_id, property_id, id) on delete restrict,
    foreign key (tenant_id, opened_by) references myproperty.users (tenant_id, id) on delete restrict,
    constraint resolved_ticket_says_when
        check ((status in ('resolved', 'closed')) = (resolved_at is not null)),
    constraint ticket_is_resolved_after_it_is_opened check (resolved_at >= opened_at),
    constraint sla_target_is_after_opening check (sla_target_at > opened_at)
);
create index service_tickets_of_property on myproperty.service_tickets (tenant_id, property_id);
create index service_tickets_search on myproperty.service_tickets using gin (search);
comment on table myproperty.service_tickets is 'A repair or question of a property, and its due time.';
comment on column myproperty.service_tickets.attachments is
'A list of references to files, which are stored elsewhere.';
comment on column myproperty.service_tickets.sla_target_at is
'A ticket that is resolved later than this breaks its service level.';
comment on column myproperty.service_tickets.search is 'The words of summary (A) and description (B).';
-- The text of tickets often holds personal data, which would stay in the trail after the person is erased. So the
-- trail says that the text changed, but not what it said.
select myproperty.add_tenant_table('myproperty.service_tickets', '{summary,description,attachments,search}');

create table myproperty.ticket_quotes (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    ticket_id uuid not null,
    provider_id uuid not null,
    amount numeric(14, 2) not null constraint quote_is_not_negative check (amount >= 0),
    currency text not null constraint currency_is_iso_4217 check (currency ~ '^[A-Z]{3}$'),
    status text not null default 'proposed'
        constraint quote_status_is_known check (status in ('proposed', 'accepted', 'declined', 'expired')),
    quoted_at timestamptz not null default now(),
    valid_until date,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    foreign key (tenant_id, ticket_id) references myproperty.service_tickets (tenant_id, id) on delete restrict,
    foreign key (tenant_id, provider_id) references myproperty.providers (tenant_id, id) on delete restrict
);
create unique index ticket_quotes_one_accepted
on myproperty.ticket_quotes (tenant_id, ticket_id) where status = 'accepted';
create index ticket_quotes_of_ticket on myproperty.ticket_quotes (tenant_id, ticket_id);
comment on table myproperty.ticket_quotes is
'The price that a provider asks for the work; at most one quote is accepted.';
comment on column myproperty.ticket_quotes.valid_until is 'The last day on which the quote can be accepted.';
select myproperty.add_tenant_table('myproperty.ticket_quotes');

create table myproperty.ticket_schedules (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    ticket_id uuid not null,
    provider_id uuid,
    scheduled_during tstzrange not null
        constraint visit_has_a_start_and_an_end check (
            not isempty(scheduled_during) and not lower_inf(scheduled_during) and not upper_inf(scheduled_during)
        ),
    status text not null default 'planned'
        constraint visit_status_is_known check (status in ('planned', 'done', 'missed', 'cancelled')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    foreign key (tenant_id, ticket_id) references myproperty.service_tickets (tenant_id, id) on delete restrict,
    foreign key (tenant_id, provider_id) references myproperty.providers (tenant_id, id) on delete restrict
);
create index ticket_schedules_of_ticket on myproperty.ticket_schedules (tenant_id, ticket_id);
comment on table myproperty.ticket_schedules is 'A planned visit for a ticket.';
comment on column myproperty.ticket_schedules.scheduled_during is 'From the start of the visit to its end.';
select myproperty.add_tenant_table('myproperty.ticket_schedules');

create table myproperty.ticket_activities (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    ticket_id uuid not null,
    kind text not null
        constraint activity_kind_is_known check (kind in ('status_change', 'note', 'attachment', 'ai_action')),
    user_id uuid,
    agent_id text,
    body text,
    details jsonb not null default '{}',
    occurred_at timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    foreign key (tenant_id, ticket_id) references myproperty.service_tickets (tenant_id, id) on delete restrict,
    foreign key (tenant_id, user_id) references myproperty.users (tenant_id, id) on delete restrict,
    constraint activity_is_of_a_person_or_an_agent check (num_nonnulls(user_id, agent_id) = 1),
    constraint ai_action_is_of_an_agent check (kind <> 'ai_action' or agent_id is not null)
);
create index ticket_activities_of_ticket on myproperty.ticket_activities (tenant_id, ticket_id, occurred_at);
comment on table myproperty.ticket_activities is 'The timeline of a ticket.';
comment on column myproperty.ticket_activities.agent_id is 'The agent that acted, if it was not a person.';
comment on column myproperty.ticket_activities.details is
'For a status change: the old and the new status. For an attachment: the reference.';
select myproperty.protect_tenant_table('myproperty.ticket_activities');
create trigger refuse_change before update or delete or truncate on myproperty.ticket_activities
for each statement execute function myproperty.refuse_change('Add an activity that corrects it.');
select myproperty.log_actions_of('myproperty.ticket_activities', 'insert', personal => '{body,details}');


-- ---------------------------------------------------------------------------------------------------------
-- Agents
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.agent_messages (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    session_id uuid not null,
    sequence integer not null constraint sequence_is_positive check (sequence > 0),
    agent_id text not null constraint agent_is_named check (agent_id <> ''),
    user_id uuid,
    role text not null constraint message_role_is_known check (role in ('system', 'user', 'agent', 'tool')),
    content myproperty.sealed not null,
    sent_at timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    unique (tenant_id, session_id, sequence),
    -- Without a person, the key (tenant_id, user_id) is not checked; this key is.
    constraint message_is_of_a_tenant foreign key (tenant_id) references myproperty.tenants (id) on delete restrict,
    foreign key (tenant_id, user_id) references myproperty.users (tenant_id, id) on delete restrict
);
comment on table myproperty.agent_messages is 'The messages between a person and an agent.';
comment on column myproperty.agent_messages.sequence is 'Number of the message in its session.';
comment on column myproperty.agent_messages.content is 'Sealed under the key of the person, or of the tenant.';
select myproperty.add_append_only_table('myproperty.agent_messages', 'Send another message.');

create table myproperty.agent_audit (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null references myproperty.tenants (id) on delete restrict,
    session_id uuid,
    agent_id text not null constraint agent_is_named check (agent_id <> ''),
    tool_name text not null constraint tool_is_named check (tool_name <> ''),
    input_hash text not null constraint input_hash_is_sha256_in_hex check (input_hash ~ '^[0-9a-f]{64}$'),
    outcome text not null
        constraint outcome_is_known check (outcome in ('succeeded', 'failed', 'refused')),
    latency_ms integer not null constraint latency_is_not_negative check (latency_ms >= 0),
    trace_id text not null constraint trace_id_is_hex check (trace_id ~ '^[0-9a-f]{32}$'),
    performed_by_user_id uuid,
    payload myproperty.sealed,
    occurred_at timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    foreign key (tenant_id, performed_by_user_id) references myproperty.users (tenant_id, id) on delete restrict
);
create index agent_audit_of_session on myproperty.agent_audit (tenant_id, session_id);
comment on table myproperty.agent_audit is 'Each use of a tool by an agent: for whom, and with which outcome.';
comment on column myproperty.agent_audit.input_hash is 'SHA-256 of the input: the same input has the same hash.';
comment on column myproperty.agent_audit.trace_id is 'Trace id of W3C Trace Context.';
comment on column myproperty.agent_audit.payload is
'Input and output; sealed under the key of the person, or of the tenant.';
select myproperty.add_append_only_table('myproperty.agent_audit', 'Add the next action.');


-- ---------------------------------------------------------------------------------------------------------
-- Grants
-- ---------------------------------------------------------------------------------------------------------

grant select on
    myproperty.project_links, myproperty.compliance_rule_states, myproperty.service_tickets,
    myproperty.ticket_quotes, myproperty.ticket_schedules, myproperty.ticket_activities,
    myproperty.agent_messages, myproperty.agent_audit
to myproperty_etl, myproperty_readonly;
grant select, insert, update on
    myproperty.project_links, myproperty.compliance_rule_states, myproperty.service_tickets,
    myproperty.ticket_quotes, myproperty.ticket_schedules
to myproperty_app;
grant select, insert on
    myproperty.ticket_activities, myproperty.agent_messages, myproperty.agent_audit
to myproperty_app;
grant select on myproperty.agent_audit to myproperty_auditor;
grant select on myproperty.service_tickets to myproperty_guardian;
reset role;


-- ---------------------------------------------------------------------------------------------------------
-- Search. The operator of full text is not leakproof, so under a policy no index is used. The function bypasses the
-- policies and filters by tenant itself.
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_guardian;

create function myproperty.search_service_tickets(query text, at_most integer default 50)
returns table (ticket_id uuid, summary text, status text, rank real)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select t.id, t.summary, t.status, ts_rank(t.search, websearch_to_tsquery('english', query)) as rank
    from myproperty.service_tickets as t
    where t.search @@ websearch_to_tsquery('english', query)
      and t.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
    order by rank desc, t.id
    limit at_most;
end;
comment on function myproperty.search_service_tickets is
'The tickets of the tenant whose summary or description has the words, best match first. The query uses web '
'search syntax: quotes for a phrase, or, - to exclude a word.';
revoke execute on function myproperty.search_service_tickets(text, integer) from public;
grant execute on function myproperty.search_service_tickets(text, integer)
to myproperty_app, myproperty_readonly;

reset role;
