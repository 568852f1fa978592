-- People and what is theirs: users, tenancies, preferences, the keys that seal personal fields; solar assets.
-- squawk-ignore-file ban-create-domain-with-constraint
-- The domain is new: no row has to be looked at.


-- ---------------------------------------------------------------------------------------------------------
-- Sealed fields: personal data is stored encrypted; the key material is never in this database
-- ---------------------------------------------------------------------------------------------------------

create extension if not exists citext with schema public;

set local role myproperty_owner;

-- One byte of format, 16 of key id, 12 of nonce, the ciphertext, 16 of tag: plain text does not get in.
create domain myproperty.sealed as bytea
constraint is_sealed check (octet_length(value) >= 45 and get_byte(value, 0) = 1);
comment on domain myproperty.sealed is
'AES-256-GCM under a data key of the tenant or of one person; destroying the key erases the text everywhere.';


-- ---------------------------------------------------------------------------------------------------------
-- Users
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.users (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null references myproperty.tenants (id) on delete restrict,
    email public.citext not null constraint email_looks_like_one check (email ~ '^[^@\s]+@[^@\s]+$'),
    full_name myproperty.sealed,
    role text not null
        constraint user_role_is_known check (role in ('owner', 'manager', 'accountant', 'technician', 'resident')),
    status text not null default 'active'
        constraint user_status_is_known check (status in ('invited', 'active', 'suspended', 'erased')),
    mfa_enabled boolean not null default false,
    last_login_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    constraint email_is_unique_in_a_tenant unique (tenant_id, email),
    constraint erased_user_keeps_no_name_or_address
        check (status <> 'erased' or (full_name is null and email::text = 'erased-' || id::text || '@invalid'))
);
comment on table myproperty.users is 'A person with a login: an owner, their staff, or a resident.';
comment on column myproperty.users.role is
'What the person may do in the application; the database knows its own roles alone.';
comment on column myproperty.users.status is
'erased: without a name, and with the address replaced.';
comment on column myproperty.users.email is 'Replaced by erased-<id>@invalid when the person is erased.';
comment on column myproperty.users.full_name is 'Sealed under the key of the person.';
select myproperty.add_tenant_table('myproperty.users', '{email}');

create table myproperty.data_keys (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null references myproperty.tenants (id) on delete restrict,
    user_id uuid,
    status text not null default 'active'
        constraint key_status_is_known check (status in ('active', 'retired', 'destroyed')),
    destroyed_at timestamptz,
    destroyed_because text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    foreign key (tenant_id, user_id) references myproperty.users (tenant_id, id) on delete restrict,
    constraint destroyed_key_says_when_and_why check (
        (status = 'destroyed') = (destroyed_at is not null)
        and (status = 'destroyed') = (coalesce(destroyed_because, '') <> '')
    )
);
create unique index data_keys_one_active
on myproperty.data_keys (tenant_id, user_id) nulls not distinct where status = 'active';
comment on table myproperty.data_keys is
'Which key seals what: one of the tenant, one of each person. The keys themselves are in the key store.';
comment on column myproperty.data_keys.status is
'retired: opens what it sealed, and seals nothing new. destroyed: opens nothing any more.';
comment on column myproperty.data_keys.user_id is 'The person whose fields it seals; NULL for the tenant.';
select myproperty.add_tenant_table('myproperty.data_keys');

create table myproperty.notification_preferences (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    user_id uuid not null,
    topic text not null
        constraint topic_is_known check (topic in ('invoice', 'payment', 'ticket', 'outage', 'report')),
    channel text not null constraint channel_is_known check (channel in ('email', 'sms', 'push')),
    enabled boolean not null default true,
    destination myproperty.sealed,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, user_id, topic, channel),
    foreign key (tenant_id, user_id) references myproperty.users (tenant_id, id) on delete restrict
);
comment on table myproperty.notification_preferences is 'What a person wants to be told, and by which way.';
comment on column myproperty.notification_preferences.destination is
'An address or number other than that of the login; sealed under the key of the person.';
select myproperty.add_tenant_table('myproperty.notification_preferences');


-- ---------------------------------------------------------------------------------------------------------
-- Tenancies
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.tenancies (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    unit_id uuid not null,
    user_id uuid not null,
    occupied_during daterange not null
        constraint tenancy_has_a_first_day check (not lower_inf(occupied_during) and not isempty(occupied_during)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    unique (tenant_id, unit_id, id),
    constraint unit_has_one_tenancy_at_a_time
        unique (tenant_id, unit_id, occupied_during without overlaps),
    foreign key (tenant_id, unit_id) references myproperty.units (tenant_id, id) on delete restrict,
    foreign key (tenant_id, user_id) references myproperty.users (tenant_id, id) on delete restrict
);
create index tenancies_of_user on myproperty.tenancies (tenant_id, user_id);
comment on table myproperty.tenancies is
'Who lives in a unit, by date: from the day of moving in to before the day of moving out.';
comment on column myproperty.tenancies.occupied_during is 'Local dates, half-open.';
select myproperty.add_tenant_table('myproperty.tenancies');


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
comment on table myproperty.solar_assets is 'An array, inverter or battery of a property, and what it cost.';
comment on column myproperty.solar_assets.tilt_degrees is 'From the horizontal.';
comment on column myproperty.solar_assets.in_service_during is 'Local dates, half-open.';
comment on column myproperty.solar_assets.capital_cost is 'What it cost to buy and build.';
comment on column myproperty.solar_assets.capacity_kw is 'Array: kW peak (DC); inverter and battery: kW (AC).';
comment on column myproperty.solar_assets.azimuth_degrees is 'Clockwise from north: 90 east, 180 south.';
comment on column myproperty.solar_assets.yearly_cost is 'Operation and maintenance in the first year.';
comment on column myproperty.solar_assets.meter_id is 'The meter of its generation.';
select myproperty.add_tenant_table('myproperty.solar_assets');


-- ---------------------------------------------------------------------------------------------------------
-- Grants
-- ---------------------------------------------------------------------------------------------------------

grant select on
    myproperty.users, myproperty.data_keys, myproperty.notification_preferences, myproperty.tenancies,
    myproperty.solar_assets
to myproperty_etl, myproperty_readonly;
-- Where there is a status, a row is retired and not deleted.
grant select, insert, update on myproperty.users, myproperty.data_keys, myproperty.solar_assets
to myproperty_app;
grant select, insert, update, delete on myproperty.notification_preferences, myproperty.tenancies
to myproperty_app;
grant select on myproperty.data_keys to myproperty_auditor;

reset role;
