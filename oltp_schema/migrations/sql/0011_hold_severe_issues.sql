-- Severe issues hold back a meter and day until they are resolved, or accepted by a person for a time.

set local role myproperty_owner;


-- ---------------------------------------------------------------------------------------------------------
-- The rated power of a connection, where it is known
-- ---------------------------------------------------------------------------------------------------------

alter table myproperty.meters add column rated_kw numeric(12, 3);
-- squawk-ignore constraint-missing-not-valid
alter table myproperty.meters add constraint rated_power_is_positive check (rated_kw > 0);
comment on column myproperty.meters.rated_kw is
'Rated power of the connection that the meter measures, in kW. NULL: unknown, validation learns a bound.';


-- ---------------------------------------------------------------------------------------------------------
-- Severe issues and their acceptance: both tables are small, so a check of all rows takes no time
-- ---------------------------------------------------------------------------------------------------------

alter table myproperty.reading_issues add column accepted_by text;
alter table myproperty.reading_issues add column accepted_at timestamptz;
alter table myproperty.reading_issues add column accepted_until date;
alter table myproperty.reading_issues add column acceptance_reason text;
alter table myproperty.reading_issues add column changed_at timestamptz not null default now();

-- squawk-ignore ban-drop-constraint
alter table myproperty.reading_issues drop constraint severity_is_known;
-- squawk-ignore constraint-missing-not-valid
alter table myproperty.reading_issues add constraint severity_is_known
check (severity in ('info', 'issue', 'severe'));

-- squawk-ignore ban-drop-constraint
alter table myproperty.reading_issues drop constraint issue_status_is_known;
-- squawk-ignore constraint-missing-not-valid
alter table myproperty.reading_issues add constraint issue_status_is_known
check (status in ('open', 'accepted', 'resolved'));

-- squawk-ignore ban-drop-constraint
alter table myproperty.reading_issues drop constraint resolved_issue_says_who_when_and_why;
-- squawk-ignore constraint-missing-not-valid
alter table myproperty.reading_issues add constraint resolved_issue_says_who_when_and_why
check (num_nonnulls(resolved_by, resolved_at, resolution_note) = case status when 'resolved' then 3 else 0 end);

-- squawk-ignore constraint-missing-not-valid
alter table myproperty.reading_issues add constraint accepted_issue_says_who_when_why_and_until
check (
    num_nonnulls(accepted_by, accepted_at, accepted_until, acceptance_reason)
    = case status when 'accepted' then 4 else 0 end
);

comment on column myproperty.reading_issues.severity is
'info: nothing to do. issue: a person looks at it. severe: the meter is held back on the date while the issue is open.';
comment on column myproperty.reading_issues.status is
'open; accepted: a person published the values until accepted_until; resolved.';
comment on column myproperty.reading_issues.accepted_by is
'The person who accepted the values of a severe issue.';
comment on column myproperty.reading_issues.accepted_until is
'The last date on which the acceptance holds. On the next date the issue is open again.';
comment on column myproperty.reading_issues.changed_at is
'When the issue was found, changed, accepted, reopened or resolved. Dates that depend on it are validated again.';

grant update (
    accepted_by, accepted_at, accepted_until, acceptance_reason, changed_at
) on myproperty.reading_issues to myproperty_app;


-- ---------------------------------------------------------------------------------------------------------
-- Landing
-- ---------------------------------------------------------------------------------------------------------

create table warehouse_staging.reading_issues (
    id uuid not null,
    tenant_id uuid not null,
    property_id uuid,
    meter_id uuid,
    channel text,
    reading_date date not null,
    rule text,
    severity text,
    status text,
    accepted_until date,
    created_at timestamptz,
    updated_at timestamptz,
    version integer,
    landed_at timestamptz not null default clock_timestamp()
);
create index reading_issues_of_date on warehouse_staging.reading_issues (reading_date);
comment on table warehouse_staging.reading_issues is
'Copy of myproperty.reading_issues at landed_at, on its way to the warehouse. Without names, reasons and values.';
select myproperty.protect_tenant_table('warehouse_staging.reading_issues');
grant select, insert, update, delete, truncate on warehouse_staging.reading_issues to myproperty_etl;
reset role;
