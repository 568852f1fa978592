select
    tenant_id,
    id as allocation_period_id,
    property_id,
    period_from,
    period_to,
    allocation_method,
    {{ as_energy('generation_kwh') }} as generation_kwh,
    {{ as_energy('import_kwh') }} as import_kwh,
    {{ as_energy('export_kwh') }} as export_kwh,
    {{ as_energy('consumption_kwh') }} as consumption_kwh,
    {{ as_energy('surplus_kwh') }} as surplus_kwh,
    {{ as_energy('loss_kwh') }} as loss_kwh,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'allocation_periods') }}
