{{ config(
    cluster_by=['tenant_id', 'property_id', 'participant_id'],
    pre_hook="{{ joins_as_written() }}",
) }}
{{ by_reading_date(has_intervals=true) }}

-- The rules of docs/billing.md, computed a second time from the fact, to compare the ledger with them.
with usage as (
    select
        energy.tenant_id,
        meters.property_id,
        nullif(units.unit_id, 'unknown') as unit_id,
        meters.meter_id,
        energy.channel,
        energy.reading_ts,
        energy.reading_date,
        energy.local_ts,
        energy.interval_seconds,
        energy.value_kwh,
        energy.is_estimated,
        energy.version
    from {{ ref('fact_energy_usage') }} as energy
    left join {{ ref('dim_meter') }} as meters
        on
            energy.tenant_id = meters.tenant_id
            and energy.meter_key = meters.meter_key
    left join {{ ref('dim_unit') }} as units
        on
            energy.tenant_id = units.tenant_id
            and energy.unit_key = units.unit_key
    where {{ in_range('energy.reading_date') }}
),

methods as (
    select * from {{ ref('stg_oltp__allocation_methods') }}
),

shares as (
    select * from {{ ref('stg_oltp__allocation_keys') }}
),

tenancies as (
    select * from {{ ref('stg_oltp__tenancies') }}
),

rate_plans as (
    select * from {{ ref('stg_oltp__rate_plan_assignments') }}
),

bands as (
    select
        tenant_id,
        rate_plan_id,
        charge,
        day_kind,
        minutes_from,
        minutes_to,
        valid_from,
        valid_to,
        unit_amount,
        {{ as_decimal('unit_amount * (1 + tax_rate)', 20, 9) }} as price
    from {{ ref('stg_oltp__rate_plan_bands') }}
    where charge in ('solar', 'grid')
),

days_due as (
    select * from {{ ref('candidate_data_completeness') }}
    where {{ in_range() }}
),

-- Water and gas are consumed too, but are not shared out.
energy_registers as (
    select distinct
        tenant_id,
        meter_id,
        channel
    from {{ ref('stg_oltp__meter_registers') }}
    where
        channel in ('import', 'export', 'generation', 'consumption')
        and coalesce(unit, 'kWh') in ('kWh', 'Wh', 'MWh')
),

-- A register that is silent all day has no readings here, but it makes all intervals of the day incomplete.
silent as (
    select
        days_due.tenant_id,
        days_due.property_id,
        days_due.reading_date,
        count(*) as registers
    from days_due
    inner join energy_registers
        on
            days_due.tenant_id = energy_registers.tenant_id
            and days_due.meter_id = energy_registers.meter_id
            and days_due.channel = energy_registers.channel
    where
        days_due.expected_intervals > 0
        and days_due.actual_intervals = 0
    group by days_due.tenant_id, days_due.property_id, days_due.reading_date
),

register_days as (
    select
        tenant_id,
        property_id,
        reading_date,
        meter_id,
        channel,
        max(interval_seconds) as interval_seconds
    from usage
    group by tenant_id, property_id, reading_date, meter_id, channel
),

-- A finer meter is summed to the intervals of the coarsest one of the property.
property_days as (
    select
        register_days.tenant_id,
        register_days.property_id,
        register_days.reading_date,
        methods.allocation_method,
        max(register_days.interval_seconds) as grain_seconds,
        count(*) as registers
    from register_days
    inner join methods
        on
            register_days.tenant_id = methods.tenant_id
            and register_days.property_id = methods.property_id
            and register_days.reading_date >= methods.valid_from
            and register_days.reading_date < coalesce(methods.valid_to, date '9999-12-31')
    group by
        register_days.tenant_id,
        register_days.property_id,
        register_days.reading_date,
        methods.allocation_method
),

placed as (
    select
        usage.tenant_id,
        usage.property_id,
        usage.reading_date,
        {{ whole_quotient(epoch_seconds('usage.reading_ts'), 'property_days.grain_seconds') }} as interval_number,
        coalesce(usage.unit_id, usage.property_id) as participant_id,
        usage.channel,
        usage.reading_ts,
        usage.local_ts,
        usage.interval_seconds,
        usage.value_kwh,
        usage.is_estimated,
        usage.version
    from usage
    inner join property_days
        on
            usage.tenant_id = property_days.tenant_id
            and usage.property_id = property_days.property_id
            and usage.reading_date = property_days.reading_date
),

intervals as (
    select
        placed.tenant_id,
        placed.property_id,
        placed.reading_date,
        placed.interval_number,
        min(placed.reading_ts) as interval_started_at,
        min(placed.local_ts) as local_ts,
        max(property_days.grain_seconds) as interval_seconds,
        max(property_days.allocation_method) as allocation_method,
        coalesce(sum(case when placed.channel = 'generation' then placed.value_kwh end), 0) as generation_kwh,
        -- A reading that was replaced explains a difference from the bill, whatever register it belongs to.
        max(case when placed.version > 1 then 1 else 0 end) = 1 as is_revised,
        coalesce(sum(case when placed.value_kwh is not null then placed.interval_seconds end), 0)
        = max(property_days.grain_seconds) * max(property_days.registers)
        and max(coalesce(silent.registers, 0)) = 0 as is_complete
    from placed
    inner join property_days
        on
            placed.tenant_id = property_days.tenant_id
            and placed.property_id = property_days.property_id
            and placed.reading_date = property_days.reading_date
    left join silent
        on
            placed.tenant_id = silent.tenant_id
            and placed.property_id = silent.property_id
            and placed.reading_date = silent.reading_date
    group by placed.tenant_id, placed.property_id, placed.reading_date, placed.interval_number
),

loads as (
    select
        tenant_id,
        property_id,
        reading_date,
        interval_number,
        participant_id,
        sum(value_kwh) as load_kwh,
        sum(case when is_estimated then value_kwh end) as estimated_kwh
    from placed
    where channel = 'consumption'
    group by tenant_id, property_id, reading_date, interval_number, participant_id
),

-- Participants of a day: the common area always, units with a share, and units that used energy.
participants as (
    select
        tenant_id,
        property_id,
        reading_date,
        property_id as participant_id
    from property_days
    union distinct
    select
        property_days.tenant_id,
        property_days.property_id,
        property_days.reading_date,
        coalesce(shares.unit_id, shares.property_id) as participant_id
    from property_days
    inner join shares
        on
            property_days.tenant_id = shares.tenant_id
            and property_days.property_id = shares.property_id
            and property_days.reading_date >= shares.valid_from
            and property_days.reading_date < coalesce(shares.valid_to, date '9999-12-31')
    union distinct
    select
        tenant_id,
        property_id,
        reading_date,
        participant_id
    from loads
),

-- A vacant unit has no tenancy: it gets no solar energy, and all of its load is grid energy.
entitled as (
    select
        participants.tenant_id,
        participants.property_id,
        participants.reading_date,
        participants.participant_id,
        rate_plans.rate_plan_id,
        coalesce(shares.share, 0) as share,
        tenancies.tenancy_id is not null or participants.participant_id = participants.property_id as is_entitled
    from participants
    left join shares
        on
            participants.tenant_id = shares.tenant_id
            and participants.property_id = shares.property_id
            and participants.participant_id = coalesce(shares.unit_id, shares.property_id)
            and participants.reading_date >= shares.valid_from
            and participants.reading_date < coalesce(shares.valid_to, date '9999-12-31')
    left join tenancies
        on
            participants.tenant_id = tenancies.tenant_id
            and participants.participant_id = tenancies.unit_id
            and participants.reading_date >= tenancies.occupied_from
            and participants.reading_date < coalesce(tenancies.occupied_to, date '9999-12-31')
    left join rate_plans
        on
            participants.tenant_id = rate_plans.tenant_id
            and participants.participant_id = rate_plans.unit_id
            and participants.reading_date >= rate_plans.assigned_from
            and participants.reading_date < coalesce(rate_plans.assigned_to, date '9999-12-31')
),

rows_of_intervals as (
    select
        intervals.tenant_id,
        intervals.property_id,
        intervals.reading_date,
        intervals.interval_number,
        intervals.interval_started_at,
        intervals.interval_seconds,
        intervals.local_ts,
        intervals.allocation_method,
        intervals.is_complete,
        intervals.is_revised,
        intervals.generation_kwh,
        entitled.participant_id,
        entitled.rate_plan_id,
        entitled.share,
        entitled.is_entitled,
        coalesce(loads.load_kwh, 0) as load_kwh,
        coalesce(loads.estimated_kwh, 0) as estimated_kwh
    from intervals
    inner join entitled
        on
            intervals.tenant_id = entitled.tenant_id
            and intervals.property_id = entitled.property_id
            and intervals.reading_date = entitled.reading_date
    left join loads
        on
            intervals.tenant_id = loads.tenant_id
            and intervals.property_id = loads.property_id
            and intervals.reading_date = loads.reading_date
            and intervals.interval_number = loads.interval_number
            and entitled.participant_id = loads.participant_id
),

-- In billionths of a kWh, the last place of a reading, and hundred-millionths of a share: whole numbers. At night
-- nothing is shared out.
wanted as (
    select
        tenant_id,
        property_id,
        reading_date,
        interval_number,
        participant_id,
        allocation_method,
        {{ as_quanta('generation_kwh * 1000000000') }} as generation_q,
        {{ as_quanta('case when is_entitled then load_kwh * 1000000000 else 0 end') }} as load_q,
        {{ as_quanta('share * 100000000') }} as share_q,
        {{ as_quanta('0') }} as solar_q
    from rows_of_intervals
    where
        is_complete
        and generation_kwh != 0
),

round_0 as (
    select
        tenant_id,
        property_id,
        reading_date,
        interval_number,
        participant_id,
        allocation_method,
        generation_q,
        sum(load_q) over (partition by tenant_id, property_id, reading_date, interval_number) as total_load_q,
        load_q,
        share_q,
        solar_q
    from wanted
),

{{ share_out(
    'round_1',
    'round_0',
    "case when allocation_method = 'dynamic' then least(generation_q, total_load_q) else generation_q end",
    "case when allocation_method = 'dynamic' then load_q else share_q end",
) }},
{% for number in range(2, var('hybrid_rounds') | int + 2) %}
round_{{ number }}_open as (
    select
        tenant_id,
        property_id,
        reading_date,
        interval_number,
        participant_id,
        allocation_method,
        generation_q,
        total_load_q,
        load_q,
        share_q,
        solar_q,
        generation_q - sum(solar_q) over (partition by tenant_id, property_id, reading_date, interval_number)
            as unused_q
    from round_{{ number - 1 }}
),

{{ share_out(
    'round_' ~ number,
    'round_' ~ number ~ '_open',
    'unused_q',
    "case when allocation_method = 'hybrid' and solar_q < load_q then share_q else 0 end",
) }},
{% endfor %}
shared as (
    select
        tenant_id,
        property_id,
        reading_date,
        interval_number,
        participant_id,
        solar_q,
        generation_q - sum(solar_q) over (partition by tenant_id, property_id, reading_date, interval_number)
            as surplus_q,
        max(case when allocation_method = 'hybrid' and solar_q < load_q and share_q > 0 then 1 else 0 end)
            over (partition by tenant_id, property_id, reading_date, interval_number) as is_wanting
    from round_{{ var('hybrid_rounds') | int + 1 }}
),

settled as (
    select
        rows_of_intervals.*,
        case when rows_of_intervals.is_complete then coalesce(shared.solar_q, 0) end as solar_q,
        case when rows_of_intervals.is_complete then coalesce(shared.surplus_q, 0) end as surplus_q,
        case when rows_of_intervals.is_complete then coalesce(shared.is_wanting, 0) end as is_wanting
    from rows_of_intervals
    left join shared
        on
            rows_of_intervals.tenant_id = shared.tenant_id
            and rows_of_intervals.property_id = shared.property_id
            and rows_of_intervals.reading_date = shared.reading_date
            and rows_of_intervals.interval_number = shared.interval_number
            and rows_of_intervals.participant_id = shared.participant_id
),

plan_intervals as (
    select distinct
        tenant_id,
        property_id,
        reading_date,
        interval_number,
        local_ts,
        rate_plan_id
    from rows_of_intervals
    where rate_plan_id is not null
),

-- Price of a kWh with tax, by local wall clock and kind of day; NULL without a rate plan.
prices as (
    select
        plan_intervals.tenant_id,
        plan_intervals.property_id,
        plan_intervals.reading_date,
        plan_intervals.interval_number,
        plan_intervals.rate_plan_id,
        max(case when bands.charge = 'solar' then bands.price end) as solar_price,
        max(case when bands.charge = 'grid' then bands.price end) as grid_price,
        max(case when bands.charge = 'solar' then bands.unit_amount end) as solar_unit_amount
    from plan_intervals
    inner join bands
        on
            plan_intervals.tenant_id = bands.tenant_id
            and plan_intervals.rate_plan_id = bands.rate_plan_id
            and plan_intervals.reading_date >= bands.valid_from
            and plan_intervals.reading_date < coalesce(bands.valid_to, date '9999-12-31')
            and {{ minute_of_day('plan_intervals.local_ts') }} >= bands.minutes_from
            and {{ minute_of_day('plan_intervals.local_ts') }} < bands.minutes_to
            and bands.day_kind
            = case when {{ iso_day_of_week('plan_intervals.reading_date') }} >= 6 then 'weekend' else 'weekday' end
    group by
        plan_intervals.tenant_id,
        plan_intervals.property_id,
        plan_intervals.reading_date,
        plan_intervals.interval_number,
        plan_intervals.rate_plan_id
)

select
    settled.tenant_id,
    settled.property_id,
    settled.reading_date,
    settled.interval_started_at,
    settled.interval_seconds,
    settled.participant_id,
    settled.allocation_method,
    settled.is_complete,
    settled.is_revised,
    {{ as_energy('settled.load_kwh') }} as load_kwh,
    {{ as_energy('settled.estimated_kwh') }} as estimated_kwh,
    {{ as_energy('settled.solar_q / 1000000000') }} as solar_kwh,
    {{ as_energy('settled.load_kwh - settled.solar_q / 1000000000') }} as grid_kwh,
    {{ as_energy(
        'case when settled.participant_id = settled.property_id '
        ~ 'then settled.generation_kwh end'
    ) }} as generation_kwh,
    {{ as_energy(
        'case when settled.participant_id = settled.property_id '
        ~ 'then settled.surplus_q / 1000000000 end'
    ) }} as surplus_kwh,
    {{ as_decimal('settled.solar_q / 1000000000 * prices.solar_unit_amount', 20, 9) }} as solar_revenue_amount,
    {{ as_decimal('settled.solar_q / 1000000000 * prices.solar_price', 20, 9) }} as solar_amount,
    {{ as_decimal('settled.solar_q / 1000000000 * prices.grid_price', 20, 9) }} as solar_at_grid_price_amount,
    settled.is_wanting = 1 and settled.surplus_q > 0 as is_left_over
from settled
left join prices
    on
        settled.tenant_id = prices.tenant_id
        and settled.property_id = prices.property_id
        and settled.reading_date = prices.reading_date
        and settled.interval_number = prices.interval_number
        and settled.rate_plan_id = prices.rate_plan_id
