with invoice_lines as (
    select * from {{ ref('stg_oltp__invoice_lines') }}
),

invoices as (
    select * from {{ ref('stg_oltp__invoices') }}
),

tenancies as (
    select * from {{ ref('bridge_unit_tenancy') }}
),

allocations as (
    select * from {{ ref('stg_oltp__allocation_ledger') }}
),

property_versions as (
    select * from {{ ref('dim_property') }}
),

unit_versions as (
    select * from {{ ref('dim_unit') }}
),

billed as (
    select
        invoice_lines.tenant_id,
        invoice_lines.invoice_line_id,
        invoice_lines.invoice_id,
        invoices.invoice_number,
        invoice_lines.line_number,
        tenancies.property_id,
        tenancies.unit_id,
        invoices.tenancy_id,
        invoices.user_id,
        invoices.period_from,
        invoices.period_to,
        invoices.status,
        invoices.currency,
        invoices.issued_at,
        invoices.due_at,
        invoice_lines.category,
        invoice_lines.band,
        invoice_lines.allocation_id,
        invoice_lines.rate_plan_band_id,
        invoice_lines.quantity,
        invoice_lines.unit_amount,
        invoice_lines.tax_rate,
        {{ as_decimal(as_energy('invoice_lines.quantity * invoice_lines.unit_amount'), 14, 2) }} as subtotal_amount,
        invoice_lines.total_amount,
        100 * (1 - allocations.confidence) as estimated_share_pct,
        coalesce(invoices.issued_at, invoices.created_at) as billed_at
    from invoice_lines
    inner join invoices
        on
            invoice_lines.tenant_id = invoices.tenant_id
            and invoice_lines.invoice_id = invoices.invoice_id
    left join allocations
        on
            invoice_lines.tenant_id = allocations.tenant_id
            and invoice_lines.allocation_id = allocations.allocation_id
    left join tenancies
        on
            invoices.tenant_id = tenancies.tenant_id
            and invoices.tenancy_id = tenancies.tenancy_id
),

keyed as (
    select
        billed.*,
        property_versions.property_key,
        unit_versions.unit_key
    from billed
    left join property_versions
        on
            billed.tenant_id = property_versions.tenant_id
            and coalesce(billed.property_id, 'unknown') = property_versions.property_id
            and {{ in_force('property_versions', 'billed.billed_at') }}
    left join unit_versions
        on
            billed.tenant_id = unit_versions.tenant_id
            and coalesce(billed.unit_id, 'unknown') = unit_versions.unit_id
            and {{ in_force('unit_versions', 'billed.billed_at') }}
)

select
    {{ surrogate_key(['tenant_id', 'invoice_line_id']) }} as invoice_line_key,
    tenant_id,
    property_key,
    unit_key,
    invoice_line_id,
    invoice_id,
    invoice_number,
    line_number,
    property_id,
    unit_id,
    tenancy_id,
    user_id,
    period_from,
    period_to,
    status,
    issued_at,
    due_at,
    category,
    band,
    allocation_id,
    rate_plan_band_id,
    quantity,
    unit_amount,
    tax_rate,
    currency,
    subtotal_amount,
    {{ as_decimal('total_amount - subtotal_amount', 14, 2) }} as tax_amount,
    total_amount,
    {{ as_decimal('estimated_share_pct', 9, 4) }} as estimated_share_pct
from keyed
