-- What the validation of whole days needs, and what it finds: thresholds, register reads, issues.

set local role myproperty_owner;


-- ---------------------------------------------------------------------------------------------------------
-- Thresholds of a tenant; the defaults stand beside the rules in the program
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.vee_thresholds (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null references myproperty.tenants (id) on delete restrict,
    rule text not null constraint threshold_is_of_a_rule check (rule ~ '^VEE-[A-Z-]+$'),
    meter_type text
        constraint meter_type_is_known check (meter_type in ('solar', 'grid', 'water', 'gas')),
    parameters jsonb not null
        constraint parameters_are_an_object check (jsonb_typeof(parameters) = 'object'),
    valid_during daterange not null
        constraint threshold_has_a_first_day check (not lower_inf(valid_during)),
    applies_to text not null generated always as (coalesce(meter_type, 'all')) stored,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    constraint one_threshold_at_a_time unique (tenant_id, rule, applies_to, valid_during without overlaps)
);
comment on table myproperty.vee_thresholds is
'What a tenant asks of its readings where that differs from the defaults of a rule, by reading date.';
comment on column myproperty.vee_thresholds.meter_type is 'NULL is for all; a type of its own goes before it.';
comment on column myproperty.vee_thresholds.parameters is
'Name to number, with the names that docs/rules.md gives; a name that is left out keeps its default.';
comment on column myproperty.vee_thresholds.applies_to is 'The meter type, or all.';
select myproperty.add_tenant_table('myproperty.vee_thresholds');


-- ---------------------------------------------------------------------------------------------------------
-- Register reads: what stood on the dial, of which the difference is energy
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.register_reads (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    meter_id uuid not null,
    channel text not null
        constraint channel_is_known check (channel in (
            'import', 'export', 'generation', 'consumption',
            'reactive_import', 'reactive_export', 'voltage', 'other'
        )),
    read_at timestamptz not null,
    kind text not null default 'periodic'
        constraint read_kind_is_known check (kind in ('initial', 'periodic', 'final')),
    serial_number text not null constraint read_has_a_serial_number check (serial_number <> ''),
    value numeric(20, 9) not null constraint register_is_not_negative check (value >= 0),
    digits integer not null constraint register_has_digits check (digits between 1 and 11),
    multiplier numeric(12, 6) not null default 1 constraint multiplier_is_positive check (multiplier > 0),
    unit text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, meter_id, channel, read_at, kind),
    foreign key (tenant_id, meter_id) references myproperty.meters (tenant_id, id) on delete restrict,
    constraint value_has_no_more_digits_than_the_dial check (value < power(10::numeric, digits))
);
comment on table myproperty.register_reads is
'Accumulated registers as they were read; never energy by themselves. Intervals are compared with differences.';
comment on column myproperty.register_reads.kind is
'initial: of a device that is put in. final: of one that is taken out; nothing is expected of it afterwards.';
comment on column myproperty.register_reads.serial_number is 'Of the device; it changes when a meter is exchanged.';
comment on column myproperty.register_reads.digits is 'Before the decimal point: after so many the register is 0 again.';
comment on column myproperty.register_reads.multiplier is 'Energy per step, as behind a current transformer.';
select myproperty.add_tenant_table('myproperty.register_reads');


-- ---------------------------------------------------------------------------------------------------------
-- Issues: one row a rule, series and date, however often the date is validated
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.reading_issues (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    property_id uuid not null,
    meter_id uuid,
    channel text,
    reading_date date not null,
    rule text not null,
    severity text not null constraint severity_is_known check (severity in ('info', 'issue')),
    first_reading_ts timestamptz,
    last_reading_ts timestamptz,
    details jsonb not null default '{}'
        constraint details_are_an_object check (jsonb_typeof(details) = 'object'),
    status text not null default 'open'
        constraint issue_status_is_known check (status in ('open', 'resolved')),
    resolved_by text,
    resolved_at timestamptz,
    resolution_note text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    constraint found_once unique nulls not distinct (tenant_id, property_id, meter_id, channel, reading_date, rule),
    foreign key (tenant_id, property_id) references myproperty.properties (tenant_id, id) on delete restrict,
    foreign key (tenant_id, meter_id) references myproperty.meters (tenant_id, id) on delete restrict,
    constraint resolved_issue_says_who_when_and_why
        check (num_nonnulls(resolved_by, resolved_at, resolution_note) = case status when 'open' then 0 else 3 end)
);
create index reading_issues_of_date on myproperty.reading_issues (tenant_id, reading_date) where status = 'open';
comment on table myproperty.reading_issues is
'What validation found on a reading date. The readings are kept; a person looks. Found again, the row is the same.';
comment on column myproperty.reading_issues.meter_id is 'NULL where it is of the property: its energy balance.';
comment on column myproperty.reading_issues.details is 'What was observed, by name.';
comment on column myproperty.reading_issues.resolved_by is
'A person, or validation itself where the date was validated again and the issue was not found.';
select myproperty.add_tenant_table('myproperty.reading_issues');

create table myproperty.validated_dates (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null references myproperty.tenants (id) on delete restrict,
    reading_date date not null,
    validated_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, reading_date)
);
comment on table myproperty.validated_dates is
'When the readings of a date were last validated; a date that a file touched later is to be validated again.';
select myproperty.add_tenant_table('myproperty.validated_dates');

grant select on
    myproperty.vee_thresholds, myproperty.register_reads, myproperty.reading_issues, myproperty.validated_dates
to myproperty_app, myproperty_loader, myproperty_etl, myproperty_readonly, myproperty_auditor;
grant insert, update, delete on myproperty.vee_thresholds, myproperty.register_reads to myproperty_app;
grant update (status, resolved_by, resolved_at, resolution_note, version) on myproperty.reading_issues
to myproperty_app;
grant insert, update on myproperty.reading_issues, myproperty.validated_dates to myproperty_loader;
reset role;
