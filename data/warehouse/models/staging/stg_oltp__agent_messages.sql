select
    tenant_id,
    id as agent_message_id,
    session_id,
    cast(sequence as {{ sql_type('integer') }}) as sequence,
    agent_id,
    user_id,
    role as message_role,
    sent_at,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'agent_messages') }}
