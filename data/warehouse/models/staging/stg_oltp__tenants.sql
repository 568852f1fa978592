select
    id as tenant_id,
    name as tenant_name,
    region,
    status,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'tenants') }}
