-- Tenants, properties, units, meters, users, tenancies, and the keys that seal personal fields.
-- squawk-ignore-file ban-create-domain-with-constraint
-- The domain is new: no existing row has to be checked.

set local role myproperty_owner;


-- ---------------------------------------------------------------------------------------------------------
-- Tenants
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.tenants (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null generated always as (id) stored unique,
    name text not null unique constraint tenant_has_a_name check (name <> ''),
    region text not null constraint region_is_iso_3166_alpha_2 check (region ~ '^[A-Z]{2}$'),
    status text not null default 'active'
        constraint tenant_status_is_known check (status in ('active', 'suspended')),
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1
);
comment on table myproperty.tenants is 'A customer of the platform; every other row belongs to a tenant.';
comment on column myproperty.tenants.tenant_id is 'The id again, so that the tenant policy fits this table too.';
comment on column myproperty.tenants.region is 'Country code, ISO 3166-1 alpha-2.';
comment on column myproperty.tenants.metadata is 'Settings of the tenant.';
select myproperty.add_tenant_table('myproperty.tenants');


-- ---------------------------------------------------------------------------------------------------------
-- Properties and units
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.properties (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null references myproperty.tenants (id) on delete restrict,
    name text not null constraint property_has_a_name check (name <> ''),
    address jsonb not null default '{}',
    timezone text not null constraint timezone_is_an_iana_name check (myproperty.is_timezone(timezone)),
    utility_account_number text,
    solar_capacity_kw numeric(12, 3)
        constraint solar_capacity_is_not_negative check (solar_capacity_kw >= 0),
    status text not null default 'active'
        constraint property_status_is_known check (status in ('active', 'inactive')),
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id)
);
comment on table myproperty.properties is 'A building or site of a tenant.';
comment on column myproperty.properties.address is 'The parts of the postal address by name.';
comment on column myproperty.properties.timezone is 'IANA name.';
comment on column myproperty.properties.utility_account_number is 'Account number at the energy retailer.';
comment on column myproperty.properties.solar_capacity_kw is 'Peak power (DC) of all arrays, in kW.';
select myproperty.add_tenant_table('myproperty.properties');

create table myproperty.units (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    label text not null constraint unit_has_a_label check (label <> ''),
    floor text,
    sq_ft numeric(10, 2) constraint sq_ft_is_positive check (sq_ft > 0),
    active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    unique (tenant_id, property_id, label),
    -- Referenced by allocations, so that a unit belongs to the property of its allocation.
    unique (tenant_id, property_id, id),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict
);
comment on table myproperty.units is 'A part of a property that is let or metered separately.';
comment on column myproperty.units.sq_ft is 'Floor area in square feet.';
comment on column myproperty.units.active is 'False once the unit is no longer let.';
select myproperty.add_tenant_table('myproperty.units');


-- ---------------------------------------------------------------------------------------------------------
-- Meters, their registers and the units they serve
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.meters (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    type text not null
        constraint meter_type_is_known check (type in ('solar', 'grid', 'water', 'gas')),
    make_model text,
    serial_number text not null constraint meter_has_a_serial_number check (serial_number <> ''),
    timezone text not null constraint timezone_is_an_iana_name check (myproperty.is_timezone(timezone)),
    status text not null default 'active'
        constraint meter_status_is_known check (status in ('active', 'retired')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    unique (tenant_id, serial_number),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict
);
create index meters_of_property on myproperty.meters (tenant_id, property_id);
comment on table myproperty.meters is 'A device that measures; its time zone decides the reading date.';
comment on column myproperty.meters.type is 'What the meter measures.';
comment on column myproperty.meters.timezone is 'IANA name; decides the reading date.';
select myproperty.add_tenant_table('myproperty.meters');

create table myproperty.meter_registers (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    meter_id uuid not null,
    identifier text not null constraint register_has_an_identifier check (identifier <> ''),
    register text not null,
    channel text not null
        constraint channel_is_known check (channel in (
            'import', 'export', 'generation', 'consumption',
            'reactive_import', 'reactive_export', 'voltage', 'other'
        )),
    unit text,
    interval_seconds integer
        constraint interval_is_within_a_day check (interval_seconds between 1 and 90000),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, identifier, register),
    unique (tenant_id, meter_id, channel),
    foreign key (tenant_id, meter_id) references myproperty.meters (tenant_id, id) on delete restrict
);
comment on table myproperty.meter_registers is 'Maps the identifier and register in a file to a meter and channel.';
comment on column myproperty.meter_registers.identifier is
'The name of the meter in files: NMI, usage point or metering point.';
comment on column myproperty.meter_registers.register is
'The name of the series in files: E1, an OBIS code, a flow direction.';
comment on column myproperty.meter_registers.channel is 'The meaning of the series in this system.';
comment on column myproperty.meter_registers.unit is 'The unit that files must use; NULL accepts any.';
comment on column myproperty.meter_registers.interval_seconds is
'The interval length that files must use; NULL accepts any.';
select myproperty.add_tenant_table('myproperty.meter_registers');

create table myproperty.meter_assignments (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    meter_id uuid not null,
    unit_id uuid not null,
    assigned_during daterange not null
        constraint assignment_has_a_first_day check (not lower_inf(assigned_during)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    constraint meter_serves_one_unit_at_a_time
        unique (tenant_id, meter_id, assigned_during without overlaps),
    foreign key (tenant_id, meter_id) references myproperty.meters (tenant_id, id) on delete restrict,
    foreign key (tenant_id, unit_id) references myproperty.units (tenant_id, id) on delete restrict
);
create index meter_assignments_of_unit on myproperty.meter_assignments (tenant_id, unit_id);
comment on table myproperty.meter_assignments is 'The unit that a meter serves, by date.';
comment on column myproperty.meter_assignments.assigned_during is 'Local dates, half-open.';
select myproperty.add_tenant_table('myproperty.meter_assignments');


-- ---------------------------------------------------------------------------------------------------------
-- Sealed fields: personal data is stored encrypted, and the key material is not in this database
-- ---------------------------------------------------------------------------------------------------------

-- 1 byte format, 16 bytes key id, 12 bytes nonce, the ciphertext, 16 bytes tag. The check refuses plain text.
create domain myproperty.sealed as bytea
constraint is_sealed check (octet_length(value) >= 45 and get_byte(value, 0) = 1);
comment on domain myproperty.sealed is
'AES-256-GCM under a data key of the tenant or of one person. When the key is destroyed, nobody can read the text '
'any more.';


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
comment on column myproperty.users.email is 'Replaced by erased-<id>@invalid when the person is erased.';
comment on column myproperty.users.full_name is 'Sealed under the key of the person.';
comment on column myproperty.users.role is 'What the person may do in the application; not a database role.';
comment on column myproperty.users.status is 'erased: the name is deleted and the address replaced.';
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
'Which key seals which fields: one key for the tenant, one for each person. The key material is in the key store.';
comment on column myproperty.data_keys.user_id is
'The person whose fields the key seals; NULL for the key of the tenant.';
comment on column myproperty.data_keys.status is
'retired: opens existing fields, seals no new ones. destroyed: opens nothing.';
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
comment on table myproperty.notification_preferences is
'What a person wants to be notified about, and by which channel.';
comment on column myproperty.notification_preferences.destination is
'An address or number that differs from the login; sealed under the key of the person.';
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
comment on table myproperty.tenancies is 'Who lives in a unit, by date.';
comment on column myproperty.tenancies.occupied_during is
'Local dates from the day of moving in to the day of moving out, half-open.';
select myproperty.add_tenant_table('myproperty.tenancies');


-- ---------------------------------------------------------------------------------------------------------
-- Grants
-- ---------------------------------------------------------------------------------------------------------

grant select on
    myproperty.tenants, myproperty.properties, myproperty.units, myproperty.meters, myproperty.meter_registers,
    myproperty.meter_assignments, myproperty.users, myproperty.data_keys, myproperty.notification_preferences,
    myproperty.tenancies
to myproperty_etl, myproperty_readonly;

-- A row with a status is retired, not deleted.
grant select, update (name, metadata, version) on myproperty.tenants to myproperty_app;
grant select, insert, update on
    myproperty.properties, myproperty.units, myproperty.meters, myproperty.users, myproperty.data_keys
to myproperty_app;
grant select, insert, update, delete on
    myproperty.meter_registers, myproperty.meter_assignments, myproperty.notification_preferences,
    myproperty.tenancies
to myproperty_app;

grant select on myproperty.tenants, myproperty.properties, myproperty.units, myproperty.meter_assignments
to myproperty_loader;
grant select, insert on myproperty.meters, myproperty.meter_registers to myproperty_loader;
grant select on myproperty.tenants, myproperty.data_keys to myproperty_auditor;

-- ATTACH needs these rights to create and check the foreign keys.
grant select, references on myproperty.meters to myproperty_partitioner;
-- Locking a row against deletion needs the right to update one of its columns.
grant update (version) on myproperty.meters to myproperty_partitioner;
-- check_allocation_keys locks a property while it adds up the shares.
grant select, update (version) on myproperty.properties to myproperty_guardian;

reset role;
