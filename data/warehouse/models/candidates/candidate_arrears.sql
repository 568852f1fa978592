-- From the ledger, not from the invoices: only the ledger has the dates on which payments bounced and invoices were
-- voided.
with entries as (
    select * from {{ ref('stg_oltp__ledger_entries') }}
    where
        reference_type in ('invoice', 'payment')
        and (debit_account = 'receivables' or credit_account = 'receivables')
),

payments as (
    select * from {{ ref('stg_oltp__payments') }}
),

invoices as (
    select * from {{ ref('stg_oltp__invoices') }}
),

tenancies as (
    select * from {{ ref('bridge_unit_tenancy') }}
),

movements as (
    select
        entries.tenant_id,
        coalesce(payments.invoice_id, entries.reference_id) as invoice_id,
        entries.entry_date,
        sum(case when entries.debit_account = 'receivables' then entries.amount else -entries.amount end) as amount
    from entries
    left join payments
        on
            entries.tenant_id = payments.tenant_id
            and entries.reference_type = 'payment'
            and entries.reference_id = payments.payment_id
    group by entries.tenant_id, coalesce(payments.invoice_id, entries.reference_id), entries.entry_date
),

-- The open amount of an invoice from one booking date (included) to the next (excluded).
balances as (
    select
        tenant_id,
        invoice_id,
        entry_date as open_from,
        lead(entry_date) over (partition by tenant_id, invoice_id order by entry_date) as open_to,
        sum(amount) over (
            partition by tenant_id, invoice_id
            order by entry_date
            rows between unbounded preceding and current row
        ) as open_amount
    from movements
),

-- The last date for which the warehouse has the ledger. A table that is landed whole gives it, so a rebuild gives the
-- same date.
known as (
    select
        tenant_id,
        cast(max({{ local_timestamp('landed_at', "'UTC'") }}) as date) as known_date
    from {{ ref('stg_oltp__tenants') }}
    group by tenant_id
),

month_ends as (
    select max(date_day) as month_end
    from {{ ref('dim_date') }}
    group by year_number, month_of_year
),

as_of as (
    select
        known.tenant_id,
        month_ends.month_end as as_of_date,
        false as is_latest
    from known
    inner join month_ends
        on known.known_date > month_ends.month_end
    union all
    select
        tenant_id,
        known_date as as_of_date,
        true as is_latest
    from known
),

aged as (
    select
        balances.tenant_id,
        as_of.as_of_date,
        as_of.is_latest,
        tenancies.property_id,
        tenancies.unit_id,
        invoices.tenancy_id,
        invoices.user_id,
        invoices.currency,
        balances.open_amount,
        {{ local_date('invoices.due_at', "'UTC'") }} as due_date,
        {{ days_between(local_date('invoices.due_at', "'UTC'"), 'as_of.as_of_date') }} as days_overdue
    from balances
    inner join as_of
        on
            balances.tenant_id = as_of.tenant_id
            and balances.open_from <= as_of.as_of_date
            and (balances.open_to is null or balances.open_to > as_of.as_of_date)
    inner join invoices
        on
            balances.tenant_id = invoices.tenant_id
            and balances.invoice_id = invoices.invoice_id
    left join tenancies
        on
            invoices.tenant_id = tenancies.tenant_id
            and invoices.tenancy_id = tenancies.tenancy_id
    where balances.open_amount != 0
),

summed as (
    select
        tenant_id,
        as_of_date,
        is_latest,
        property_id,
        unit_id,
        tenancy_id,
        user_id,
        currency,
        sum(case when open_amount > 0 then 1 else 0 end) as open_invoices,
        sum(case when open_amount > 0 and days_overdue > 0 then 1 else 0 end) as overdue_invoices,
        sum(case when open_amount > 0 then open_amount else 0 end) as outstanding_amount,
        sum(case when open_amount > 0 and days_overdue <= 0 then open_amount else 0 end) as current_amount,
        sum(case when open_amount > 0 and days_overdue between 1 and 30 then open_amount else 0 end)
            as days_1_30_amount,
        sum(case when open_amount > 0 and days_overdue between 31 and 60 then open_amount else 0 end)
            as days_31_60_amount,
        sum(case when open_amount > 0 and days_overdue between 61 and 90 then open_amount else 0 end)
            as days_61_90_amount,
        sum(case when open_amount > 0 and days_overdue > 90 then open_amount else 0 end) as over_90_days_amount,
        sum(case when open_amount < 0 then -open_amount else 0 end) as overpaid_amount,
        min(case when open_amount > 0 then due_date end) as oldest_due_date,
        max(case when open_amount > 0 and days_overdue > 0 then days_overdue end) as max_days_overdue
    from aged
    group by tenant_id, as_of_date, is_latest, property_id, unit_id, tenancy_id, user_id, currency
)

select
    tenant_id,
    as_of_date,
    is_latest,
    property_id,
    unit_id,
    tenancy_id,
    user_id,
    currency,
    cast(open_invoices as {{ sql_type('integer') }}) as open_invoices,
    cast(overdue_invoices as {{ sql_type('integer') }}) as overdue_invoices,
    {{ as_decimal('outstanding_amount', 14, 2) }} as outstanding_amount,
    {{ as_decimal('current_amount', 14, 2) }} as current_amount,
    {{ as_decimal('days_1_30_amount', 14, 2) }} as days_1_30_amount,
    {{ as_decimal('days_31_60_amount', 14, 2) }} as days_31_60_amount,
    {{ as_decimal('days_61_90_amount', 14, 2) }} as days_61_90_amount,
    {{ as_decimal('over_90_days_amount', 14, 2) }} as over_90_days_amount,
    {{ as_decimal('outstanding_amount - current_amount', 14, 2) }} as overdue_amount,
    {{ as_decimal('overpaid_amount', 14, 2) }} as overpaid_amount,
    oldest_due_date,
    cast(max_days_overdue as {{ sql_type('integer') }}) as max_days_overdue
from summed
