-- assigned_to is exclusive; NULL at either end means unbounded.
select
    tenant_id,
    id as meter_assignment_id,
    meter_id,
    unit_id,
    assigned_from,
    assigned_to,
    updated_at,
    landed_at
from {{ source('raw', 'meter_assignments') }}
