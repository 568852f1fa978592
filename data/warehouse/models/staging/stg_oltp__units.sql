select
    tenant_id,
    id as unit_id,
    property_id,
    label as unit_label,
    floor as floor_label,
    {{ as_decimal('sq_ft', 10, 2) }} as sq_ft,
    active as is_active,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'units') }}
