-- Ephemeral: a view cannot hold the run's literal dates, and a read without them would scan every partition.
{{ config(materialized='ephemeral') }}

select
    tenant_id,
    id as reading_issue_id,
    property_id,
    meter_id,
    channel,
    reading_date,
    rule,
    severity,
    status,
    accepted_until
from {{ source('raw', 'reading_issues') }}
where {{ in_range() }}
