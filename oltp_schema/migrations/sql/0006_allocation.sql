-- Tariffs, emission regions, and the allocation of solar.

set local role myproperty_owner;


-- ---------------------------------------------------------------------------------------------------------
-- Providers and rate plans
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.providers (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null references myproperty.tenants (id) on delete restrict,
    name text not null constraint provider_has_a_name check (name <> ''),
    kind text not null
        constraint provider_kind_is_known check (kind in ('retailer', 'network', 'solar', 'contractor')),
    region text not null constraint region_is_iso_3166_alpha_2 check (region ~ '^[A-Z]{2}$'),
    status text not null default 'active'
        constraint provider_status_is_known check (status in ('active', 'inactive')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    unique (tenant_id, name)
);
comment on table myproperty.providers is 'A company that sells energy or services to a tenant.';
select myproperty.add_tenant_table('myproperty.providers');

create table myproperty.rate_plans (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    provider_id uuid not null,
    name text not null constraint rate_plan_has_a_name check (name <> ''),
    currency text not null constraint currency_is_iso_4217 check (currency ~ '^[A-Z]{3}$'),
    status text not null default 'active'
        constraint rate_plan_status_is_known check (status in ('active', 'withdrawn')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    unique (tenant_id, provider_id, name),
    foreign key (tenant_id, provider_id) references myproperty.providers (tenant_id, id) on delete restrict
);
comment on table myproperty.rate_plans is 'A tariff; its prices by date and time of day are in rate_plan_bands.';
select myproperty.add_tenant_table('myproperty.rate_plans');

create table myproperty.rate_plan_bands (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    rate_plan_id uuid not null,
    charge text not null
        constraint charge_is_known check (charge in ('grid', 'solar', 'daily')),
    band text not null constraint band_has_a_name check (band <> ''),
    day_kind text not null constraint day_kind_is_known check (day_kind in ('weekday', 'weekend')),
    minutes_of_day int4range not null default '[0,1440)'
        constraint minutes_are_within_a_day
            check (not isempty(minutes_of_day) and minutes_of_day <@ int4range(0, 1440)),
    unit_amount numeric(14, 6) not null constraint unit_amount_is_not_negative check (unit_amount >= 0),
    tax_rate numeric(6, 5) not null constraint tax_rate_is_a_share check (tax_rate between 0 and 1),
    valid_during daterange not null
        constraint band_has_a_first_day check (not lower_inf(valid_during) and not isempty(valid_during)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    foreign key (tenant_id, rate_plan_id) references myproperty.rate_plans (tenant_id, id) on delete restrict,
    constraint one_band_is_in_force exclude using gist (
        tenant_id with =, rate_plan_id with =, charge with =, day_kind with =, minutes_of_day with &&,
        valid_during with &&
    )
);
comment on table myproperty.rate_plan_bands is
'A price of a rate plan: for which charge, at which local time of day, from which date.';
comment on column myproperty.rate_plan_bands.band is 'The name on the invoice, such as peak.';
comment on column myproperty.rate_plan_bands.day_kind is 'weekend: Saturday and Sunday.';
comment on column myproperty.rate_plan_bands.tax_rate is '0.1 is ten percent.';
comment on column myproperty.rate_plan_bands.valid_during is 'Local dates, half-open.';
comment on column myproperty.rate_plan_bands.charge is
'grid, solar: for each kWh of that energy. daily: for each day, whatever the consumption.';
comment on column myproperty.rate_plan_bands.minutes_of_day is
'Minutes of the local wall clock, half-open: peak from 15:00 to 21:00 is [900,1260).';
comment on column myproperty.rate_plan_bands.unit_amount is 'Before tax.';
select myproperty.add_tenant_table('myproperty.rate_plan_bands');

create table myproperty.rate_plan_assignments (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    unit_id uuid not null,
    rate_plan_id uuid not null,
    assigned_during daterange not null
        constraint assignment_has_a_first_day check (not lower_inf(assigned_during) and not isempty(assigned_during)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    constraint unit_has_one_rate_plan_at_a_time
        unique (tenant_id, unit_id, assigned_during without overlaps),
    foreign key (tenant_id, unit_id) references myproperty.units (tenant_id, id) on delete restrict,
    foreign key (tenant_id, rate_plan_id) references myproperty.rate_plans (tenant_id, id) on delete restrict
);
comment on table myproperty.rate_plan_assignments is 'The rate plan of a unit, by date.';
comment on column myproperty.rate_plan_assignments.assigned_during is 'Local dates, half-open.';
select myproperty.add_tenant_table('myproperty.rate_plan_assignments');


-- ---------------------------------------------------------------------------------------------------------
-- Emission-factor regions; the factors are reference data of the warehouse
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.emission_factor_regions (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    region text not null constraint region_has_a_code check (region ~ '^[A-Z]{2}(-[A-Z0-9]+)?$'),
    valid_during daterange not null
        constraint region_has_a_first_day check (not lower_inf(valid_during) and not isempty(valid_during)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    constraint property_is_in_one_region_at_a_time
        unique (tenant_id, property_id, valid_during without overlaps),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict
);
comment on table myproperty.emission_factor_regions is
'The grid whose emission factors apply to a property, by date.';
comment on column myproperty.emission_factor_regions.valid_during is 'Local dates, half-open.';
comment on column myproperty.emission_factor_regions.region is 'A code such as AU-NSW, US-CAMX, GB.';
select myproperty.add_tenant_table('myproperty.emission_factor_regions');


-- ---------------------------------------------------------------------------------------------------------
-- Methods and shares of allocation
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.allocation_methods (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    method text not null constraint method_is_known check (method in ('static', 'dynamic', 'hybrid')),
    valid_during daterange not null
        constraint method_has_a_first_day check (not lower_inf(valid_during) and not isempty(valid_during)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    constraint property_has_one_method_at_a_time
        unique (tenant_id, property_id, valid_during without overlaps),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict
);
comment on table myproperty.allocation_methods is
'The method by which the solar of a property is allocated, by date.';
comment on column myproperty.allocation_methods.valid_during is 'Local dates, half-open.';
comment on column myproperty.allocation_methods.method is
'static: by fixed shares, the rest is exported. dynamic: by load. hybrid: static, then the rest by share.';
select myproperty.add_tenant_table('myproperty.allocation_methods');

create table myproperty.allocation_keys (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    unit_id uuid,
    participant_id uuid not null generated always as (coalesce(unit_id, property_id)) stored,
    share numeric(9, 8) not null constraint share_is_a_share check (share between 0 and 1),
    valid_during daterange not null
        constraint key_has_a_first_day check (not lower_inf(valid_during) and not isempty(valid_during)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    constraint participant_has_one_share_at_a_time
        unique (tenant_id, participant_id, valid_during without overlaps),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict,
    constraint unit_is_of_the_property
        foreign key (tenant_id, property_id, unit_id)
        references myproperty.units (tenant_id, property_id, id) on delete restrict
);
create index allocation_keys_of_property on myproperty.allocation_keys (tenant_id, property_id);
comment on table myproperty.allocation_keys is
'The share of each participant in the solar of a property, by date; the shares of a day sum to 1.';
comment on column myproperty.allocation_keys.participant_id is
'The unit, or the property for its common area; never NULL, so that it can be part of a key.';
comment on column myproperty.allocation_keys.share is '0.25 is a quarter.';
comment on column myproperty.allocation_keys.valid_during is 'Local dates, half-open.';
comment on column myproperty.allocation_keys.unit_id is 'NULL: the common area.';
select myproperty.add_tenant_table('myproperty.allocation_keys');


-- ---------------------------------------------------------------------------------------------------------
-- The allocation ledger
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.allocation_periods (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    billing_period daterange not null
        constraint billing_period_is_bounded
            check (not lower_inf(billing_period) and not upper_inf(billing_period) and not isempty(billing_period)),
    allocation_method text not null
        constraint method_is_known check (allocation_method in ('static', 'dynamic', 'hybrid')),
    generation_kwh numeric(20, 9) not null,
    import_kwh numeric(20, 9) not null,
    export_kwh numeric(20, 9) not null,
    consumption_kwh numeric(20, 9) not null,
    surplus_kwh numeric(20, 9) not null,
    loss_kwh numeric(20, 9) not null generated always as (
        generation_kwh + import_kwh - export_kwh - consumption_kwh
    ) stored constraint loss_is_not_negative check (loss_kwh >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    constraint property_has_one_period_at_a_time
        unique (tenant_id, property_id, billing_period without overlaps),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict,
    constraint energy_is_not_negative
        check (least(generation_kwh, import_kwh, export_kwh, consumption_kwh, surplus_kwh) >= 0)
);
comment on table myproperty.allocation_periods is
'The metered energy of a property over a billing period; its allocations add up to it.';
comment on column myproperty.allocation_periods.billing_period is 'Local dates, half-open.';
comment on column myproperty.allocation_periods.generation_kwh is 'Energy of the solar meters.';
comment on column myproperty.allocation_periods.import_kwh is 'Energy drawn from the grid.';
comment on column myproperty.allocation_periods.export_kwh is 'Energy fed into the grid.';
comment on column myproperty.allocation_periods.consumption_kwh is 'Energy of the sub-meters, common area included.';
comment on column myproperty.allocation_periods.surplus_kwh is
'Solar that was allocated to nobody: the surplus of the community.';
comment on column myproperty.allocation_periods.loss_kwh is
'Generation + import - export - consumption. A negative loss means a faulty meter and is refused.';
select myproperty.add_tenant_table('myproperty.allocation_periods');

create table myproperty.allocation_ledger (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    allocation_period_id uuid not null,
    unit_id uuid,
    participant_id uuid not null generated always as (coalesce(unit_id, property_id)) stored,
    tenancy_id uuid,
    billing_period daterange not null
        constraint billing_period_is_bounded
            check (not lower_inf(billing_period) and not upper_inf(billing_period) and not isempty(billing_period)),
    period_start_date date generated always as (lower(billing_period)) stored,
    solar_kwh numeric(20, 9) not null,
    grid_kwh numeric(20, 9) not null,
    loss_kwh numeric(20, 9) not null default 0,
    allocation_method text not null
        constraint method_is_known check (allocation_method in ('static', 'dynamic', 'hybrid')),
    confidence numeric(5, 4) constraint confidence_is_a_share check (confidence between 0 and 1),
    adjusted_by uuid,
    adjusted_at timestamptz,
    notes text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    constraint unit_is_allocated_once_a_period unique (tenant_id, unit_id, billing_period),
    constraint participant_is_allocated_once_at_a_time
        unique (tenant_id, participant_id, billing_period without overlaps),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict,
    constraint unit_is_of_the_property
        foreign key (tenant_id, property_id, unit_id)
        references myproperty.units (tenant_id, property_id, id) on delete restrict,
    foreign key (tenant_id, allocation_period_id)
        references myproperty.allocation_periods (tenant_id, id) on delete restrict,
    constraint tenancy_is_of_the_unit
        foreign key (tenant_id, unit_id, tenancy_id)
        references myproperty.tenancies (tenant_id, unit_id, id) on delete restrict,
    constraint tenancy_is_of_a_unit check (tenancy_id is null or unit_id is not null),
    foreign key (tenant_id, adjusted_by) references myproperty.users (tenant_id, id) on delete restrict,
    constraint energy_is_not_negative check (least(solar_kwh, grid_kwh, loss_kwh) >= 0),
    constraint loss_is_never_smeared_over_units check (loss_kwh = 0 or unit_id is null),
    constraint vacant_unit_gets_no_solar check (solar_kwh = 0 or unit_id is null or tenancy_id is not null)
);
create index allocation_ledger_of_property on myproperty.allocation_ledger (tenant_id, property_id);
create index allocation_ledger_of_period on myproperty.allocation_ledger (tenant_id, billing_period);
-- Comparing ranges is not leakproof: under a policy the index above finds only the tenant.
create index allocation_ledger_of_start_date on myproperty.allocation_ledger (tenant_id, period_start_date);
create index allocation_ledger_of_allocation_period
on myproperty.allocation_ledger (tenant_id, allocation_period_id);
comment on table myproperty.allocation_ledger is
'Solar and grid energy of a unit over a billing period; a period ends when a tenancy ends.';
comment on column myproperty.allocation_ledger.participant_id is
'The unit, or the property for its common area; never NULL, so that it can be part of a key.';
comment on column myproperty.allocation_ledger.billing_period is 'Local dates, half-open.';
comment on column myproperty.allocation_ledger.solar_kwh is 'Solar that the participant used.';
comment on column myproperty.allocation_ledger.grid_kwh is 'Grid energy that the participant used.';
comment on column myproperty.allocation_ledger.loss_kwh is
'Losses of the whole property; only on the row of the common area.';
comment on column myproperty.allocation_ledger.adjusted_at is 'Time of the last adjustment, set by a trigger.';
comment on column myproperty.allocation_ledger.unit_id is
'NULL: the common area, whose row also carries the losses of the property.';
comment on column myproperty.allocation_ledger.period_start_date is
'First day of the billing period. Look a period up by it: under a policy no index finds a range.';
comment on column myproperty.allocation_ledger.tenancy_id is 'NULL while the unit is vacant.';
comment on column myproperty.allocation_ledger.confidence is
'Share of the used energy that was measured and not estimated; NULL if nothing was used.';
comment on column myproperty.allocation_ledger.notes is 'Reason of the last adjustment.';
select myproperty.add_tenant_table('myproperty.allocation_ledger');

create table myproperty.allocation_adjustments (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    allocation_id uuid not null,
    solar_kwh_before numeric(20, 9) not null,
    solar_kwh_after numeric(20, 9) not null,
    grid_kwh_before numeric(20, 9) not null,
    grid_kwh_after numeric(20, 9) not null,
    loss_kwh_before numeric(20, 9) not null,
    loss_kwh_after numeric(20, 9) not null,
    adjusted_by uuid not null,
    adjusted_at timestamptz not null default clock_timestamp(),
    reason text not null constraint adjustment_has_a_reason check (reason ~ '\S'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    foreign key (tenant_id, allocation_id)
        references myproperty.allocation_ledger (tenant_id, id) on delete restrict,
    foreign key (tenant_id, adjusted_by) references myproperty.users (tenant_id, id) on delete restrict
);
create index allocation_adjustments_of_allocation
on myproperty.allocation_adjustments (tenant_id, allocation_id);
comment on table myproperty.allocation_adjustments is
'Every change of an allocation: before, after, by whom and why. A trigger of the allocation ledger writes it.';
select myproperty.add_append_only_table(
    'myproperty.allocation_adjustments', 'Adjust the allocation again: that writes a new row.'
);


-- ---------------------------------------------------------------------------------------------------------
-- Readings that changed after their billing period was allocated: a task for a person, not a silent change
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.adjustment_tasks (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    allocation_period_id uuid not null,
    status text not null default 'open'
        constraint task_status_is_known check (status in ('open', 'done', 'dismissed')),
    decided_by uuid,
    decided_at timestamptz,
    reason text constraint decision_has_a_reason check (reason ~ '\S'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    foreign key (tenant_id, allocation_period_id)
        references myproperty.allocation_periods (tenant_id, id) on delete restrict,
    foreign key (tenant_id, decided_by) references myproperty.users (tenant_id, id) on delete restrict,
    constraint decision_says_who_when_and_why
        check (num_nonnulls(decided_by, decided_at, reason) = case status when 'open' then 0 else 3 end)
);
create unique index adjustment_tasks_one_open
on myproperty.adjustment_tasks (tenant_id, allocation_period_id) where status = 'open';
comment on table myproperty.adjustment_tasks is
'A billing period whose readings changed after its allocation. A person adjusts the allocation or keeps it.';
comment on column myproperty.adjustment_tasks.status is
'open: further loads extend the task. done: the allocation was adjusted. dismissed: the allocation was kept.';
comment on column myproperty.adjustment_tasks.reason is 'Reason of the decision.';
select myproperty.add_tenant_table('myproperty.adjustment_tasks');

create table myproperty.adjustment_task_readings (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    adjustment_task_id uuid not null,
    ingestion_job_id uuid not null,
    meter_id uuid not null,
    channel text not null,
    reading_date date not null,
    readings bigint not null constraint readings_are_positive check (readings > 0),
    energy_before_kwh numeric(20, 9) not null,
    energy_after_kwh numeric(20, 9) not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    foreign key (tenant_id, adjustment_task_id)
        references myproperty.adjustment_tasks (tenant_id, id) on delete restrict,
    foreign key (tenant_id, ingestion_job_id)
        references myproperty.ingestion_jobs (tenant_id, id) on delete restrict,
    foreign key (tenant_id, meter_id) references myproperty.meters (tenant_id, id) on delete restrict
);
create index adjustment_task_readings_of_task
on myproperty.adjustment_task_readings (tenant_id, adjustment_task_id);
comment on table myproperty.adjustment_task_readings is
'What one load changed for a meter on one date of an allocated period.';
comment on column myproperty.adjustment_task_readings.readings is
'Number of readings that were new or replaced older ones.';
comment on column myproperty.adjustment_task_readings.energy_before_kwh is
'Energy of these readings before the load; 0 for new readings.';
comment on column myproperty.adjustment_task_readings.energy_after_kwh is 'Energy of these readings after the load.';
select myproperty.add_append_only_table(
    'myproperty.adjustment_task_readings', 'Decide the task, or load a correction: it adds to an open task.'
);


-- ---------------------------------------------------------------------------------------------------------
-- Grants
-- ---------------------------------------------------------------------------------------------------------

grant select on
    myproperty.providers, myproperty.rate_plans, myproperty.rate_plan_bands,
    myproperty.rate_plan_assignments, myproperty.emission_factor_regions, myproperty.allocation_methods,
    myproperty.allocation_keys, myproperty.allocation_periods, myproperty.allocation_ledger,
    myproperty.allocation_adjustments
to myproperty_etl, myproperty_readonly;
grant select, insert, update on myproperty.providers, myproperty.rate_plans to myproperty_app;
grant select, insert, update, delete on
    myproperty.rate_plan_assignments, myproperty.emission_factor_regions, myproperty.allocation_methods
to myproperty_app;
-- A row stays with its plan, property or period: the checks at commit add up by these columns.
grant select, insert, delete, update (band, minutes_of_day, unit_amount, tax_rate, valid_during, version)
on myproperty.rate_plan_bands to myproperty_app;
grant select, insert, delete, update (share, valid_during, version)
on myproperty.allocation_keys to myproperty_app;
-- An allocation is adjusted and never deleted.
grant select, insert,
update (generation_kwh, import_kwh, export_kwh, consumption_kwh, surplus_kwh, version)
on myproperty.allocation_periods to myproperty_app;
grant select, insert, update (solar_kwh, grid_kwh, loss_kwh, confidence, adjusted_by, notes, version)
on myproperty.allocation_ledger to myproperty_app;
grant select on myproperty.allocation_adjustments to myproperty_app;
grant select on
    myproperty.allocation_periods, myproperty.allocation_ledger, myproperty.allocation_adjustments
to myproperty_auditor;
grant select on
    myproperty.rate_plan_bands, myproperty.allocation_keys, myproperty.allocation_periods,
    myproperty.allocation_ledger
to myproperty_guardian;
grant insert on myproperty.allocation_adjustments to myproperty_guardian;
-- Who may read an invoice may read its prices: the view invoice_ties looks up there what a credit is for.
grant select on myproperty.rate_plan_bands to myproperty_auditor;
grant select on myproperty.adjustment_tasks, myproperty.adjustment_task_readings to
    myproperty_app, myproperty_etl, myproperty_readonly, myproperty_auditor;
grant update (status, decided_by, decided_at, reason, version) on myproperty.adjustment_tasks to myproperty_app;
grant select, insert, update (version) on myproperty.adjustment_tasks to myproperty_loader;
grant select, insert on myproperty.adjustment_task_readings to myproperty_loader;
grant select on myproperty.allocation_periods to myproperty_loader;

reset role;


-- ---------------------------------------------------------------------------------------------------------
-- Adjustments, and checks at commit. They bypass the policies and read only the tenant of the changed row, because
-- at commit the session may have set another tenant.
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_guardian;

-- Runs before move_version, because triggers run in the order of their names: both see the row as it was sent.
-- Writes a table that no other role may write.
create function myproperty.keep_adjustment() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.adjusted_by is null or new.notes is not distinct from old.notes or coalesce(new.notes, '') !~ '\S' then
        raise exception 'the allocation % is adjusted without %', old.id,
            case when new.adjusted_by is null then 'an actor' else 'a reason' end
            using errcode = 'MP008', hint = 'Set adjusted_by, and write the reason to notes.';
    elsif new.adjusted_by <> nullif(current_setting('app.user_id', true), '')::uuid then
        raise exception 'the allocation % is adjusted in the name of another person', old.id
            using errcode = 'MP008', hint = 'Set adjusted_by to the person of the session, app.user_id.';
    end if;
    new.adjusted_at := clock_timestamp();
    insert into myproperty.allocation_adjustments
        (tenant_id, allocation_id, solar_kwh_before, solar_kwh_after, grid_kwh_before, grid_kwh_after,
         loss_kwh_before, loss_kwh_after, adjusted_by, adjusted_at, reason)
    values
        (old.tenant_id, old.id, old.solar_kwh, new.solar_kwh, old.grid_kwh, new.grid_kwh,
         old.loss_kwh, new.loss_kwh, new.adjusted_by, new.adjusted_at, new.notes);
    return new;
end;
$$;
comment on function myproperty.keep_adjustment is
'Writes allocation_adjustments, and refuses an adjustment without actor or reason (SQLSTATE MP008).';

create function myproperty.check_allocation() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    the_row constant jsonb := to_jsonb(coalesce(new, old));
    tenant constant uuid := (the_row ->> 'tenant_id')::uuid;
    period_id constant uuid :=
        the_row ->> case when tg_table_name = 'allocation_periods' then 'id' else 'allocation_period_id' end;
    p record;
    l record;
begin
    select * into p from myproperty.allocation_periods as a where a.tenant_id = tenant and a.id = period_id;
    if not found then
        return null;
    end if;
    select
        coalesce(sum(a.solar_kwh), 0) as solar, coalesce(sum(a.solar_kwh + a.grid_kwh), 0) as used,
        coalesce(sum(a.loss_kwh), 0) as loss,
        count(*) filter (where not a.billing_period <@ p.billing_period) as outside,
        count(*) filter (where a.property_id <> p.property_id) as elsewhere
    into l
    from myproperty.allocation_ledger as a
    where a.tenant_id = tenant and a.allocation_period_id = period_id;
    if l.solar + p.surplus_kwh <> p.generation_kwh then
        raise exception 'the allocation of % does not conserve solar: % kWh allocated + % surplus, % generated',
            p.billing_period, l.solar, p.surplus_kwh, p.generation_kwh
            using errcode = 'MP007', hint = 'Reduce another unit or the surplus by what one unit gains.';
    elsif l.used <> p.consumption_kwh then
        raise exception 'the allocation of % does not conserve energy: % kWh solar and grid, % consumed',
            p.billing_period, l.used, p.consumption_kwh
            using errcode = 'MP007', hint = 'Solar and grid energy of a unit must sum to its metered consumption.';
    elsif l.loss <> p.loss_kwh then
        raise exception 'the allocation of % carries % kWh of losses, and the period has %',
            p.billing_period, l.loss, p.loss_kwh
            using errcode = 'MP007', hint = 'Write the losses to the row of the common area.';
    elsif l.outside > 0 or l.elsewhere > 0 then
        raise exception 'an allocation lies outside the period % or its property', p.billing_period
            using errcode = 'MP007', hint = 'Allocate only days of the period, to units of its property.';
    end if;
    return null;
end;
$$;
comment on function myproperty.check_allocation is
'At commit: the allocations of a period add up to its energy (SQLSTATE MP007).';

create function myproperty.check_allocation_keys() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    wrong record;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception '%.% cannot be written at isolation level %: its check would not see the commits of others',
            tg_table_schema, tg_table_name, current_setting('transaction_isolation')
            using errcode = 'MP013', hint = 'Begin the transaction as read committed.';
    end if;
    -- Without this lock two transactions that each add a full set of shares would see only their own.
    perform from myproperty.properties as p
    where p.tenant_id = coalesce(new.tenant_id, old.tenant_id) and p.id = coalesce(new.property_id, old.property_id)
    for no key update;
    -- Shares change only on the first day of a key and on the day after its last day.
    with keys as (
        select k.share, k.valid_during
        from myproperty.allocation_keys as k
        where k.tenant_id = coalesce(new.tenant_id, old.tenant_id)
          and k.property_id = coalesce(new.property_id, old.property_id)
    ), days as (
        select lower(k.valid_during) as day from keys as k
        union
        select upper(k.valid_during) from keys as k where not upper_inf(k.valid_during)
    )
    select d.day, sum(k.share) as total into wrong
    from days as d join keys as k on k.valid_during @> d.day
    group by d.day having sum(k.share) <> 1
    order by d.day limit 1;
    if found then
        raise exception 'the shares of solar sum to % on %, not to 1', wrong.total, wrong.day
            using errcode = 'MP009', hint = 'Change the shares of all participants in one transaction.';
    end if;
    return null;
end;
$$;
comment on function myproperty.check_allocation_keys is
'At commit: the shares of a property sum to 1 on every day that has shares (SQLSTATE MP009). Works only at '
'isolation level read committed (MP013).';

create function myproperty.check_rate_plan_bands() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    wrong record;
begin
    with bands as (
        select b.charge, b.day_kind, b.minutes_of_day, b.valid_during
        from myproperty.rate_plan_bands as b
        where b.tenant_id = coalesce(new.tenant_id, old.tenant_id)
          and b.rate_plan_id = coalesce(new.rate_plan_id, old.rate_plan_id)
    ), days as (
        select lower(b.valid_during) as day from bands as b
        union
        select upper(b.valid_during) from bands as b where not upper_inf(b.valid_during)
    )
    select d.day, b.charge, b.day_kind, sum(upper(b.minutes_of_day) - lower(b.minutes_of_day)) as minutes
    into wrong
    from days as d join bands as b on b.valid_during @> d.day
    group by d.day, b.charge, b.day_kind
    having sum(upper(b.minutes_of_day) - lower(b.minutes_of_day)) <> 1440
    order by d.day limit 1;
    if found then
        raise exception 'the % bands of a % cover % of 1440 minutes on %',
            wrong.charge, wrong.day_kind, wrong.minutes, wrong.day
            using errcode = 'MP010', hint = 'Give every minute of the day a price, in one transaction.';
    end if;
    return null;
end;
$$;
comment on function myproperty.check_rate_plan_bands is
'At commit: the bands of a charge cover the whole day (SQLSTATE MP010).';

revoke execute on function
    myproperty.keep_adjustment(), myproperty.check_allocation(), myproperty.check_allocation_keys(),
    myproperty.check_rate_plan_bands()
from public;
grant execute on function
    myproperty.keep_adjustment(), myproperty.check_allocation(), myproperty.check_allocation_keys(),
    myproperty.check_rate_plan_bands()
to myproperty_owner;
reset role;

set local role myproperty_owner;
create trigger keep_adjustment before update of solar_kwh, grid_kwh, loss_kwh on myproperty.allocation_ledger
for each row when (
    (old.solar_kwh, old.grid_kwh, old.loss_kwh) is distinct from (new.solar_kwh, new.grid_kwh, new.loss_kwh)
) execute function myproperty.keep_adjustment();
create constraint trigger check_allocation after insert or update on myproperty.allocation_periods
deferrable initially deferred for each row execute function myproperty.check_allocation();
create constraint trigger check_allocation after insert or update or delete on myproperty.allocation_ledger
deferrable initially deferred for each row execute function myproperty.check_allocation();
create constraint trigger check_allocation_keys after insert or update or delete on myproperty.allocation_keys
deferrable initially deferred for each row execute function myproperty.check_allocation_keys();
create constraint trigger check_rate_plan_bands after insert or update or delete on myproperty.rate_plan_bands
deferrable initially deferred for each row execute function myproperty.check_rate_plan_bands();
reset role;
