"""Compute the cost of each interval with pandas."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import pandas as pd
import psycopg
from psycopg.rows import dict_row

from data.demo.company import list_tenants
from myproperty import engines
from tests.end_to_end.support import Platform
from tests.wide_usage import WIDE_USAGE

BANDS = """
select a.tenant_id::text as tenant_id, a.unit_id::text as unit_id, lower(a.assigned_during) as assigned_from,
    upper(a.assigned_during) as assigned_to, b.band, b.day_kind, lower(b.minutes_of_day) as first,
    upper(b.minutes_of_day) as last, lower(b.valid_during) as valid_from, upper(b.valid_during) as valid_to,
    b.unit_amount
from myproperty.rate_plan_assignments a
join myproperty.rate_plan_bands b on b.tenant_id = a.tenant_id and b.rate_plan_id = a.rate_plan_id
where b.charge = 'grid'
"""


def check_costs(platform: Platform) -> None:
    """Compare each interval's cost with the OLTP tariffs and Python's wall clock, without dbt."""
    usage = platform.query(
        "select tenant_id, unit_id, property_id, channel, reading_ts, value_kwh, tariff_band, cost_amount "
        f"from {WIDE_USAGE} as u where reading_date >= date '2000-01-01'"
    )
    with psycopg.connect(engines.dsn(platform.settings), row_factory=dict_row) as connection:
        bands = pd.DataFrame(connection.execute(BANDS.encode()).fetchall())
    zones = {str(site.id): site.timezone for tenant in list_tenants("small") for site in tenant.sites}
    parts = []
    for property_id, rows in usage.groupby("property_id"):
        local_ts = rows["reading_ts"].dt.tz_convert(ZoneInfo(zones[str(property_id)]))
        weekend = local_ts.dt.dayofweek >= 5
        parts.append(
            rows.assign(
                day=local_ts.dt.date,
                minute=local_ts.dt.hour * 60 + local_ts.dt.minute,
                day_kind=weekend.map({True: "weekend", False: "weekday"}),
            )
        )
    drawn = pd.concat(parts)
    drawn = drawn[drawn["channel"].isin(["consumption", "import"]) & drawn["unit_id"].notna()].reset_index()
    priced = drawn.merge(bands, on=["tenant_id", "unit_id", "day_kind"])
    ever = date(9999, 1, 1)
    for first, last, value in (
        ("assigned_from", "assigned_to", "day"),
        ("valid_from", "valid_to", "day"),
        ("first", "last", "minute"),
    ):
        end = (
            priced[last] if value == "minute" else priced[last].map(lambda day: ever if pd.isna(day) else day)
        )
        priced = priced[(priced[value] >= priced[first]) & (priced[value] < end)]
    assert len(priced) == len(drawn) > 1000, "each interval has exactly one price"
    assert set(priced["band"]) >= {"peak", "off-peak"}
    assert (priced["band"] == priced["tariff_band"]).all()
    nano = Decimal("0.000000001")
    expected = [
        (kwh * price).quantize(nano, ROUND_HALF_UP)
        for kwh, price in zip(priced["value_kwh"], priced["unit_amount"], strict=True)
    ]
    assert list(priced["cost_amount"]) == expected
    others = usage[~usage["channel"].isin(["consumption", "import"]) | usage["unit_id"].isna()]
    assert others["cost_amount"].isna().all()
