-- Invoices, payments and the double-entry ledger, with their history.

set local role myproperty_owner;


-- ---------------------------------------------------------------------------------------------------------
-- Invoices
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.invoices (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    number text not null constraint invoice_has_a_number check (number <> ''),
    tenant_user_id uuid not null,
    tenancy_id uuid,
    billing_period daterange not null
        constraint billing_period_is_bounded
            check (not lower_inf(billing_period) and not upper_inf(billing_period) and not isempty(billing_period)),
    period_start_date date generated always as (lower(billing_period)) stored,
    status text not null default 'draft'
        constraint invoice_status_is_known check (status in ('draft', 'issued', 'overdue', 'paid', 'void')),
    total_amount numeric(14, 2) not null default 0 constraint total_is_not_negative check (total_amount >= 0),
    currency text not null constraint currency_is_iso_4217 check (currency ~ '^[A-Z]{3}$'),
    issued_at timestamptz,
    due_at timestamptz,
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    unique (tenant_id, id, currency),
    constraint invoice_number_is_unique_in_a_tenant unique (tenant_id, number),
    foreign key (tenant_id, tenant_user_id) references myproperty.users (tenant_id, id) on delete restrict,
    foreign key (tenant_id, tenancy_id) references myproperty.tenancies (tenant_id, id) on delete restrict,
    constraint issued_invoice_says_when
        check (status in ('draft', 'void') or (issued_at is not null and due_at is not null)),
    constraint invoice_is_due_after_it_is_issued check (due_at > issued_at)
);
create unique index invoices_bill_a_tenancy_once
on myproperty.invoices (tenant_id, tenancy_id, billing_period) where status <> 'void';
create index invoices_of_period on myproperty.invoices (tenant_id, billing_period);
-- Comparing ranges is not leakproof: under a policy the index above finds only the tenant.
create index invoices_of_start_date on myproperty.invoices (tenant_id, period_start_date);
create index invoices_of_user on myproperty.invoices (tenant_id, tenant_user_id);
create index invoices_overdue on myproperty.invoices (tenant_id, due_at) where status = 'overdue';
comment on table myproperty.invoices is
'The amount that a resident has to pay for a period. An issued invoice is paid or voided, never changed.';
comment on column myproperty.invoices.number is 'The number that the resident sees.';
comment on column myproperty.invoices.billing_period is 'Local dates, half-open.';
comment on column myproperty.invoices.status is 'First draft, then issued; then paid, overdue or void.';
comment on column myproperty.invoices.period_start_date is
'First day of the billing period. Look a period up by it: under a policy no index finds a range.';
comment on column myproperty.invoices.total_amount is 'With tax; at commit it equals the sum of the lines.';
comment on column myproperty.invoices.tenant_user_id is 'The person who has to pay.';
select myproperty.add_tenant_table('myproperty.invoices');

create table myproperty.invoice_lines (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    invoice_id uuid not null,
    line_number integer not null constraint line_number_is_positive check (line_number > 0),
    description text not null constraint line_has_a_description check (description <> ''),
    category text not null
        constraint line_category_is_known check (category in ('solar', 'grid', 'daily', 'service', 'credit')),
    quantity numeric(20, 9) not null constraint quantity_is_not_negative check (quantity >= 0),
    unit_amount numeric(14, 6) not null,
    tax_rate numeric(6, 5) not null default 0 constraint tax_rate_is_a_share check (tax_rate between 0 and 1),
    total_amount numeric(14, 2) not null,
    solar_band text,
    allocation_id uuid,
    rate_plan_band_id uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    unique (tenant_id, invoice_id, line_number),
    foreign key (tenant_id, invoice_id) references myproperty.invoices (tenant_id, id) on delete restrict,
    foreign key (tenant_id, allocation_id)
        references myproperty.allocation_ledger (tenant_id, id) on delete restrict,
    foreign key (tenant_id, rate_plan_band_id)
        references myproperty.rate_plan_bands (tenant_id, id) on delete restrict,
    constraint only_a_credit_is_negative
        check (case category when 'credit' then unit_amount <= 0 else unit_amount >= 0 end),
    constraint line_total_is_quantity_by_amount_with_tax
        check (total_amount = round(quantity * unit_amount * (1 + tax_rate), 2)),
    constraint energy_comes_from_an_allocation
        check (category not in ('solar', 'grid') or allocation_id is not null)
);
create index invoice_lines_of_allocation on myproperty.invoice_lines (tenant_id, allocation_id);
comment on table myproperty.invoice_lines is 'The lines of an invoice.';
comment on column myproperty.invoice_lines.tax_rate is '0.1 is ten percent.';
comment on column myproperty.invoice_lines.quantity is 'kWh of energy, days of a daily charge, or pieces.';
comment on column myproperty.invoice_lines.unit_amount is 'Before tax.';
comment on column myproperty.invoice_lines.total_amount is
'With tax, rounded half away from zero to two places.';
comment on column myproperty.invoice_lines.solar_band is 'For energy: the band of the rate plan.';
comment on column myproperty.invoice_lines.allocation_id is 'For energy: the allocation that the line bills.';
select myproperty.add_tenant_table('myproperty.invoice_lines');

create function myproperty.freeze_issued_invoice() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Generated columns have no value yet.
    if (to_jsonb(new) - '{status,metadata,version,updated_at,period_start_date}'::text[])
        is distinct from (to_jsonb(old) - '{status,metadata,version,updated_at,period_start_date}'::text[])
        or new.status = 'draft' or old.status = 'void'
    then
        raise exception 'the invoice % is % and can no longer be changed', old.number, old.status
            using errcode = 'MP006', hint = 'Void it, or credit the difference on the next invoice.';
    end if;
    return new;
end;
$$;
comment on function myproperty.freeze_issued_invoice is
'Refuses any change of an issued invoice except of status and metadata (SQLSTATE MP006).';
create trigger freeze_issued_invoice before update on myproperty.invoices
for each row when (old.status <> 'draft') execute function myproperty.freeze_issued_invoice();

create function myproperty.freeze_lines_of_issued_invoice() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    found_number text;
    found_status text;
begin
    if tg_op = 'UPDATE' and new.invoice_id <> old.invoice_id then
        raise exception 'the line % cannot be moved to another invoice', old.id
            using errcode = 'MP006', hint = 'Delete the line from one invoice, and add it to the other.';
    end if;
    -- The lock makes writers of one invoice wait for each other, and keeps it a draft until the end.
    select i.number, i.status into found_number, found_status
    from myproperty.invoices as i
    where i.tenant_id = coalesce(new.tenant_id, old.tenant_id) and i.id = coalesce(new.invoice_id, old.invoice_id)
    for no key update;
    if found_status <> 'draft' then
        raise exception 'the invoice % is % and its lines can no longer be changed', found_number, found_status
            using errcode = 'MP006', hint = 'Void it, or credit the difference on the next invoice.';
    end if;
    return coalesce(new, old);
end;
$$;
comment on function myproperty.freeze_lines_of_issued_invoice is
'Refuses any change of the lines of an issued invoice (SQLSTATE MP006).';
create trigger freeze_lines_of_issued_invoice before insert or update or delete on myproperty.invoice_lines
for each row execute function myproperty.freeze_lines_of_issued_invoice();


-- ---------------------------------------------------------------------------------------------------------
-- Payments
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.payments (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    invoice_id uuid not null,
    amount numeric(14, 2) not null constraint payment_is_positive check (amount > 0),
    currency text not null,
    method text not null
        constraint payment_method_is_known check (method in ('bank_transfer', 'direct_debit', 'card')),
    reference text not null constraint payment_has_a_reference check (reference <> ''),
    status text not null default 'received'
        constraint payment_status_is_known check (status in ('received', 'reversed')),
    received_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    constraint payment_is_taken_once unique (tenant_id, reference),
    constraint payment_is_in_the_currency_of_its_invoice
        foreign key (tenant_id, invoice_id, currency)
        references myproperty.invoices (tenant_id, id, currency) on delete restrict
);
create index payments_of_invoice on myproperty.payments (tenant_id, invoice_id);
comment on table myproperty.payments is
'Money received for an invoice. A payment that bounced is reversed, not deleted.';
comment on column myproperty.payments.amount is 'In the currency of the invoice.';
comment on column myproperty.payments.reference is
'Reference of the bank or processor; each reference is recorded once.';
select myproperty.add_tenant_table('myproperty.payments');


-- ---------------------------------------------------------------------------------------------------------
-- The ledger
-- ---------------------------------------------------------------------------------------------------------

create table myproperty.ledger_accounts (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null references myproperty.tenants (id) on delete restrict,
    code text not null constraint account_has_a_code check (code ~ '^[a-z][a-z_]*$'),
    name text not null constraint account_has_a_name check (name <> ''),
    kind text not null
        constraint account_kind_is_known check (kind in ('asset', 'liability', 'equity', 'income', 'expense')),
    status text not null default 'active'
        constraint account_status_is_known check (status in ('active', 'closed')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, code)
);
comment on table myproperty.ledger_accounts is 'The accounts that ledger entries debit and credit.';
comment on column myproperty.ledger_accounts.code is
'The checks at commit use the account with the code receivables.';
select myproperty.add_tenant_table('myproperty.ledger_accounts');

create table myproperty.ledger_entries (
    id uuid primary key default uuidv7(),
    tenant_id uuid not null,
    entry_date date not null,
    debit_account text not null,
    credit_account text not null,
    amount numeric(14, 2) not null constraint amount_is_positive check (amount > 0),
    currency text not null constraint currency_is_iso_4217 check (currency ~ '^[A-Z]{3}$'),
    reference_type text not null
        constraint reference_type_is_known check (reference_type in ('invoice', 'payment', 'opening')),
    reference_id uuid not null,
    description text not null constraint entry_has_a_description check (description <> ''),
    reverses_id uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    version integer not null default 1,
    unique (tenant_id, id),
    constraint entry_is_reversed_once unique (tenant_id, reverses_id),
    foreign key (tenant_id, debit_account) references myproperty.ledger_accounts (tenant_id, code) on delete restrict,
    foreign key (tenant_id, credit_account) references myproperty.ledger_accounts (tenant_id, code) on delete restrict,
    foreign key (tenant_id, reverses_id) references myproperty.ledger_entries (tenant_id, id) on delete restrict,
    constraint entry_moves_between_two_accounts check (debit_account <> credit_account)
);
create index ledger_entries_of_reference
on myproperty.ledger_entries (tenant_id, reference_type, reference_id);
create index ledger_entries_of_debit_account on myproperty.ledger_entries (tenant_id, debit_account, entry_date);
create index ledger_entries_of_credit_account on myproperty.ledger_entries (tenant_id, credit_account, entry_date);
comment on table myproperty.ledger_entries is
'Double entry: each row debits one account and credits another with the same amount. Rows are added, never changed.';
comment on column myproperty.ledger_entries.entry_date is 'The booking date.';
comment on column myproperty.ledger_entries.amount is
'Always positive; an entry is reversed by swapping its accounts.';
comment on column myproperty.ledger_entries.reference_id is 'The invoice or payment that the entry books.';
comment on column myproperty.ledger_entries.reverses_id is 'The entry that this entry reverses.';
select myproperty.add_append_only_table(
    'myproperty.ledger_entries', 'Add an entry that reverses it: accounts swapped, reverses_id set.'
);


create function myproperty.keep_booked_payment() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (
        select from myproperty.ledger_entries as e
        where e.tenant_id = old.tenant_id and e.reference_type = 'payment' and e.reference_id = old.id
    ) then
        raise exception 'the payment % is booked and cannot be deleted', old.reference
            using errcode = 'MP011', hint = 'Reverse the payment, and book the reversal.';
    end if;
    return old;
end;
$$;
comment on function myproperty.keep_booked_payment is
'Refuses to delete a payment that the ledger has booked (SQLSTATE MP011).';
create trigger keep_booked_payment before delete on myproperty.payments
for each row execute function myproperty.keep_booked_payment();


-- ---------------------------------------------------------------------------------------------------------
-- Grants
-- ---------------------------------------------------------------------------------------------------------

grant select on
    myproperty.invoices, myproperty.invoice_lines, myproperty.payments, myproperty.ledger_accounts,
    myproperty.ledger_entries
to myproperty_etl, myproperty_readonly, myproperty_auditor, myproperty_guardian;
-- check_invoice locks an invoice while it adds up its lines and payments.
grant update (version) on myproperty.invoices to myproperty_guardian;
grant select, insert, update on myproperty.invoices, myproperty.ledger_accounts to myproperty_app;
grant select, insert, update, delete on myproperty.invoice_lines to myproperty_app;
grant select, insert, update (status, version) on myproperty.payments to myproperty_app;
grant select, insert on myproperty.ledger_entries to myproperty_app;
revoke execute on function
    myproperty.freeze_issued_invoice(), myproperty.freeze_lines_of_issued_invoice(), myproperty.keep_booked_payment()
from public;

reset role;


-- ---------------------------------------------------------------------------------------------------------
-- Checks at commit
-- ---------------------------------------------------------------------------------------------------------

set local role myproperty_guardian;

create function myproperty.check_invoice() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    the_row constant jsonb := to_jsonb(coalesce(new, old));
    tenant constant uuid := (the_row ->> 'tenant_id')::uuid;
    the_invoice_id uuid;
    i record;
    lines numeric;
    paid numeric;
    booked numeric;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception '%.% cannot be written at isolation level %: its check would not see the commits of others',
            tg_table_schema, tg_table_name, current_setting('transaction_isolation')
            using errcode = 'MP013', hint = 'Begin the transaction as read committed.';
    end if;
    if the_row ->> 'reverses_id' is not null and not exists (
        select from myproperty.ledger_entries as e
        where e.tenant_id = tenant and e.id = (the_row ->> 'reverses_id')::uuid
          and (e.debit_account, e.credit_account) = (the_row ->> 'credit_account', the_row ->> 'debit_account')
          and (e.amount, e.currency) = ((the_row ->> 'amount')::numeric, the_row ->> 'currency')
          and (e.reference_type, e.reference_id)
              = (the_row ->> 'reference_type', (the_row ->> 'reference_id')::uuid)
    ) then
        raise exception 'the ledger entry % reverses %, but is not that entry with its accounts swapped',
            the_row ->> 'id', the_row ->> 'reverses_id'
            using errcode = 'MP011', hint = 'Swap the accounts, and keep amount, currency and reference.';
    end if;
    -- The row is an invoice, one of its lines or payments, or a ledger entry of these.
    the_invoice_id := case
        when tg_table_name = 'invoices' then (the_row ->> 'id')::uuid
        when tg_table_name <> 'ledger_entries' then (the_row ->> 'invoice_id')::uuid
        when the_row ->> 'reference_type' = 'invoice' then (the_row ->> 'reference_id')::uuid
        when the_row ->> 'reference_type' = 'payment' then (
            select p.invoice_id from myproperty.payments as p
            where p.tenant_id = tenant and p.id = (the_row ->> 'reference_id')::uuid
        )
    end;
    -- The lock makes payments of one invoice wait for each other: together they may cover it.
    select * into i from myproperty.invoices as v where v.tenant_id = tenant and v.id = the_invoice_id
    for no key update;
    if not found then
        if the_row ->> 'reference_type' = 'opening' then
            return null;
        end if;
        raise exception 'the ledger entry % books a % that does not exist', the_row ->> 'id', the_row ->> 'reference_type'
            using errcode = 'MP011', hint = 'Set reference_id to the invoice or payment that is booked.';
    end if;
    if tg_table_name = 'ledger_entries' and the_row ->> 'currency' <> i.currency then
        raise exception 'the ledger entry % is in %, but its invoice % is in %',
            the_row ->> 'id', the_row ->> 'currency', i.number, i.currency
            using errcode = 'MP011', hint = 'Book in the currency of the invoice.';
    end if;
    select coalesce(sum(l.total_amount), 0) into lines
    from myproperty.invoice_lines as l where l.tenant_id = tenant and l.invoice_id = i.id;
    if i.total_amount <> lines then
        raise exception 'the total of invoice % is %, but its lines sum to %', i.number, i.total_amount, lines
            using errcode = 'MP005', hint = 'Change the total in the transaction that changes the lines.';
    end if;
    -- Receivables: the entries of an invoice sum to its total, the entries of its payments to what was received.
    select coalesce(sum(case when e.debit_account = 'receivables' then e.amount else -e.amount end), 0) into booked
    from myproperty.ledger_entries as e
    where e.tenant_id = tenant and e.reference_type = 'invoice' and e.reference_id = i.id
      and 'receivables' in (e.debit_account, e.credit_account);
    if booked <> (case when i.status in ('draft', 'void') then 0 else i.total_amount end) then
        raise exception 'the invoice % is % with a total of %, but % is booked as receivable for it',
            i.number, i.status, i.total_amount, booked
            using errcode = 'MP011',
                  hint = 'Book an invoice in the transaction that issues it; reverse the entry in the one that voids it.';
    end if;
    select coalesce(sum(p.amount), 0) into paid
    from myproperty.payments as p
    where p.tenant_id = tenant and p.invoice_id = i.id and p.status = 'received';
    select coalesce(sum(case when e.credit_account = 'receivables' then e.amount else -e.amount end), 0) into booked
    from myproperty.ledger_entries as e
    join myproperty.payments as p on p.tenant_id = e.tenant_id and p.id = e.reference_id
    where e.tenant_id = tenant and e.reference_type = 'payment' and p.invoice_id = i.id
      and 'receivables' in (e.debit_account, e.credit_account);
    if booked <> paid then
        raise exception 'the payments of invoice % sum to %, but % is booked for them', i.number, paid, booked
            using errcode = 'MP011', hint = 'Book a payment in the transaction that records or reverses it.';
    end if;
    if (i.status = 'paid') <> (i.status <> 'draft' and i.status <> 'void' and paid >= i.total_amount) then
        raise exception 'the invoice % has status %, but % of % is paid', i.number, i.status, paid, i.total_amount
            using errcode = 'MP012', hint = 'Set the status to paid exactly when the payments cover the total.';
    end if;
    return null;
end;
$$;
comment on function myproperty.check_invoice is
'At commit: an invoice is the sum of its lines (SQLSTATE MP005), the ledger has booked the invoice and its '
'payments (MP011), and the invoice is paid exactly if its payments cover it (MP012). Works only at isolation '
'level read committed (MP013).';

revoke execute on function myproperty.check_invoice() from public;
grant execute on function myproperty.check_invoice() to myproperty_owner;


-- ---------------------------------------------------------------------------------------------------------
-- History: every version, the current one included, and when it was current
-- ---------------------------------------------------------------------------------------------------------

create table audit.invoices_history (
    like myproperty.invoices including comments,
    recorded_during tstzrange not null,
    primary key (tenant_id, id, version)
);
comment on table audit.invoices_history is 'Every version of an invoice, and when it was the current version.';
comment on column audit.invoices_history.recorded_during is
'From the change that made this version to the change that replaced it; open for the current version.';
select myproperty.protect_tenant_table('audit.invoices_history');

create table audit.ledger_entries_history (
    like myproperty.ledger_entries including comments,
    recorded_during tstzrange not null,
    primary key (tenant_id, id, version)
);
comment on table audit.ledger_entries_history is 'Every ledger entry, and since when it has been recorded.';
comment on column audit.ledger_entries_history.recorded_during is
'From the creation of the entry; always open, because entries are never replaced.';
select myproperty.protect_tenant_table('audit.ledger_entries_history');

grant select on audit.invoices_history, audit.ledger_entries_history to
    myproperty_app, myproperty_etl, myproperty_readonly, myproperty_auditor;

create function audit.keep_history() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    history constant text := format('audit.%I', tg_table_name || '_history');
    -- One time for both statements, so that the versions of a row leave no gap. The clock may have been set back.
    at constant timestamptz := clock_timestamp();
begin
    if tg_op <> 'INSERT' then
        execute format(
            'update %s set recorded_during = tstzrange(lower(recorded_during), greatest($3, lower(recorded_during))) '
            'where tenant_id = $1 and id = $2 and upper_inf(recorded_during)', history
        ) using old.tenant_id, old.id, at;
    end if;
    if tg_op <> 'DELETE' then
        execute format('insert into %s select ($1).*, tstzrange($2, null)', history) using new, at;
    end if;
    return null;
end;
$$;
comment on function audit.keep_history is 'Row trigger: writes audit.<table>_history.';
revoke execute on function audit.keep_history() from public;
grant execute on function audit.keep_history() to myproperty_owner;

create function myproperty.invoices_as_of(at timestamptz) returns setof audit.invoices_history
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select h.* from audit.invoices_history as h where h.recorded_during @> at;
end;
comment on function myproperty.invoices_as_of is 'The invoices of the tenant at a point in time.';

create function myproperty.ledger_entries_as_of(at timestamptz) returns setof audit.ledger_entries_history
language sql
stable
set search_path = pg_catalog, pg_temp
begin atomic
    select h.* from audit.ledger_entries_history as h where h.recorded_during @> at;
end;
comment on function myproperty.ledger_entries_as_of is 'The ledger entries of the tenant at a point in time.';

revoke execute on function
    myproperty.invoices_as_of(timestamptz), myproperty.ledger_entries_as_of(timestamptz)
from public;
grant execute on function
    myproperty.invoices_as_of(timestamptz), myproperty.ledger_entries_as_of(timestamptz)
to myproperty_app, myproperty_etl, myproperty_readonly, myproperty_auditor;

reset role;

set local role myproperty_owner;
create trigger keep_history after insert or update or delete on myproperty.invoices
for each row execute function audit.keep_history();
create trigger keep_history after insert on myproperty.ledger_entries
for each row execute function audit.keep_history();
create constraint trigger check_invoice after insert or update on myproperty.invoices
deferrable initially deferred for each row execute function myproperty.check_invoice();
create constraint trigger check_invoice after insert or update or delete on myproperty.invoice_lines
deferrable initially deferred for each row execute function myproperty.check_invoice();
create constraint trigger check_invoice after insert or update on myproperty.payments
deferrable initially deferred for each row execute function myproperty.check_invoice();
create constraint trigger check_invoice after insert on myproperty.ledger_entries
deferrable initially deferred for each row execute function myproperty.check_invoice();


-- ---------------------------------------------------------------------------------------------------------
-- Views: they run with the rights of the caller
-- ---------------------------------------------------------------------------------------------------------

create view myproperty.account_balances with (security_invoker = true) as
with sides as (
    select tenant_id, debit_account as code, currency, amount as debit, 0::numeric as credit
    from myproperty.ledger_entries
    union all
    select tenant_id, credit_account, currency, 0, amount
    from myproperty.ledger_entries
)
select
    s.tenant_id,
    a.code,
    a.name,
    a.kind,
    s.currency,
    sum(s.debit) as debit,
    sum(s.credit) as credit,
    case when a.kind in ('asset', 'expense') then sum(s.debit - s.credit) else sum(s.credit - s.debit) end as balance
from sides as s
join myproperty.ledger_accounts as a on s.tenant_id = a.tenant_id and s.code = a.code
group by s.tenant_id, a.code, a.name, a.kind, s.currency;
comment on view myproperty.account_balances is 'Debits, credits and balance of each account.';

create view myproperty.balance_sheets with (security_invoker = true) as
select
    tenant_id,
    currency,
    coalesce(sum(balance) filter (where kind = 'asset'), 0) as assets,
    coalesce(sum(balance) filter (where kind = 'liability'), 0) as liabilities,
    coalesce(sum(balance) filter (where kind = 'equity'), 0) as equity,
    coalesce(sum(balance) filter (where kind = 'income'), 0)
    - coalesce(sum(balance) filter (where kind = 'expense'), 0) as result,
    sum(debit) = sum(credit) as is_balanced
from myproperty.account_balances
group by tenant_id, currency;
comment on view myproperty.balance_sheets is 'Assets = liabilities + equity + result, by currency.';

create view myproperty.invoice_ties with (security_invoker = true) as
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
'Each invoice beside the allocation that it bills. The energy billed on it, plus corrections on later invoices, '
'equals the allocated energy. Void invoices are left out.';
comment on column myproperty.invoice_ties.corrected_solar_kwh is
'Solar of the same allocation on later invoices; credits are negative.';
comment on column myproperty.invoice_ties.corrected_grid_kwh is
'Grid energy of the same allocation on later invoices; credits are negative.';

grant select on myproperty.account_balances, myproperty.balance_sheets, myproperty.invoice_ties to
    myproperty_app, myproperty_etl, myproperty_readonly, myproperty_auditor;
reset role;
