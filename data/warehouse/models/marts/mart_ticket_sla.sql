{{ config(materialized='table') }}

-- Gate D judges the candidate; this model only publishes it, so that a failed gate leaves the mart as it was.
with candidate as (
    select * from {{ ref('candidate_ticket_sla') }}
)

select
    tenant_id,
    property_id,
    provider_id,
    priority,
    opened_month,
    opened,
    resolved,
    cancelled,
    within_sla,
    missed_sla,
    open_past_target,
    sla_met_pct,
    median_seconds_to_resolve,
    p90_seconds_to_resolve,
    judged_pct
from candidate
