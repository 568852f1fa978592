select
    tenant_id,
    id as feed_in_assignment_id,
    property_id,
    rate_plan_id,
    assigned_from,
    assigned_to,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'feed_in_assignments') }}
