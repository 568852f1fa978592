{{ config(materialized='table') }}

-- Gate D judges the candidate; this model only publishes it, so that a failed gate leaves the mart as it was.
with candidate as (
    select * from {{ ref('candidate_arrears') }}
)

select
    tenant_id,
    as_of_date,
    is_latest,
    property_id,
    unit_id,
    tenancy_id,
    user_id,
    currency,
    open_invoices,
    overdue_invoices,
    outstanding_amount,
    current_amount,
    days_1_30_amount,
    days_31_60_amount,
    days_61_90_amount,
    over_90_days_amount,
    overdue_amount,
    overpaid_amount,
    oldest_due_date,
    max_days_overdue
from candidate
