with units as (
    select * from {{ ref('stg_oltp__units') }}
)

select
    {{ surrogate_key(['tenant_id', 'unit_id']) }} as unit_key,
    {{ surrogate_key(['tenant_id', 'property_id']) }} as property_key,
    tenant_id,
    unit_id,
    property_id,
    unit_label,
    floor_label,
    sq_ft,
    is_active,
    created_at,
    updated_at
from units
