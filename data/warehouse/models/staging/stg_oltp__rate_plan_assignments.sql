select
    tenant_id,
    id as rate_plan_assignment_id,
    unit_id,
    rate_plan_id,
    assigned_from,
    assigned_to,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'rate_plan_assignments') }}
