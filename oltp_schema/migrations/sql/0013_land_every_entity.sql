-- Landing tables of everything else that the warehouse reads: people as ids, tariffs, bills, service, agents.
-- As before no keys and no checks: whether a landed batch is whole and right is for the gate to say. But for
-- the tables that take over only what changed, which find a row by its key.

set local role myproperty_owner;

create table warehouse_staging.users (
    id uuid not null,
    tenant_id uuid not null,
    role text,
    status text,
    mfa_enabled boolean,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.tenancies (
    id uuid not null,
    tenant_id uuid not null,
    unit_id uuid,
    user_id uuid,
    occupied_from date,
    occupied_to date,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.solar_assets (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    meter_id uuid,
    kind text,
    make_model text,
    capacity_kw numeric(12, 3),
    tilt_degrees numeric(5, 2),
    azimuth_degrees numeric(5, 2),
    in_service_from date,
    in_service_to date,
    capital_cost numeric(14, 2),
    yearly_cost numeric(14, 2),
    currency text,
    status text,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.providers (
    id uuid not null,
    tenant_id uuid not null,
    name text,
    kind text,
    region text,
    status text,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.rate_plans (
    id uuid not null,
    tenant_id uuid not null,
    provider_id uuid,
    name text,
    currency text,
    status text,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.rate_plan_bands (
    id uuid not null,
    tenant_id uuid not null,
    rate_plan_id uuid,
    charge text,
    band text,
    day_kind text,
    minutes_from integer,
    minutes_to integer,
    unit_amount numeric(14, 6),
    tax_rate numeric(6, 5),
    valid_from date,
    valid_to date,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.rate_plan_assignments (
    id uuid not null,
    tenant_id uuid not null,
    unit_id uuid,
    rate_plan_id uuid,
    assigned_from date,
    assigned_to date,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.emission_factor_regions (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    region text,
    valid_from date,
    valid_to date,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.allocation_methods (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    method text,
    valid_from date,
    valid_to date,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.allocation_keys (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    unit_id uuid,
    share numeric(9, 8),
    valid_from date,
    valid_to date,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.allocation_periods (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    period_from date,
    period_to date,
    allocation_method text,
    generation_kwh numeric(20, 9),
    import_kwh numeric(20, 9),
    export_kwh numeric(20, 9),
    consumption_kwh numeric(20, 9),
    surplus_kwh numeric(20, 9),
    loss_kwh numeric(20, 9),
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.allocation_ledger (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    allocation_period_id uuid,
    unit_id uuid,
    tenancy_id uuid,
    period_from date,
    period_to date,
    solar_kwh numeric(20, 9),
    grid_kwh numeric(20, 9),
    loss_kwh numeric(20, 9),
    allocation_method text,
    confidence numeric(5, 4),
    adjusted_by uuid,
    adjusted_at timestamptz,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
);

create table warehouse_staging.invoices (
    id uuid not null,
    tenant_id uuid not null,
    number text,
    tenant_user_id uuid,
    tenancy_id uuid,
    period_from date,
    period_to date,
    status text,
    total_amount numeric(14, 2),
    currency text,
    issued_at timestamptz,
    due_at timestamptz,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
);

create table warehouse_staging.invoice_lines (
    id uuid not null,
    tenant_id uuid not null,
    invoice_id uuid,
    line_number integer,
    category text,
    quantity numeric(20, 9),
    unit_amount numeric(14, 6),
    tax_rate numeric(6, 5),
    total_amount numeric(14, 2),
    solar_band text,
    allocation_id uuid,
    rate_plan_band_id uuid,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
);

create table warehouse_staging.payments (
    id uuid not null,
    tenant_id uuid not null,
    invoice_id uuid,
    amount numeric(14, 2),
    currency text,
    method text,
    status text,
    received_at timestamptz,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
);

create table warehouse_staging.ledger_entries (
    id uuid not null,
    tenant_id uuid not null,
    entry_date date,
    debit_account text,
    credit_account text,
    amount numeric(14, 2),
    currency text,
    reference_type text,
    reference_id uuid,
    reverses_id uuid,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
);

create table warehouse_staging.service_tickets (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    unit_id uuid,
    opened_by uuid,
    status text,
    priority text,
    category text,
    sla_target_at timestamptz,
    opened_at timestamptz,
    resolved_at timestamptz,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.ticket_quotes (
    id uuid not null,
    tenant_id uuid not null,
    ticket_id uuid,
    provider_id uuid,
    amount numeric(14, 2),
    currency text,
    status text,
    quoted_at timestamptz,
    valid_until date,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.ticket_schedules (
    id uuid not null,
    tenant_id uuid not null,
    ticket_id uuid,
    provider_id uuid,
    scheduled_from timestamptz,
    scheduled_to timestamptz,
    status text,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);

create table warehouse_staging.ticket_activities (
    id uuid not null,
    tenant_id uuid not null,
    ticket_id uuid,
    kind text,
    user_id uuid,
    agent_id text,
    occurred_at timestamptz,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
);

create table warehouse_staging.agent_messages (
    id uuid not null,
    tenant_id uuid not null,
    session_id uuid,
    sequence integer,
    agent_id text,
    user_id uuid,
    role text,
    sent_at timestamptz,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
);

create table warehouse_staging.agent_audit (
    id uuid not null,
    tenant_id uuid not null,
    session_id uuid,
    agent_id text,
    tool_name text,
    outcome text,
    latency_ms integer,
    trace_id text,
    performed_by_user_id uuid,
    occurred_at timestamptz,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
);

comment on table warehouse_staging.users is
'People as ids: owners, staff and residents, without name and address.';
comment on table warehouse_staging.tenancies is 'Who has a unit, by local date; one row a tenancy.';
comment on table warehouse_staging.solar_assets is
'Arrays, inverters and batteries of properties, and what they cost.';
comment on table warehouse_staging.providers is 'Who sells energy or services to a tenant.';
comment on table warehouse_staging.rate_plans is 'Tariffs; their prices are in rate_plan_bands.';
comment on table warehouse_staging.rate_plan_bands is
'Prices of a rate plan: what for, on which kind of day, at which local time, from which date on.';
comment on table warehouse_staging.rate_plan_assignments is 'Which rate plan a unit is on, by local date.';
comment on table warehouse_staging.emission_factor_regions is
'On which grid a property draws energy, by local date.';
comment on table warehouse_staging.allocation_methods is
'By which method a property shares out its solar energy, by local date.';
comment on table warehouse_staging.allocation_keys is
'What share of the generation a participant is entitled to, by local date.';
comment on table warehouse_staging.allocation_periods is
'What the allocations of a property and billing period add up to.';
comment on table warehouse_staging.allocation_ledger is
'Solar and grid energy of a unit, or the common area, in a billing period.';
comment on table warehouse_staging.invoices is 'What a resident is asked to pay.';
comment on table warehouse_staging.invoice_lines is 'What an invoice is made up of.';
comment on table warehouse_staging.payments is 'What was paid for an invoice.';
comment on table warehouse_staging.ledger_entries is
'Double entry: each row debits one account and credits another by one amount.';
comment on table warehouse_staging.service_tickets is 'Requests for service, without their text.';
comment on table warehouse_staging.ticket_quotes is 'What providers ask for the work of a ticket.';
comment on table warehouse_staging.ticket_schedules is 'Visits that are planned for a ticket.';
comment on table warehouse_staging.ticket_activities is
'What happened to a ticket and when, without its text.';
comment on table warehouse_staging.agent_messages is
'When who said something in a session of an agent, and not what.';
comment on table warehouse_staging.agent_audit is
'Which tool an agent called, with outcome and latency, and not on what.';


-- ---------------------------------------------------------------------------------------------------------
-- Row-level security and grants
-- ---------------------------------------------------------------------------------------------------------

select myproperty.protect_tenant_table('warehouse_staging.users');
select myproperty.protect_tenant_table('warehouse_staging.tenancies');
select myproperty.protect_tenant_table('warehouse_staging.solar_assets');
select myproperty.protect_tenant_table('warehouse_staging.providers');
select myproperty.protect_tenant_table('warehouse_staging.rate_plans');
select myproperty.protect_tenant_table('warehouse_staging.rate_plan_bands');
select myproperty.protect_tenant_table('warehouse_staging.rate_plan_assignments');
select myproperty.protect_tenant_table('warehouse_staging.emission_factor_regions');
select myproperty.protect_tenant_table('warehouse_staging.allocation_methods');
select myproperty.protect_tenant_table('warehouse_staging.allocation_keys');
select myproperty.protect_tenant_table('warehouse_staging.allocation_periods');
select myproperty.protect_tenant_table('warehouse_staging.allocation_ledger');
select myproperty.protect_tenant_table('warehouse_staging.invoices');
select myproperty.protect_tenant_table('warehouse_staging.invoice_lines');
select myproperty.protect_tenant_table('warehouse_staging.payments');
select myproperty.protect_tenant_table('warehouse_staging.ledger_entries');
select myproperty.protect_tenant_table('warehouse_staging.service_tickets');
select myproperty.protect_tenant_table('warehouse_staging.ticket_quotes');
select myproperty.protect_tenant_table('warehouse_staging.ticket_schedules');
select myproperty.protect_tenant_table('warehouse_staging.ticket_activities');
select myproperty.protect_tenant_table('warehouse_staging.agent_messages');
select myproperty.protect_tenant_table('warehouse_staging.agent_audit');

grant select, insert, update, delete, truncate on
    warehouse_staging.users, warehouse_staging.tenancies, warehouse_staging.solar_assets,
    warehouse_staging.providers, warehouse_staging.rate_plans, warehouse_staging.rate_plan_bands,
    warehouse_staging.rate_plan_assignments, warehouse_staging.emission_factor_regions,
    warehouse_staging.allocation_methods, warehouse_staging.allocation_keys,
    warehouse_staging.allocation_periods, warehouse_staging.allocation_ledger, warehouse_staging.invoices,
    warehouse_staging.invoice_lines, warehouse_staging.payments, warehouse_staging.ledger_entries,
    warehouse_staging.service_tickets, warehouse_staging.ticket_quotes, warehouse_staging.ticket_schedules,
    warehouse_staging.ticket_activities, warehouse_staging.agent_messages, warehouse_staging.agent_audit
to myproperty_etl;

reset role;
