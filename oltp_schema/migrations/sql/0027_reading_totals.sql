-- Totals of a series and date, kept, so that a new date is compared with the days before it without reading their
-- intervals again.

set local role myproperty_owner;

create table myproperty.reading_totals (
    tenant_id uuid not null,
    meter_id uuid not null,
    reading_date date not null,
    channel text not null,
    total double precision not null,
    intervals integer not null constraint day_has_intervals check (intervals > 0),
    interval_seconds integer not null,
    kwh double precision,
    peak_kw double precision,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    primary key (tenant_id, meter_id, reading_date, channel),
    foreign key (tenant_id, meter_id) references myproperty.meters (tenant_id, id) on delete restrict
);
-- Rows of a date come together, so a few bytes for each block find them.
create index reading_totals_of_date on myproperty.reading_totals using brin (reading_date);
comment on table myproperty.reading_totals is
'What the sender of a series reported for a date, added up by validation. Estimates of ours are left out.';
comment on column myproperty.reading_totals.total is 'In the unit of the readings.';
comment on column myproperty.reading_totals.intervals is 'Number of intervals with a value.';
comment on column myproperty.reading_totals.interval_seconds is 'The longest interval of the date.';
comment on column myproperty.reading_totals.kwh is 'NULL where the unit is not energy.';
comment on column myproperty.reading_totals.peak_kw is
'The highest average power of an interval. NULL where the unit is not energy.';
select myproperty.protect_tenant_table('myproperty.reading_totals');
create trigger move_version before update on myproperty.reading_totals
for each row execute function myproperty.move_version();
-- The rows of a date are replaced as often as its readings change, which is no news.
select myproperty.log_actions_of('myproperty.reading_totals', 'update', '{meter_id,reading_date,channel}');
grant select on myproperty.reading_totals to myproperty_app, myproperty_readonly, myproperty_auditor;
grant select, insert, delete on myproperty.reading_totals to myproperty_loader;

-- Only validation reads it, and a release brings both.
-- squawk-ignore ban-drop-not-null
alter table myproperty.validated_dates alter column validated_at drop not null;
alter table myproperty.validated_dates add column totals_at timestamptz;
comment on column myproperty.validated_dates.validated_at is
'NULL for a date that was only added up, for the dates beside it.';
comment on column myproperty.validated_dates.totals_at is
'When reading_totals of the date were added up; they are added up again if readings changed later.';

reset role;
