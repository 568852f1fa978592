select
    tenant_id,
    id as ticket_quote_id,
    ticket_id,
    provider_id,
    {{ as_decimal('amount', 14, 2) }} as amount,
    currency,
    status,
    quoted_at,
    valid_until,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'ticket_quotes') }}
