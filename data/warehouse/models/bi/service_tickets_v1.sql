with tickets as (
    select * from {{ ref('mart_service_tickets') }}
),

tenants as (
    select * from {{ ref('dim_tenant') }}
    where is_current
),

properties as (
    select * from {{ ref('dim_property') }}
    where is_current
),

units as (
    select * from {{ ref('dim_unit') }}
    where is_current
),

providers as (
    select * from {{ ref('dim_provider') }}
    where is_current
)

select
    tickets.tenant_id,
    tenants.tenant_name,
    tickets.ticket_id,
    tickets.property_id,
    properties.property_name,
    tickets.unit_id,
    units.unit_label,
    tickets.provider_id,
    providers.provider_name,
    tickets.category,
    tickets.priority,
    tickets.status,
    tickets.opened_at,
    {{ local_date('tickets.opened_at', "coalesce(properties.timezone, 'UTC')") }} as opened_date,
    tickets.quoted_at,
    tickets.scheduled_at,
    tickets.resolved_at,
    tickets.sla_target_at,
    tickets.seconds_to_quote,
    tickets.seconds_to_schedule,
    tickets.seconds_to_resolve,
    tickets.is_sla_met,
    tickets.quotes,
    tickets.accepted_amount,
    tickets.currency,
    tickets.visits_done,
    tickets.visits_missed,
    tickets.activities,
    tickets.ai_actions
from tickets
left join tenants
    on tickets.tenant_id = tenants.tenant_id
left join properties
    on
        tickets.tenant_id = properties.tenant_id
        and tickets.property_id = properties.property_id
left join units
    on
        tickets.tenant_id = units.tenant_id
        and tickets.unit_id = units.unit_id
left join providers
    on
        tickets.tenant_id = providers.tenant_id
        and tickets.provider_id = providers.provider_id
where {{ for_readers_of('tickets.tenant_id') }}
