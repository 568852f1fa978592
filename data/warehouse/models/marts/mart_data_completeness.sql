{{ config(
    materialized='incremental',
    incremental_strategy=range_strategy(),
    partition_by={'field': 'reading_date', 'data_type': 'date', 'granularity': 'day'},
    partitions=range_partitions(),
    cluster_by=['tenant_id', 'property_id'],
    require_partition_filter=range_filter_required(),
    on_schema_change='fail',
    full_refresh=false,
    indexes=[{'columns': ['tenant_id', 'meter_id', 'channel', 'reading_date'], 'unique': true}],
) }}

-- Gate D judges the candidate; this model only publishes it, so that a failed gate leaves the mart as it was.
with candidate as (
    select * from {{ ref('candidate_data_completeness') }}
    where {{ in_range() }}
)

select
    tenant_id,
    property_id,
    meter_id,
    channel,
    reading_date,
    expected_intervals,
    actual_intervals,
    estimated_intervals,
    missing_intervals,
    completeness_pct,
    estimated_share_pct,
    latest_arrival_at
from candidate
