select
    tenant_id,
    id as allocation_method_id,
    property_id,
    method as allocation_method,
    valid_from,
    valid_to,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'allocation_methods') }}
