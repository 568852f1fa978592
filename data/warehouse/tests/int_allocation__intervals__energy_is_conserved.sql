-- In a complete interval, to the last place: allocated energy plus surplus equals the generation, solar plus grid
-- energy equals the load, and the hybrid method has shared out all energy that a participant could still use.
with intervals as (
    select
        tenant_id,
        property_id,
        interval_started_at,
        sum(load_kwh) as load_kwh,
        sum(solar_kwh) as solar_kwh,
        sum(grid_kwh) as grid_kwh,
        sum(generation_kwh) as generation_kwh,
        sum(surplus_kwh) as surplus_kwh,
        max(case when is_left_over then 1 else 0 end) as left_over
    from {{ ref('int_allocation__intervals') }}
    where
        {{ in_range() }}
        and is_complete
    group by tenant_id, property_id, interval_started_at
)

select *
from intervals
where
    solar_kwh + surplus_kwh != generation_kwh
    or solar_kwh + grid_kwh != load_kwh
    or left_over = 1
