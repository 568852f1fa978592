select
    tenant_id,
    id as invoice_line_id,
    invoice_id,
    cast(line_number as {{ sql_type('integer') }}) as line_number,
    category,
    {{ as_energy('quantity') }} as quantity,
    {{ as_decimal('unit_amount', 14, 6) }} as unit_amount,
    {{ as_decimal('tax_rate', 6, 5) }} as tax_rate,
    {{ as_decimal('total_amount', 14, 2) }} as total_amount,
    solar_band as band,
    allocation_id,
    rate_plan_band_id,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'invoice_lines') }}
