select
    tenant_id,
    id as property_id,
    name as property_name,
    timezone,
    {{ as_decimal('solar_capacity_kw', 12, 3) }} as solar_capacity_kw,
    status,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'properties') }}
