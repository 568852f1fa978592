with properties as (
    select * from {{ ref('stg_oltp__properties') }}
)

select
    {{ surrogate_key(['tenant_id', 'property_id']) }} as property_key,
    {{ surrogate_key(['tenant_id']) }} as tenant_key,
    tenant_id,
    property_id,
    property_name,
    timezone,
    solar_capacity_kw,
    status,
    created_at,
    updated_at
from properties
