select
    tenant_id,
    id as allocation_adjustment_id,
    allocation_id,
    {{ as_energy('solar_kwh_before') }} as solar_kwh_before,
    {{ as_energy('solar_kwh_after') }} as solar_kwh_after,
    {{ as_energy('grid_kwh_before') }} as grid_kwh_before,
    {{ as_energy('grid_kwh_after') }} as grid_kwh_after,
    {{ as_energy('loss_kwh_before') }} as loss_kwh_before,
    {{ as_energy('loss_kwh_after') }} as loss_kwh_after,
    adjusted_by,
    adjusted_at,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'allocation_adjustments') }}
