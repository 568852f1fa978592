-- Solar assets, their reference yield under a clear sky, and the assumptions of the owner.

set local role myproperty_owner;


-- ---------------------------------------------------------------------------------------------------------
-- Solar assets
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.solar_assets (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    meter_id uuid,
    kind text not null
        constraint asset_kind_is_known check (kind in ('array', 'inverter', 'battery')),
    make_model text,
    serial_number text constraint asset_serial_number_is_not_empty check (serial_number <> ''),
    capacity_kw numeric(12, 3) not null constraint capacity_is_positive check (capacity_kw > 0),
    tilt_degrees numeric(5, 2) constraint tilt_is_an_angle check (tilt_degrees between 0 and 90),
    azimuth_degrees numeric(5, 2) constraint azimuth_is_an_angle check (azimuth_degrees between 0 and 360),
    in_service_during daterange not null
        constraint asset_has_a_first_day
            check (not lower_inf(in_service_during) and not isempty(in_service_during)),
    capital_cost numeric(14, 2) constraint capital_cost_is_not_negative check (capital_cost >= 0),
    yearly_cost numeric(14, 2) constraint yearly_cost_is_not_negative check (yearly_cost >= 0),
    currency text constraint currency_is_iso_4217 check (currency ~ '^[A-Z]{3}$'),
    status text not null default 'active'
        constraint asset_status_is_known check (status in ('planned', 'active', 'faulty', 'retired')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    unique (tenant_id, serial_number),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict,
    foreign key (tenant_id, meter_id) references myproperty.meters (tenant_id, id) on delete restrict,
    constraint cost_has_a_currency
        check (currency is not null or (capital_cost is null and yearly_cost is null))
);
create index solar_assets_of_property on myproperty.solar_assets (tenant_id, property_id);
comment on table myproperty.solar_assets is 'An array, inverter or battery of a property, and its cost.';
comment on column myproperty.solar_assets.meter_id is 'The meter that measures its generation.';
comment on column myproperty.solar_assets.capacity_kw is 'Array: kW peak (DC); inverter and battery: kW (AC).';
comment on column myproperty.solar_assets.tilt_degrees is 'Angle from the horizontal.';
comment on column myproperty.solar_assets.azimuth_degrees is 'Clockwise from north: 90 east, 180 south.';
comment on column myproperty.solar_assets.in_service_during is 'Local dates, half-open.';
comment on column myproperty.solar_assets.capital_cost is 'Cost of purchase and installation.';
comment on column myproperty.solar_assets.yearly_cost is 'Cost of operation and maintenance in the first year.';
select myproperty.add_tenant_table('myproperty.solar_assets');
grant select on myproperty.solar_assets to myproperty_etl, myproperty_readonly;
grant select, insert, update on myproperty.solar_assets to myproperty_app;


-- ---------------------------------------------------------------------------------------------------------
-- Reference yields: a series that the pipeline computes and the warehouse loads like readings
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.solar_reference_yields (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    solar_asset_id uuid not null,
    reading_ts timestamptz not null,
    reading_date date not null,
    interval_seconds integer not null constraint interval_is_positive check (interval_seconds > 0),
    irradiation_kwh_per_m2 numeric(20, 9) not null
        constraint irradiation_is_not_negative check (irradiation_kwh_per_m2 >= 0),
    expected_kwh numeric(20, 9) not null constraint expected_is_not_negative check (expected_kwh >= 0),
    method text not null constraint series_has_a_method check (method <> ''),
    method_version text not null constraint method_has_a_version check (method_version <> ''),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, solar_asset_id, reading_ts),
    foreign key (tenant_id, solar_asset_id) references myproperty.solar_assets (tenant_id, id) on delete restrict
);
create index solar_reference_yields_of_date on myproperty.solar_reference_yields (reading_date);
comment on table myproperty.solar_reference_yields is
'The irradiation and energy of an array under a clear sky, by interval; its readings are compared with them.';
comment on column myproperty.solar_reference_yields.reading_ts is 'Start of the interval.';
comment on column myproperty.solar_reference_yields.reading_date is 'Local date at the property.';
comment on column myproperty.solar_reference_yields.irradiation_kwh_per_m2 is
'Irradiation on the plane of the array.';
comment on column myproperty.solar_reference_yields.expected_kwh is 'Energy (AC) after modules, losses and inverter.';
comment on column myproperty.solar_reference_yields.method is 'The models, such as clear_sky_ineichen+pvwatts.';
comment on column myproperty.solar_reference_yields.method_version is 'Version of the models and of the library.';
select myproperty.protect_tenant_table('myproperty.solar_reference_yields');
create trigger move_version before update on myproperty.solar_reference_yields
for each row execute function myproperty.move_version();
-- Inserts are not logged: the pipeline computes the rows, and can compute them again.
select myproperty.log_actions_of('myproperty.solar_reference_yields', 'update or delete');


-- ---------------------------------------------------------------------------------------------------------
-- Appraisals: the assumptions of an owner about return and payback
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.solar_appraisals (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    first_year_kwh numeric(20, 9) not null constraint energy_is_positive check (first_year_kwh > 0),
    price_per_kwh numeric(14, 6) not null constraint price_is_not_negative check (price_per_kwh >= 0),
    capital_cost numeric(14, 2) constraint capital_cost_is_positive check (capital_cost > 0),
    yearly_cost numeric(14, 2) constraint yearly_cost_is_not_negative check (yearly_cost >= 0),
    incentives numeric(14, 2) not null default 0 constraint incentives_are_not_negative check (incentives >= 0),
    currency text not null constraint currency_is_iso_4217 check (currency ~ '^[A-Z]{3}$'),
    degradation_rate numeric(7, 6) not null
        constraint degradation_is_a_share check (degradation_rate >= 0 and degradation_rate < 1),
    price_growth_rate numeric(7, 6) not null
        constraint price_growth_is_a_rate check (price_growth_rate > -1 and price_growth_rate < 1),
    cost_growth_rate numeric(7, 6) not null
        constraint cost_growth_is_a_rate check (cost_growth_rate > -1 and cost_growth_rate < 1),
    discount_rate numeric(7, 6) not null
        constraint discount_is_a_rate check (discount_rate > -1 and discount_rate < 1),
    lifetime_years integer not null constraint lifetime_is_known check (lifetime_years between 1 and 50),
    valid_during daterange not null
        constraint appraisal_has_a_first_day check (not lower_inf(valid_during) and not isempty(valid_during)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    constraint property_has_one_appraisal_at_a_time
        unique (tenant_id, property_id, valid_during without overlaps),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict
);
comment on table myproperty.solar_appraisals is
'The assumptions of an owner about return and payback of the solar of a property, by date.';
comment on column myproperty.solar_appraisals.first_year_kwh is 'Energy in the first year.';
comment on column myproperty.solar_appraisals.price_per_kwh is
'Income of the owner for each kWh in the first year, before tax.';
comment on column myproperty.solar_appraisals.capital_cost is
'Amount paid at the start; NULL: the capital cost of the solar assets of the property.';
comment on column myproperty.solar_appraisals.yearly_cost is
'Operation and maintenance in the first year; NULL: the yearly cost of the solar assets.';
comment on column myproperty.solar_appraisals.incentives is
'Amount that the state or others contributed at the start.';
comment on column myproperty.solar_appraisals.degradation_rate is '0.005 is half a percent less each year.';
comment on column myproperty.solar_appraisals.price_growth_rate is '0.03 is three percent a year.';
comment on column myproperty.solar_appraisals.cost_growth_rate is
'Growth of operation and maintenance cost; 0.025 is 2.5 percent a year.';
comment on column myproperty.solar_appraisals.discount_rate is
'Return that the owner could earn elsewhere in a year.';
comment on column myproperty.solar_appraisals.lifetime_years is 'Number of years in the calculation.';
comment on column myproperty.solar_appraisals.valid_during is 'Dates for which these assumptions hold, half-open.';
select myproperty.add_tenant_table('myproperty.solar_appraisals');

grant select on myproperty.solar_reference_yields, myproperty.solar_appraisals
to myproperty_app, myproperty_etl, myproperty_readonly, myproperty_auditor;
-- The series is derived: when a capacity or position is corrected, its dates are computed again.
grant insert, update, delete on myproperty.solar_reference_yields to myproperty_etl;
grant insert, update, delete on myproperty.solar_appraisals to myproperty_app;

reset role;
