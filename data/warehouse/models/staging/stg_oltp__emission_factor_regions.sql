select
    tenant_id,
    id as emission_factor_region_id,
    property_id,
    region,
    valid_from,
    valid_to,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'emission_factor_regions') }}
