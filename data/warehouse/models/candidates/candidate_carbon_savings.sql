{{ config(
    cluster_by=['tenant_id', 'property_id'],
    indexes=[{'columns': ['reading_date', 'tenant_id', 'property_id'], 'unique': true}],
) }}
{{ by_reading_date() }}

with solar as (
    select
        tenant_id,
        property_id,
        reading_date,
        {{ date_part_integer('year', 'reading_date') }} as reading_year,
        self_consumed_kwh,
        exported_kwh,
        completeness_pct,
        estimated_share_pct,
        is_held,
        accepted_until
    from {{ ref('candidate_solar_performance') }}
    where {{ in_range() }}
),

regions as (
    select * from {{ ref('stg_oltp__emission_factor_regions') }}
),

by_location as (
    select * from {{ ref('dim_emission_factor') }}
    where
        scope = 2
        and basis = 'location'
),

by_market as (
    select * from {{ ref('dim_emission_factor') }}
    where
        scope = 2
        and basis = 'market'
),

upstream as (
    select * from {{ ref('dim_emission_factor') }}
    where
        scope = 3
        and basis = 'location'
),

-- Without a residual mix the market-based figure uses the grid's average (GHG Protocol, Scope 2 Guidance), with a flag.
factored as (
    select
        solar.tenant_id,
        solar.property_id,
        solar.reading_date,
        regions.region as emission_region,
        solar.self_consumed_kwh,
        solar.exported_kwh,
        solar.completeness_pct,
        solar.estimated_share_pct,
        solar.is_held,
        solar.accepted_until,
        by_location.factor_id as location_factor_id,
        by_location.first_year as location_factor_year,
        by_location.kg_co2e_per_kwh as location_kg_co2e_per_kwh,
        coalesce(by_market.factor_id, by_location.factor_id) as market_factor_id,
        coalesce(by_market.first_year, by_location.first_year) as market_factor_year,
        coalesce(by_market.kg_co2e_per_kwh, by_location.kg_co2e_per_kwh) as market_kg_co2e_per_kwh,
        by_market.factor_id is null and by_location.factor_id is not null as is_market_grid_average,
        upstream.factor_id as scope_3_factor_id,
        upstream.first_year as scope_3_factor_year,
        upstream.kg_co2e_per_kwh as scope_3_kg_co2e_per_kwh
    from solar
    left join regions
        on
            solar.tenant_id = regions.tenant_id
            and solar.property_id = regions.property_id
            and solar.reading_date >= regions.valid_from
            and solar.reading_date < coalesce(regions.valid_to, date '9999-12-31')
    left join by_location
        on
            regions.region = by_location.region
            and solar.reading_year >= by_location.first_year
            and solar.reading_year < by_location.end_year
    left join by_market
        on
            regions.region = by_market.region
            and solar.reading_year >= by_market.first_year
            and solar.reading_year < by_market.end_year
    left join upstream
        on
            regions.region = upstream.region
            and solar.reading_year >= upstream.first_year
            and solar.reading_year < upstream.end_year
)

select
    tenant_id,
    property_id,
    reading_date,
    emission_region,
    {{ as_energy('self_consumed_kwh') }} as self_consumed_kwh,
    {{ as_energy('exported_kwh') }} as exported_kwh,
    {{ as_decimal('self_consumed_kwh * location_kg_co2e_per_kwh', 20, 9) }} as avoided_location_kg,
    {{ as_decimal('self_consumed_kwh * market_kg_co2e_per_kwh', 20, 9) }} as avoided_market_kg,
    {{ as_decimal('self_consumed_kwh * scope_3_kg_co2e_per_kwh', 20, 9) }} as avoided_scope_3_kg,
    {{ as_decimal('exported_kwh * location_kg_co2e_per_kwh', 20, 9) }} as exported_location_kg,
    {{ as_decimal('exported_kwh * market_kg_co2e_per_kwh', 20, 9) }} as exported_market_kg,
    location_factor_id,
    location_factor_year,
    {{ as_decimal('location_kg_co2e_per_kwh', 12, 9) }} as location_kg_co2e_per_kwh,
    market_factor_id,
    market_factor_year,
    {{ as_decimal('market_kg_co2e_per_kwh', 12, 9) }} as market_kg_co2e_per_kwh,
    is_market_grid_average,
    scope_3_factor_id,
    scope_3_factor_year,
    {{ as_decimal('scope_3_kg_co2e_per_kwh', 12, 9) }} as scope_3_kg_co2e_per_kwh,
    completeness_pct,
    estimated_share_pct,
    is_held,
    accepted_until
from factored
