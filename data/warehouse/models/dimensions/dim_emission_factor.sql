-- A factor is used from its year until the next edition for the same grid, never for an earlier year.
select
    {{ dimension_key(['factor_id']) }} as emission_factor_key,
    factor_id,
    region,
    scope,
    basis,
    year as first_year,
    coalesce(lead(year) over (partition by region, scope, basis order by year), 10000) as end_year,
    {{ as_decimal('kg_co2e_per_kwh', 12, 9) }} as kg_co2e_per_kwh,
    gases,
    source,
    edition,
    published,
    licence
from {{ ref('emission_factors') }}
