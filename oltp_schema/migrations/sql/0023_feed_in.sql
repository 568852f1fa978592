-- Feed-in: the price of exported energy by property and date, and what an appraisal assumes of it, of tax and of
-- replacement.

set local role myproperty_owner;


-- ---------------------------------------------------------------------------------------------------------
-- Feed-in bands: a rate plan also prices what a property exports. The table is small, so a check of all rows
-- takes no time
-- ---------------------------------------------------------------------------------------------------------

-- squawk-ignore ban-drop-constraint
alter table myproperty.rate_plan_bands drop constraint charge_is_known;
-- squawk-ignore constraint-missing-not-valid
alter table myproperty.rate_plan_bands add constraint charge_is_known
check (charge in ('grid', 'solar', 'daily', 'feed_in'));
comment on column myproperty.rate_plan_bands.charge is
'grid, solar: for each kWh of that energy. daily: for each day, whatever the consumption. feed_in: paid to the '
'owner for each exported kWh; on no bill.';

create table myproperty.feed_in_assignments (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    rate_plan_id uuid not null,
    assigned_during daterange not null
        constraint assignment_has_a_first_day check (not lower_inf(assigned_during) and not isempty(assigned_during)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    constraint property_has_one_feed_in_plan_at_a_time
        unique (tenant_id, property_id, assigned_during without overlaps),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict,
    foreign key (tenant_id, rate_plan_id) references myproperty.rate_plans (tenant_id, id) on delete restrict
);
comment on table myproperty.feed_in_assignments is
'The rate plan whose feed-in bands price the energy that a property exports, by date.';
comment on column myproperty.feed_in_assignments.assigned_during is 'Local dates, half-open.';
select myproperty.add_tenant_table('myproperty.feed_in_assignments');
grant select on myproperty.feed_in_assignments to myproperty_etl, myproperty_readonly, myproperty_checker;
grant select, insert, update, delete on myproperty.feed_in_assignments to myproperty_app;


-- ---------------------------------------------------------------------------------------------------------
-- Assumptions of an appraisal: what is exported, tax, replacement, and the energy of each month
-- ---------------------------------------------------------------------------------------------------------

alter table myproperty.solar_appraisals add column export_share numeric(9, 8) not null default 0;
alter table myproperty.solar_appraisals add column export_price_per_kwh numeric(14, 6);
alter table myproperty.solar_appraisals add column tax_rate numeric(6, 5) not null default 0;
alter table myproperty.solar_appraisals add column replacement_cost numeric(14, 2);
alter table myproperty.solar_appraisals add column replacement_year integer;
alter table myproperty.solar_appraisals add column monthly_shares numeric(9, 8) [];
-- squawk-ignore constraint-missing-not-valid
alter table myproperty.solar_appraisals add constraint export_is_a_share check (export_share between 0 and 1);
-- squawk-ignore constraint-missing-not-valid
alter table myproperty.solar_appraisals add constraint export_price_is_not_negative
check (export_price_per_kwh >= 0);
-- squawk-ignore constraint-missing-not-valid
alter table myproperty.solar_appraisals add constraint export_has_a_price
check (export_share = 0 or export_price_per_kwh is not null);
-- squawk-ignore constraint-missing-not-valid
alter table myproperty.solar_appraisals add constraint tax_rate_is_a_share check (tax_rate between 0 and 1);
-- squawk-ignore constraint-missing-not-valid
alter table myproperty.solar_appraisals add constraint replacement_cost_is_positive check (replacement_cost > 0);
-- squawk-ignore constraint-missing-not-valid
alter table myproperty.solar_appraisals add constraint replacement_has_a_year_within_the_lifetime
check (num_nonnulls(replacement_cost, replacement_year) <> 1 and replacement_year between 1 and lifetime_years);
-- Twelve numbers from subscript 1 on: an unknown or missing one makes the sum unknown.
-- squawk-ignore constraint-missing-not-valid
alter table myproperty.solar_appraisals add constraint monthly_shares_are_twelve_that_sum_to_one
check (
    monthly_shares is null
    or (
        cardinality(monthly_shares) = 12 and 0 <= all(monthly_shares)
        and coalesce(
            monthly_shares[1] + monthly_shares[2] + monthly_shares[3] + monthly_shares[4] + monthly_shares[5]
            + monthly_shares[6] + monthly_shares[7] + monthly_shares[8] + monthly_shares[9] + monthly_shares[10]
            + monthly_shares[11] + monthly_shares[12],
            0
        ) = 1
    )
);
comment on column myproperty.solar_appraisals.price_per_kwh is
'Income of the owner for each kWh that is not exported, in the first year, before tax.';
comment on column myproperty.solar_appraisals.export_share is
'Share of the energy that is exported; 0: price_per_kwh is for all energy.';
comment on column myproperty.solar_appraisals.export_price_per_kwh is
'Income of the owner for each exported kWh, before tax; the same in all years, as feed-in contracts have it.';
comment on column myproperty.solar_appraisals.tax_rate is
'Tax on what a year brings in less operation, replacement and depreciation; 0.25 is 25 percent. The investment is '
'depreciated evenly over the lifetime, and a loss lowers the tax of other income.';
comment on column myproperty.solar_appraisals.replacement_cost is
'Amount paid to replace parts such as inverters, in prices of that year.';
comment on column myproperty.solar_appraisals.replacement_year is 'Year of the replacement, from 1.';
comment on column myproperty.solar_appraisals.monthly_shares is
'Share of a year''s energy in each month, January first; NULL: a twelfth each.';


-- ---------------------------------------------------------------------------------------------------------
-- Landing
-- ---------------------------------------------------------------------------------------------------------

alter table warehouse_staging.solar_appraisals add column export_share numeric(9, 8);
alter table warehouse_staging.solar_appraisals add column export_price_per_kwh numeric(14, 6);
alter table warehouse_staging.solar_appraisals add column tax_rate numeric(6, 5);
alter table warehouse_staging.solar_appraisals add column replacement_cost numeric(14, 2);
alter table warehouse_staging.solar_appraisals add column replacement_year integer;
alter table warehouse_staging.solar_appraisals add column monthly_shares text;
comment on column warehouse_staging.solar_appraisals.monthly_shares is
'The twelve shares, with commas between them.';

create table warehouse_staging.feed_in_assignments (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    rate_plan_id uuid,
    assigned_from date,
    assigned_to date,
    version integer,
    created_at timestamptz,
    updated_at timestamptz,
    landed_at timestamptz not null default clock_timestamp()
);
comment on table warehouse_staging.feed_in_assignments is
'Copy of myproperty.feed_in_assignments at landed_at, on its way to the warehouse.';
comment on column warehouse_staging.feed_in_assignments.assigned_to is
'The first day after the assignment; NULL if it is open.';
select myproperty.protect_tenant_table('warehouse_staging.feed_in_assignments');
grant select, insert, update, delete, truncate on warehouse_staging.feed_in_assignments to myproperty_etl;
grant select on warehouse_staging.feed_in_assignments to myproperty_checker;

reset role;
