"""Validation of the reading dates that files touched: issues into their table, estimates into the readings.

Here: what is read for it, in which order, and what is written. Not here: any rule (`vee`), or the way of an
estimate into the readings: it is loaded as a file of its own would be (`load`).
"""

import bisect
import datetime
import hashlib
import itertools
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from data.ingest.errors import IngestError
from data.ingest.formats.parts import in_parts
from data.ingest.readings.adjustment_tasks import wait_for_billing
from data.ingest.readings.load import LOADER_ROLE, Job, load, loaded_job, lock_content
from data.ingest.readings.store import archived_dates
from data.ingest.rules import days as whole_days
from data.ingest.rules.days import SERIES, Days, Frame, Thresholds
from data.ingest.rules.dials import differences, rollover_issues, sum_check
from data.ingest.rules.estimate import (
    DECIMALS,
    LIKE_DAY,
    LINEAR,
    estimate,
    gap_issues,
    history_dates,
    missing_intervals,
)
from data.ingest.rules.table import RULES
from data.ingest.rules.thresholds import OwnThreshold, thresholds
from data.ingest.schema import (
    DECIMAL,
    KWH_PER_UNIT_POWER_OF_TEN,
    PARSED,
    REJECTED,
    TIMESTAMP,
    ParsedFile,
)
from myproperty.database.ids import uuid7
from myproperty.database.session import Session, transaction
from myproperty.tenants import Tenant, find_tenant

SOURCE = "estimation"
BY_VALIDATION = "validation"
# Dates of one transaction: a day of 240 000 readings takes some 130 MB.
CHUNK = 7
HISTORY = 50
_DAY = datetime.timedelta(days=1)
_NEVER = datetime.datetime.min.replace(tzinfo=datetime.UTC)
# By reading date; and a date with the first and last that it rests on.
Instants = dict[datetime.date, datetime.datetime]
Span = tuple[datetime.date, datetime.date, datetime.date]
_REASONS = {LINEAR: "VEE-GAP-SHORT", LIKE_DAY: "VEE-GAP-LONG"}


@dataclass
class Validation:
    """What validation of some dates of a tenant came to.

    `found` are the issues per rule as they are now; `estimated` the readings that are new or changed
    estimates, loaded by `jobs`; `resolved` the issues that were open and were not found again.
    """

    tenant: str
    tenant_id: str
    dates: list[datetime.date] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    estimated: int = 0
    resolved: int = 0
    jobs: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The result as JSON can hold it."""
        return {
            "tenant": self.tenant,
            "tenant_id": self.tenant_id,
            "dates": [date.isoformat() for date in self.dates],
            "found": dict(sorted(self.found.items())),
            "estimated": self.estimated,
            "resolved": self.resolved,
            "jobs": self.jobs,
        }


def validate(
    dsn: str,
    *,
    tenant: str | None = None,
    first: datetime.date | None = None,
    last: datetime.date | None = None,
    due_only: bool = False,
    now: datetime.datetime | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Validation]:
    """Validate the dates that are due, or those from `first` to `last`; one result a tenant.

    Due are the dates that files or register reads touched since, and those that depend on them: the dates
    beside them, days without any file before them, and dates whose gaps were left open. With `due_only` a
    range is validated as far as it is due. Run again, it changes nothing. Raises `IngestError` for an unknown
    tenant or a threshold that is none.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    owner = find_tenant(dsn, tenant) if tenant is not None else None
    with transaction(dsn, LOADER_ROLE) as session:
        tenants = [owner] if owner else _tenants(session)
        wanted = {t: _wanted(session, t, first, last, due_only) for t in tenants}
    results = []
    for each, dates in wanted.items():
        result = Validation(each.name, str(each.id))
        for part in _chunks(dates):
            progress(f"{each.name}: {part[0]} to {part[-1]}")
            with transaction(dsn, LOADER_ROLE) as session:
                _validate(session, each, part, now, result)
        if dates:
            results.append(result)
    return results


def due_dates(dsn: str) -> list[datetime.date]:
    """The dates that are due to be validated, of all tenants, in order."""
    with transaction(dsn, LOADER_ROLE) as session:
        found = [_wanted(session, tenant, None, None, True) for tenant in _tenants(session)]
    return sorted({date for dates in found for date in dates})


def _validate(
    session: Session, tenant: Tenant, dates: list[datetime.date], now: datetime.datetime, result: Validation
) -> None:
    # Two validations of one tenant would both find the same gap empty.
    lock_content(session, tenant, SOURCE)
    _wait_for_loads(session, tenant, dates)
    began = session.rows("select clock_timestamp()::text")[0][0]
    limits = _thresholds(session, tenant)
    all_series = _series(session, tenant)
    around = sorted({date + _DAY * step for date in dates for step in (-1, 0, 1)})
    readings = _readings(session, tenant, around)
    totals = _totals(session, tenant, dates)
    series = _reporting(all_series, totals)
    grid = whole_days.due(readings, series, around, now)
    parts = [_dial_issues(session, tenant, dates, all_series, limits)]
    if not grid.empty:
        days = Days(dates, grid, all_series, totals, limits)
        gaps = missing_intervals(days)
        runs = whole_days.zero_run_candidates(days)
        history = _history(session, tenant, gaps, runs)
        gaps = estimate(days, gaps, history)
        parts += [
            whole_days.validate_days(days),
            gap_issues(gaps),
            whole_days.zero_run(runs, history, limits),
        ]
        known = pd.concat([readings, history])
        _load_estimates(session, tenant, _as_file(gaps, known, all_series), now, result)
    found = _in_force(whole_days.together(parts))
    result.resolved += _write_issues(session, tenant, dates, found)
    _mark(session, tenant, dates, began)
    result.dates += dates
    result.found.update(found["rule"].tolist())


def _frame(session: Session, query: sql.Composable | str, schema: pa.Schema, *parameters: str) -> Frame:
    found: Frame = session.arrow(query, schema, parameters).to_pandas()
    return found


def _wait_for_loads(session: Session, tenant: Tenant, dates: list[datetime.date]) -> None:
    """Wait for the loads of these dates, and hold off the next: what they touched is seen or touched later.

    The locks that a load takes, in its order: billing, then the dates (`begin_readings_partition`) in order.
    """
    wait_for_billing(session, tenant.id)
    session.execute(
        sql.SQL(
            "select pg_advisory_xact_lock(7305, date - date '2000-01-01') from unnest({}::date[]) as date"
        ).format(sql.Literal(dates))
    )


def _tenants(session: Session) -> list[Tenant]:
    rows = session.rows("select id::text, name from myproperty.tenants where status = 'active' order by name")
    return [Tenant(uuid.UUID(found), name) for found, name in rows]


def _wanted(
    session: Session,
    tenant: Tenant,
    first: datetime.date | None,
    last: datetime.date | None,
    due_only: bool,
) -> list[datetime.date]:
    """The dates to validate, in order; none that is archived, or before or after all that was loaded."""
    changed = _changed(session, tenant)
    if not changed:
        return []
    begin, end = max(first or min(changed), min(changed)), min(last or max(changed), max(changed))
    if (first is None and last is None) or due_only:
        wanted = _due(changed, _validated(session, tenant), _spans(session, tenant))
    else:
        wanted = {begin + _DAY * step for step in range((end - begin).days + 1)}
    return sorted({date for date in wanted if begin <= date <= end} - archived_dates(session))


def _due(changed: Instants, validated: Instants, spans: list[Span]) -> set[datetime.date]:
    """The dates whose verdict rests on something that changed after it.

    A verdict rests on its date and those beside it; on a day without any file, on the next that has one; and
    on the span of dates that a gap left open may be filled from, or that a register read is compared with.
    """
    loaded = sorted(changed)
    rests_on: defaultdict[datetime.date, set[datetime.date]] = defaultdict(set)
    for date in loaded:
        for step in (-1, 0, 1):
            rests_on[date + _DAY * step].add(date)
    for before, date in itertools.pairwise(loaded):
        if (date - before).days <= HISTORY:
            for step in range(1, (date - before).days):
                rests_on[before + _DAY * step].add(date)
    for date, first, last in spans:
        rests_on[date].update(loaded[bisect.bisect_left(loaded, first) : bisect.bisect_right(loaded, last)])
    return {
        date
        for date, others in rests_on.items()
        if any(changed[other] > validated.get(date, _NEVER) for other in others)
    }


def _changed(session: Session, tenant: Tenant) -> Instants:
    """When readings of a date, or a register read at its end, last changed."""
    rows = session.rows(
        """
        select reading_date, max(changed_at) from (
            select d.reading_date, d.touched_at as changed_at
            from myproperty.ingestion_job_dates as d
            join myproperty.ingestion_jobs as j on j.tenant_id = d.tenant_id and j.id = d.ingestion_job_id
            where d.tenant_id = $1::uuid and j.format is distinct from $2
            union all
            -- A null that came after a value touches no reading, and yet there is something to tell.
            select reading_date, replaced_at from myproperty.meter_reading_versions
            where tenant_id = $1::uuid and version < 1 and quality = 'null'
            union all
            select ((r.read_at - interval '1 microsecond') at time zone m.timezone)::date, r.updated_at
            from myproperty.register_reads as r
            join myproperty.meters as m on m.tenant_id = r.tenant_id and m.id = r.meter_id
            where r.tenant_id = $1::uuid
        ) as c
        group by reading_date
        """,
        (str(tenant.id), SOURCE),
    )
    return dict(rows)


def _validated(session: Session, tenant: Tenant) -> Instants:
    rows = session.rows(
        "select reading_date, validated_at from myproperty.validated_dates where tenant_id = $1::uuid",
        (str(tenant.id),),
    )
    return dict(rows)


def _spans(session: Session, tenant: Tenant) -> list[Span]:
    """Dates that rest on more than the dates beside them: with a gap left open, or a register read."""
    rows = session.rows(
        """
        select reading_date, reading_date - $2::integer, reading_date + $2::integer
        from myproperty.reading_issues
        where tenant_id = $1::uuid and rule = 'VEE-GAP' and status = 'open'
        union
        select read_date, lag(read_date, 1, read_date) over (
            partition by meter_id, channel order by read_date
        ), read_date
        from (
            select r.meter_id, r.channel,
                   ((r.read_at - interval '1 microsecond') at time zone m.timezone)::date as read_date
            from myproperty.register_reads as r
            join myproperty.meters as m on m.tenant_id = r.tenant_id and m.id = r.meter_id
            where r.tenant_id = $1::uuid
        ) as dated
        """,
        (str(tenant.id), HISTORY),
    )
    return [(date, first, last) for date, first, last in rows]


def _chunks(dates: Sequence[datetime.date]) -> Iterator[list[datetime.date]]:
    for start in range(0, len(dates), CHUNK):
        yield list(dates[start : start + CHUNK])


def _thresholds(session: Session, tenant: Tenant) -> Thresholds:
    rows = session.rows(
        """
        select rule, meter_type, parameters::text, lower(valid_during), upper(valid_during)
        from myproperty.vee_thresholds where tenant_id = $1::uuid order by rule, lower(valid_during)
        """,
        (str(tenant.id),),
    )
    return thresholds(
        [OwnThreshold(rule, kind, json.loads(text), first, end) for rule, kind, text, first, end in rows]
    )


_SERIES = pa.schema(
    [
        *((name, pa.string()) for name in ("meter_id", "channel", "identifier", "register", "meter_type")),
        *((name, pa.string()) for name in ("timezone", "property_id", "property_timezone", "unit")),
        *((name, pa.float64()) for name in ("interval_seconds", "latitude", "longitude", "capacity_kw")),
        ("is_active", pa.bool_()),
        ("measured_from", TIMESTAMP),
        ("measured_until", TIMESTAMP),
    ]
)


def _series(session: Session, tenant: Tenant) -> Frame:
    """One row a configured meter and channel; a place is known by the property's metadata."""
    return _frame(
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
               p.solar_capacity_kw::float8 as capacity_kw,
               m.status = 'active' as is_active,
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
_READINGS_OF = sql.SQL(
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
      and ({meters} is null or r.meter_id = any({meters}))
    """
)


def _readings(
    session: Session, tenant: Tenant, dates: Sequence[datetime.date], meters: Sequence[str] | None = None
) -> Frame:
    if not dates:
        none: Frame = _READINGS.empty_table().to_pandas()
        return none
    query = _READINGS_OF.format(
        source=sql.Literal(SOURCE),
        tenant=sql.Literal(tenant.id),
        dates=sql.Literal(list(dates)),
        meters=sql.SQL("null::uuid[]") if meters is None else sql.Literal([uuid.UUID(m) for m in meters]),
    )
    return _frame(session, query, _READINGS)


_TOTALS = pa.schema(
    [
        ("meter_id", pa.string()),
        ("channel", pa.string()),
        ("reading_date", pa.timestamp("us")),
        ("total", pa.float64()),
        ("count", pa.int64()),
        ("seconds", pa.float64()),
    ]
)


def _totals(session: Session, tenant: Tenant, dates: list[datetime.date]) -> Frame:
    """What the sender said of each series and date, from 50 days before to 50 days after."""
    span = (dates[-1] - dates[0]).days + 2 * HISTORY + 1
    window = [dates[0] - _DAY * HISTORY + _DAY * step for step in range(span)]
    query = sql.SQL(
        """
        select meter_id::text as meter_id, channel, reading_date::timestamp as reading_date,
               sum(value_native)::float8 as total, count(*) as count, max(interval_seconds)::float8 as seconds
        from myproperty.meter_readings
        where tenant_id = {} and reading_date = any({}) and value_native is not null and source <> {}
        group by meter_id, channel, reading_date
        """
    ).format(sql.Literal(tenant.id), sql.Literal(window), sql.Literal(SOURCE))
    return _frame(session, query, _TOTALS)


def _reporting(series: Frame, totals: Frame) -> Frame:
    """The series that reported lately, from their first date on, retired ones until their last."""
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


def _history(session: Session, tenant: Tenant, gaps: Frame, runs: Frame) -> Frame:
    """Readings of the days before that like days and the norm of zeros need: of few meters, so few."""
    long = gaps[gaps["method"] == LIKE_DAY]
    dates = set(history_dates(long, HISTORY))
    for date in runs["reading_date"].dt.date:
        dates |= {date - _DAY * back for back in range(1, HISTORY + 1)}
    meters = sorted({*long["meter_id"], *runs["meter_id"]})
    return _readings(session, tenant, sorted(dates), meters)


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


def _dial_issues(
    session: Session, tenant: Tenant, dates: list[datetime.date], series: Frame, limits: Thresholds
) -> Frame:
    """What the register reads tell whose span ends on one of the dates."""
    reads = _frame(
        session,
        """
        select meter_id::text as meter_id, channel, read_at, kind, serial_number, value::float8 as value,
               digits::bigint as digits, multiplier::float8 as multiplier, unit
        from myproperty.register_reads where tenant_id = $1::uuid and quality <> 'estimated'
        """,
        _READS,
        str(tenant.id),
    )
    kept = series[[*SERIES, "property_id", "meter_type", "timezone"]]
    reads = reads.merge(kept, on=SERIES)
    if reads.empty:
        return whole_days.together([])
    reads["reading_date"] = _local_dates(reads["read_at"], reads["timezone"])
    found = differences(reads, limits("VEE-ROLLOVER", "of_range", reads))
    found = found[found["reading_date"].isin(pd.DatetimeIndex(dates))]
    if found.empty:
        return whole_days.together([])
    return whole_days.together(
        [rollover_issues(found), sum_check(found, _sums(session, tenant, found), limits)]
    )


def _local_dates(instants: pd.Series, timezones: pd.Series) -> pd.Series:
    """The local date in which what was read at an instant ends: midnight is of the day before."""
    dates = pd.Series(pd.NaT, index=instants.index, dtype="datetime64[us]")
    for zone in timezones.unique():
        of_zone = timezones == zone
        local = (instants[of_zone] - pd.Timedelta(microseconds=1)).dt.tz_convert(zone)
        dates[of_zone] = local.dt.tz_localize(None).dt.normalize()
    return dates


def _sums(session: Session, tenant: Tenant, found: Frame) -> Frame:
    """The intervals between the reads, in the unit of the register."""
    spans = found[[*SERIES, "start", "end", "unit"]].copy()
    spans["start"], spans["end"] = spans["start"].map(str), spans["end"].map(str)
    kwh = {unit: 10**-power for unit, power in KWH_PER_UNIT_POWER_OF_TEN.items()}
    spans["per_kwh"] = spans["unit"].map(kwh).astype(object).where(spans["unit"].isin(list(kwh)), None)
    first, last = found["start"].min().date() - _DAY, found["end"].max().date() + _DAY
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
        dates=sql.Literal([first + _DAY * step for step in range((last - first).days + 1)]),
    )
    return _frame(session, query, _SUMS)


def _as_file(gaps: Frame, known: Frame, series: Frame) -> pa.Table:
    """Estimates that differ from what stands, with the schema `PARSED`.

    The version is the end of the interval, so that any value of the sender is newer, and moves on by a
    microsecond with each version of the reading.
    """
    units = known.dropna(subset=["unit"]).drop_duplicates(SERIES)[[*SERIES, "unit"]]
    rows = gaps[gaps["method"] != ""]
    stands = rows["is_own"] & (rows["value"] - rows["estimate"]).abs().lt(0.5 * 10.0**-DECIMALS)
    if stands.all():
        return PARSED.empty_table()
    rows = rows[~stands].drop(columns=["unit", "identifier", "register"], errors="ignore")
    rows = rows.merge(units.rename(columns={"unit": "seen"}), how="left", on=SERIES)
    rows = rows.merge(series[[*SERIES, "identifier", "register", "unit"]], on=SERIES)
    rows = rows.sort_values([*SERIES, "reading_ts"], ignore_index=True)
    end = rows["reading_ts"] + pd.to_timedelta(rows["interval_seconds"], unit="s")
    counted = pd.to_timedelta(rows["version"].fillna(0), unit="us")
    count = len(rows)
    six = pc.cast(pa.array(rows["estimate"], pa.float64()), pa.decimal128(20, DECIMALS))
    columns = {
        "line": pa.array(np.arange(1, count + 1)),
        "serial_number": pa.nulls(count, pa.string()),
        "unit": pa.array(rows["unit"].fillna(rows["seen"]), pa.string()),
        "interval_seconds": pa.array(rows["interval_seconds"].astype("int32")),
        "value": six.cast(DECIMAL),
        "quality": pa.array(["estimated"] * count, pa.string()),
        "quality_method": pa.array(rows["method"], pa.string()),
        "reason_code": pa.array(rows["method"].map(_REASONS), pa.string()),
        "source_version": pa.array((end + counted).astype("datetime64[us, UTC]"), TIMESTAMP),
        **{name: pa.array(rows[name], pa.string()) for name in ("identifier", "register", "channel")},
        "reading_ts": pa.array(rows["reading_ts"].astype("datetime64[us, UTC]"), TIMESTAMP),
    }
    return pa.table([columns[name] for name in PARSED.names], schema=PARSED)


def _load_estimates(
    session: Session, tenant: Tenant, rows: pa.Table, now: datetime.datetime, result: Validation
) -> None:
    if rows.num_rows == 0:
        return
    content = hashlib.sha256(rows.to_pandas().to_csv(index=False).encode()).hexdigest()
    if loaded_job(session, tenant, content) is not None:
        return
    version = pc.max(rows["source_version"]).as_py()
    parsed = ParsedFile(Path(SOURCE), SOURCE, content, rows, REJECTED.empty_table(), version)
    job = Job(uuid7(), tenant, SOURCE, datetime.datetime.now(datetime.UTC))
    loaded = load(session, in_parts(parsed), job, now=now)
    if loaded.quarantined:
        raise IngestError(
            f"estimates of {tenant.name} break the rules {sorted(loaded.rules)}, so nothing was written: "
            "compare unit and interval of the meter's registers with its readings"
        )
    result.estimated += loaded.accepted + loaded.new_versions
    result.jobs.append(str(job.id))


def _in_force(found: Frame) -> Frame:
    """The issues of rules that were in force on their dates."""
    since = pd.to_datetime(found["rule"].map({rule.id: rule.effective_from for rule in RULES.values()}))
    return found[pd.to_datetime(found["reading_date"]) >= since].copy()


_FOUND = sql.SQL(
    """
    jsonb_to_recordset({found}::jsonb) as f (
        property_id uuid, meter_id uuid, channel text, reading_date date, rule text, severity text,
        first_reading_ts timestamptz, last_reading_ts timestamptz, details jsonb
    )
    """
)
# What a person resolved stays so while the same is found; what changed since is to be looked at again.
_UPSERT = sql.SQL(
    """
    insert into myproperty.reading_issues as i (
        tenant_id, property_id, meter_id, channel, reading_date, rule, severity,
        first_reading_ts, last_reading_ts, details
    )
    select {tenant}, f.* from {found}
    on conflict (tenant_id, property_id, meter_id, channel, reading_date, rule) do update
    set severity = excluded.severity, first_reading_ts = excluded.first_reading_ts,
        last_reading_ts = excluded.last_reading_ts, details = excluded.details,
        status = 'open', resolved_by = null, resolved_at = null, resolution_note = null
    where (i.severity, i.first_reading_ts, i.last_reading_ts, i.details)
        is distinct from (
            excluded.severity, excluded.first_reading_ts, excluded.last_reading_ts, excluded.details
        )
        or i.resolved_by = {by}
    """
)
_RESOLVE = sql.SQL(
    """
    update myproperty.reading_issues as i
    set status = 'resolved', resolved_by = {by}, resolved_at = clock_timestamp(),
        resolution_note = 'not found when the date was validated again'
    where i.tenant_id = {tenant} and i.reading_date = any({dates}) and i.status = 'open'
      and not exists (
          select from {found}
          where (f.rule, f.property_id, f.reading_date) = (i.rule, i.property_id, i.reading_date)
            and (f.meter_id, f.channel) is not distinct from (i.meter_id, i.channel)
      )
    returning 1
    """
)


def _write_issues(session: Session, tenant: Tenant, dates: list[datetime.date], found: Frame) -> int:
    """Put the issues of the dates in place of those before; returns how many were not found again."""
    rows = found.astype(object).where(found.notna(), None)
    rows["severity"] = rows["rule"].map(lambda rule: RULES[rule].severity)
    order = ["property_id", "meter_id", "channel", "reading_date", "rule", "severity"]
    document = rows[[*order, "first_reading_ts", "last_reading_ts", "details"]].to_dict("records")
    parts = {
        "tenant": sql.Literal(tenant.id),
        "by": sql.Literal(BY_VALIDATION),
        "dates": sql.Literal(dates),
        "found": _FOUND.format(found=sql.Literal(json.dumps(document, default=str))),
    }
    session.execute(_UPSERT.format(**parts))
    return len(session.rows(_RESOLVE.format(**parts)))


def _mark(session: Session, tenant: Tenant, dates: list[datetime.date], began: str) -> None:
    session.execute(
        sql.SQL(
            """
            insert into myproperty.validated_dates (tenant_id, reading_date, validated_at)
            select {}, unnest({}::date[]), {}::timestamptz
            on conflict (tenant_id, reading_date) do update set validated_at = excluded.validated_at
            """
        ).format(sql.Literal(tenant.id), sql.Literal(dates), sql.Literal(began))
    )


@dataclass(frozen=True)
class Issue:
    """One issue as people see it."""

    id: str
    tenant: str
    property: str
    meter: str | None
    channel: str | None
    reading_date: datetime.date
    rule: str
    severity: str
    details: str
    status: str
    resolved_by: str | None
    resolution_note: str | None


def list_issues(
    dsn: str, *, tenant: str | None = None, with_resolved: bool = False, limit: int = 100
) -> list[Issue]:
    """Issues, the newest date first: those graver than info that are open, or all there are."""
    owner = str(find_tenant(dsn, tenant).id) if tenant is not None else ""
    with transaction(dsn, LOADER_ROLE) as session:
        rows = session.rows(
            """
            select i.id::text, t.name, p.name, m.serial_number, i.channel, i.reading_date, i.rule, i.severity,
                   i.details::text, i.status, i.resolved_by, i.resolution_note
            from myproperty.reading_issues as i
            join myproperty.tenants as t on t.id = i.tenant_id
            join myproperty.properties as p on p.tenant_id = i.tenant_id and p.id = i.property_id
            left join myproperty.meters as m on m.tenant_id = i.tenant_id and m.id = i.meter_id
            where ($1 = '' or i.tenant_id::text = $1)
              and ($2 or (i.status = 'open' and i.severity <> 'info'))
            order by i.reading_date desc, i.rule, i.id limit $3
            """,
            (owner, with_resolved, limit),
        )
    return [Issue(*row) for row in rows]


def resolve_issue(dsn: str, issue_id: str, *, by: str, note: str) -> None:
    """Close an issue: `by` has looked at it and `note` says why it may stand; found changed, it opens again.

    Raises `IngestError` if there is no open issue of this id, or name or note is missing.
    """
    if not by.strip() or not note.strip():
        raise IngestError("a resolution names who decided and why: give both, the trail has nothing else")
    with transaction(dsn, LOADER_ROLE) as session:
        rows = session.rows(
            """
            update myproperty.reading_issues
            set status = 'resolved', resolved_by = $2, resolved_at = clock_timestamp(), resolution_note = $3
            where id::text = lower($1) and status = 'open'
            returning 1
            """,
            (issue_id, by, note),
        )
    if not rows:
        raise IngestError(f"there is no open issue {issue_id}: `myproperty issues list` shows them")
