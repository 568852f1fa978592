with lines as (
    select * from {{ ref('mart_invoice_lines') }}
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
    lines.tenant_id,
    tenants.tenant_name,
    lines.invoice_line_id,
    lines.invoice_id,
    lines.invoice_number,
    lines.line_number,
    lines.property_id,
    properties.property_name,
    lines.unit_id,
    units.unit_label,
    lines.tenancy_id,
    lines.user_id,
    lines.period_from,
    lines.period_to,
    lines.status,
    lines.issued_at,
    {{ local_date('lines.issued_at', "coalesce(properties.timezone, 'UTC')") }} as issued_date,
    lines.due_at,
    lines.category,
    lines.band,
    lines.allocation_id,
    lines.rate_plan_band_id,
    lines.quantity,
    lines.unit_amount,
    lines.tax_rate,
    lines.currency,
    lines.subtotal_amount,
    lines.tax_amount,
    lines.total_amount,
    lines.estimated_share_pct
from lines
left join tenants
    on lines.tenant_id = tenants.tenant_id
left join properties
    on
        lines.tenant_id = properties.tenant_id
        and lines.property_id = properties.property_id
left join units
    on
        lines.tenant_id = units.tenant_id
        and lines.unit_id = units.unit_id
where {{ for_readers_of('lines.tenant_id') }}
