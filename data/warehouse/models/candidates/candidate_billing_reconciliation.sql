with allocations as (
    select * from {{ ref('stg_oltp__allocation_ledger') }}
    where tenancy_id is not null
),

invoices as (
    select * from {{ ref('stg_oltp__invoices') }}
),

tenancies as (
    select * from {{ ref('bridge_unit_tenancy') }}
),

lines as (
    select * from {{ ref('fact_invoice') }}
),

payments as (
    select * from {{ ref('fact_payment') }}
),

receivables as (
    select
        tenant_id,
        reference_type,
        reference_id,
        sum(case when debit_account = 'receivables' then amount else -amount end) as amount
    from {{ ref('stg_oltp__ledger_entries') }}
    where
        reference_type in ('invoice', 'payment')
        and (debit_account = 'receivables' or credit_account = 'receivables')
    group by tenant_id, reference_type, reference_id
),

unit_days as (
    select
        tenant_id,
        unit_id,
        reading_date,
        sum(energy_kwh) as energy_kwh,
        sum(expected_intervals) as expected_intervals,
        sum(actual_intervals) as actual_intervals,
        sum(estimated_intervals) as estimated_intervals,
        max(case when accepted_until is not null then 1 else 0 end) as accepted
    from {{ ref('fact_energy_daily') }}
    where
        {{ ever() }}
        and channel = 'consumption'
        and unit_id is not null
    group by tenant_id, unit_id, reading_date
),

metered as (
    select
        allocations.tenant_id,
        allocations.allocation_id,
        sum(unit_days.energy_kwh) as metered_kwh,
        sum(case when unit_days.actual_intervals >= unit_days.expected_intervals then 1 else 0 end) as whole_days,
        sum(unit_days.actual_intervals) as actual_intervals,
        sum(unit_days.estimated_intervals) as estimated_intervals,
        sum(unit_days.accepted) as accepted_days
    from allocations
    inner join unit_days
        on
            allocations.tenant_id = unit_days.tenant_id
            and allocations.unit_id = unit_days.unit_id
            and allocations.period_from <= unit_days.reading_date
            and allocations.period_to > unit_days.reading_date
    group by allocations.tenant_id, allocations.allocation_id
),

-- A later invoice may bill what the first one left out of an allocation, or credit what was too much.
billed_energy as (
    select
        tenant_id,
        allocation_id,
        invoice_id,
        sum(case when category = 'credit' then -quantity else quantity end) as billed_kwh
    from lines
    where
        allocation_id is not null
        and status != 'void'
    group by tenant_id, allocation_id, invoice_id
),

line_amounts as (
    select
        tenant_id,
        invoice_id,
        sum(total_amount) as lines_amount
    from lines
    group by tenant_id, invoice_id
),

payment_amounts as (
    select
        payments.tenant_id,
        payments.invoice_id,
        sum(payments.settled_amount) as paid_amount,
        sum(-coalesce(receivables.amount, 0)) as paid_booked_amount
    from payments
    left join receivables
        on
            payments.tenant_id = receivables.tenant_id
            and payments.payment_id = receivables.reference_id
            and receivables.reference_type = 'payment'
    group by payments.tenant_id, payments.invoice_id
),

invoiced as (
    select
        invoices.*,
        allocations.allocation_id
    from invoices
    left join allocations
        on
            invoices.tenant_id = allocations.tenant_id
            and invoices.tenancy_id = allocations.tenancy_id
            and invoices.period_from = allocations.period_from
            and invoices.period_to = allocations.period_to
            and invoices.status != 'void'
),

documents as (
    select
        tenant_id,
        tenancy_id,
        user_id,
        allocation_id,
        invoice_id,
        invoice_number,
        status,
        period_from,
        period_to,
        currency,
        total_amount,
        -- Draft and void invoices claim nothing.
        case when status in ('draft', 'void') then 0 else total_amount end as claimed_amount
    from invoiced
    union all
    select
        allocations.tenant_id,
        allocations.tenancy_id,
        tenancies.user_id,
        allocations.allocation_id,
        cast(null as {{ sql_type('string') }}) as invoice_id,
        cast(null as {{ sql_type('string') }}) as invoice_number,
        'not billed' as status,
        allocations.period_from,
        allocations.period_to,
        cast(null as {{ sql_type('string') }}) as currency,
        {{ as_decimal('null', 14, 2) }} as total_amount,
        {{ as_decimal('null', 14, 2) }} as claimed_amount
    from allocations
    left join tenancies
        on
            allocations.tenant_id = tenancies.tenant_id
            and allocations.tenancy_id = tenancies.tenancy_id
    left join invoiced
        on
            allocations.tenant_id = invoiced.tenant_id
            and allocations.allocation_id = invoiced.allocation_id
    where invoiced.invoice_id is null
),

own_and_later as (
    select
        documents.tenant_id,
        documents.allocation_id,
        sum(case when billed_energy.invoice_id = documents.invoice_id then billed_energy.billed_kwh else 0 end)
            as invoiced_kwh,
        sum(case when billed_energy.invoice_id = documents.invoice_id then 0 else billed_energy.billed_kwh end)
            as corrected_kwh
    from documents
    inner join billed_energy
        on
            documents.tenant_id = billed_energy.tenant_id
            and documents.allocation_id = billed_energy.allocation_id
    group by documents.tenant_id, documents.allocation_id
),

gathered as (
    select
        documents.*,
        tenancies.property_id,
        tenancies.unit_id,
        allocations.solar_kwh + allocations.grid_kwh as allocated_kwh,
        {{ days_between('documents.period_from', 'documents.period_to') }} as period_days,
        coalesce(metered.whole_days, 0) as whole_days,
        metered.metered_kwh,
        metered.actual_intervals,
        metered.estimated_intervals,
        metered.accepted_days,
        case when documents.allocation_id is not null then coalesce(own_and_later.invoiced_kwh, 0) end as invoiced_kwh,
        case when documents.allocation_id is not null then coalesce(own_and_later.corrected_kwh, 0) end
            as corrected_kwh,
        case when documents.invoice_id is not null then coalesce(line_amounts.lines_amount, 0) end as lines_amount,
        case when documents.invoice_id is not null then coalesce(receivables.amount, 0) end as booked_amount,
        case when documents.invoice_id is not null then coalesce(payment_amounts.paid_amount, 0) end as paid_amount,
        case when documents.invoice_id is not null then coalesce(payment_amounts.paid_booked_amount, 0) end
            as paid_booked_amount
    from documents
    left join tenancies
        on
            documents.tenant_id = tenancies.tenant_id
            and documents.tenancy_id = tenancies.tenancy_id
    left join allocations
        on
            documents.tenant_id = allocations.tenant_id
            and documents.allocation_id = allocations.allocation_id
    left join metered
        on
            documents.tenant_id = metered.tenant_id
            and documents.allocation_id = metered.allocation_id
    left join own_and_later
        on
            documents.tenant_id = own_and_later.tenant_id
            and documents.allocation_id = own_and_later.allocation_id
    left join line_amounts
        on
            documents.tenant_id = line_amounts.tenant_id
            and documents.invoice_id = line_amounts.invoice_id
    left join receivables
        on
            documents.tenant_id = receivables.tenant_id
            and documents.invoice_id = receivables.reference_id
            and receivables.reference_type = 'invoice'
    left join payment_amounts
        on
            documents.tenant_id = payment_amounts.tenant_id
            and documents.invoice_id = payment_amounts.invoice_id
),

-- If a day is missing, the metered energy of the period is unknown.
compared as (
    select
        gathered.*,
        case when whole_days = period_days then metered_kwh end as known_kwh
    from gathered
),

judged as (
    select
        compared.*,
        case
            when known_kwh != allocated_kwh then 'meter to allocation'
            when invoice_id is null then 'not billed'
            when invoiced_kwh + corrected_kwh != allocated_kwh then 'allocation to invoice'
            when lines_amount != total_amount then 'lines to invoice'
            when booked_amount != claimed_amount then 'invoice to ledger'
            when paid_booked_amount != paid_amount then 'payment to ledger'
            when allocation_id is not null and known_kwh is null then 'unknown'
            else 'ties'
        end as finding
    from compared
)

select
    tenant_id,
    property_id,
    unit_id,
    tenancy_id,
    user_id,
    allocation_id,
    invoice_id,
    invoice_number,
    status,
    period_from,
    period_to,
    {{ as_energy('known_kwh') }} as metered_kwh,
    {{ as_energy('allocated_kwh') }} as allocated_kwh,
    {{ as_energy('invoiced_kwh') }} as invoiced_kwh,
    {{ as_energy('corrected_kwh') }} as corrected_kwh,
    {{ as_energy('allocated_kwh - known_kwh') }} as allocated_difference_kwh,
    {{ as_energy('invoiced_kwh + corrected_kwh - allocated_kwh') }} as invoiced_difference_kwh,
    currency,
    {{ as_decimal('total_amount', 14, 2) }} as invoiced_amount,
    {{ as_decimal('lines_amount', 14, 2) }} as lines_amount,
    {{ as_decimal('booked_amount', 14, 2) }} as booked_amount,
    {{ as_decimal('paid_amount', 14, 2) }} as paid_amount,
    {{ as_decimal('paid_booked_amount', 14, 2) }} as paid_booked_amount,
    {{ as_decimal('lines_amount - total_amount', 14, 2) }} as lines_difference_amount,
    {{ as_decimal('booked_amount - claimed_amount', 14, 2) }} as booked_difference_amount,
    {{ as_decimal('paid_booked_amount - paid_amount', 14, 2) }} as paid_difference_amount,
    {{ as_decimal('claimed_amount - paid_amount', 14, 2) }} as outstanding_amount,
    finding,
    {{ share_pct('case when allocation_id is not null then whole_days end', 'period_days') }} as completeness_pct,
    {{ share_pct('estimated_intervals', 'actual_intervals') }} as estimated_share_pct,
    cast(accepted_days as {{ sql_type('integer') }}) as accepted_days
from judged
