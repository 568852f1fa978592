{{ config(materialized='table') }}

-- Gate D judges the candidate; this model only publishes it, so that a failed gate leaves the mart as it was.
with candidate as (
    select * from {{ ref('candidate_billing_reconciliation') }}
)

select
    tenant_id,
    property_id,
    unit_id,
    tenancy_id,
    user_id,
    allocation_id,
    invoice_id,
    invoice_number,
    status,
    period_from,
    period_to,
    metered_kwh,
    allocated_kwh,
    invoiced_kwh,
    corrected_kwh,
    allocated_difference_kwh,
    invoiced_difference_kwh,
    currency,
    invoiced_amount,
    lines_amount,
    booked_amount,
    paid_amount,
    paid_booked_amount,
    lines_difference_amount,
    booked_difference_amount,
    paid_difference_amount,
    outstanding_amount,
    finding,
    completeness_pct,
    estimated_share_pct
from candidate
