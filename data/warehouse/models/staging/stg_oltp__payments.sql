select
    tenant_id,
    id as payment_id,
    invoice_id,
    {{ as_decimal('amount', 14, 2) }} as amount,
    currency,
    method as payment_method,
    status,
    received_at,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'payments') }}
