-- What the source of a landing table held at the instant of its copy. Gate B compares the copy with this: the
-- application writes on, so the source itself is another one a second later.

set local role myproperty_owner;

create table warehouse_staging.landed_sources (
    entity text not null,
    tenant_id uuid,
    partition_date date,
    row_count bigint not null constraint source_has_rows check (row_count > 0),
    sums jsonb not null constraint sums_are_by_column check (jsonb_typeof(sums) = 'object'),
    checksum bigint not null,
    landed_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    constraint source_of_tenant_and_date unique nulls not distinct (tenant_id, entity, partition_date)
);
create index landed_sources_of_dates on warehouse_staging.landed_sources (entity, partition_date);
comment on table warehouse_staging.landed_sources is
'Rows, sums and checksum of the source of each landing table, by tenant and date, in the snapshot of its copy.';
comment on column warehouse_staging.landed_sources.partition_date is 'NULL: the table is landed whole.';
comment on column warehouse_staging.landed_sources.sums is 'The sum of each measure, by its column.';
comment on column warehouse_staging.landed_sources.checksum is
'The sum of the checksums of rows: the first 32 bits of the MD5 of their columns.';
alter table warehouse_staging.landed_sources enable row level security;
alter table warehouse_staging.landed_sources force row level security;
create policy "Only the pipeline sees its own records" on warehouse_staging.landed_sources
to myproperty_etl using (true) with check (true);

grant select, insert, delete on warehouse_staging.landed_sources to myproperty_etl;
grant select on warehouse_staging.landed_sources to myproperty_checker;

reset role;
