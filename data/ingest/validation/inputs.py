"""The inputs of validation: thresholds, series, readings and register reads, as frames.

The columns of the frames are those of `data.ingest.rules.day_frames`. Not here: which dates are validated
(`due`), the totals of series (`totals`), or any rule.
"""

import datetime
import json
import uuid
from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
from psycopg import sql

from data.ingest.rules.day_frames import DAY as DAY_COLUMNS
from data.ingest.rules.day_frames import SERIES, Thresholds
from data.ingest.rules.dials import compute_differences
from data.ingest.rules.gaps import LIKE_DAY, list_history_dates
from data.ingest.rules.thresholds import OwnThreshold, make_threshold_lookup
from data.ingest.schema import KWH_PER_UNIT_POWER_OF_TEN, TIMESTAMP
from myproperty.database.session import Session
from myproperty.tenants import Tenant

# The source of our own estimates among the readings.
SOURCE = "estimation"
HISTORY_DAYS = 50
# `resolved_by` of an issue that was not found again.
BY_VALIDATION = "validation"
DAY = datetime.timedelta(days=1)


def read_thresholds(session: Session, tenant: Tenant) -> Thresholds:
    """Return the lookup of thresholds, with the tenant's own."""
    rows = session.rows(
        """
        select rule, meter_type, parameters::text, lower(valid_during), upper(valid_during)
        from myproperty.vee_thresholds where tenant_id = $1::uuid order by rule, lower(valid_during)
        """,
        (str(tenant.id),),
    )
    return make_threshold_lookup(
        [OwnThreshold(rule, kind, json.loads(text), first, end) for rule, kind, text, first, end in rows]
    )


_SERIES = pa.schema(
    [
        *((name, pa.string()) for name in ("meter_id", "channel", "identifier", "register", "meter_type")),
        *((name, pa.string()) for name in ("timezone", "property_id", "property_timezone", "unit")),
        *((name, pa.float64()) for name in ("interval_seconds", "latitude", "longitude", "capacity_kw")),
        *((name, pa.float64()) for name in ("rated_kw", "connections")),
        ("is_active", pa.bool_()),
        ("has_battery", pa.bool_()),
        ("measured_from", TIMESTAMP),
        ("measured_until", TIMESTAMP),
    ]
)


def read_series(session: Session, tenant: Tenant) -> pd.DataFrame:
    """Return one row for each configured meter and channel; the place comes from the property's metadata."""
    return _read_frame(
        session,
        """
        with dials as (
            select meter_id, channel, min(read_at) as first_at, max(read_at) as last_at,
                   (array_agg(kind order by read_at, kind))[1] as first_kind,
                   (array_agg(kind order by read_at desc, kind desc))[1] as last_kind
            from myproperty.register_reads where tenant_id = $1::uuid
            group by meter_id, channel
        )
        select r.meter_id::text as meter_id, r.channel, r.identifier, r.register, m.type as meter_type,
               m.timezone, p.id::text as property_id, p.timezone as property_timezone, r.unit,
               r.interval_seconds::float8 as interval_seconds,
               case when jsonb_typeof(p.metadata -> 'latitude') = 'number'
                   then (p.metadata ->> 'latitude')::float8 end as latitude,
               case when jsonb_typeof(p.metadata -> 'longitude') = 'number'
                   then (p.metadata ->> 'longitude')::float8 end as longitude,
               p.solar_capacity_kw::float8 as capacity_kw, m.rated_kw::float8 as rated_kw,
               case when exists (
                   select from myproperty.meter_assignments as a
                   where a.tenant_id = m.tenant_id and a.meter_id = m.id
               ) then 1 else 1 + (
                   select count(*) from myproperty.units as u
                   where u.tenant_id = p.tenant_id and u.property_id = p.id
               ) end::float8 as connections,
               m.status = 'active' as is_active,
               exists (
                   select from myproperty.solar_assets as b
                   where b.tenant_id = p.tenant_id and b.property_id = p.id
                     and b.kind = 'battery' and b.status <> 'planned'
               ) as has_battery,
               case when d.first_kind = 'initial' then d.first_at end as measured_from,
               case when d.last_kind = 'final' then d.last_at end as measured_until
        from myproperty.meter_registers as r
        join myproperty.meters as m on m.tenant_id = r.tenant_id and m.id = r.meter_id
        join myproperty.properties as p on p.tenant_id = m.tenant_id and p.id = m.property_id
        left join dials as d on d.meter_id = r.meter_id and d.channel = r.channel
        where r.tenant_id = $1::uuid
        order by r.meter_id, r.channel
        """,
        _SERIES,
        str(tenant.id),
    )


_READINGS = pa.schema(
    [
        ("meter_id", pa.string()),
        ("channel", pa.string()),
        ("reading_ts", TIMESTAMP),
        ("reading_date", pa.timestamp("us")),
        ("interval_seconds", pa.float64()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("version", pa.int64()),
        ("is_own", pa.bool_()),
        ("is_withdrawn", pa.bool_()),
    ]
)
_READINGS_QUERY = sql.SQL(
    """
    select r.meter_id::text as meter_id, r.channel, r.reading_ts, r.reading_date::timestamp as reading_date,
           r.interval_seconds::float8 as interval_seconds, r.value_native::float8 as value, r.unit,
           r.version::bigint as version, r.source = {source} as is_own,
           coalesce(r.source <> {source} and r.quality <> 'null' and w.withdrawn > r.source_version, false)
               as is_withdrawn
    from myproperty.meter_readings as r
    left join (
        select meter_id, channel, reading_ts, max(source_version) as withdrawn
        from myproperty.meter_reading_versions
        where tenant_id = {tenant} and reading_date = any({dates}) and quality = 'null'
        group by meter_id, channel, reading_ts
    ) as w on w.meter_id = r.meter_id and w.channel = r.channel and w.reading_ts = r.reading_ts
    where r.tenant_id = {tenant} and r.reading_date = any({dates})
      and r.meter_id = any({meters})
    """
)


def read_readings(
    session: Session, tenant: Tenant, dates: Sequence[datetime.date], meters: Sequence[str]
) -> pd.DataFrame:
    """Return the readings of the meters on the dates."""
    if not dates or not meters:
        empty: pd.DataFrame = _READINGS.empty_table().to_pandas()
        return empty
    query = _READINGS_QUERY.format(
        source=sql.Literal(SOURCE),
        tenant=sql.Literal(tenant.id),
        dates=sql.Literal(list(dates)),
        meters=_as_uuids(meters),
    )
    return _read_frame(session, query, _READINGS)


def list_meters(series: pd.DataFrame) -> list[str]:
    """Return the ids of the meters of some series."""
    return sorted(series["meter_id"].unique())


def count_readings(session: Session, tenant: Tenant, dates: Sequence[datetime.date]) -> pd.Series:
    """Return the number of readings on the dates, by `property_id`; also those that totals leave out."""
    rows = session.rows(
        """
        select m.property_id::text, count(*) from myproperty.meter_readings as r
        join myproperty.meters as m on m.tenant_id = r.tenant_id and m.id = r.meter_id
        where r.tenant_id = $1::uuid and r.reading_date = any($2::date[]) group by m.property_id
        """,
        (str(tenant.id), [*dates]),
    )
    return pd.Series(dict(rows), dtype="int64")


def _as_uuids(meters: Sequence[str]) -> sql.Literal:
    return sql.Literal([uuid.UUID(meter) for meter in meters])


_SEVERE = pa.schema(
    [
        ("rule", pa.string()),
        ("meter_id", pa.string()),
        ("channel", pa.string()),
        ("reading_date", pa.timestamp("us")),
        ("details", pa.string()),
    ]
)


def read_severe_days(
    session: Session, tenant: Tenant, dates: list[datetime.date]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the severe days around the dates, and the issues of the dates that a person let stand.

    The severe days are those of other dates: the issues of the dates themselves are about to be found again.
    """
    found = _read_frame(
        session,
        sql.SQL(
            """
            select rule, meter_id::text as meter_id, channel, reading_date::timestamp as reading_date,
                   details::text as details
            from myproperty.reading_issues
            where tenant_id = {tenant} and severity = 'severe' and meter_id is not null
              and reading_date between {first} and {last}
              and case when reading_date = any({dates})
                  then status = 'accepted' or (status = 'resolved' and resolved_by <> {validation})
                  else status = 'open' end
            """
        ).format(
            tenant=sql.Literal(tenant.id),
            first=sql.Literal(dates[0] - DAY * HISTORY_DAYS),
            last=sql.Literal(dates[-1] + DAY * HISTORY_DAYS),
            dates=sql.Literal(dates),
            validation=sql.Literal(BY_VALIDATION),
        ),
        _SEVERE,
    )
    is_own = found["reading_date"].isin(pd.DatetimeIndex(dates))
    allowed = found[is_own].assign(details=[json.loads(text) for text in found.loc[is_own, "details"]])
    return found.loc[~is_own, DAY_COLUMNS].drop_duplicates(), allowed


def choose_reporting_series(series: pd.DataFrame, totals: pd.DataFrame) -> pd.DataFrame:
    """Return the series with totals, each due from its first date on; a retired one until its last date."""
    found = (
        totals.sort_values("reading_date")
        .groupby(SERIES)
        .agg(
            first_date=("reading_date", "first"),
            last_date=("reading_date", "last"),
            seconds=("seconds", "last"),
        )
    )
    rows = series.join(found, on=SERIES, how="inner")
    rows["interval_seconds"] = rows["interval_seconds"].fillna(rows["seconds"])
    end = (rows["last_date"] + pd.Timedelta(days=1)).dt.tz_localize("UTC").where(~rows["is_active"])
    rows["measured_until"] = rows["measured_until"].fillna(end.astype(rows["measured_until"].dtype))
    return rows.drop(columns=["seconds", "last_date", "unit"])


def read_history(session: Session, tenant: Tenant, gaps: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the readings of the days before, for like days and zero runs: only few meters need them."""
    long = gaps[gaps["method"] == LIKE_DAY]
    dates = set(list_history_dates(long, HISTORY_DAYS))
    for date in runs["reading_date"].dt.date:
        dates |= {date - DAY * back for back in range(1, HISTORY_DAYS + 1)}
    meters = sorted({*long["meter_id"], *runs["meter_id"]})
    return read_readings(session, tenant, sorted(dates), meters)


def read_slip_history(
    session: Session, tenant: Tenant, dates: list[datetime.date], candidates: pd.DataFrame
) -> pd.DataFrame:
    """Return the readings of the dates and of the days before, of the meters that may have slipped."""
    span = (dates[-1] - dates[0]).days + HISTORY_DAYS
    window = [dates[0] - DAY * HISTORY_DAYS + DAY * step for step in range(span)]
    meters = sorted(candidates["meter_id"].unique())
    return read_readings(session, tenant, window, meters)


_READS = pa.schema(
    [
        ("meter_id", pa.string()),
        ("channel", pa.string()),
        ("read_at", TIMESTAMP),
        ("kind", pa.string()),
        ("serial_number", pa.string()),
        ("value", pa.float64()),
        ("digits", pa.int64()),
        ("multiplier", pa.float64()),
        ("unit", pa.string()),
    ]
)
_SUMS = pa.schema(
    [
        ("meter_id", pa.string()),
        ("channel", pa.string()),
        ("start", TIMESTAMP),
        ("end", TIMESTAMP),
        ("sum", pa.float64()),
        ("seconds", pa.float64()),
    ]
)


def read_differences(
    session: Session,
    tenant: Tenant,
    dates: list[datetime.date],
    series: pd.DataFrame,
    thresholds: Thresholds,
) -> pd.DataFrame:
    """Return the differences between register reads whose span ends on one of the dates."""
    reads = _read_frame(
        session,
        """
        select meter_id::text as meter_id, channel, read_at, kind, serial_number, value::float8 as value,
               digits::bigint as digits, multiplier::float8 as multiplier, unit
        from myproperty.register_reads where tenant_id = $1::uuid and quality <> 'estimated'
        """,
        _READS,
        str(tenant.id),
    )
    reads = reads.merge(series[[*SERIES, "property_id", "meter_type", "timezone"]], on=SERIES)
    if reads.empty:
        return reads
    reads["reading_date"] = _local_dates(reads["read_at"], reads["timezone"])
    differences = compute_differences(reads, thresholds("VEE-ROLLOVER", "of_range", reads))
    return differences[differences["reading_date"].isin(pd.DatetimeIndex(dates))]


def _local_dates(instants: pd.Series, timezones: pd.Series) -> pd.Series:
    """Return the local date of each instant; midnight belongs to the previous date."""
    dates = pd.Series(pd.NaT, index=instants.index, dtype="datetime64[us]")
    for zone in timezones.unique():
        of_zone = timezones == zone
        local = (instants[of_zone] - pd.Timedelta(microseconds=1)).dt.tz_convert(zone)
        dates[of_zone] = local.dt.tz_localize(None).dt.normalize()
    return dates


def sum_intervals(session: Session, tenant: Tenant, found: pd.DataFrame) -> pd.DataFrame:
    """Return the sums of the intervals between two register reads, in the unit of the register."""
    spans = found[[*SERIES, "start", "end", "unit"]].copy()
    spans["start"], spans["end"] = spans["start"].map(str), spans["end"].map(str)
    kwh = {unit: 10**-power for unit, power in KWH_PER_UNIT_POWER_OF_TEN.items()}
    spans["per_kwh"] = spans["unit"].map(kwh).astype(object).where(spans["unit"].isin(list(kwh)), None)
    first, last = found["start"].min().date() - DAY, found["end"].max().date() + DAY
    query = sql.SQL(
        """
        select s.meter_id::text as meter_id, s.channel, s.start, s."end",
               sum(
                   case when r.unit = s.unit then r.value_native else r.value_kwh * s.per_kwh end
               )::float8 as sum,
               sum(r.interval_seconds)::float8 as seconds
        from jsonb_to_recordset({spans}::jsonb) as s (
            meter_id uuid, channel text, start timestamptz, "end" timestamptz, unit text, per_kwh numeric
        )
        join myproperty.meter_readings as r
            on r.meter_id = s.meter_id and r.channel = s.channel
            and (r.unit = s.unit or (r.value_kwh is not null and s.per_kwh is not null))
            and r.reading_ts >= s.start and r.reading_ts < s."end"
        where r.tenant_id = {tenant} and r.reading_date = any({dates}) and r.value_native is not null
        group by s.meter_id, s.channel, s.start, s."end"
        """
    ).format(
        spans=sql.Literal(json.dumps(spans.to_dict("records"))),
        tenant=sql.Literal(tenant.id),
        dates=sql.Literal([first + DAY * step for step in range((last - first).days + 1)]),
    )
    return _read_frame(session, query, _SUMS)


def _read_frame(
    session: Session, query: sql.Composable | str, schema: pa.Schema, *parameters: str
) -> pd.DataFrame:
    found: pd.DataFrame = session.arrow(query, schema, parameters).to_pandas()
    return found
