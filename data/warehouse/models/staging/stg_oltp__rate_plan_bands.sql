select
    tenant_id,
    id as rate_plan_band_id,
    rate_plan_id,
    charge,
    band,
    day_kind,
    cast(minutes_from as {{ sql_type('integer') }}) as minutes_from,
    cast(minutes_to as {{ sql_type('integer') }}) as minutes_to,
    {{ as_decimal('unit_amount', 14, 6) }} as unit_amount,
    {{ as_decimal('tax_rate', 6, 5) }} as tax_rate,
    valid_from,
    valid_to,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'rate_plan_bands') }}
