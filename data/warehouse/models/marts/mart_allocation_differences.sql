{{ config(materialized='table') }}

-- Gate D judges the candidate; this model only publishes it, so that a failed gate leaves the mart as it was.
with candidate as (
    select * from {{ ref('candidate_allocation_differences') }}
)

select
    tenant_id,
    property_id,
    allocation_id,
    unit_id,
    tenancy_id,
    period_from,
    period_to,
    allocation_method,
    period_days,
    computed_days,
    ledger_solar_kwh,
    ledger_grid_kwh,
    computed_solar_kwh,
    computed_grid_kwh,
    solar_difference_kwh,
    grid_difference_kwh,
    finding,
    incomplete_intervals,
    revised_intervals,
    first_revised_at,
    last_revised_at,
    estimated_share_pct,
    completeness_pct
from candidate
