-- Ingestion and the warehouse cut days by the same zone; a difference puts energy on the wrong day.
select
    tenant_id,
    meter_key,
    reading_ts,
    reading_date,
    local_ts
from {{ ref('fact_energy_usage') }}
where
    {{ in_range() }}
    and cast(local_ts as date) != reading_date
