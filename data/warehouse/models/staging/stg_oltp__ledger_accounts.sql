select
    tenant_id,
    id as ledger_account_id,
    code as account_code,
    name as account_name,
    kind as account_kind,
    status,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'ledger_accounts') }}
