select
    tenant_id,
    id as ticket_activity_id,
    ticket_id,
    kind as activity_kind,
    user_id,
    agent_id,
    occurred_at,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'ticket_activities') }}
