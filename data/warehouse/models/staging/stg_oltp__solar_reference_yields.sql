-- Ephemeral: a view cannot hold the run's literal dates, and a read without them would scan every partition.
{{ config(materialized='ephemeral') }}

select
    tenant_id,
    solar_asset_id,
    reading_ts,
    reading_date,
    cast(interval_seconds as {{ sql_type('integer') }}) as interval_seconds,
    {{ as_decimal('irradiation_kwh_per_m2', 20, 9) }} as irradiation_kwh_per_m2,
    {{ as_energy('expected_kwh') }} as expected_kwh,
    method,
    method_version
from {{ source('raw', 'solar_reference_yields') }}
where {{ in_range() }}
