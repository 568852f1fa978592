"""Metered energy of a property over a billing period, aligned by interval.

Here: readings in, matrices out. Not here: sharing (`sharing`) and prices (`invoices`).
"""

import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property

import numpy as np
import pandas as pd
import psycopg
from psycopg.types.range import DateRange

from data.billing.errors import BillingError
from data.billing.sharing import Quanta

# The unit in which energies are counted, in kWh: the last decimal of a reading.
QUANTUM = Decimal("1e-9")

METERS = """
select m.id as meter_id, m.serial_number, r.channel, a.unit_id,
       greatest(lower(a.assigned_during), lower(%(period)s::daterange)) as first,
       least(upper(a.assigned_during), upper(%(period)s::daterange)) as "end"
from myproperty.meters m
join myproperty.meter_registers r on r.tenant_id = m.tenant_id and r.meter_id = m.id
left join myproperty.meter_assignments a
    on a.tenant_id = m.tenant_id and a.meter_id = m.id and a.assigned_during && %(period)s
where m.property_id = %(property)s and r.channel in ('generation', 'import', 'export', 'consumption')
  -- A meter that served a unit at another time does not belong to the common area.
  and (a.id is not null or not exists (
      select from myproperty.meter_assignments o where o.tenant_id = m.tenant_id and o.meter_id = m.id
  ))
  and (m.status = 'active' or a.id is not null)
"""

# The meters that an open severe issue holds back on a date.
HELD = """
select m.serial_number, i.reading_date, i.rule, i.id
from myproperty.reading_issues i
join myproperty.meters m on m.tenant_id = i.tenant_id and m.id = i.meter_id
where i.severity = 'severe' and i.status = 'open'
  and i.meter_id = any(%(meters)s) and i.reading_date <@ %(period)s::daterange
order by i.reading_date, m.serial_number, i.rule
"""
# How many of them a message names.
HELD_SHOWN = 10

# A list of dates prunes partitions at plan time, as a constant does.
READINGS = """
select meter_id, channel, reading_ts, reading_date, interval_seconds,
       (value_kwh / %(quantum)s)::bigint as energy, is_estimated
from myproperty.meter_readings
where reading_date = any(%(dates)s) and meter_id = any(%(meters)s)
  and channel in ('generation', 'import', 'export', 'consumption') and value_kwh is not null
"""


@dataclass(frozen=True)
class Metered:
    """n intervals of a property and its m participants; energies in billionths of a kWh (int64).

    `starts` (n,) are UTC instants with their local `dates` (n,) and `minutes` of the local day (n,).
    `participants` are unit ids, and None for the common area. `loads` (m, n) is the energy that each one used
    and `estimated` (m, n) the estimated part of it.
    """

    property_id: uuid.UUID
    period: DateRange
    starts: pd.DatetimeIndex
    generation: Quanta
    imported: Quanta
    exported: Quanta
    participants: tuple[uuid.UUID | None, ...]
    loads: Quanta
    estimated: Quanta
    timezone: str

    @cached_property
    def dates(self) -> "np.typing.NDArray[np.object_]":
        return np.asarray(self._local.date)

    @cached_property
    def minutes(self) -> Quanta:
        return np.asarray(self._local.hour * 60 + self._local.minute)

    @cached_property
    def is_weekend(self) -> "np.typing.NDArray[np.bool_]":
        return np.asarray(self._local.day_of_week >= 5)

    @cached_property
    def _local(self) -> pd.DatetimeIndex:
        return self.starts.tz_convert(self.timezone)

    @property
    def names(self) -> list[str]:
        """Names of the participants, in row order."""
        return [str(unit or self.property_id) for unit in self.participants]


def read_metered(connection: psycopg.Connection, property_id: uuid.UUID, period: DateRange) -> Metered:
    """Read the energy of a property over a period of local dates from the current readings.

    Raises `BillingError` if a meter lacks a reading for all or part of an interval, or is held back on a
    date. A missing reading is not zero: load or estimate it first.
    """
    timezone = _read_timezone(connection, property_id)
    days = _list_days(period)
    arguments = {"property": property_id, "period": period}
    meters = _read_frame(connection, METERS, arguments)
    if meters.empty:
        raise BillingError(f"property {property_id} has no energy meter in {period}")
    ids = list(meters["meter_id"].unique())
    _refuse_held(connection, ids, period)
    readings = _read_frame(connection, READINGS, {"dates": days, "meters": ids, "quantum": QUANTUM})
    readings = readings.merge(meters, on=["meter_id", "channel"])
    readings = readings[
        (readings["reading_date"] >= readings["first"]) & (readings["reading_date"] < readings["end"])
    ]
    if readings.empty:
        raise BillingError(f"property {property_id} has no readings in {period}: load its files")
    length = int(readings["interval_seconds"].max())
    starts = _list_starts(days, timezone, length)
    readings["start"] = readings["reading_ts"].dt.floor(f"{length}s")
    _check_complete(readings, meters, starts.tz_convert(timezone))
    units = sorted({unit for unit in meters["unit_id"] if isinstance(unit, uuid.UUID)}, key=str)
    participants: tuple[uuid.UUID | None, ...] = (*units, None)
    sub_meters = readings[readings["channel"] == "consumption"]

    def sum_by_interval(rows: pd.DataFrame) -> Quanta:
        found = rows.groupby("start")["energy"].sum()
        return np.asarray(found.reindex(starts, fill_value=0).to_numpy(dtype=np.int64))

    def select_unit(rows: pd.DataFrame, unit: uuid.UUID | None) -> pd.DataFrame:
        return rows[rows["unit_id"].isna()] if unit is None else rows[rows["unit_id"] == unit]

    estimates = sub_meters[sub_meters["is_estimated"].astype(bool)]
    return Metered(
        property_id=property_id,
        period=period,
        starts=starts,
        generation=sum_by_interval(readings[readings["channel"] == "generation"]),
        imported=sum_by_interval(readings[readings["channel"] == "import"]),
        exported=sum_by_interval(readings[readings["channel"] == "export"]),
        participants=participants,
        loads=np.vstack([sum_by_interval(select_unit(sub_meters, unit)) for unit in participants]),
        estimated=np.vstack([sum_by_interval(select_unit(estimates, unit)) for unit in participants]),
        timezone=timezone,
    )


def _refuse_held(connection: psycopg.Connection, meters: list[uuid.UUID], period: DateRange) -> None:
    rows = connection.execute(HELD, {"meters": meters, "period": period}).fetchall()
    if rows:
        shown = [
            f"meter {serial} is held back on {day} by {rule}" for serial, day, rule, _ in rows[:HELD_SHOWN]
        ]
        more = f", and {len(rows) - HELD_SHOWN} more" if len(rows) > HELD_SHOWN else ""
        ids = " ".join(str(issue_id) for *_, issue_id in rows[:HELD_SHOWN])
        raise BillingError(
            f"{', '.join(shown)}{more}: ingest a corrected file or, if the values are right, run "
            f"`myproperty issues accept {ids} --by WHO --reason WHY --until YYYY-MM-DD`, then allocate again"
        )


def _read_timezone(connection: psycopg.Connection, property_id: uuid.UUID) -> str:
    row = connection.execute(
        "select timezone from myproperty.properties where id = %s", (property_id,)
    ).fetchone()
    if row is None:
        raise BillingError(f"the tenant has no property {property_id}")
    return str(row[0])


def get_bounds(period: DateRange) -> tuple[date, date]:
    """Return the first day of a billing period and the day after its last day."""
    if period.lower is None or period.upper is None:
        raise BillingError("a billing period needs a first day and an end")
    return period.lower, period.upper


def _list_days(period: DateRange) -> list[date]:
    first, end = get_bounds(period)
    return [first + timedelta(days=day) for day in range((end - first).days)]


def _list_starts(days: list[date], timezone: str, length: int) -> pd.DatetimeIndex:
    """List the interval starts of the local days, which have 23 or 25 hours where clocks change."""
    edges = pd.DatetimeIndex([days[0], days[-1] + timedelta(days=1)]).tz_localize(timezone).tz_convert("UTC")
    return pd.date_range(edges[0], edges[1], freq=f"{length}s", inclusive="left", unit="us")


def _read_frame(connection: psycopg.Connection, query: str, arguments: dict[str, object]) -> pd.DataFrame:
    with connection.cursor(binary=True) as cursor:
        cursor.execute(query, arguments)
        names = [column.name for column in cursor.description or ()]
        frame = pd.DataFrame(cursor.fetchall(), columns=names)
    if "reading_ts" in names:
        frame["reading_ts"] = pd.to_datetime(frame["reading_ts"], utc=True).dt.as_unit("us")
    return frame


def _check_complete(readings: pd.DataFrame, meters: pd.DataFrame, starts: pd.DatetimeIndex) -> None:
    """Check that each register covers each interval (local starts) of its dates completely."""
    dates = pd.Series(starts.date, index=starts)
    length = (starts[1] - starts[0]).total_seconds()
    series = readings.groupby(["meter_id", "channel", "first"])
    for meter in meters.itertuples():
        expected = starts[(dates >= meter.first) & (dates < meter.end)]
        own = (meter.meter_id, meter.channel, meter.first)
        measured = series.get_group(own) if own in series.groups else readings.iloc[:0]
        covered = measured.groupby("start")["interval_seconds"].sum().reindex(expected, fill_value=0)
        missing = covered[covered != length]
        if not missing.empty:
            raise BillingError(
                f"meter {meter.serial_number} has no complete reading of {meter.channel} for {len(missing)} "
                f"of {len(expected)} intervals, the first at {missing.index[0]:%Y-%m-%d %H:%M} local time: "
                "load or estimate them, then allocate again"
            )
