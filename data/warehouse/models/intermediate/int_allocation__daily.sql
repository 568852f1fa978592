{{ config(
    cluster_by=['tenant_id', 'property_id', 'participant_id'],
    indexes=[
        {'columns': ['reading_date', 'tenant_id', 'property_id']},
        {'columns': ['tenant_id', 'participant_id', 'reading_date'], 'unique': true},
    ],
) }}
{{ by_reading_date() }}

with intervals as (
    select * from {{ ref('int_allocation__intervals') }}
    where {{ in_range() }}
),

days as (
    select
        tenant_id,
        property_id,
        participant_id,
        reading_date,
        max(tenancy_id) as tenancy_id,
        max(allocation_method) as allocation_method,
        count(*) as intervals,
        sum(case when is_complete then 0 else 1 end) as incomplete_intervals,
        sum(case when is_revised then 1 else 0 end) as revised_intervals,
        min(case when is_revised then interval_started_at end) as first_revised_at,
        max(case when is_revised then interval_started_at end) as last_revised_at,
        sum(case when is_complete then load_kwh end) as load_kwh,
        sum(case when is_complete then estimated_kwh end) as estimated_kwh,
        sum(solar_kwh) as solar_kwh,
        sum(grid_kwh) as grid_kwh,
        sum(case when is_complete then generation_kwh end) as generation_kwh,
        sum(surplus_kwh) as surplus_kwh,
        sum(solar_revenue_amount) as solar_revenue_amount,
        sum(solar_amount) as solar_amount,
        sum(solar_at_grid_price_amount) as solar_at_grid_price_amount
    from intervals
    group by tenant_id, property_id, participant_id, reading_date
)

select
    tenant_id,
    property_id,
    participant_id,
    reading_date,
    tenancy_id,
    allocation_method,
    cast(intervals as {{ sql_type('integer') }}) as intervals,
    cast(incomplete_intervals as {{ sql_type('integer') }}) as incomplete_intervals,
    cast(revised_intervals as {{ sql_type('integer') }}) as revised_intervals,
    first_revised_at,
    last_revised_at,
    {{ as_energy('load_kwh') }} as load_kwh,
    {{ as_energy('estimated_kwh') }} as estimated_kwh,
    {{ as_energy('solar_kwh') }} as solar_kwh,
    {{ as_energy('grid_kwh') }} as grid_kwh,
    {{ as_energy('generation_kwh') }} as generation_kwh,
    {{ as_energy('surplus_kwh') }} as surplus_kwh,
    {{ as_decimal('solar_revenue_amount', 20, 9) }} as solar_revenue_amount,
    {{ as_decimal('solar_amount', 20, 9) }} as solar_amount,
    {{ as_decimal('solar_at_grid_price_amount', 20, 9) }} as solar_at_grid_price_amount,
    {{ as_decimal('solar_at_grid_price_amount - solar_amount', 20, 9) }} as saving_amount
from days
