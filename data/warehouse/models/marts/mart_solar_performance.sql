{{ config(
    materialized='incremental',
    incremental_strategy=range_strategy(),
    partition_by={'field': 'reading_date', 'data_type': 'date', 'granularity': 'day'},
    partitions=range_partitions(),
    cluster_by=['tenant_id', 'property_id'],
    require_partition_filter=range_filter_required(),
    on_schema_change='fail',
    full_refresh=false,
    indexes=[{'columns': ['tenant_id', 'property_id', 'reading_date'], 'unique': true}],
) }}

-- Gate D judges the candidate; this model only publishes it, so that a failed gate leaves the mart as it was.
with candidate as (
    select * from {{ ref('candidate_solar_performance') }}
    where {{ in_range() }}
)

select
    tenant_id,
    property_id,
    reading_date,
    generation_kwh,
    self_consumed_kwh,
    exported_kwh,
    imported_kwh,
    solar_capacity_kw,
    specific_yield_kwh_per_kw,
    irradiation_kwh_per_m2,
    expected_kwh,
    performance_ratio,
    capacity_factor,
    time_availability,
    energy_availability,
    lost_kwh,
    self_consumption,
    reference_method,
    reference_version,
    expected_intervals,
    actual_intervals,
    completeness_pct,
    generation_completeness_pct,
    export_completeness_pct,
    estimated_share_pct
from candidate
