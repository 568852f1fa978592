-- No join may lose or double energy: fact, with held energy, and readings have equal sums per tenant, meter, channel
-- and day.
with readings as (
    select
        tenant_id,
        meter_id,
        channel,
        reading_date,
        count(*) as intervals,
        sum(value_kwh) as energy_kwh
    from {{ ref('stg_oltp__meter_readings') }}
    where
        channel in ('import', 'export', 'generation', 'consumption')
        and unit in ('kWh', 'Wh', 'MWh')
    group by tenant_id, meter_id, channel, reading_date
),

usage as (
    select
        energy.tenant_id,
        meters.meter_id,
        energy.channel,
        energy.reading_date,
        count(*) as intervals,
        sum(coalesce(energy.value_kwh, energy.held_kwh)) as energy_kwh
    from {{ ref('fact_energy_usage') }} as energy
    left join {{ ref('dim_meter') }} as meters
        on
            energy.tenant_id = meters.tenant_id
            and energy.meter_key = meters.meter_key
    where {{ in_range('energy.reading_date') }}
    group by energy.tenant_id, meters.meter_id, energy.channel, energy.reading_date
)

select
    coalesce(readings.tenant_id, usage.tenant_id) as tenant_id,
    coalesce(readings.meter_id, usage.meter_id) as meter_id,
    coalesce(readings.channel, usage.channel) as channel,
    coalesce(readings.reading_date, usage.reading_date) as reading_date,
    readings.energy_kwh as readings_kwh,
    usage.energy_kwh as fact_kwh
from readings
full outer join usage
    on
        readings.tenant_id = usage.tenant_id
        and readings.meter_id = usage.meter_id
        and readings.channel = usage.channel
        and readings.reading_date = usage.reading_date
where
    coalesce(readings.intervals, 0) != coalesce(usage.intervals, 0)
    or coalesce(readings.energy_kwh, -1) != coalesce(usage.energy_kwh, -1)
