select
    tenant_id,
    id as ticket_id,
    property_id,
    unit_id,
    opened_by,
    status,
    priority,
    category,
    sla_target_at,
    opened_at,
    resolved_at,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'service_tickets') }}
