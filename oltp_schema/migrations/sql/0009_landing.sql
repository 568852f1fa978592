-- Landing tables: copies of OLTP rows on their way to the warehouse.
-- They have no keys and no checks, because a gate decides whether the landed rows are complete and right. The
-- exceptions are tables into which only changed rows are copied: they need a key to find a row.

set local role myproperty_owner;


-- ---------------------------------------------------------------------------------------------------------
-- Properties and people
-- ---------------------------------------------------------------------------------------------------------

create table warehouse_staging.tenants (
    id uuid not null,
    tenant_id uuid not null,
    name text,
    region text,
    status text,
    metadata jsonb,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);
comment on table warehouse_staging.tenants is 'Copy of myproperty.tenants at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.tenants');

create table warehouse_staging.properties (
    id uuid not null,
    tenant_id uuid not null,
    name text,
    address jsonb,
    timezone text,
    utility_account_number text,
    solar_capacity_kw numeric(12, 3),
    status text,
    metadata jsonb,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);
comment on table warehouse_staging.properties is
'Copy of myproperty.properties at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.properties');

create table warehouse_staging.units (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    label text,
    floor text,
    sq_ft numeric(10, 2),
    active boolean,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);
comment on table warehouse_staging.units is 'Copy of myproperty.units at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.units');

create table warehouse_staging.meters (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    type text,
    make_model text,
    serial_number text,
    timezone text,
    status text,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);
comment on table warehouse_staging.meters is 'Copy of myproperty.meters at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.meters');

create table warehouse_staging.meter_registers (
    id uuid not null,
    tenant_id uuid not null,
    meter_id uuid,
    identifier text,
    register text,
    channel text,
    unit text,
    interval_seconds integer,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);
comment on table warehouse_staging.meter_registers is
'Copy of myproperty.meter_registers at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.meter_registers');

create table warehouse_staging.meter_assignments (
    id uuid not null,
    tenant_id uuid not null,
    meter_id uuid,
    unit_id uuid,
    assigned_from date,
    assigned_to date,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);
comment on table warehouse_staging.meter_assignments is
'Copy of myproperty.meter_assignments at landed_at, on its way to the warehouse.';
comment on column warehouse_staging.meter_assignments.assigned_from is 'The first day of the assignment.';
comment on column warehouse_staging.meter_assignments.assigned_to is
'The first day after the assignment; NULL if it is open.';
select myproperty.protect_tenant_table('warehouse_staging.meter_assignments');

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
comment on table warehouse_staging.users is
'Copy of myproperty.users at landed_at, on its way to the warehouse. Without name and address.';
select myproperty.protect_tenant_table('warehouse_staging.users');

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
comment on table warehouse_staging.tenancies is
'Copy of myproperty.tenancies at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.tenancies');


-- ---------------------------------------------------------------------------------------------------------
-- Solar
-- ---------------------------------------------------------------------------------------------------------

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
comment on table warehouse_staging.solar_assets is
'Copy of myproperty.solar_assets at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.solar_assets');

create table warehouse_staging.solar_reference_yields (
    id uuid not null,
    tenant_id uuid not null,
    solar_asset_id uuid,
    reading_ts timestamptz,
    reading_date date not null,
    interval_seconds integer,
    irradiation_kwh_per_m2 numeric(20, 9),
    expected_kwh numeric(20, 9),
    method text,
    method_version text,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);
create index solar_reference_yields_of_date on warehouse_staging.solar_reference_yields (reading_date);
comment on table warehouse_staging.solar_reference_yields is
'Copy of myproperty.solar_reference_yields at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.solar_reference_yields');

create table warehouse_staging.solar_appraisals (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    first_year_kwh numeric(20, 9),
    price_per_kwh numeric(14, 6),
    capital_cost numeric(14, 2),
    yearly_cost numeric(14, 2),
    incentives numeric(14, 2),
    currency text,
    degradation_rate numeric(7, 6),
    price_growth_rate numeric(7, 6),
    cost_growth_rate numeric(7, 6),
    discount_rate numeric(7, 6),
    lifetime_years integer,
    valid_from date,
    valid_to date,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);
comment on table warehouse_staging.solar_appraisals is
'Copy of myproperty.solar_appraisals at landed_at, on its way to the warehouse.';
comment on column warehouse_staging.solar_appraisals.valid_to is
'The first day after the appraisal; NULL if it is open.';
select myproperty.protect_tenant_table('warehouse_staging.solar_appraisals');


-- ---------------------------------------------------------------------------------------------------------
-- Tariffs and allocation
-- ---------------------------------------------------------------------------------------------------------

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
comment on table warehouse_staging.providers is
'Copy of myproperty.providers at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.providers');

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
comment on table warehouse_staging.rate_plans is
'Copy of myproperty.rate_plans at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.rate_plans');

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
comment on table warehouse_staging.rate_plan_bands is
'Copy of myproperty.rate_plan_bands at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.rate_plan_bands');

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
comment on table warehouse_staging.rate_plan_assignments is
'Copy of myproperty.rate_plan_assignments at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.rate_plan_assignments');

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
comment on table warehouse_staging.emission_factor_regions is
'Copy of myproperty.emission_factor_regions at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.emission_factor_regions');

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
comment on table warehouse_staging.allocation_methods is
'Copy of myproperty.allocation_methods at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.allocation_methods');

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
comment on table warehouse_staging.allocation_keys is
'Copy of myproperty.allocation_keys at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.allocation_keys');

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
comment on table warehouse_staging.allocation_periods is
'Copy of myproperty.allocation_periods at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.allocation_periods');

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
comment on table warehouse_staging.allocation_ledger is
'Copy of myproperty.allocation_ledger at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.allocation_ledger');

create table warehouse_staging.allocation_adjustments (
    id uuid not null,
    tenant_id uuid not null,
    allocation_id uuid,
    solar_kwh_before numeric(20, 9),
    solar_kwh_after numeric(20, 9),
    grid_kwh_before numeric(20, 9),
    grid_kwh_after numeric(20, 9),
    loss_kwh_before numeric(20, 9),
    loss_kwh_after numeric(20, 9),
    adjusted_by uuid,
    adjusted_at timestamptz,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
);
comment on table warehouse_staging.allocation_adjustments is
'Copy of myproperty.allocation_adjustments at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.allocation_adjustments');


-- ---------------------------------------------------------------------------------------------------------
-- Billing
-- ---------------------------------------------------------------------------------------------------------

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
comment on table warehouse_staging.invoices is
'Copy of myproperty.invoices at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.invoices');

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
comment on table warehouse_staging.invoice_lines is
'Copy of myproperty.invoice_lines at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.invoice_lines');

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
comment on table warehouse_staging.payments is
'Copy of myproperty.payments at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.payments');

create table warehouse_staging.ledger_accounts (
    id uuid not null,
    tenant_id uuid not null,
    code text,
    name text,
    kind text,
    status text,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);
comment on table warehouse_staging.ledger_accounts is
'Copy of myproperty.ledger_accounts at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.ledger_accounts');

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
comment on table warehouse_staging.ledger_entries is
'Copy of myproperty.ledger_entries at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.ledger_entries');


-- ---------------------------------------------------------------------------------------------------------
-- Projects, service and agents
-- ---------------------------------------------------------------------------------------------------------

create table warehouse_staging.project_links (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    originfd_project_id uuid,
    project_type text,
    status text,
    target_live_date date,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);
comment on table warehouse_staging.project_links is
'Copy of myproperty.project_links at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.project_links');

create table warehouse_staging.compliance_rule_states (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    rule_code text,
    state text,
    evaluated_at timestamptz,
    due_on date,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);
comment on table warehouse_staging.compliance_rule_states is
'Copy of myproperty.compliance_rule_states at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.compliance_rule_states');

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
comment on table warehouse_staging.service_tickets is
'Copy of myproperty.service_tickets at landed_at, on its way to the warehouse. Without summary and description.';
select myproperty.protect_tenant_table('warehouse_staging.service_tickets');

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
comment on table warehouse_staging.ticket_quotes is
'Copy of myproperty.ticket_quotes at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.ticket_quotes');

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
comment on table warehouse_staging.ticket_schedules is
'Copy of myproperty.ticket_schedules at landed_at, on its way to the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.ticket_schedules');

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
comment on table warehouse_staging.ticket_activities is
'Copy of myproperty.ticket_activities at landed_at, on its way to the warehouse. Without text.';
select myproperty.protect_tenant_table('warehouse_staging.ticket_activities');

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
comment on table warehouse_staging.agent_messages is
'Copy of myproperty.agent_messages at landed_at, on its way to the warehouse. Without content.';
select myproperty.protect_tenant_table('warehouse_staging.agent_messages');

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
comment on table warehouse_staging.agent_audit is
'Copy of myproperty.agent_audit at landed_at, on its way to the warehouse. Without input and output.';
select myproperty.protect_tenant_table('warehouse_staging.agent_audit');

grant select, insert, update, delete, truncate on
    warehouse_staging.tenants, warehouse_staging.properties, warehouse_staging.units, warehouse_staging.meters,
    warehouse_staging.meter_registers, warehouse_staging.meter_assignments, warehouse_staging.users,
    warehouse_staging.tenancies, warehouse_staging.solar_assets, warehouse_staging.solar_reference_yields,
    warehouse_staging.solar_appraisals, warehouse_staging.providers, warehouse_staging.rate_plans,
    warehouse_staging.rate_plan_bands, warehouse_staging.rate_plan_assignments,
    warehouse_staging.emission_factor_regions, warehouse_staging.allocation_methods,
    warehouse_staging.allocation_keys, warehouse_staging.allocation_periods, warehouse_staging.allocation_ledger,
    warehouse_staging.allocation_adjustments, warehouse_staging.invoices, warehouse_staging.invoice_lines,
    warehouse_staging.payments, warehouse_staging.ledger_accounts, warehouse_staging.ledger_entries,
    warehouse_staging.project_links, warehouse_staging.compliance_rule_states, warehouse_staging.service_tickets,
    warehouse_staging.ticket_quotes, warehouse_staging.ticket_schedules, warehouse_staging.ticket_activities,
    warehouse_staging.agent_messages, warehouse_staging.agent_audit
to myproperty_etl;
reset role;


-- ---------------------------------------------------------------------------------------------------------
-- Readings, in daily partitions like the original
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_partitioner;

create table warehouse_staging.meter_readings (
    id uuid not null,
    tenant_id uuid not null,
    meter_id uuid,
    channel text,
    reading_ts timestamptz,
    reading_date date not null,
    interval_seconds integer,
    value_native numeric(20, 9),
    unit text,
    value_kwh numeric(20, 9),
    quality text,
    quality_method text,
    reason_code text,
    is_estimated boolean,
    source text,
    source_version timestamptz,
    ingestion_job_id uuid,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
) partition by list (reading_date);
comment on table warehouse_staging.meter_readings is
'Copy of myproperty.meter_readings on its way to the warehouse. Query it with a constant reading_date.';
select myproperty.protect_tenant_table('warehouse_staging.meter_readings');

create function warehouse_staging.ensure_readings_partition(reading_date date) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    name constant text := myproperty.readings_partition_name(reading_date);
    target constant text := format('warehouse_staging.%I', name);
begin
    perform pg_advisory_xact_lock(7306, reading_date - date '2000-01-01');
    if to_regclass(target) is null then
        -- A separate table and ATTACH: PARTITION OF would block the readers of all other dates.
        execute format('create table %s (like warehouse_staging.meter_readings including defaults)', target);
        perform myproperty.protect_tenant_table(target::regclass);
        execute format('alter table warehouse_staging.meter_readings attach partition %s for values in (%L)',
                       target, reading_date);
    end if;
    return target;
end;
$$;
comment on function warehouse_staging.ensure_readings_partition is
'Returns the name of the landing partition of a date, and creates it empty if it is missing.';

-- Without truncate, which would empty every date.
grant select, insert, update, delete on warehouse_staging.meter_readings to myproperty_etl;
revoke execute on function warehouse_staging.ensure_readings_partition(date) from public;
grant execute on function warehouse_staging.ensure_readings_partition(date) to myproperty_etl;
reset role;
