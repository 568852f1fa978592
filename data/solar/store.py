"""Compute the reference yields of all arrays for given dates and store them in the operational database.

Here: arrays with the required data, and their rows. Not here: the physics (`reference`).
"""

from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row

from data.solar.reference import (
    INTERVAL_SECONDS,
    METHOD,
    SolarArray,
    compute_reference_yield,
    get_method_version,
)
from myproperty.database.roles import ETL_ROLE

# An array without location or position has no reference, so its performance ratio is unknown.
ARRAYS = """
select a.tenant_id, a.id, a.capacity_kw::float8 as capacity_kw, a.tilt_degrees::float8 as tilt,
       a.azimuth_degrees::float8 as azimuth, p.timezone,
       (p.metadata ->> 'latitude')::float8 as latitude, (p.metadata ->> 'longitude')::float8 as longitude,
       greatest(lower(a.in_service_during), %(start)s) as first,
       least(upper(a.in_service_during), %(end)s) as end
from myproperty.solar_assets as a
join myproperty.properties as p on p.tenant_id = a.tenant_id and p.id = a.property_id
where a.kind = 'array' and a.status <> 'planned'
  and a.in_service_during && daterange(%(start)s, %(end)s)
  and a.tilt_degrees is not null and a.azimuth_degrees is not null
  and jsonb_typeof(p.metadata -> 'latitude') = 'number'
  and jsonb_typeof(p.metadata -> 'longitude') = 'number'
order by a.tenant_id, a.id
"""
COMPUTED = """
create temporary table computed (
    tenant_id uuid, solar_asset_id uuid, reading_ts timestamptz, reading_date date, interval_seconds integer,
    irradiation_kwh_per_m2 numeric(20, 9), expected_kwh numeric(20, 9), method text, method_version text
) on commit drop
"""
# Equal rows stay unchanged, so a second run changes nothing. Rows of removed arrays are deleted.
MERGE = """
merge into myproperty.solar_reference_yields as r
using computed as c
    on r.tenant_id = c.tenant_id and r.solar_asset_id = c.solar_asset_id and r.reading_ts = c.reading_ts
when matched and (
    r.reading_date, r.interval_seconds, r.irradiation_kwh_per_m2, r.expected_kwh, r.method, r.method_version
) is distinct from (
    c.reading_date, c.interval_seconds, c.irradiation_kwh_per_m2, c.expected_kwh, c.method, c.method_version
) then update set
    reading_date = c.reading_date, interval_seconds = c.interval_seconds,
    irradiation_kwh_per_m2 = c.irradiation_kwh_per_m2, expected_kwh = c.expected_kwh,
    method = c.method, method_version = c.method_version
when not matched then insert (
    tenant_id, solar_asset_id, reading_ts, reading_date, interval_seconds, irradiation_kwh_per_m2,
    expected_kwh, method, method_version
) values (
    c.tenant_id, c.solar_asset_id, c.reading_ts, c.reading_date, c.interval_seconds, c.irradiation_kwh_per_m2,
    c.expected_kwh, c.method, c.method_version
)
when not matched by source and r.reading_date >= %(start)s and r.reading_date < %(end)s then delete
"""
COPY = "copy computed from stdin"
Row = tuple[Any, Any, Any, date, int, Decimal, Decimal, str, str]


def write_reference_yields(dsn: str, start: date, end: date) -> int:
    """Replace the reference yields of reading dates in [start, end) and return the number of rows.

    One transaction; raises `psycopg.Error`.
    """
    dates = {"start": start, "end": end}
    version = get_method_version()
    with psycopg.connect(dsn) as connection:
        connection.execute(f"set local role {ETL_ROLE}")
        arrays = connection.cursor(row_factory=dict_row).execute(ARRAYS, dates).fetchall()
        connection.execute(COMPUTED)
        rows = 0
        with connection.cursor().copy(COPY) as stream:
            for found in arrays:
                for row in _compute_rows(found, version):
                    stream.write_row(row)
                    rows += 1
        connection.execute(MERGE, dates)
    return rows


def _compute_rows(found: dict[str, Any], version: str) -> list[Row]:
    array = SolarArray(
        **{
            name: found[name]
            for name in ("latitude", "longitude", "timezone", "tilt", "azimuth", "capacity_kw")
        }
    )
    series = compute_reference_yield(array, found["first"], found["end"])
    return [
        (found["tenant_id"], found["id"], at, day, INTERVAL_SECONDS, irradiation, expected, METHOD, version)
        for at, day, irradiation, expected in series.itertuples(index=False, name=None)
    ]
