select
    tenant_id,
    id as ticket_schedule_id,
    ticket_id,
    provider_id,
    scheduled_from,
    scheduled_to,
    status,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'ticket_schedules') }}
