select
    tenant_id,
    id as user_id,
    role as user_role,
    status,
    mfa_enabled,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'users') }}
