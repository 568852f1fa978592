-- Billing has a role of its own: until now it acted as the application, which may change all of a tenant's rows.

set local role myproperty_owner;

grant usage on schema myproperty to myproperty_biller;

-- What a bill is computed from.
grant select on
    myproperty.units, myproperty.tenancies, myproperty.meters, myproperty.meter_registers,
    myproperty.meter_assignments, myproperty.reading_issues, myproperty.rate_plans, myproperty.rate_plan_bands,
    myproperty.rate_plan_assignments, myproperty.allocation_methods, myproperty.allocation_keys,
    myproperty.adjustment_task_readings
to myproperty_biller;
-- Without addresses, names of people and what is sealed.
grant select (id, tenant_id, name, timezone) on myproperty.properties to myproperty_biller;
grant select (id, tenant_id, email, role, status) on myproperty.users to myproperty_biller;

-- The books.
grant select on
    myproperty.allocation_periods, myproperty.allocation_ledger, myproperty.adjustment_tasks, myproperty.invoices,
    myproperty.invoice_lines, myproperty.payments, myproperty.ledger_accounts, myproperty.ledger_entries,
    myproperty.account_balances, myproperty.balance_sheets, myproperty.invoice_ties
to myproperty_biller;
grant insert on
    myproperty.allocation_periods, myproperty.allocation_ledger, myproperty.invoices, myproperty.invoice_lines,
    myproperty.payments, myproperty.ledger_accounts, myproperty.ledger_entries
to myproperty_biller;
grant update (generation_kwh, import_kwh, export_kwh, consumption_kwh, surplus_kwh, version)
on myproperty.allocation_periods to myproperty_biller;
grant update (confidence, solar_kwh, grid_kwh, loss_kwh, adjusted_by, notes, version)
on myproperty.allocation_ledger to myproperty_biller;
grant update (status, decided_by, decided_at, reason, version) on myproperty.adjustment_tasks to myproperty_biller;
grant update (total_amount, metadata, status, issued_at, due_at, version)
on myproperty.invoices to myproperty_biller;
grant update (status, version) on myproperty.payments to myproperty_biller;
grant delete on myproperty.invoice_lines to myproperty_biller;

reset role;

set local role myproperty_partitioner;
grant select on myproperty.meter_readings to myproperty_biller;
reset role;
