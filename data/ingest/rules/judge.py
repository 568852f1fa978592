"""Validation of readings: rows to verdicts, pure functions on whole columns.

Here: `screen` (what a reading alone tells), `judge` (what the meters that are configured tell), the
energy balance of both, and the table of rules. Not here: reading files, or writing anything.
"""

import datetime
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.rules.measures import (
    completeness,
    expected_intervals,
    flat,
    kwh,
    reading_dates,
)
from data.ingest.rules.table import RULES, Rule
from data.ingest.schema import (
    DECIMAL,
    KWH_PER_UNIT_POWER_OF_TEN,
    ONE_DIRECTION_CHANNELS,
    READING,
    REJECTED,
    TIMESTAMP,
    Judged,
    ParsedFile,
)

__all__ = [
    "RULES",
    "EnergyBalance",
    "Judged",
    "Rule",
    "completeness",
    "energy_balance",
    "expected_intervals",
    "judge",
    "kwh",
    "reading_dates",
    "screen",
]

_COUNTERS_END = (Decimal("4294967.295"), Decimal("2147483.647"), Decimal("16777.215"))
# In kWh, and in Wh, where a meter sends its counter as it is.
SENTINELS = (*_COUNTERS_END, *(value.scaleb(3) for value in _COUNTERS_END))
SENTINEL_REASON = "SENTINEL"
FIRST_DATE = datetime.datetime(1990, 1, 1, tzinfo=datetime.UTC)
END_DATE = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)
# All zones differ from UTC by whole quarter-hours, so up to that grid UTC tells of local alignment.
GRID_SECONDS = 900
# The longest local day: readings are kept by the date on which they start.
MAX_DAY_SECONDS = 90_000

Mask = npt.NDArray[np.bool_]


def screen(readings: pa.Table, *, now: datetime.datetime) -> tuple[pa.Table, pa.Table]:
    """(readings that may go on, quarantined), by the rules that need no knowledge of the meters.

    `readings` has the schema `PARSED`, and so has the first result; the second has `REJECTED`. Values
    that only say "no value" become null there.
    """
    readings = _without_sentinels(readings)
    channel = readings["channel"]
    one_way = pc.is_in(channel, pa.array(ONE_DIRECTION_CHANNELS))
    zero = pa.scalar(Decimal(0), DECIMAL)
    start = readings["reading_ts"]
    end = _ends(readings)
    _, inexact = kwh(readings["value"], readings["unit"])
    outside = pc.or_(
        pc.less(start, pa.scalar(FIRST_DATE, TIMESTAMP)),
        pc.greater_equal(start, pa.scalar(END_DATE, TIMESTAMP)),
    )
    findings = [
        ("VEE-DATE", "the reading lies outside 1990 to 2099", _mask(outside)),
        ("VEE-FUTURE", "the interval has not ended yet", _mask(pc.greater(end, pa.scalar(now, TIMESTAMP)))),
        ("VEE-ALIGNMENT", "the interval starts between two multiples of its length", _misaligned(readings)),
        (
            "VEE-NEGATIVE",
            "energy below zero on a one-direction channel",
            _mask(pc.and_(one_way, pc.less(readings["value"], zero))),
        ),
        ("VEE-PRECISION", "the value is not exact in kWh with 9 decimals", _mask(inexact)),
    ]
    return _part(readings, findings)


def judge(
    parsed: ParsedFile,
    registers: pa.Table,
    *,
    now: datetime.datetime,
    archived: Collection[datetime.date] = (),
) -> Judged:
    """Readings of `parsed` ready to load, and everything of it that must not be loaded.

    `registers` has the schema `REGISTERS`, one row per (identifier, register). Readings of the dates
    `archived` are turned away. `quarantined` starts with the rows that the reader rejected. Raises
    `ValueError` if a register is configured twice.
    """
    readings, quarantined = screen(parsed.readings, now=now)
    position = _register_rows(readings, registers)
    known = {
        name: flat(registers[name]).take(position)
        for name in ("meter_id", "channel", "unit", "interval_seconds", "timezone")
    }
    findings = [
        (
            "VEE-LONG",
            "the reading covers more than a day, so it belongs to no reading date",
            _mask(pc.greater(readings["interval_seconds"], MAX_DAY_SECONDS)),
        ),
        (
            "VEE-REGISTER",
            "no meter is configured for this identifier and register",
            _mask(pc.is_null(position)),
        ),
        (
            "VEE-UNIT",
            "the unit is not the one configured",
            _mask(pc.not_equal(readings["unit"], known["unit"])),
        ),
        (
            "VEE-INTERVAL",
            "the interval length is not the one configured",
            _mask(pc.not_equal(readings["interval_seconds"], known["interval_seconds"])),
        ),
        (
            "VEE-NEGATIVE",
            "energy below zero on a one-direction channel",
            _mask(
                pc.and_(
                    pc.is_in(known["channel"], pa.array(ONE_DIRECTION_CHANNELS)),
                    pc.less(readings["value"], pa.scalar(Decimal(0), DECIMAL)),
                )
            ),
        ),
    ]
    if archived:
        dates = reading_dates(readings["reading_ts"], pc.fill_null(known["timezone"], "UTC"))
        is_archived = _mask(pc.is_in(dates, pa.array(sorted(archived), pa.date32())))
        findings.append(("VEE-ARCHIVED", "the readings of this date are archived", is_archived))
    bad = np.logical_or.reduce([mask for _, _, mask in findings])
    good, unfit = _part(readings, findings)
    keep = pa.array(~bad)
    of_meter = {name: column.filter(keep) for name, column in known.items()}
    rejected = pa.concat_tables([parsed.rejected, quarantined, unfit])
    return Judged(_loadable(good, of_meter, str(parsed.format)), rejected)


def _loadable(readings: pa.Table, of_meter: dict[str, pa.Array], source: str) -> pa.Table:
    value_kwh, _ = kwh(readings["value"], readings["unit"])
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


def _register_rows(readings: pa.Table, registers: pa.Table) -> pa.Array:
    """For each reading the row of `registers` that it belongs to, null where there is none."""
    row_of = {
        key: row
        for row, key in enumerate(
            zip(registers["identifier"].to_pylist(), registers["register"].to_pylist(), strict=True)
        )
    }
    if len(row_of) != registers.num_rows:
        raise ValueError("a register is configured twice for the same identifier")
    identifier = flat(pc.dictionary_encode(flat(readings["identifier"])))
    register = flat(pc.dictionary_encode(flat(readings["register"])))
    names = register.dictionary.to_pylist()
    # Every pair of distinct names: a file has few registers, so this is small, and rows need no loop.
    table = pa.array(
        [row_of.get((i, r)) for i in identifier.dictionary.to_pylist() for r in names], pa.int64()
    )
    codes = pc.add(
        pc.multiply(identifier.indices.cast(pa.int64()), len(names)), register.indices.cast(pa.int64())
    )
    return table.take(codes)


def _without_sentinels(readings: pa.Table) -> pa.Table:
    sentinel = pc.is_in(pc.abs(readings["value"]), pa.array(SENTINELS, DECIMAL))
    if not pc.any(sentinel).as_py():
        return readings
    replaced = {
        "value": pa.scalar(None, DECIMAL),
        "quality": pa.scalar("null"),
        "reason_code": pa.scalar(SENTINEL_REASON),
    }
    for name, scalar in replaced.items():
        index = readings.schema.get_field_index(name)
        column = pc.if_else(sentinel, scalar, readings[name])
        readings = readings.set_column(index, readings.schema.field(name), column)
    return readings


def _ends(readings: pa.Table) -> pa.ChunkedArray:
    microseconds = pc.multiply(readings["interval_seconds"].cast(pa.int64()), 1_000_000)
    return pc.add(readings["reading_ts"].cast(pa.int64()), microseconds).cast(TIMESTAMP)


def _misaligned(readings: pa.Table) -> Mask:
    seconds = flat(readings["interval_seconds"]).to_numpy(zero_copy_only=False).astype(np.int64)
    start = flat(readings["reading_ts"].cast(pa.int64())).to_numpy(zero_copy_only=False)
    # Reads of a register are weeks apart and at any time of day.
    is_within_a_day = seconds <= MAX_DAY_SECONDS
    off_grid = start % (np.gcd(seconds, GRID_SECONDS) * 1_000_000) != 0
    return np.asarray(is_within_a_day & off_grid, dtype=np.bool_)


def _mask(column: pa.Array | pa.ChunkedArray) -> Mask:
    return np.asarray(flat(pc.fill_null(column, False)).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _part(readings: pa.Table, findings: list[tuple[str, str, Mask]]) -> tuple[pa.Table, pa.Table]:
    """(rows that no rule is against, the others with the first rule that is)."""
    bad = np.logical_or.reduce([mask for _, _, mask in findings])
    if not bad.any():
        return readings, REJECTED.empty_table()
    first = np.argmax(np.stack([mask for _, _, mask in findings]), axis=0)[bad]
    rows = readings.filter(pa.array(bad))
    codes = pa.array(first)
    own = {
        "rule": pa.array([rule for rule, _, _ in findings]).take(codes),
        "severity": pa.array([RULES[rule].severity for rule, _, _ in findings]).take(codes),
        "reason": pa.array([reason for _, reason, _ in findings]).take(codes),
        "raw_text": rows["value"].cast(pa.string()),
    }
    rejected = pa.table(
        {name: own[name] if name in own else rows[name] for name in REJECTED.names}, schema=REJECTED
    )
    return readings.filter(pa.array(~bad)), rejected


@dataclass(frozen=True)
class EnergyBalance:
    """Energy of one file in kWh: what came in is what was accepted and what was turned away.

    `energy_in_kwh` counts every value that could be read; `superseded_kwh` is the share of the
    quarantined that a later row of the same file replaced (informational, never to be replayed).
    """

    energy_in_kwh: Decimal = Decimal(0)
    accepted_kwh: Decimal = Decimal(0)
    quarantined_kwh: Decimal = Decimal(0)
    superseded_kwh: Decimal = Decimal(0)

    def __add__(self, other: "EnergyBalance") -> "EnergyBalance":
        return EnergyBalance(
            self.energy_in_kwh + other.energy_in_kwh,
            self.accepted_kwh + other.accepted_kwh,
            self.quarantined_kwh + other.quarantined_kwh,
            self.superseded_kwh + other.superseded_kwh,
        )

    @property
    def is_balanced(self) -> bool:
        """Whether nothing appeared or vanished, to the last decimal."""
        return self.energy_in_kwh == self.accepted_kwh + self.quarantined_kwh


def energy_balance(parsed: ParsedFile, judged: Judged) -> EnergyBalance:
    """The balance of one file, exact; sentinels are no energy, non-energy units count nothing."""
    cleaned = _without_sentinels(parsed.readings)
    into = _energy(cleaned["value"], cleaned["unit"]) + _energy(
        parsed.rejected["value"], parsed.rejected["unit"]
    )
    quarantined = judged.quarantined
    replaced = quarantined.filter(
        pc.is_in(quarantined["rule"], pa.array(["VEE-SUPERSEDED", "VEE-CONFLICT", "VEE-OVERLAP"]))
    )
    return EnergyBalance(
        energy_in_kwh=into,
        accepted_kwh=pc.sum(judged.readings["value_kwh"]).as_py() or Decimal(0),
        quarantined_kwh=_energy(quarantined["value"], quarantined["unit"]),
        superseded_kwh=_energy(replaced["value"], replaced["unit"]),
    )


def _energy(values: pa.ChunkedArray, units: pa.ChunkedArray) -> Decimal:
    """Sum in kWh, exact also where single values are not: summed in native units first."""
    total = Decimal(0)
    for unit, power in KWH_PER_UNIT_POWER_OF_TEN.items():
        native = pc.sum(values.filter(pc.fill_null(pc.equal(units, unit), False))).as_py()
        total += (native or Decimal(0)).scaleb(power)
    return total
