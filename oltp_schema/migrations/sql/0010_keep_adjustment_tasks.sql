-- Readings that changed after their billing period was allocated: a task for a person, never a silent change.

set local role myproperty_owner;


-- ---------------------------------------------------------------------------------------------------------
-- Tasks, and the readings that make them
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
'A billing period whose readings changed after it was allocated. A person adjusts it or lets it stand.';
comment on column myproperty.adjustment_tasks.status is
'open: further loads extend it. done: the allocation was adjusted. dismissed: it stands as it was.';
comment on column myproperty.adjustment_tasks.reason is 'Why it was decided so.';
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
'What a load changed of a meter on one date of an allocated period.';
comment on column myproperty.adjustment_task_readings.readings is 'Readings that were new or replaced others.';
comment on column myproperty.adjustment_task_readings.energy_before_kwh is
'Of these readings, as they were before the load; 0 where there were none.';
comment on column myproperty.adjustment_task_readings.energy_after_kwh is 'Of the same readings after it.';
select myproperty.add_append_only_table(
    'myproperty.adjustment_task_readings', 'Decide the task, or load a correction: it adds to an open task.'
);

grant select on myproperty.adjustment_tasks, myproperty.adjustment_task_readings to
    myproperty_app, myproperty_etl, myproperty_readonly, myproperty_auditor;
grant update (status, decided_by, decided_at, reason, version) on myproperty.adjustment_tasks to myproperty_app;
grant select, insert, update (version) on myproperty.adjustment_tasks to myproperty_loader;
grant select, insert on myproperty.adjustment_task_readings to myproperty_loader;
grant select on myproperty.allocation_periods to myproperty_loader;
-- Who may see an invoice may see its prices: the view below asks them what a credit is for.
grant select on myproperty.rate_plan_bands to myproperty_auditor;


-- ---------------------------------------------------------------------------------------------------------
-- Invoices beside allocations that were adjusted: what later invoices corrected counts too
-- ---------------------------------------------------------------------------------------------------------

create or replace view myproperty.invoice_ties with (security_invoker = true) as
with billed as (
    select
        l.tenant_id,
        l.allocation_id,
        l.invoice_id,
        sum(case l.category when 'credit' then -l.quantity else l.quantity end)
            filter (where coalesce(b.charge, l.category) = 'solar') as solar_kwh,
        sum(case l.category when 'credit' then -l.quantity else l.quantity end)
            filter (where coalesce(b.charge, l.category) = 'grid') as grid_kwh
    from myproperty.invoice_lines as l
    join myproperty.invoices as i on l.tenant_id = i.tenant_id and l.invoice_id = i.id
    left join myproperty.rate_plan_bands as b
        on l.tenant_id = b.tenant_id and l.rate_plan_band_id = b.id and l.category = 'credit'
    where l.allocation_id is not null and i.status <> 'void'
    group by l.tenant_id, l.allocation_id, l.invoice_id
)

select
    i.tenant_id,
    i.id as invoice_id,
    i.number,
    i.billing_period,
    a.id as allocation_id,
    a.unit_id,
    i.currency,
    i.total_amount,
    (
        select sum(m.total_amount) from myproperty.invoice_lines as m
        where m.tenant_id = i.tenant_id and m.invoice_id = i.id
    ) as lines_amount,
    coalesce(sum(e.solar_kwh) filter (where e.invoice_id = i.id), 0) as billed_solar_kwh,
    a.solar_kwh as allocated_solar_kwh,
    coalesce(sum(e.grid_kwh) filter (where e.invoice_id = i.id), 0) as billed_grid_kwh,
    a.grid_kwh as allocated_grid_kwh,
    coalesce(sum(e.solar_kwh) filter (where e.invoice_id <> i.id), 0) as corrected_solar_kwh,
    coalesce(sum(e.grid_kwh) filter (where e.invoice_id <> i.id), 0) as corrected_grid_kwh
from myproperty.invoices as i
join myproperty.allocation_ledger as a
    on
        i.tenant_id = a.tenant_id and i.tenancy_id = a.tenancy_id
        and i.period_start_date = a.period_start_date and i.billing_period = a.billing_period
left join billed as e on a.tenant_id = e.tenant_id and a.id = e.allocation_id
where i.status <> 'void'
group by i.tenant_id, i.id, a.id;
comment on view myproperty.invoice_ties is
'Each invoice beside the allocation that it bills: what it and the corrections on later invoices billed is what was '
'allocated, to the watt-hour. Invoices that are void bill nothing and are left out.';
comment on column myproperty.invoice_ties.corrected_solar_kwh is
'Billed of the same allocation by later invoices; credits are below zero.';
comment on column myproperty.invoice_ties.corrected_grid_kwh is
'Billed of the same allocation by later invoices; credits are below zero.';
reset role;
