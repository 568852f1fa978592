"""Gate D for `staging.candidate_roi_monthly`: forecast and realised months are sound.

Tests prove the formulas. `candidate_roi_summary` checks the returns over the lifetime.
"""

from expectations.rules import GateRule, WarehouseSuite, are_unique, is_between, is_not_above

# Three amounts are rounded to cents.
_ROUNDING = 0.015
# A year of sun differs by a few percent and a month by a third; a wrong unit by ten or a thousand.
_MOST_TIMES = 3
_REBUILD = (
    "`myproperty run --from {first} --to {last}` builds the dates again. If it fails again, "
    "look at the joins of int_roi__days and candidate_roi_monthly."
)

SUITE = WarehouseSuite(
    table="candidate_roi_monthly",
    id_columns=("tenant_id", "appraisal_id", "month_date"),
    # Read whole: a month has many reading dates. The fact is a second source of the feed-in revenue, and has
    # more of it where a day lacks too many intervals or the plan is in another currency.
    sql="""
select c.tenant_id, c.appraisal_id, cast(c.month_date as $text) as month_date,
       case when c.forecast_generation_kwh is not null then c.realised_days end as realised_days, c.days,
       coalesce(c.revenue_amount, 0) - coalesce(c.owner_revenue_amount, 0) - coalesce(c.feed_in_amount, 0)
           as revenue_difference,
       coalesce(c.feed_in_amount, 0) - coalesce(f.feed_in_amount, 0) as feed_in_excess,
       case when c.realised_days >= 28 and c.expected_generation_kwh > 0
           then c.generation_kwh / c.expected_generation_kwh end as generation_ratio
from ${prefix}staging.candidate_roi_monthly as c
left join (
    select a.tenant_id, a.appraisal_id, extract(year from d.reading_date) as year_number,
           extract(month from d.reading_date) as month_number, sum(d.feed_in_amount) as feed_in_amount
    from ${prefix}staging.stg_oltp__solar_appraisals as a
    inner join ${prefix}core.fact_energy_daily as d
        on d.tenant_id = a.tenant_id and d.property_id = a.property_id and d.reading_date >= a.valid_from
        and d.reading_date < coalesce(a.valid_to, date '9999-12-31')
    where d.reading_date >= date '2000-01-01' and d.reading_date < date '2200-01-01'
    group by a.tenant_id, a.appraisal_id, extract(year from d.reading_date),
             extract(month from d.reading_date)
) as f
    on f.tenant_id = c.tenant_id and f.appraisal_id = c.appraisal_id
    and f.year_number = extract(year from c.month_date) and f.month_number = extract(month from c.month_date)
""",
    floats=("realised_days", "days", "revenue_difference", "feed_in_excess", "generation_ratio"),
    rules=(
        GateRule(
            "D-MONTH-001",
            are_unique(["tenant_id", "appraisal_id", "month_date"]),
            "each tenant, appraisal and month has one row",
            _REBUILD,
        ),
        GateRule(
            "D-MONTH-002",
            is_not_above("realised_days", "days"),
            "no more days have readings than the month has under the appraisal",
            _REBUILD,
        ),
        GateRule(
            "D-MONTH-003",
            is_between("revenue_difference", -_ROUNDING, _ROUNDING),
            "revenue is that from residents and that from feed-in",
            _REBUILD,
        ),
        GateRule(
            "D-MONTH-004",
            is_between("feed_in_excess", None, _ROUNDING),
            "feed-in revenue is not above that of the days in the fact",
            _REBUILD,
        ),
        GateRule(
            "D-MONTH-005",
            is_between("generation_ratio", 0, _MOST_TIMES),
            "a month's generation is at most three times what the appraisal expects",
            "Compare first_year_kwh and monthly_shares in myproperty.solar_appraisals with the readings.",
            severity="warn",
        ),
    ),
)
