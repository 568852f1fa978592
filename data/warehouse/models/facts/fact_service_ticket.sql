with tickets as (
    select * from {{ ref('stg_oltp__service_tickets') }}
),

quotes as (
    select
        tenant_id,
        ticket_id,
        min(quoted_at) as quoted_at,
        count(*) as quotes,
        max(case when status = 'accepted' then amount end) as accepted_amount,
        max(case when status = 'accepted' then currency end) as currency,
        max(case when status = 'accepted' then provider_id end) as provider_id
    from {{ ref('stg_oltp__ticket_quotes') }}
    group by tenant_id, ticket_id
),

visits as (
    select
        tenant_id,
        ticket_id,
        min(case when status != 'cancelled' then scheduled_from end) as scheduled_at,
        sum(case when status = 'done' then 1 else 0 end) as visits_done,
        sum(case when status = 'missed' then 1 else 0 end) as visits_missed
    from {{ ref('stg_oltp__ticket_schedules') }}
    group by tenant_id, ticket_id
),

visitors as (
    select
        tenant_id,
        ticket_id,
        provider_id,
        row_number() over (
            partition by tenant_id, ticket_id order by scheduled_from desc, ticket_schedule_id desc
        ) as latest_rank
    from {{ ref('stg_oltp__ticket_schedules') }}
    where
        status != 'cancelled'
        and provider_id is not null
),

activities as (
    select
        tenant_id,
        ticket_id,
        count(*) as activities,
        sum(case when activity_kind = 'ai_action' then 1 else 0 end) as ai_actions
    from {{ ref('stg_oltp__ticket_activities') }}
    group by tenant_id, ticket_id
),

property_versions as (
    select * from {{ ref('dim_property') }}
),

unit_versions as (
    select * from {{ ref('dim_unit') }}
),

provider_versions as (
    select * from {{ ref('dim_provider') }}
),

gathered as (
    select
        tickets.tenant_id,
        property_versions.property_key,
        unit_versions.unit_key,
        provider_versions.provider_key,
        tickets.ticket_id,
        tickets.property_id,
        tickets.unit_id,
        -- The provider of the accepted quote does the work; without one, the provider of the last planned visit.
        coalesce(quotes.provider_id, visitors.provider_id) as provider_id,
        tickets.category,
        tickets.priority,
        tickets.status,
        tickets.opened_at,
        quotes.quoted_at,
        visits.scheduled_at,
        tickets.resolved_at,
        tickets.sla_target_at,
        -- An open ticket is judged at the time of its last landing, so a rebuild gives the same result.
        case
            when tickets.sla_target_at is null or tickets.status = 'cancelled' then null
            when tickets.resolved_at is not null then tickets.resolved_at <= tickets.sla_target_at
            when tickets.landed_at > tickets.sla_target_at then false
        end as is_sla_met,
        quotes.quotes,
        quotes.accepted_amount,
        quotes.currency,
        visits.visits_done,
        visits.visits_missed,
        activities.activities,
        activities.ai_actions
    from tickets
    left join quotes
        on
            tickets.tenant_id = quotes.tenant_id
            and tickets.ticket_id = quotes.ticket_id
    left join visits
        on
            tickets.tenant_id = visits.tenant_id
            and tickets.ticket_id = visits.ticket_id
    left join visitors
        on
            tickets.tenant_id = visitors.tenant_id
            and tickets.ticket_id = visitors.ticket_id
            and visitors.latest_rank = 1
    left join activities
        on
            tickets.tenant_id = activities.tenant_id
            and tickets.ticket_id = activities.ticket_id
    left join property_versions
        on
            tickets.tenant_id = property_versions.tenant_id
            and tickets.property_id = property_versions.property_id
            and {{ in_force('property_versions', 'tickets.opened_at') }}
    left join unit_versions
        on
            tickets.tenant_id = unit_versions.tenant_id
            and coalesce(tickets.unit_id, 'unknown') = unit_versions.unit_id
            and {{ in_force('unit_versions', 'tickets.opened_at') }}
    left join provider_versions
        on
            tickets.tenant_id = provider_versions.tenant_id
            and coalesce(quotes.provider_id, visitors.provider_id, 'unknown') = provider_versions.provider_id
            and {{ in_force('provider_versions', 'tickets.opened_at') }}
)

select
    {{ surrogate_key(['tenant_id', 'ticket_id']) }} as ticket_key,
    tenant_id,
    property_key,
    unit_key,
    provider_key,
    ticket_id,
    property_id,
    unit_id,
    provider_id,
    category,
    priority,
    status,
    opened_at,
    quoted_at,
    scheduled_at,
    resolved_at,
    sla_target_at,
    {{ epoch_seconds('quoted_at') }} - {{ epoch_seconds('opened_at') }} as seconds_to_quote,
    {{ epoch_seconds('scheduled_at') }} - {{ epoch_seconds('opened_at') }} as seconds_to_schedule,
    {{ epoch_seconds('resolved_at') }} - {{ epoch_seconds('opened_at') }} as seconds_to_resolve,
    is_sla_met,
    coalesce(quotes, 0) as quotes,
    {{ as_decimal('accepted_amount', 14, 2) }} as accepted_amount,
    currency,
    cast(coalesce(visits_done, 0) as {{ sql_type('integer') }}) as visits_done,
    cast(coalesce(visits_missed, 0) as {{ sql_type('integer') }}) as visits_missed,
    coalesce(activities, 0) as activities,
    cast(coalesce(ai_actions, 0) as {{ sql_type('integer') }}) as ai_actions
from gathered
