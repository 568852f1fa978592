with messages as (
    select * from {{ ref('stg_oltp__agent_messages') }}
),

calls as (
    select * from {{ ref('stg_oltp__agent_audit') }}
    where session_id is not null
),

events as (
    select
        tenant_id,
        session_id,
        agent_id,
        sent_at as occurred_at
    from messages
    union all
    select
        tenant_id,
        session_id,
        agent_id,
        occurred_at
    from calls
),

sessions as (
    select
        tenant_id,
        session_id,
        min(agent_id) as agent_id,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at
    from events
    group by tenant_id, session_id
),

talk as (
    select
        tenant_id,
        session_id,
        count(*) as messages,
        sum(case when message_role = 'user' then 1 else 0 end) as user_turns,
        sum(case when message_role = 'agent' then 1 else 0 end) as agent_turns
    from messages
    group by tenant_id, session_id
),

ranked as (
    select
        calls.*,
        row_number() over (partition by tenant_id, session_id order by latency_ms) as latency_rank,
        count(*) over (partition by tenant_id, session_id) as session_calls,
        row_number() over (
            partition by tenant_id, session_id order by occurred_at desc, agent_audit_id desc
        ) as latest_rank
    from calls
),

-- Percentiles by nearest rank: the smallest latency that at least this share of the calls does not exceed.
tools as (
    select
        tenant_id,
        session_id,
        count(*) as tool_calls,
        count(distinct tool_name) as tools,
        sum(case when outcome = 'succeeded' then 1 else 0 end) as calls_succeeded,
        sum(case when outcome = 'failed' then 1 else 0 end) as calls_failed,
        sum(case when outcome = 'refused' then 1 else 0 end) as calls_refused,
        max(case when latest_rank = 1 then outcome end) as last_outcome,
        min(case when latency_rank * 100 >= session_calls * 50 then latency_ms end) as latency_p50_ms,
        min(case when latency_rank * 100 >= session_calls * 95 then latency_ms end) as latency_p95_ms,
        max(latency_ms) as latency_max_ms
    from ranked
    group by tenant_id, session_id
),

gathered as (
    select
        sessions.*,
        talk.messages,
        talk.user_turns,
        talk.agent_turns,
        tools.tool_calls,
        tools.tools,
        tools.calls_succeeded,
        tools.calls_failed,
        tools.calls_refused,
        tools.last_outcome,
        tools.latency_p50_ms,
        tools.latency_p95_ms,
        tools.latency_max_ms
    from sessions
    left join talk
        on
            sessions.tenant_id = talk.tenant_id
            and sessions.session_id = talk.session_id
    left join tools
        on
            sessions.tenant_id = tools.tenant_id
            and sessions.session_id = tools.session_id
)

select
    {{ surrogate_key(['tenant_id', 'session_id']) }} as session_key,
    tenant_id,
    session_id,
    agent_id,
    started_at,
    ended_at,
    {{ epoch_seconds('ended_at') }} - {{ epoch_seconds('started_at') }} as duration_seconds,
    coalesce(messages, 0) as messages,
    cast(coalesce(user_turns, 0) as {{ sql_type('integer') }}) as user_turns,
    cast(coalesce(agent_turns, 0) as {{ sql_type('integer') }}) as agent_turns,
    coalesce(tool_calls, 0) as tool_calls,
    coalesce(tools, 0) as tools,
    cast(coalesce(calls_succeeded, 0) as {{ sql_type('integer') }}) as calls_succeeded,
    cast(coalesce(calls_failed, 0) as {{ sql_type('integer') }}) as calls_failed,
    cast(coalesce(calls_refused, 0) as {{ sql_type('integer') }}) as calls_refused,
    coalesce(last_outcome, 'no tool') as outcome,
    latency_p50_ms,
    latency_p95_ms,
    latency_max_ms
from gathered
