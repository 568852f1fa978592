with payments as (
    select * from {{ ref('stg_oltp__payments') }}
),

invoices as (
    select * from {{ ref('stg_oltp__invoices') }}
),

tenancies as (
    select * from {{ ref('bridge_unit_tenancy') }}
)

select
    {{ surrogate_key(['payments.tenant_id', 'payments.payment_id']) }} as payment_key,
    payments.tenant_id,
    payments.payment_id,
    payments.invoice_id,
    invoices.invoice_number,
    tenancies.property_id,
    tenancies.unit_id,
    invoices.tenancy_id,
    invoices.user_id,
    payments.payment_method,
    payments.status,
    payments.received_at,
    invoices.due_at,
    {{ whole_quotient(epoch_seconds('payments.received_at'), '86400') }}
    - {{ whole_quotient(epoch_seconds('invoices.due_at'), '86400') }} as days_after_due,
    payments.currency,
    payments.amount,
    {{ as_decimal("case when payments.status = 'received' then payments.amount else 0 end", 14, 2) }} as settled_amount
from payments
inner join invoices
    on
        payments.tenant_id = invoices.tenant_id
        and payments.invoice_id = invoices.invoice_id
left join tenancies
    on
        invoices.tenant_id = tenancies.tenant_id
        and invoices.tenancy_id = tenancies.tenancy_id
