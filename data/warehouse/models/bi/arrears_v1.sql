with arrears as (
    select * from {{ ref('mart_arrears') }}
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
    arrears.tenant_id,
    tenants.tenant_name,
    arrears.as_of_date,
    arrears.is_latest,
    arrears.property_id,
    properties.property_name,
    arrears.unit_id,
    units.unit_label,
    arrears.tenancy_id,
    arrears.user_id,
    arrears.currency,
    arrears.open_invoices,
    arrears.overdue_invoices,
    arrears.outstanding_amount,
    arrears.current_amount,
    arrears.days_1_30_amount,
    arrears.days_31_60_amount,
    arrears.days_61_90_amount,
    arrears.over_90_days_amount,
    arrears.overdue_amount,
    arrears.overpaid_amount,
    arrears.oldest_due_date,
    arrears.max_days_overdue
from arrears
left join tenants
    on arrears.tenant_id = tenants.tenant_id
left join properties
    on
        arrears.tenant_id = properties.tenant_id
        and arrears.property_id = properties.property_id
left join units
    on
        arrears.tenant_id = units.tenant_id
        and arrears.unit_id = units.unit_id
where {{ for_readers_of('arrears.tenant_id') }}
