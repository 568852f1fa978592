-- Tenants that a run left out of a date, so that the others could be published.

set local role myproperty_owner;

create table warehouse_staging.left_out_tenants (
    tenant_id uuid not null,
    reading_date date not null,
    run_id text not null,
    failed_run_id text,
    left_out_at timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    primary key (tenant_id, reading_date)
);
comment on table warehouse_staging.left_out_tenants is
'Tenants whose part of a published date is as it was before, because a gate failed for them. A row leaves the table '
'when a run publishes the date with the tenant.';
comment on column warehouse_staging.left_out_tenants.run_id is 'The run that published the date without the tenant.';
comment on column warehouse_staging.left_out_tenants.failed_run_id is 'The run before, whose gate failed.';
create index left_out_tenants_by_date on warehouse_staging.left_out_tenants (reading_date);
alter table warehouse_staging.left_out_tenants enable row level security;
alter table warehouse_staging.left_out_tenants force row level security;
create policy "Only the pipeline sees its own records" on warehouse_staging.left_out_tenants
to myproperty_etl using (true) with check (true);
create trigger move_version before update on warehouse_staging.left_out_tenants
for each row execute function myproperty.move_version();
grant select, insert, delete on warehouse_staging.left_out_tenants to myproperty_etl;

alter table warehouse_staging.gate_results add column left_out uuid [] not null default '{}';
comment on column warehouse_staging.gate_results.left_out is 'Tenants whose rows the gate did not check.';

reset role;
