select
    tenant_id,
    id as agent_audit_id,
    session_id,
    agent_id,
    tool_name,
    outcome,
    cast(latency_ms as {{ sql_type('integer') }}) as latency_ms,
    trace_id,
    performed_by_user_id as user_id,
    occurred_at,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'agent_audit') }}
