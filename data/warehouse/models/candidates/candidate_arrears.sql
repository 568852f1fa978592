-- From the ledger, not from the invoices: only the ledger has the dates on which payments bounced and invoices were
-- voided, and the balances that were carried over from another system.
with entries as (
    select * from {{ ref('stg_oltp__ledger_entries') }}
    where debit_account = 'receivables' or credit_account = 'receivables'
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

users as (
    select * from {{ ref('stg_oltp__users') }}
),

-- An item is an invoice with its payments, or all openings of one reference.
movements as (
    select
        entries.tenant_id,
        entries.reference_type = 'opening' as is_opening,
        coalesce(payments.invoice_id, entries.reference_id) as item_id,
        entries.currency,
        entries.entry_date,
        sum(case when entries.debit_account = 'receivables' then entries.amount else -entries.amount end) as amount
    from entries
    left join payments
        on
            entries.tenant_id = payments.tenant_id
            and entries.reference_type = 'payment'
            and entries.reference_id = payments.payment_id
    group by
        entries.tenant_id,
        entries.reference_type = 'opening',
        coalesce(payments.invoice_id, entries.reference_id),
        entries.currency,
        entries.entry_date
),

booked as (
    select
        tenant_id,
        is_opening,
        item_id,
        currency,
        min(entry_date) as first_date
    from movements
    group by tenant_id, is_opening, item_id, currency
),

-- Entries of an invoice that the warehouse does not have get no row, so gate D sees the difference.
items as (
    select
        booked.tenant_id,
        booked.is_opening,
        booked.item_id,
        booked.currency,
        booked.first_date,
        invoices.tenancy_id,
        invoices.user_id,
        {{ local_date('invoices.due_at', "'UTC'") }} as due_date
    from booked
    inner join invoices
        on
            booked.tenant_id = invoices.tenant_id
            and booked.item_id = invoices.invoice_id
    where not booked.is_opening
    union all
    select
        booked.tenant_id,
        booked.is_opening,
        booked.item_id,
        booked.currency,
        booked.first_date,
        tenancies.tenancy_id,
        coalesce(tenancies.user_id, users.user_id) as user_id,
        booked.first_date as due_date
    from booked
    left join tenancies
        on
            booked.tenant_id = tenancies.tenant_id
            and booked.item_id = tenancies.tenancy_id
    left join users
        on
            booked.tenant_id = users.tenant_id
            and booked.item_id = users.user_id
    where booked.is_opening
),

-- The balance of an item from one booking date (included) to the next (excluded).
balances as (
    select
        tenant_id,
        is_opening,
        item_id,
        currency,
        entry_date as open_from,
        lead(entry_date) over (
            partition by tenant_id, is_opening, item_id, currency
            order by entry_date
        ) as open_to,
        sum(amount) over (
            partition by tenant_id, is_opening, item_id, currency
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

residents as (
    select
        tenant_id,
        tenancy_id,
        user_id,
        currency,
        min(first_date) as first_date
    from items
    group by tenant_id, tenancy_id, user_id, currency
),

-- What is open, and one empty row for each resident and date: a debt that is settled ends at zero.
positions as (
    select
        items.tenant_id,
        as_of.as_of_date,
        as_of.is_latest,
        items.tenancy_id,
        items.user_id,
        items.currency,
        items.is_opening,
        balances.open_amount,
        items.due_date,
        {{ days_between('items.due_date', 'as_of.as_of_date') }} as days_overdue
    from balances
    inner join as_of
        on
            balances.tenant_id = as_of.tenant_id
            and balances.open_from <= as_of.as_of_date
            and (balances.open_to is null or balances.open_to > as_of.as_of_date)
    inner join items
        on
            balances.tenant_id = items.tenant_id
            and balances.is_opening = items.is_opening
            and balances.item_id = items.item_id
            and balances.currency = items.currency
    where balances.open_amount != 0
    union all
    select
        residents.tenant_id,
        as_of.as_of_date,
        as_of.is_latest,
        residents.tenancy_id,
        residents.user_id,
        residents.currency,
        false as is_opening,
        {{ as_decimal('0', 14, 2) }} as open_amount,
        cast(null as date) as due_date,
        cast(null as {{ sql_type('integer') }}) as days_overdue
    from residents
    inner join as_of
        on
            residents.tenant_id = as_of.tenant_id
            and residents.first_date <= as_of.as_of_date
),

summed as (
    select
        tenant_id,
        as_of_date,
        is_latest,
        tenancy_id,
        user_id,
        currency,
        sum(case when open_amount > 0 and not is_opening then 1 else 0 end) as open_invoices,
        sum(case when open_amount > 0 and not is_opening and days_overdue > 0 then 1 else 0 end) as overdue_invoices,
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
    from positions
    group by tenant_id, as_of_date, is_latest, tenancy_id, user_id, currency
)

select
    summed.tenant_id,
    summed.as_of_date,
    summed.is_latest,
    tenancies.property_id,
    tenancies.unit_id,
    summed.tenancy_id,
    summed.user_id,
    summed.currency,
    cast(summed.open_invoices as {{ sql_type('integer') }}) as open_invoices,
    cast(summed.overdue_invoices as {{ sql_type('integer') }}) as overdue_invoices,
    {{ as_decimal('summed.outstanding_amount', 14, 2) }} as outstanding_amount,
    {{ as_decimal('summed.current_amount', 14, 2) }} as current_amount,
    {{ as_decimal('summed.days_1_30_amount', 14, 2) }} as days_1_30_amount,
    {{ as_decimal('summed.days_31_60_amount', 14, 2) }} as days_31_60_amount,
    {{ as_decimal('summed.days_61_90_amount', 14, 2) }} as days_61_90_amount,
    {{ as_decimal('summed.over_90_days_amount', 14, 2) }} as over_90_days_amount,
    {{ as_decimal('summed.outstanding_amount - summed.current_amount', 14, 2) }} as overdue_amount,
    {{ as_decimal('summed.overpaid_amount', 14, 2) }} as overpaid_amount,
    summed.oldest_due_date,
    cast(summed.max_days_overdue as {{ sql_type('integer') }}) as max_days_overdue
from summed
left join tenancies
    on
        summed.tenant_id = tenancies.tenant_id
        and summed.tenancy_id = tenancies.tenancy_id
