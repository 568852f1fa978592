select
    tenant_id,
    id as invoice_id,
    number as invoice_number,
    tenant_user_id as user_id,
    tenancy_id,
    period_from,
    period_to,
    status,
    {{ as_decimal('total_amount', 14, 2) }} as total_amount,
    currency,
    issued_at,
    due_at,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'invoices') }}
