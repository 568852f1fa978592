-- On a complete day all generation is either used on site or exported.
select
    tenant_id,
    property_id,
    reading_date,
    generation_kwh,
    self_consumed_kwh,
    exported_kwh
from {{ ref('mart_solar_performance') }}
where
    {{ in_range() }}
    and actual_intervals = expected_intervals
    and generation_kwh is not null
    and exported_kwh is not null
    and generation_kwh != self_consumed_kwh + exported_kwh
