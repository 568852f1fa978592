{{ config(
    cluster_by=['tenant_id', 'property_id', 'participant_id'],
    indexes=[{'columns': ['reading_date', 'tenant_id', 'property_id', 'participant_id'], 'unique': true}],
) }}
{{ by_reading_date() }}

with intervals as (
    select * from {{ ref('int_allocation__intervals') }}
    where {{ in_range() }}
),

tenancies as (
    select * from {{ ref('stg_oltp__tenancies') }}
),

days as (
    select
        tenant_id,
        property_id,
        participant_id,
        reading_date,
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
    days.tenant_id,
    days.property_id,
    days.participant_id,
    days.reading_date,
    tenancies.tenancy_id,
    days.allocation_method,
    cast(days.intervals as {{ sql_type('integer') }}) as intervals,
    cast(days.incomplete_intervals as {{ sql_type('integer') }}) as incomplete_intervals,
    cast(days.revised_intervals as {{ sql_type('integer') }}) as revised_intervals,
    days.first_revised_at,
    days.last_revised_at,
    {{ as_energy('days.load_kwh') }} as load_kwh,
    {{ as_energy('days.estimated_kwh') }} as estimated_kwh,
    {{ as_energy('days.solar_kwh') }} as solar_kwh,
    {{ as_energy('days.grid_kwh') }} as grid_kwh,
    {{ as_energy('days.generation_kwh') }} as generation_kwh,
    {{ as_energy('days.surplus_kwh') }} as surplus_kwh,
    {{ as_decimal('days.solar_revenue_amount', 20, 9) }} as solar_revenue_amount,
    {{ as_decimal('days.solar_amount', 20, 9) }} as solar_amount,
    {{ as_decimal('days.solar_at_grid_price_amount', 20, 9) }} as solar_at_grid_price_amount,
    {{ as_decimal('days.solar_at_grid_price_amount - days.solar_amount', 20, 9) }} as saving_amount
from days
left join tenancies
    on
        days.tenant_id = tenancies.tenant_id
        and days.participant_id = tenancies.unit_id
        and {{ on_date('tenancies', 'days.reading_date', 'occupied_from', 'occupied_to') }}
