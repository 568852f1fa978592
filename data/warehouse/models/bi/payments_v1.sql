with payments as (
    select * from {{ ref('mart_payments') }}
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
    payments.tenant_id,
    tenants.tenant_name,
    payments.payment_id,
    payments.invoice_id,
    payments.invoice_number,
    payments.property_id,
    properties.property_name,
    payments.unit_id,
    units.unit_label,
    payments.tenancy_id,
    payments.user_id,
    payments.payment_method,
    payments.status,
    payments.received_at,
    {{ local_date('payments.received_at', "coalesce(properties.timezone, 'UTC')") }} as received_date,
    payments.due_at,
    payments.days_after_due,
    payments.currency,
    payments.amount,
    payments.settled_amount
from payments
left join tenants
    on payments.tenant_id = tenants.tenant_id
left join properties
    on
        payments.tenant_id = properties.tenant_id
        and payments.property_id = properties.property_id
left join units
    on
        payments.tenant_id = units.tenant_id
        and payments.unit_id = units.unit_id
where {{ for_readers_of('payments.tenant_id') }}
