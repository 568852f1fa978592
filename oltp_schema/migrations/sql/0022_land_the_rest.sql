-- The last entities that analysts had no way to: accounts, adjustments, rules of compliance and projects.

set local role myproperty_owner;

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
comment on table warehouse_staging.ledger_accounts is 'Accounts taken over for the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.ledger_accounts');

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
comment on table warehouse_staging.allocation_adjustments is 'Adjustments of allocations taken over for the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.allocation_adjustments');

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
comment on table warehouse_staging.compliance_rule_states is 'States of rules taken over for the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.compliance_rule_states');

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
comment on table warehouse_staging.project_links is 'Links to projects taken over for the warehouse.';
select myproperty.protect_tenant_table('warehouse_staging.project_links');

grant select, insert, update, delete, truncate on
    warehouse_staging.ledger_accounts,
    warehouse_staging.allocation_adjustments,
    warehouse_staging.compliance_rule_states,
    warehouse_staging.project_links
to myproperty_etl;

reset role;
