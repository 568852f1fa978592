select
    tenant_id,
    id as provider_id,
    name as provider_name,
    kind as provider_kind,
    region,
    status,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'providers') }}
