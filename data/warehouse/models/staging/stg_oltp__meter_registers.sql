select
    tenant_id,
    id as meter_register_id,
    meter_id,
    identifier,
    register,
    channel,
    unit,
    cast(interval_seconds as {{ sql_type('integer') }}) as interval_seconds,
    created_at,
    updated_at,
    landed_at
from {{ source('raw', 'meter_registers') }}
