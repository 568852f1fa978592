with ledger as (
    select * from {{ ref('stg_oltp__allocation_ledger') }}
),

days as (
    select * from {{ ref('int_allocation__daily') }}
    where {{ ever() }}
),

computed as (
    select
        ledger.tenant_id,
        ledger.allocation_id,
        count(days.reading_date) as days,
        sum(days.incomplete_intervals) as incomplete_intervals,
        sum(days.revised_intervals) as revised_intervals,
        min(days.first_revised_at) as first_revised_at,
        max(days.last_revised_at) as last_revised_at,
        sum(case when days.allocation_method = ledger.allocation_method then 0 else 1 end) as days_of_another_method,
        sum(days.solar_kwh) as solar_kwh,
        sum(days.grid_kwh) as grid_kwh,
        sum(days.load_kwh) as load_kwh,
        sum(days.estimated_kwh) as estimated_kwh
    from ledger
    inner join days
        on
            ledger.tenant_id = days.tenant_id
            and ledger.property_id = days.property_id
            and coalesce(ledger.unit_id, ledger.property_id) = days.participant_id
            and coalesce(ledger.tenancy_id, '') = coalesce(days.tenancy_id, '')
            and ledger.period_from <= days.reading_date
            and ledger.period_to > days.reading_date
    group by ledger.tenant_id, ledger.allocation_id
),

-- A period is compared when all of its days are in the warehouse and all of their intervals are complete.
compared as (
    select
        ledger.tenant_id,
        ledger.property_id,
        ledger.allocation_id,
        ledger.unit_id,
        ledger.tenancy_id,
        ledger.period_from,
        ledger.period_to,
        ledger.allocation_method,
        {{ days_between('ledger.period_from', 'ledger.period_to') }} as period_days,
        coalesce(computed.days, 0) as computed_days,
        coalesce(computed.incomplete_intervals, 0) as incomplete_intervals,
        coalesce(computed.revised_intervals, 0) as revised_intervals,
        computed.first_revised_at,
        computed.last_revised_at,
        coalesce(computed.days_of_another_method, 0) as days_of_another_method,
        ledger.solar_kwh as ledger_solar_kwh,
        ledger.grid_kwh as ledger_grid_kwh,
        computed.solar_kwh as computed_solar_kwh,
        computed.grid_kwh as computed_grid_kwh,
        computed.load_kwh,
        computed.estimated_kwh,
        coalesce(
            computed.days = {{ days_between('ledger.period_from', 'ledger.period_to') }}
            and computed.incomplete_intervals = 0,
            false
        ) as is_compared
    from ledger
    left join computed
        on
            ledger.tenant_id = computed.tenant_id
            and ledger.allocation_id = computed.allocation_id
),

judged as (
    select
        compared.*,
        case
            when not is_compared then 'unknown'
            when ledger_solar_kwh = computed_solar_kwh and ledger_grid_kwh = computed_grid_kwh then 'ties'
            when days_of_another_method > 0 then 'another method'
            when revised_intervals > 0 then 'readings revised'
            else 'unexplained'
        end as finding
    from compared
)

select
    tenant_id,
    property_id,
    allocation_id,
    unit_id,
    tenancy_id,
    period_from,
    period_to,
    allocation_method,
    cast(period_days as {{ sql_type('integer') }}) as period_days,
    cast(computed_days as {{ sql_type('integer') }}) as computed_days,
    ledger_solar_kwh,
    ledger_grid_kwh,
    {{ as_energy('case when is_compared then computed_solar_kwh end') }} as computed_solar_kwh,
    {{ as_energy('case when is_compared then computed_grid_kwh end') }} as computed_grid_kwh,
    {{ as_energy('case when is_compared then ledger_solar_kwh - computed_solar_kwh end') }} as solar_difference_kwh,
    {{ as_energy('case when is_compared then ledger_grid_kwh - computed_grid_kwh end') }} as grid_difference_kwh,
    finding,
    cast(incomplete_intervals as {{ sql_type('integer') }}) as incomplete_intervals,
    cast(revised_intervals as {{ sql_type('integer') }}) as revised_intervals,
    first_revised_at,
    last_revised_at,
    {{ share_pct('estimated_kwh', 'load_kwh') }} as estimated_share_pct,
    {{ share_pct('computed_days', 'period_days') }} as completeness_pct
from judged
