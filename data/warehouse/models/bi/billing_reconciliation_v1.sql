with documents as (
    select * from {{ ref('mart_billing_reconciliation') }}
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
)

select
    documents.tenant_id,
    tenants.tenant_name,
    documents.property_id,
    properties.property_name,
    documents.unit_id,
    units.unit_label,
    documents.tenancy_id,
    documents.user_id,
    documents.allocation_id,
    documents.invoice_id,
    documents.invoice_number,
    documents.status,
    documents.period_from,
    documents.period_to,
    documents.metered_kwh,
    documents.allocated_kwh,
    documents.invoiced_kwh,
    documents.corrected_kwh,
    documents.allocated_difference_kwh,
    documents.invoiced_difference_kwh,
    documents.currency,
    documents.invoiced_amount,
    documents.lines_amount,
    documents.booked_amount,
    documents.paid_amount,
    documents.paid_booked_amount,
    documents.lines_difference_amount,
    documents.booked_difference_amount,
    documents.paid_difference_amount,
    documents.outstanding_amount,
    documents.finding,
    documents.completeness_pct,
    documents.estimated_share_pct,
    documents.accepted_days
from documents
left join tenants
    on documents.tenant_id = tenants.tenant_id
left join properties
    on
        documents.tenant_id = properties.tenant_id
        and documents.property_id = properties.property_id
left join units
    on
        documents.tenant_id = units.tenant_id
        and documents.unit_id = units.unit_id
where {{ for_readers_of('documents.tenant_id') }}
