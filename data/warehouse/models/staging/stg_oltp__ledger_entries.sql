select
    tenant_id,
    id as ledger_entry_id,
    entry_date,
    debit_account,
    credit_account,
    {{ as_decimal('amount', 14, 2) }} as amount,
    currency,
    reference_type,
    reference_id,
    reverses_id,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'ledger_entries') }}
