-- Ingestion and the warehouse cut days by the same zone; a difference puts energy on the wrong day.
select
    tenant_id,
    meter_id,
    reading_ts,
    reading_date,
    local_date
from {{ ref('fact_energy_usage') }}
where
    {{ in_range() }}
    and local_date != reading_date
