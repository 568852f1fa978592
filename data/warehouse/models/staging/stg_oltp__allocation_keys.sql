select
    tenant_id,
    id as allocation_key_id,
    property_id,
    unit_id,
    {{ as_decimal('share', 9, 8) }} as share,
    valid_from,
    valid_to,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'allocation_keys') }}
