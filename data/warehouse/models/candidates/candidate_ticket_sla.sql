with tickets as (
    select * from {{ ref('fact_service_ticket') }}
),

properties as (
    select * from {{ ref('dim_property') }}
    where is_current
),

placed as (
    select
        tickets.*,
        {{ month_start(local_date('tickets.opened_at', 'properties.timezone')) }} as opened_month
    from tickets
    inner join properties
        on
            tickets.tenant_id = properties.tenant_id
            and tickets.property_id = properties.property_id
),

-- Unresolved tickets come last, so resolved tickets have the first ranks.
ranked as (
    select
        placed.*,
        row_number() over (
            partition by tenant_id, property_id, provider_id, priority, opened_month
            order by case when seconds_to_resolve is null then 1 else 0 end, seconds_to_resolve
        ) as time_rank,
        count(seconds_to_resolve) over (
            partition by tenant_id, property_id, provider_id, priority, opened_month
        ) as times
    from placed
),

-- Percentiles by nearest rank: the shortest time that at least this share of the resolved tickets does not exceed.
months as (
    select
        tenant_id,
        property_id,
        provider_id,
        priority,
        opened_month,
        count(*) as opened,
        count(resolved_at) as resolved,
        sum(case when status = 'cancelled' then 1 else 0 end) as cancelled,
        sum(case when is_sla_met then 1 else 0 end) as within_sla,
        sum(case when not is_sla_met then 1 else 0 end) as missed_sla,
        sum(case when not is_sla_met and resolved_at is null then 1 else 0 end) as open_past_target,
        min(case when time_rank * 100 >= times * 50 then seconds_to_resolve end) as median_seconds_to_resolve,
        min(case when time_rank * 100 >= times * 90 then seconds_to_resolve end) as p90_seconds_to_resolve
    from ranked
    group by tenant_id, property_id, provider_id, priority, opened_month
)

select
    tenant_id,
    property_id,
    provider_id,
    priority,
    opened_month,
    opened,
    resolved,
    cast(cancelled as {{ sql_type('integer') }}) as cancelled,
    cast(within_sla as {{ sql_type('integer') }}) as within_sla,
    cast(missed_sla as {{ sql_type('integer') }}) as missed_sla,
    cast(open_past_target as {{ sql_type('integer') }}) as open_past_target,
    {{ share_pct('within_sla', 'within_sla + missed_sla') }} as sla_met_pct,
    median_seconds_to_resolve,
    p90_seconds_to_resolve,
    {{ share_pct('within_sla + missed_sla', 'opened') }} as judged_pct
from months
