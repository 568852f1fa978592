"""Gate D for `core.fact_energy_usage`: the fact has exactly the energy of the raw readings.

Energy of meters that are held back is compared apart.

The warehouse sums both for each tenant, date and channel, and the frame puts them side by side.
`candidate_solar_performance` checks solar figures.
"""

from expectations.rules import GateRule, WarehouseSuite, equals_source, is_true, is_zero

_REBUILD = (
    "`myproperty reload meter_readings --from {first} --to {last}`, then `myproperty run --from {first} "
    "--to {last}`. If it fails again, compare the fact's SQL and joins with raw.meter_readings."
)

SUITE = WarehouseSuite(
    table="fact_energy_usage",
    schema="core",
    id_columns=("tenant_id", "reading_date", "channel"),
    is_dated=True,
    source_sql="""
select r.tenant_id, cast(r.reading_date as $text) as reading_date, r.channel,
       count(*) as row_count,
       coalesce(sum(case when h.meter_id is null then r.value_kwh end), 0) as value_kwh,
       coalesce(sum(case when h.meter_id is not null then r.value_kwh end), 0) as held_kwh
from ${prefix}raw.meter_readings as r
left join (
    select distinct tenant_id, meter_id, reading_date
    from ${prefix}raw.reading_issues
    where reading_date >= $start and reading_date < $end and severity = 'severe' and status = 'open'
) as h
    on h.tenant_id = r.tenant_id and h.meter_id = r.meter_id and h.reading_date = r.reading_date
where r.reading_date >= $start and r.reading_date < $end and r.unit in ('kWh', 'Wh', 'MWh')
  and r.channel in ('import', 'export', 'generation', 'consumption')
group by r.tenant_id, r.reading_date, r.channel
""",
    sql="""
select tenant_id, cast(reading_date as $text) as reading_date, channel,
       sum(same_key) as row_count, coalesce(sum(value_kwh), 0) as value_kwh,
       coalesce(sum(held_kwh), 0) as held_kwh,
       sum(same_key - 1) as duplicate_rows, sum(negative) as negative_rows,
       sum(without_quality) as rows_without_quality
from (
    select f.tenant_id, f.reading_date, f.channel, m.meter_id, f.reading_ts,
           count(*) as same_key, sum(f.value_kwh) as value_kwh,
           sum(f.held_kwh) as held_kwh,
           sum(case when coalesce(f.value_kwh, f.held_kwh) < 0 then 1 else 0 end) as negative,
           sum(case when f.quality is null then 1 else 0 end) as without_quality
    from ${prefix}core.fact_energy_usage as f
    left join ${prefix}core.dim_meter as m on m.tenant_id = f.tenant_id and m.meter_key = f.meter_key
    where f.reading_date >= $start and f.reading_date < $end
    group by f.tenant_id, f.reading_date, f.channel, m.meter_id, f.reading_ts
) as keyed
group by tenant_id, reading_date, channel
""",
    measures=("row_count", "value_kwh", "held_kwh"),
    counts=("duplicate_rows", "negative_rows", "rows_without_quality"),
    rules=(
        GateRule(
            "D-FACT-001",
            is_true("on_both_sides"),
            "every tenant, date and channel with energy in raw is in the fact",
            _REBUILD,
        ),
        GateRule(
            "D-FACT-002",
            equals_source("row_count"),
            "the fact has as many energy readings as raw",
            _REBUILD,
        ),
        GateRule(
            "D-FACT-003",
            equals_source("value_kwh"),
            "energy of the fact equals energy of raw without the meters that are held back",
            _REBUILD,
        ),
        GateRule(
            "D-FACT-004",
            is_zero("duplicate_rows"),
            "each tenant, meter, channel and instant has one row",
            _REBUILD,
        ),
        GateRule("D-FACT-005", is_zero("negative_rows"), "energy is not below 0", _REBUILD),
        GateRule("D-FACT-006", is_zero("rows_without_quality"), "every row has a quality", _REBUILD),
        GateRule(
            "D-FACT-007",
            equals_source("held_kwh"),
            "energy that the fact holds back equals energy in raw of meters with an open severe issue",
            _REBUILD,
        ),
    ),
)
