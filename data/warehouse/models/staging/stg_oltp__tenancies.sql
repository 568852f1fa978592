select
    tenant_id,
    id as tenancy_id,
    unit_id,
    user_id,
    occupied_from,
    occupied_to,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'tenancies') }}
