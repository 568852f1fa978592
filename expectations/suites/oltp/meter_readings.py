"""Gate A for `myproperty.meter_readings`: the readings of the dates, judged where they are.

The engine makes a profile, one row a tenant, meter, channel and reading date, that counts what is wrong; the
rules are over that profile. So a million readings cost one scan, and the sample of a broken rule names the
meter and the day, which is what the person on call needs. Rules on a file's own
rows are in `data.ingest.rules.judge`.
"""

from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from expectations.frames import oltp_frame
from expectations.rules import Rule, suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

GATE, TABLE = "A", "meter_readings"
ID_COLUMNS = ("tenant_id", "meter_id", "channel", "reading_date")
# The ledger says which dates must have rows (A-READINGS-001); a range may have none.
ROWS_REQUIRED = False
# A module can give more than its nameplate for moments (cold, edge of cloud), never over a whole interval.
CAPACITY_MARGIN = "1.2"
ENERGY_UNITS = ("kWh", "Wh", "MWh")
# Days of 23 and 25 hours have daily readings of their own length.
INTERVALS = (60, 300, 600, 900, 1800, 3600, 82800, 86400, 90000)
ONE_DIRECTION = ("import", "export", "generation", "consumption")
QUALITIES = ("actual", "edited", "estimated", "null")

_REINGEST = (
    "Look at the job that loaded this date (`ingestion_job_id`), mend the file or its mapping"
    " and ingest it again."
)
_COUNTS: dict[str, Rule] = {
    "rows_without_quality": Rule(
        "A-READINGS-002", "every reading has a quality: actual, edited, estimated or null", _REINGEST
    ),
    "rows_null_mismatch": Rule(
        "A-READINGS-003", "a reading without value has quality null, and only such a reading", _REINGEST
    ),
    "negative_rows": Rule("A-READINGS-004", "no value below 0 on a channel of one direction", _REINGEST),
    "rows_kwh_mismatch": Rule(
        "A-READINGS-005",
        "value_kwh is NULL only where there is no value or the unit is not energy",
        _REINGEST,
    ),
    "future_rows": Rule(
        "A-READINGS-006",
        "no reading starts in the future",
        "Check the clock and zone of the meter's file, then ingest it again.",
    ),
    "wrong_date_rows": Rule(
        "A-READINGS-007",
        "reading_date is the local date in the meter's timezone",
        "Check `meters.timezone`; when it was changed, ingest the meter's files again.",
    ),
    "wrong_interval_rows": Rule("A-READINGS-008", "the interval length is one that meters have", _REINGEST),
    "duplicate_rows": Rule(
        "A-READINGS-009",
        "one reading a meter, channel and instant",
        "Check that the partition of this date has its primary key.",
    ),
    "unknown_meter_rows": Rule(
        "A-READINGS-010",
        "every reading belongs to a meter and property of its tenant",
        "Create the meter, or remove the readings.",
    ),
    "implausible_rows": Rule(
        "A-READINGS-011",
        f"no interval of generation above {CAPACITY_MARGIN} x the property's solar capacity",
        "Check the unit of the file (Wh read as kWh?) and `properties.solar_capacity_kw`.",
    ),
}
_ROWS_RULE = Rule(
    "A-READINGS-001",
    "a date that the ledger says was loaded has readings",
    "Look at `myproperty partitions list`: an archived date is restored first, or left out of the run. "
    "Otherwise look at `ingestion_job_dates`: was the partition dropped after the load?",
)
_OVERLAP_RULE = Rule(
    "A-READINGS-012",
    "the intervals of a meter and channel cover no more than the local day",
    "The day was loaded under two interval lengths: find the two jobs and retire the wrong one.",
)
COLUMNS = (*ID_COLUMNS, "rows", *_COUNTS, "uncovered_seconds")

# `now()` is the start of the transaction: all readings are judged by one clock.
PROFILE = f"""
with profile as (
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
            where r.channel = 'generation'
              and r.value_kwh > p.solar_capacity_kw * r.interval_seconds / 3600 * {CAPACITY_MARGIN}
        ) as implausible_rows,
        coalesce(sum(r.interval_seconds), 0) as covered_seconds,
        min(m.timezone) as timezone
    from myproperty.meter_readings as r
    left join myproperty.meters as m on m.tenant_id = r.tenant_id and m.id = r.meter_id
    left join myproperty.properties as p on p.tenant_id = m.tenant_id and p.id = m.property_id
    where r.reading_date >= %(start)s and r.reading_date < %(end)s
    group by r.tenant_id, r.meter_id, r.channel, r.reading_date
),
ledger as (
    select distinct d.tenant_id, d.reading_date
    from myproperty.ingestion_job_dates as d
    inner join myproperty.ingestion_jobs as j on j.tenant_id = d.tenant_id and j.id = d.ingestion_job_id
    where d.reading_date >= %(start)s and d.reading_date < %(end)s and d.readings > 0 and j.status = 'loaded'
)
select
    coalesce(p.tenant_id, l.tenant_id)::text as tenant_id,
    p.meter_id::text as meter_id,
    p.channel,
    coalesce(p.reading_date, l.reading_date)::text as reading_date,
    coalesce(p.rows, 0) as rows,
    {", ".join(f"coalesce(p.{column}, 0) as {column}" for column in _COUNTS)},
    coalesce(
        extract(epoch from (
            (p.reading_date + 1)::timestamp at time zone p.timezone
            - p.reading_date::timestamp at time zone p.timezone
        ))::bigint - p.covered_seconds,
        0
    ) as uncovered_seconds
from profile as p
full join ledger as l on l.tenant_id = p.tenant_id and l.reading_date = p.reading_date
order by 1, 4, 2, 3
"""  # noqa: S608 - the names filled in are constants of this module


def profile(dsn: str, start: date, end: date) -> pd.DataFrame:
    """The profile of reading dates in [start, end), with `COLUMNS`; a loaded date without any has 0."""
    params = {
        "start": start,
        "end": end,
        "qualities": list(QUALITIES),
        "one_direction": list(ONE_DIRECTION),
        "energy_units": list(ENERGY_UNITS),
        "intervals": list(INTERVALS),
    }
    return oltp_frame(dsn, PROFILE, params, COLUMNS)


def build_suite() -> "ExpectationSuite":
    """The rules A-READINGS-001 to 012 over the profile."""
    between = "expect_column_values_to_be_between"
    return suite(
        GATE,
        TABLE,
        [
            _ROWS_RULE.expect(between, column="rows", min_value=1),
            *(
                rule.expect(between, column=column, min_value=0, max_value=0)
                for column, rule in _COUNTS.items()
            ),
            _OVERLAP_RULE.expect(between, column="uncovered_seconds", min_value=0),
        ],
    )
