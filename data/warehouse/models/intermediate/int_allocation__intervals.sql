{{ config(
    cluster_by=['tenant_id', 'property_id', 'participant_id'],
    indexes=[{'columns': ['reading_date', 'tenant_id', 'property_id']}],
    pre_hook="{{ joins_as_written() }}",
) }}
{{ by_reading_date(has_intervals=true) }}

-- The rules of docs/billing.md, computed a second time from the fact, to compare the ledger with them.
-- What the dimensions say of an interval holds for all intervals of a key and date: it is looked up once for them.
with slices as (
    select
        tenant_id,
        meter_key,
        unit_key,
        channel,
        reading_date,
        max(interval_seconds) as interval_seconds
    from {{ ref('fact_energy_usage') }}
    where {{ in_range() }}
    group by tenant_id, meter_key, unit_key, channel, reading_date
),

placed_slices as (
    select
        slices.tenant_id,
        slices.meter_key,
        slices.unit_key,
        meters.property_id,
        meters.meter_id,
        coalesce(nullif(units.unit_id, 'unknown'), meters.property_id) as participant_id,
        slices.channel,
        slices.reading_date,
        slices.interval_seconds
    from slices
    left join {{ ref('dim_meter') }} as meters
        on
            slices.tenant_id = meters.tenant_id
            and slices.meter_key = meters.meter_key
    left join {{ ref('dim_unit') }} as units
        on
            slices.tenant_id = units.tenant_id
            and slices.unit_key = units.unit_key
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
    from placed_slices
    group by tenant_id, property_id, reading_date, meter_id, channel
),

-- A finer meter is summed to the intervals of the coarsest one of the property.
shared_days as (
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

-- Within a run a number stands for a property and date, and another one for a participant of it: intervals are sorted
-- and joined by numbers.
property_days as (
    select
        shared_days.*,
        row_number() over (order by tenant_id, property_id, reading_date) as day_number
    from shared_days
),

-- Participants of a day: the common area always, units with a share, and units that used energy.
participants as (
    select
        tenant_id,
        property_id,
        reading_date,
        day_number,
        property_id as participant_id
    from property_days
    union distinct
    select
        property_days.tenant_id,
        property_days.property_id,
        property_days.reading_date,
        property_days.day_number,
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
        property_days.tenant_id,
        property_days.property_id,
        property_days.reading_date,
        property_days.day_number,
        placed_slices.participant_id
    from property_days
    inner join placed_slices
        on
            property_days.tenant_id = placed_slices.tenant_id
            and property_days.property_id = placed_slices.property_id
            and property_days.reading_date = placed_slices.reading_date
    where placed_slices.channel = 'consumption'
),

numbered as (
    select
        participants.*,
        row_number() over (partition by day_number order by participant_id) as participant_number
    from participants
),

-- A vacant unit has no tenancy: it gets no solar energy, and all of its load is grid energy.
entitled as (
    select
        numbered.tenant_id,
        numbered.property_id,
        numbered.day_number,
        numbered.participant_id,
        numbered.participant_number,
        rate_plans.rate_plan_id,
        {{ as_quanta('coalesce(shares.share, 0) * 100000000') }} as share_q,
        numbered.participant_id = numbered.property_id as is_common,
        tenancies.tenancy_id is not null or numbered.participant_id = numbered.property_id as is_entitled
    from numbered
    left join shares
        on
            numbered.tenant_id = shares.tenant_id
            and numbered.property_id = shares.property_id
            and numbered.participant_id = coalesce(shares.unit_id, shares.property_id)
            and numbered.reading_date >= shares.valid_from
            and numbered.reading_date < coalesce(shares.valid_to, date '9999-12-31')
    left join tenancies
        on
            numbered.tenant_id = tenancies.tenant_id
            and numbered.participant_id = tenancies.unit_id
            and numbered.reading_date >= tenancies.occupied_from
            and numbered.reading_date < coalesce(tenancies.occupied_to, date '9999-12-31')
    left join rate_plans
        on
            numbered.tenant_id = rate_plans.tenant_id
            and numbered.participant_id = rate_plans.unit_id
            and numbered.reading_date >= rate_plans.assigned_from
            and numbered.reading_date < coalesce(rate_plans.assigned_to, date '9999-12-31')
),

places as (
    select distinct
        placed_slices.tenant_id,
        placed_slices.meter_key,
        placed_slices.unit_key,
        placed_slices.reading_date,
        property_days.day_number,
        property_days.grain_seconds,
        numbered.participant_number
    from placed_slices
    inner join property_days
        on
            placed_slices.tenant_id = property_days.tenant_id
            and placed_slices.property_id = property_days.property_id
            and placed_slices.reading_date = property_days.reading_date
    left join numbered
        on
            property_days.tenant_id = numbered.tenant_id
            and property_days.day_number = numbered.day_number
            and placed_slices.participant_id = numbered.participant_id
),

placed as (
    select
        places.day_number,
        {{ whole_quotient(epoch_seconds('energy.reading_ts'), 'places.grain_seconds') }} as interval_number,
        places.participant_number,
        energy.reading_ts,
        energy.local_ts,
        energy.interval_seconds,
        energy.version,
        energy.is_estimated,
        energy.tenant_id,
        energy.channel,
        energy.value_kwh
    from {{ ref('fact_energy_usage') }} as energy
    inner join places
        on
            energy.tenant_id = places.tenant_id
            and energy.meter_key = places.meter_key
            and energy.unit_key = places.unit_key
            and energy.reading_date = places.reading_date
    where {{ in_range('energy.reading_date') }}
),

interval_sums as (
    select
        tenant_id,
        day_number,
        interval_number,
        min(reading_ts) as interval_started_at,
        min(local_ts) as local_ts,
        coalesce(sum(case when channel = 'generation' then value_kwh end), 0) as generation_kwh,
        coalesce(sum(case when value_kwh is not null then interval_seconds end), 0) as measured_seconds,
        -- A reading that was replaced explains a difference from the bill, whatever register it belongs to.
        max(version) > 1 as is_revised
    from placed
    group by tenant_id, day_number, interval_number
),

intervals as (
    select
        interval_sums.tenant_id,
        interval_sums.day_number,
        interval_sums.interval_number,
        property_days.reading_date,
        interval_sums.interval_started_at,
        interval_sums.local_ts,
        property_days.grain_seconds as interval_seconds,
        property_days.allocation_method,
        interval_sums.generation_kwh,
        interval_sums.is_revised,
        interval_sums.measured_seconds = property_days.grain_seconds * property_days.registers
        and silent.registers is null as is_complete
    from interval_sums
    inner join property_days
        on
            interval_sums.tenant_id = property_days.tenant_id
            and interval_sums.day_number = property_days.day_number
    left join silent
        on
            property_days.tenant_id = silent.tenant_id
            and property_days.property_id = silent.property_id
            and property_days.reading_date = silent.reading_date
),

loads as (
    select
        tenant_id,
        day_number,
        interval_number,
        participant_number,
        sum(value_kwh) as load_kwh,
        sum(case when is_estimated then value_kwh end) as estimated_kwh
    from placed
    where channel = 'consumption'
    group by tenant_id, day_number, interval_number, participant_number
),

-- In billionths of a kWh, the last place of a reading, and hundred-millionths of a share: whole numbers. At night
-- nothing is shared out.
rows_of_intervals as (
    select
        intervals.day_number,
        intervals.interval_number,
        entitled.participant_number,
        {{ as_quanta('intervals.generation_kwh * 1000000000') }} as generation_q,
        {{ as_quanta('case when entitled.is_entitled then coalesce(loads.load_kwh, 0) * 1000000000 else 0 end') }}
            as usable_q,
        entitled.share_q,
        intervals.allocation_method = 'dynamic' as is_dynamic,
        intervals.allocation_method = 'hybrid' as is_hybrid,
        intervals.is_complete and intervals.generation_kwh != 0 as is_shared_out,
        entitled.tenant_id,
        coalesce(loads.load_kwh, 0) as load_kwh,
        coalesce(loads.estimated_kwh, 0) as estimated_kwh
    from intervals
    inner join entitled
        on
            intervals.tenant_id = entitled.tenant_id
            and intervals.day_number = entitled.day_number
    left join loads
        on
            intervals.tenant_id = loads.tenant_id
            and intervals.day_number = loads.day_number
            and intervals.interval_number = loads.interval_number
            and entitled.participant_number = loads.participant_number
),

{% set kept = columns_of_shares() | join(',\n        ') %}
{% set last_round = var('hybrid_rounds') | int + 1 %}
round_0 as (
    select
        {{ kept }},
        {{ as_quanta('0') }} as solar_q,
        generation_q as unused_q
    from rows_of_intervals
    where is_shared_out
),

{{ share_out(
    'round_1',
    'round_0',
    'case when is_dynamic then least(unused_q, ' ~ sum_of_interval('usable_q') ~ ') else unused_q end',
    'case when is_dynamic then usable_q else share_q end',
    'not is_dynamic',
) }},

{% for number in range(2, last_round + 1) %}
round_{{ number }}_open as (
    select * from round_{{ number - 1 }}
    where {{ is_open() }}
),

{{ share_out('round_' ~ number, 'round_' ~ number ~ '_open', 'unused_q', 'share_q', 'true') }},

{% endfor %}
shared as (
    select
        {{ kept }},
        0 as solar_q
    from rows_of_intervals
    where not is_shared_out
    union all
    {%- for number in range(1, last_round) %}
        select
            {{ kept }},
            solar_q
        from round_{{ number }}
        where not ({{ is_open() }})
        union all
    {%- endfor %}
    select
        {{ kept }},
        solar_q
    from round_{{ last_round }}
),

remains as (
    select
        tenant_id,
        day_number,
        interval_number,
        sum(solar_q) as solar_q,
        max(case when is_hybrid and solar_q < usable_q and share_q > 0 then 1 else 0 end) as is_wanting
    from shared
    group by tenant_id, day_number, interval_number
),

day_plans as (
    select distinct
        tenant_id,
        day_number,
        rate_plan_id
    from entitled
    where rate_plan_id is not null
),

-- Price of a kWh with tax, by local wall clock and kind of day; NULL without a rate plan.
prices as (
    select
        intervals.tenant_id,
        intervals.day_number,
        intervals.interval_number,
        day_plans.rate_plan_id,
        max(case when bands.charge = 'solar' then bands.price end) as solar_price,
        max(case when bands.charge = 'grid' then bands.price end) as grid_price,
        max(case when bands.charge = 'solar' then bands.unit_amount end) as solar_unit_amount
    from intervals
    inner join day_plans
        on
            intervals.tenant_id = day_plans.tenant_id
            and intervals.day_number = day_plans.day_number
    inner join bands
        on
            day_plans.tenant_id = bands.tenant_id
            and day_plans.rate_plan_id = bands.rate_plan_id
            and intervals.reading_date >= bands.valid_from
            and intervals.reading_date < coalesce(bands.valid_to, date '9999-12-31')
            and {{ minute_of_day('intervals.local_ts') }} >= bands.minutes_from
            and {{ minute_of_day('intervals.local_ts') }} < bands.minutes_to
            and bands.day_kind
            = case when {{ iso_day_of_week('intervals.reading_date') }} >= 6 then 'weekend' else 'weekday' end
    group by
        intervals.tenant_id,
        intervals.day_number,
        intervals.interval_number,
        day_plans.rate_plan_id
),

closed as (
    select
        intervals.*,
        remains.solar_q * {{ billionth() }} as solar_kwh,
        remains.is_wanting
    from intervals
    inner join remains
        on
            intervals.tenant_id = remains.tenant_id
            and intervals.day_number = remains.day_number
            and intervals.interval_number = remains.interval_number
),

-- NULL where the interval is incomplete: nothing is shared out there.
settled as (
    select
        shared.tenant_id,
        entitled.property_id,
        closed.reading_date,
        closed.interval_started_at,
        closed.interval_seconds,
        entitled.participant_id,
        closed.allocation_method,
        closed.is_complete,
        closed.is_revised,
        shared.load_kwh,
        shared.estimated_kwh,
        case when closed.is_complete then shared.solar_q * {{ billionth() }} end as solar_kwh,
        case when entitled.is_common then closed.generation_kwh end as generation_kwh,
        case when entitled.is_common and closed.is_complete then closed.generation_kwh - closed.solar_kwh end
            as surplus_kwh,
        prices.solar_unit_amount,
        prices.solar_price,
        prices.grid_price,
        case when closed.is_complete then closed.is_wanting = 1 and closed.generation_kwh > closed.solar_kwh end
            as is_left_over
    from shared
    inner join closed
        on
            shared.tenant_id = closed.tenant_id
            and shared.day_number = closed.day_number
            and shared.interval_number = closed.interval_number
    inner join entitled
        on
            shared.tenant_id = entitled.tenant_id
            and shared.day_number = entitled.day_number
            and shared.participant_number = entitled.participant_number
    left join prices
        on
            shared.tenant_id = prices.tenant_id
            and shared.day_number = prices.day_number
            and shared.interval_number = prices.interval_number
            and entitled.rate_plan_id = prices.rate_plan_id
)

select
    tenant_id,
    property_id,
    reading_date,
    interval_started_at,
    interval_seconds,
    participant_id,
    allocation_method,
    is_complete,
    is_revised,
    {{ as_energy('load_kwh') }} as load_kwh,
    {{ as_energy('estimated_kwh') }} as estimated_kwh,
    {{ as_energy('solar_kwh') }} as solar_kwh,
    {{ as_energy('load_kwh - solar_kwh') }} as grid_kwh,
    {{ as_energy('generation_kwh') }} as generation_kwh,
    {{ as_energy('surplus_kwh') }} as surplus_kwh,
    {{ as_decimal('solar_kwh * solar_unit_amount', 20, 9) }} as solar_revenue_amount,
    {{ as_decimal('solar_kwh * solar_price', 20, 9) }} as solar_amount,
    {{ as_decimal('solar_kwh * grid_price', 20, 9) }} as solar_at_grid_price_amount,
    is_left_over
from settled
