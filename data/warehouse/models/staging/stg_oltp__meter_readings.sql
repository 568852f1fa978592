-- Ephemeral: a view cannot hold the run's literal dates, and a read without them would scan every partition.
{{ config(materialized='ephemeral') }}

select
    tenant_id,
    meter_id,
    channel,
    reading_ts,
    reading_date,
    cast(interval_seconds as {{ sql_type('integer') }}) as interval_seconds,
    {{ as_decimal('value_native', 20, 9) }} as value_native,
    unit,
    {{ as_energy('value_kwh') }} as value_kwh,
    quality,
    quality_method,
    reason_code,
    is_estimated,
    source,
    source_version,
    cast(version as {{ sql_type('integer') }}) as version,
    updated_at
from {{ source('raw', 'meter_readings') }}
where {{ in_range() }}
