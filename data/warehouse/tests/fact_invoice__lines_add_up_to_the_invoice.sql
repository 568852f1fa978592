-- The total of an invoice equals the sum of its lines to the cent: no join loses or doubles a line.
with lines as (
    select
        tenant_id,
        invoice_id,
        sum(total_amount) as lines_amount,
        sum(subtotal_amount) + sum(tax_amount) as parts_amount
    from {{ ref('fact_invoice') }}
    group by tenant_id, invoice_id
)

select
    invoices.tenant_id,
    invoices.invoice_id,
    invoices.total_amount,
    lines.lines_amount,
    lines.parts_amount
from {{ ref('stg_oltp__invoices') }} as invoices
left join lines
    on
        invoices.tenant_id = lines.tenant_id
        and invoices.invoice_id = lines.invoice_id
where
    invoices.total_amount != coalesce(lines.lines_amount, 0)
    or coalesce(lines.lines_amount, 0) != coalesce(lines.parts_amount, 0)
