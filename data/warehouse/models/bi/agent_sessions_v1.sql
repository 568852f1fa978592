with sessions as (
    select * from {{ ref('mart_agent_sessions') }}
),

tenants as (
    select * from {{ ref('dim_tenant') }}
    where is_current
)

select
    sessions.tenant_id,
    tenants.tenant_name,
    sessions.session_id,
    sessions.agent_id,
    sessions.started_at,
    sessions.ended_at,
    sessions.duration_seconds,
    sessions.messages,
    sessions.user_turns,
    sessions.agent_turns,
    sessions.tool_calls,
    sessions.tools,
    sessions.calls_succeeded,
    sessions.calls_failed,
    sessions.calls_refused,
    sessions.outcome,
    sessions.latency_p50_ms,
    sessions.latency_p95_ms,
    sessions.latency_max_ms
from sessions
left join tenants
    on sessions.tenant_id = tenants.tenant_id
where {{ for_readers_of('sessions.tenant_id') }}
