"""Gate D for `core.fact_energy_usage`: no energy is lost or made between the raw readings and the fact.

The warehouse aggregates both sides per tenant, date and channel; the frame puts them side by side.
What solar figures may be is in `candidate_solar_performance`.
"""

from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from expectations.frames import Warehouse, compare, warehouse_frame
from expectations.rules import Rule, suite
from expectations.suites.equality import same

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

GATE, TABLE = "D", "fact_energy_usage"
ID_COLUMNS = ("tenant_id", "reading_date", "channel")
ROWS_REQUIRED = False
MEASURES = ("row_count", "value_kwh")
COUNTS = ("duplicate_rows", "negative_rows", "rows_without_quality")

_REBUILD = (
    "Run the same dates again; if it fails again, compare the fact's SQL and joins with raw.meter_readings."
)
RULES = {
    "sides": Rule("D-FACT-001", "every tenant, date and channel of energy in raw is in the fact", _REBUILD),
    "row_count": Rule("D-FACT-002", "the fact has as many energy readings as raw", _REBUILD),
    "value_kwh": Rule("D-FACT-003", "energy of the fact equals energy of raw", _REBUILD),
    "duplicate_rows": Rule("D-FACT-004", "one row a tenant, meter, channel and instant", _REBUILD),
    "negative_rows": Rule("D-FACT-005", "no energy below 0", _REBUILD),
    "rows_without_quality": Rule("D-FACT-006", "every row has a quality", _REBUILD),
}

RAW = """
select tenant_id, cast(reading_date as $text) as reading_date, channel,
       count(*) as row_count, coalesce(sum(value_kwh), 0) as value_kwh
from ${prefix}raw.meter_readings
where reading_date >= $start and reading_date < $end and unit in ('kWh', 'Wh', 'MWh')
  and channel in ('import', 'export', 'generation', 'consumption')
group by tenant_id, reading_date, channel
"""
FACT = """
select tenant_id, cast(reading_date as $text) as reading_date, channel,
       sum(same_key) as row_count, coalesce(sum(value_kwh), 0) as value_kwh,
       sum(same_key - 1) as duplicate_rows, sum(negative) as negative_rows,
       sum(without_quality) as rows_without_quality
from (
    select tenant_id, reading_date, channel, meter_id, reading_ts,
           count(*) as same_key, sum(value_kwh) as value_kwh,
           sum(case when value_kwh < 0 then 1 else 0 end) as negative,
           sum(case when quality is null then 1 else 0 end) as without_quality
    from ${prefix}core.fact_energy_usage
    where reading_date >= $start and reading_date < $end
    group by tenant_id, reading_date, channel, meter_id, reading_ts
) as keyed
group by tenant_id, reading_date, channel
"""


def judged(raw: pd.DataFrame, fact: pd.DataFrame) -> pd.DataFrame:
    """Both aggregates side by side, with the counts of the fact (0 where the fact has no such row)."""
    both = compare(raw, fact, ID_COLUMNS, MEASURES)
    counts = fact[[*ID_COLUMNS, *COUNTS]].astype(dict.fromkeys(ID_COLUMNS, str))
    both = both.merge(counts, on=list(ID_COLUMNS), how="left")
    both[list(COUNTS)] = both[list(COUNTS)].fillna(0).astype("int64")
    both["rows"] = [0 if count == "missing" else int(count) for count in both["source_row_count"]]
    return both


def profile(warehouse: Warehouse, start: date, end: date, prefix: str = "") -> pd.DataFrame:
    """The frame of reading dates in [start, end)."""
    return judged(
        warehouse_frame(warehouse, RAW, start=start, end=end, prefix=prefix),
        warehouse_frame(warehouse, FACT, start=start, end=end, prefix=prefix),
    )


def build_suite() -> "ExpectationSuite":
    """The rules D-FACT-001 to 006."""
    expectations = [
        RULES["sides"].expect("expect_column_values_to_be_in_set", column="on_both_sides", value_set=[True])
    ]
    expectations += [same(measure, RULES[measure]) for measure in MEASURES]
    expectations += [
        RULES[column].expect("expect_column_values_to_be_between", column=column, min_value=0, max_value=0)
        for column in COUNTS
    ]
    return suite(GATE, TABLE, expectations)
