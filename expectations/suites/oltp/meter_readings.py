"""Gate A for `myproperty.meter_readings`: the readings of the dates, checked in the OLTP database.

The engine counts what is wrong, in one row for each tenant, meter, channel and reading date, and the rules
check these counts. A million readings cost one scan, and the sample of a broken rule names the meter and the
date that the person on call needs. `data.ingest.rules.judge` has the rules on the rows of a file.
"""

from datetime import date

import pandas as pd

from data.landing.quality import SENDER_DATES, SENDER_DAYS
from expectations.frames import read_oltp
from expectations.rules import GateRule, GateSuite, is_absent, is_between, is_zero

# A module can exceed its nameplate for moments (cold, edge of cloud), but not over a whole interval.
CAPACITY_MARGIN = "1.2"
ENERGY_UNITS = ("kWh", "Wh", "MWh")
# Days of 23 and 25 hours have daily readings of their own length.
INTERVALS = (60, 300, 600, 900, 1800, 3600, 82800, 86400, 90000)
ONE_DIRECTION = ("import", "export", "generation", "consumption")
QUALITIES = ("actual", "edited", "estimated", "null")

_ID_COLUMNS = ("tenant_id", "meter_id", "channel", "reading_date")
_REINGEST = (
    "Ask the sender for a corrected file, or correct the mapping: `myproperty ingest FILE --tenant T`. Then "
    "`myproperty run --from {first} --to {last}`. A load refuses such a value: look for what wrote it."
)
# Each counts wrong readings in the column of its condition.
_COUNT_RULES = (
    GateRule(
        "A-READINGS-002",
        is_zero("rows_without_quality"),
        "every reading has a quality: actual, edited, estimated or null",
        _REINGEST,
    ),
    GateRule(
        "A-READINGS-003",
        is_zero("rows_null_mismatch"),
        "a reading has quality null if and only if it has no value",
        _REINGEST,
    ),
    GateRule(
        "A-READINGS-004",
        is_zero("negative_rows"),
        "a value on a channel of one direction is not below 0",
        _REINGEST,
    ),
    GateRule(
        "A-READINGS-005",
        is_zero("rows_kwh_mismatch"),
        "value_kwh is NULL only without a value or with a unit that is not energy",
        _REINGEST,
    ),
    GateRule(
        "A-READINGS-006",
        is_zero("future_rows"),
        "a reading does not start in the future",
        "Check the clock and zone of the meter's file: `myproperty inspect FILE`. Then load the "
        "corrected file, `myproperty ingest FILE --tenant T`.",
    ),
    GateRule(
        "A-READINGS-007",
        is_zero("wrong_date_rows"),
        "reading_date is the local date in the meter's timezone",
        "Check `meters.timezone`: if it was changed by mistake, change it back, then `myproperty run "
        "--from {first} --to {last}`. If it was wrong before, load the meter's files again.",
    ),
    GateRule(
        "A-READINGS-008",
        is_zero("wrong_interval_rows"),
        "the interval has a length that meters use",
        _REINGEST,
    ),
    GateRule(
        "A-READINGS-009",
        is_zero("duplicate_rows"),
        "each meter, channel and instant has one reading",
        "Check that the partition of this date has its primary key: `myproperty partitions list`.",
    ),
    GateRule(
        "A-READINGS-010",
        is_zero("unknown_meter_rows"),
        "every reading belongs to a meter and property of its tenant",
        "Create the meter, or remove the readings.",
    ),
    GateRule(
        "A-READINGS-011",
        is_zero("implausible_rows"),
        f"generation of an interval is not above {CAPACITY_MARGIN} x the property's solar capacity, but for "
        "meters that a severe issue holds back",
        "Check the unit of the file (Wh read as kWh?), `myproperty inspect FILE`, and "
        "`properties.solar_capacity_kw`. Then `myproperty run --from {first} --to {last}`.",
    ),
)
COUNTS = tuple(rule.condition.arguments["column"] for rule in _COUNT_RULES)
COLUMNS = (*_ID_COLUMNS, "rows", *COUNTS, "uncovered_seconds", "silent_sender")

SUITE = GateSuite(
    gate="A",
    table="meter_readings",
    id_columns=_ID_COLUMNS,
    # The ledger says which dates must have rows (A-READINGS-001); a range of dates may have none.
    rows_required=False,
    rules=(
        GateRule(
            "A-READINGS-001",
            is_between("rows", 1, None),
            "a date that the ledger says was loaded has readings",
            "Look at `myproperty partitions list`: restore an archived date first, `myproperty partitions "
            "restore DATE`, or leave it out of the run. Otherwise look at `ingestion_job_dates`: was the "
            "partition dropped after the load?",
        ),
        *_COUNT_RULES,
        GateRule(
            "A-READINGS-012",
            is_between("uncovered_seconds", 0, None),
            "the intervals of a meter and channel cover no more than the local day",
            "The day was loaded with two interval lengths: find the two jobs and retire the wrong one.",
        ),
        GateRule(
            "A-READINGS-013",
            is_absent("silent_sender"),
            f"each tenant's files of a format that came for {SENDER_DATES} of the {SENDER_DAYS} dates before "
            "came for this date too",
            "Look for the file in the inbox and the archive, and ask the sender for it. The marts show the "
            "date without it, as missing intervals; when the file comes, the date is built again.",
            severity="warn",
        ),
    ),
)

# `now()` is the start of the transaction, so one clock is used for all readings.
PROFILE = f"""
with held as (
    select distinct i.tenant_id, i.meter_id, i.reading_date
    from myproperty.reading_issues as i
    where i.reading_date >= %(start)s and i.reading_date < %(end)s
      and i.severity = 'severe' and i.status = 'open' and i.meter_id is not null
),
profile as (
    select
        r.tenant_id, r.meter_id, r.channel, r.reading_date,
        count(*) as rows,
        count(*) filter (where r.quality is null or r.quality <> all (%(qualities)s)) as rows_without_quality,
        count(*) filter (where (r.value_native is null) <> (r.quality = 'null')) as rows_null_mismatch,
        count(*) filter (where r.value_native < 0 and r.channel = any (%(one_direction)s)) as negative_rows,
        count(*) filter (
            where (r.value_kwh is null) <> (r.value_native is null or r.unit <> all (%(energy_units)s))
        ) as rows_kwh_mismatch,
        count(*) filter (where r.reading_ts > now()) as future_rows,
        count(*) filter (
            where (r.reading_ts at time zone m.timezone)::date <> r.reading_date
        ) as wrong_date_rows,
        count(*) filter (
            where r.interval_seconds is null or r.interval_seconds <> all (%(intervals)s)
        ) as wrong_interval_rows,
        count(*) - count(distinct r.reading_ts) as duplicate_rows,
        count(*) filter (where p.id is null) as unknown_meter_rows,
        count(*) filter (
            where r.channel = 'generation' and h.meter_id is null
              and r.value_kwh > p.solar_capacity_kw * r.interval_seconds / 3600 * {CAPACITY_MARGIN}
        ) as implausible_rows,
        coalesce(sum(r.interval_seconds), 0) as covered_seconds,
        min(m.timezone) as timezone
    from myproperty.meter_readings as r
    left join myproperty.meters as m on m.tenant_id = r.tenant_id and m.id = r.meter_id
    left join myproperty.properties as p on p.tenant_id = m.tenant_id and p.id = m.property_id
    left join held as h
        on h.tenant_id = r.tenant_id and h.meter_id = r.meter_id and h.reading_date = r.reading_date
    where r.reading_date >= %(start)s and r.reading_date < %(end)s
    group by r.tenant_id, r.meter_id, r.channel, r.reading_date
),
ledger as (
    select distinct d.tenant_id, d.reading_date
    from myproperty.ingestion_job_dates as d
    inner join myproperty.ingestion_jobs as j on j.tenant_id = d.tenant_id and j.id = d.ingestion_job_id
    where d.reading_date >= %(start)s and d.reading_date < %(end)s and d.readings > 0 and j.status = 'loaded'
),
sent as (
    select distinct d.tenant_id, j.format, d.reading_date
    from myproperty.ingestion_job_dates as d
    inner join myproperty.ingestion_jobs as j on j.tenant_id = d.tenant_id and j.id = d.ingestion_job_id
    where d.reading_date >= %(start)s::date - {SENDER_DAYS} and d.reading_date < %(end)s
      and j.status = 'loaded' and j.format <> 'estimation'
),
silent as (
    select s.tenant_id, s.format, d.day::date as reading_date, max(s.reading_date) as last_sent
    from generate_series(%(start)s::date, %(end)s::date - 1, interval '1 day') as d (day)
    inner join sent as s on s.reading_date < d.day and s.reading_date >= d.day::date - {SENDER_DAYS}
    where not exists (
        select from sent as t
        where t.tenant_id = s.tenant_id and t.format = s.format and t.reading_date = d.day
    )
    group by s.tenant_id, s.format, d.day
    having count(*) >= {SENDER_DATES}
)
select
    coalesce(p.tenant_id, l.tenant_id)::text as tenant_id,
    p.meter_id::text as meter_id,
    p.channel,
    coalesce(p.reading_date, l.reading_date)::text as reading_date,
    coalesce(p.rows, 0) as rows,
    {", ".join(f"coalesce(p.{column}, 0) as {column}" for column in COUNTS)},
    coalesce(
        extract(epoch from (
            (p.reading_date + 1)::timestamp at time zone p.timezone
            - p.reading_date::timestamp at time zone p.timezone
        ))::bigint - p.covered_seconds,
        0
    ) as uncovered_seconds,
    null as silent_sender
from profile as p
full join ledger as l on l.tenant_id = p.tenant_id and l.reading_date = p.reading_date
union all
select
    tenant_id::text, null, null, reading_date::text, null,
    {", ".join("0" for _ in COUNTS)},
    0,
    format || ', last for ' || last_sent
from silent
order by 1, 4, 2, 3
"""  # noqa: S608 - filled in with constants of this module alone


def read_profile(dsn: str, start: date, end: date) -> pd.DataFrame:
    """Count the readings of reading dates in [start, end) and return `COLUMNS`.

    A loaded date without readings has a row with 0 `rows`. A sender that is silent on a date has a row with
    its format and the last date that it sent for, and without `rows`. Raises psycopg.Error.
    """
    params = {
        "start": start,
        "end": end,
        "qualities": list(QUALITIES),
        "one_direction": list(ONE_DIRECTION),
        "energy_units": list(ENERGY_UNITS),
        "intervals": list(INTERVALS),
    }
    return read_oltp(dsn, PROFILE, params, COLUMNS)
