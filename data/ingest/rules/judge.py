"""Rules on single readings: which readings of a file may be loaded.

Here: `screen` (rules that need the reading alone) and `judge` (rules that need the configured meters too).
Not here: reading files, writing rows, or rules on whole days (`days`).
"""

import datetime
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.rules.measures import find_series, flat, reading_dates, to_kwh
from data.ingest.rules.sentinels import clear_sentinels
from data.ingest.rules.table import RULES
from data.ingest.schema import (
    DECIMAL,
    ONE_DIRECTION_CHANNELS,
    READING,
    REJECTED,
    TIMESTAMP,
    Judged,
    ParsedFile,
    Series,
)

FIRST_DATE = datetime.datetime(1990, 1, 1, tzinfo=datetime.UTC)
END_DATE = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)
# Every zone differs from UTC by whole quarter-hours: up to that length, alignment in UTC is local alignment.
GRID_SECONDS = 900
# The longest local day, 25 hours: a longer reading belongs to no reading date.
MAX_DAY_SECONDS = 90_000

Mask = npt.NDArray[np.bool_]


class Violation(NamedTuple):
    """A rule, the reason to store, and the rows that break it."""

    rule: str
    reason: str
    rows: Mask


def screen(readings: pa.Table, *, now: datetime.datetime) -> tuple[pa.Table, pa.Table]:
    """Return (good readings, quarantined ones) by the rules that need no knowledge of the meters.

    `readings` has the schema `PARSED`, and so has the first result; the second has `REJECTED`. Sentinels,
    which mean "no value", become null in the first.
    """
    readings = clear_sentinels(readings)
    start = readings["reading_ts"]
    _, inexact = to_kwh(readings["value"], readings["unit"])
    outside = pc.or_(
        pc.less(start, pa.scalar(FIRST_DATE, TIMESTAMP)),
        pc.greater_equal(start, pa.scalar(END_DATE, TIMESTAMP)),
    )
    is_future = pc.greater(_ends(readings), pa.scalar(now, TIMESTAMP))
    violations = [
        Violation("VEE-DATE", "the reading lies outside 1990 to 2099", _mask(outside)),
        Violation("VEE-FUTURE", "the interval has not ended yet", _mask(is_future)),
        Violation(
            "VEE-ALIGNMENT", "the interval starts between two multiples of its length", _misaligned(readings)
        ),
        _negative(readings["channel"], readings["value"]),
        Violation("VEE-PRECISION", "the value is not exact in kWh with 9 decimals", _mask(inexact)),
    ]
    return _split(readings, violations)


def judge(
    parsed: ParsedFile,
    registers: pa.Table,
    *,
    now: datetime.datetime,
    archived: Collection[datetime.date] = (),
    row_of: Mapping[Series, int] | None = None,
) -> Judged:
    """Split the rows of a file into readings to load and rows to quarantine.

    `registers` has the schema `REGISTERS`, one row per (identifier, register); a file of many parts gives
    `row_of`, its `index_registers`, once for all of them. Readings of the dates `archived` are quarantined.
    `quarantined` starts with the rows that the reader rejected. Raises `ValueError` if a register is
    configured twice.
    """
    readings, quarantined = screen(parsed.readings, now=now)
    position = _register_rows(readings, index_registers(registers) if row_of is None else row_of)
    known = {
        name: flat(registers[name]).take(position)
        for name in ("meter_id", "channel", "unit", "interval_seconds", "timezone")
    }
    violations = [*_register_violations(readings, position, known)]
    if archived:
        dates = reading_dates(readings["reading_ts"], pc.fill_null(known["timezone"], "UTC"))
        is_archived = _mask(pc.is_in(dates, pa.array(sorted(archived), pa.date32())))
        violations.append(Violation("VEE-ARCHIVED", "the readings of this date are archived", is_archived))
    good, unfit = _split(readings, violations)
    keep = pa.array(~_any(violations))
    of_meter = {name: column.filter(keep) for name, column in known.items()}
    rejected = pa.concat_tables([parsed.rejected, quarantined, unfit])
    return Judged(_loadable(good, of_meter, str(parsed.format)), rejected)


def index_registers(registers: pa.Table) -> dict[Series, int]:
    """Return the row of each register (schema `REGISTERS`). Raises `ValueError` if one is there twice."""
    names = (registers[name].to_pylist() for name in ("identifier", "register"))
    row_of = {one: row for row, one in enumerate(zip(*names, strict=True))}
    if len(row_of) != registers.num_rows:
        raise ValueError("a register is configured twice for the same identifier")
    return row_of


def _register_violations(
    readings: pa.Table, position: pa.Array, known: dict[str, pa.Array]
) -> list[Violation]:
    """Return what breaks the rules on the configured register; `known` are its columns, row by row."""
    interval = readings["interval_seconds"]
    return [
        Violation(
            "VEE-LONG",
            "the reading covers more than a day, so it belongs to no reading date",
            _mask(pc.greater(interval, MAX_DAY_SECONDS)),
        ),
        Violation(
            "VEE-REGISTER",
            "no meter is configured for this identifier and register",
            _mask(pc.is_null(position)),
        ),
        Violation(
            "VEE-UNIT",
            "the unit is not the one configured",
            _mask(pc.not_equal(readings["unit"], known["unit"])),
        ),
        Violation(
            "VEE-INTERVAL",
            "the interval length is not the one configured",
            _mask(pc.not_equal(interval, known["interval_seconds"])),
        ),
        _negative(known["channel"], readings["value"]),
    ]


def _negative(channels: pa.Array | pa.ChunkedArray, values: pa.ChunkedArray) -> Violation:
    one_way = pc.is_in(channels, pa.array(ONE_DIRECTION_CHANNELS))
    below_zero = pc.less(values, pa.scalar(Decimal(0), DECIMAL))
    reason = "energy below zero on a one-direction channel"
    return Violation("VEE-NEGATIVE", reason, _mask(pc.and_(one_way, below_zero)))


def _loadable(readings: pa.Table, of_meter: dict[str, pa.Array], source: str) -> pa.Table:
    value_kwh, _ = to_kwh(readings["value"], readings["unit"])
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "meter_id": of_meter["meter_id"],
        "channel": of_meter["channel"],
        "reading_date": reading_dates(readings["reading_ts"], of_meter["timezone"]),
        "value_native": readings["value"],
        "value_kwh": value_kwh,
        "is_estimated": pc.equal(readings["quality"], "estimated"),
        "source": pa.array([source] * readings.num_rows, pa.string()),
    }
    return pa.table(
        {name: columns[name] if name in columns else readings[name] for name in READING.names}, schema=READING
    ).combine_chunks()


def _register_rows(readings: pa.Table, row_of: Mapping[Series, int]) -> pa.Array:
    """Return the row of the register of each reading, null where none is configured."""
    series, codes = find_series(readings)
    return pa.array([row_of.get(one) for one in series], pa.int64()).take(pa.array(codes))


def _ends(readings: pa.Table) -> pa.ChunkedArray:
    microseconds = pc.multiply(readings["interval_seconds"].cast(pa.int64()), 1_000_000)
    return pc.add(readings["reading_ts"].cast(pa.int64()), microseconds).cast(TIMESTAMP)


def _misaligned(readings: pa.Table) -> Mask:
    seconds = flat(readings["interval_seconds"]).to_numpy(zero_copy_only=False).astype(np.int64)
    start = flat(readings["reading_ts"].cast(pa.int64())).to_numpy(zero_copy_only=False)
    # Register reads are weeks apart and at any time of day.
    is_within_a_day = seconds <= MAX_DAY_SECONDS
    off_grid = start % (np.gcd(seconds, GRID_SECONDS) * 1_000_000) != 0
    return np.asarray(is_within_a_day & off_grid, dtype=np.bool_)


def _mask(column: pa.Array | pa.ChunkedArray) -> Mask:
    return np.asarray(flat(pc.fill_null(column, False)).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _any(violations: list[Violation]) -> Mask:
    """Return the rows that break at least one rule."""
    return np.asarray(np.logical_or.reduce([violation.rows for violation in violations]))


def _split(readings: pa.Table, violations: list[Violation]) -> tuple[pa.Table, pa.Table]:
    """Return (the rows that break no rule, the others with the first rule they break)."""
    bad = _any(violations)
    if not bad.any():
        return readings, REJECTED.empty_table()
    first = np.argmax(np.stack([violation.rows for violation in violations]), axis=0)[bad]
    rows = readings.filter(pa.array(bad))
    codes = pa.array(first)
    rules = [violation.rule for violation in violations]
    own = {
        "rule": pa.array(rules).take(codes),
        "severity": pa.array([RULES[rule].severity for rule in rules]).take(codes),
        "reason": pa.array([violation.reason for violation in violations]).take(codes),
        "raw_text": rows["value"].cast(pa.string()),
    }
    rejected = pa.table(
        {name: own[name] if name in own else rows[name] for name in REJECTED.names}, schema=REJECTED
    )
    return readings.filter(pa.array(~bad)), rejected
