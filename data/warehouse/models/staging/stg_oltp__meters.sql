select
    tenant_id,
    id as meter_id,
    property_id,
    type as meter_type,
    make_model,
    serial_number,
    timezone,
    status,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'meters') }}
