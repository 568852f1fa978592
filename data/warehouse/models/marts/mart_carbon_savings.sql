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
    select * from {{ ref('candidate_carbon_savings') }}
    where {{ in_range() }}
)

select
    tenant_id,
    property_id,
    reading_date,
    emission_region,
    self_consumed_kwh,
    exported_kwh,
    avoided_location_kg,
    avoided_market_kg,
    avoided_scope_3_kg,
    exported_location_kg,
    exported_market_kg,
    location_factor_id,
    location_factor_year,
    location_kg_co2e_per_kwh,
    market_factor_id,
    market_factor_year,
    market_kg_co2e_per_kwh,
    is_market_grid_average,
    scope_3_factor_id,
    scope_3_factor_year,
    scope_3_kg_co2e_per_kwh,
    completeness_pct,
    estimated_share_pct
from candidate
