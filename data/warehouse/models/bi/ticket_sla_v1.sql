with months as (
    select * from {{ ref('mart_ticket_sla') }}
),

tenants as (
    select * from {{ ref('dim_tenant') }}
    where is_current
),

properties as (
    select * from {{ ref('dim_property') }}
    where is_current
),

providers as (
    select * from {{ ref('dim_provider') }}
    where is_current
)

select
    months.tenant_id,
    tenants.tenant_name,
    months.property_id,
    properties.property_name,
    months.provider_id,
    providers.provider_name,
    months.priority,
    months.opened_month,
    months.opened,
    months.resolved,
    months.cancelled,
    months.within_sla,
    months.missed_sla,
    months.open_past_target,
    months.sla_met_pct,
    months.median_seconds_to_resolve,
    months.p90_seconds_to_resolve,
    months.judged_pct
from months
left join tenants
    on months.tenant_id = tenants.tenant_id
left join properties
    on
        months.tenant_id = properties.tenant_id
        and months.property_id = properties.property_id
left join providers
    on
        months.tenant_id = providers.tenant_id
        and months.provider_id = providers.provider_id
where {{ for_readers_of('months.tenant_id') }}
