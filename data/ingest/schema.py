"""Arrow schemas of readings between the steps of ingestion, and the values that they hold.

Here: the rows that a reader yields (`PARSED`, and `REGISTER_READ` for dials), the rows that it or a rule
rejected (`REJECTED`), the meter configuration (`REGISTERS`) and the rows that are ready to load
(`READING`). Not here: reading a format (`formats`), judging readings (`rules`), or storing them
(`readings`).
"""

import dataclasses
import datetime
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pyarrow as pa

TIMESTAMP = pa.timestamp("us", tz="UTC")
# The column types of `meter_readings`: a value that does not fit is rejected, not rounded.
DECIMAL = pa.decimal128(20, 9)
DECIMAL_DIGITS_BEFORE_POINT = 11
DECIMAL_DIGITS_AFTER_POINT = 9

CHANNELS = (
    "import",
    "export",
    "generation",
    "consumption",
    "reactive_import",
    "reactive_export",
    "voltage",
    "other",
)
QUALITIES = ("actual", "edited", "estimated", "null")

# Canonical names of units, for any letter case in the file.
KWH_PER_UNIT_POWER_OF_TEN: dict[str, int] = {"Wh": -3, "kWh": 0, "MWh": 3}
KVARH_PER_UNIT_POWER_OF_TEN: dict[str, int] = {"varh": -3, "kvarh": 0, "Mvarh": 3}
# Energy that flows one way is not negative.
ONE_DIRECTION_CHANNELS = ("import", "export", "generation", "consumption")

PARSED = pa.schema(
    [
        pa.field("line", pa.int64(), nullable=False),
        pa.field("identifier", pa.string(), nullable=False),
        pa.field("register", pa.string(), nullable=False),
        pa.field("serial_number", pa.string()),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("unit", pa.string(), nullable=False),
        pa.field("reading_ts", TIMESTAMP, nullable=False),
        pa.field("interval_seconds", pa.int32(), nullable=False),
        pa.field("value", DECIMAL),
        pa.field("quality", pa.string(), nullable=False),
        pa.field("quality_method", pa.string()),
        pa.field("reason_code", pa.string()),
        pa.field("source_version", TIMESTAMP, nullable=False),
    ]
)

REJECTED = pa.schema(
    [
        pa.field("line", pa.int64(), nullable=False),
        pa.field("identifier", pa.string()),
        pa.field("register", pa.string()),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("severity", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("raw_text", pa.string()),
        pa.field("reading_ts", TIMESTAMP),
        pa.field("value", DECIMAL),
        pa.field("unit", pa.string()),
    ]
)

# The read of a dial: the difference of two reads is energy.
REGISTER_READ = pa.schema(
    [
        pa.field("line", pa.int64(), nullable=False),
        pa.field("identifier", pa.string(), nullable=False),
        pa.field("register", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("serial_number", pa.string(), nullable=False),
        pa.field("read_at", TIMESTAMP, nullable=False),
        pa.field("value", DECIMAL, nullable=False),
        pa.field("digits", pa.int32(), nullable=False),
        pa.field("multiplier", pa.int32(), nullable=False),
        pa.field("unit", pa.string(), nullable=False),
        pa.field("quality", pa.string(), nullable=False),
        pa.field("source_version", TIMESTAMP, nullable=False),
    ]
)

REGISTERS = pa.schema(
    [
        pa.field("identifier", pa.string(), nullable=False),
        pa.field("register", pa.string(), nullable=False),
        pa.field("meter_id", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("unit", pa.string()),
        pa.field("interval_seconds", pa.int32()),
        pa.field("meter_type", pa.string()),
        pa.field("timezone", pa.string(), nullable=False),
    ]
)

READING = pa.schema(
    [
        pa.field("line", pa.int64(), nullable=False),
        pa.field("meter_id", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("reading_ts", TIMESTAMP, nullable=False),
        pa.field("reading_date", pa.date32(), nullable=False),
        pa.field("interval_seconds", pa.int32(), nullable=False),
        pa.field("value_native", DECIMAL),
        pa.field("unit", pa.string(), nullable=False),
        pa.field("value_kwh", DECIMAL),
        pa.field("quality", pa.string(), nullable=False),
        pa.field("quality_method", pa.string()),
        pa.field("reason_code", pa.string()),
        pa.field("is_estimated", pa.bool_(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_version", TIMESTAMP, nullable=False),
    ]
)


@dataclasses.dataclass(frozen=True)
class ParsedFile:
    """One meter file as rows, before its meters are looked up.

    `readings` has the schema `PARSED`, at most one row per (identifier, register, reading_ts), see
    `formats.latest`. `rejected` has the schema `REJECTED`. `content_hash` is the SHA-256 of the
    bytes of the file as received, in hexadecimal. `source_version` is the newest version of any reading of
    the file (UTC), None if it has no reading. `register_reads` has the schema `REGISTER_READ`, in the order
    of the file. `skipped` counts the rows that are no readings by declaration, by reason.
    """

    path: Path
    format: str
    content_hash: str
    readings: pa.Table
    rejected: pa.Table
    source_version: datetime.datetime | None
    register_reads: pa.Table = dataclasses.field(default_factory=REGISTER_READ.empty_table)
    skipped: Counter[str] = dataclasses.field(default_factory=Counter)


# (identifier, register)
Series = tuple[str, str]
# The first and last start of the readings of each, in microseconds since 1970.
Spans = dict[Series, tuple[int, int]]


class ReadParts(Protocol):
    """Reads the parts of a file; readings of the sums in `kept` are not rejected."""

    def __call__(self, kept: Collection[Series] = ()) -> Iterator[ParsedFile]: ...


@dataclasses.dataclass(frozen=True)
class FileInParts:
    """A meter file of any size, in parts that can be judged one after the other.

    `parts` yields them again at each call: together they hold each row of the file once, and readings of one
    register in different parts do not overlap. A file that fits into memory has one part. `spans` has all
    registers that were read, in file order; `left_empty` has the columns that a mapping must declare, and
    without `has_local_times` no zone need be declared. `sums` has each register that is the sum of others,
    with the names of these others; `parts(kept)` rejects its readings unless it is in `kept`. The other
    attributes are those of `ParsedFile`.
    """

    path: Path
    format: str
    content_hash: str
    source_version: datetime.datetime | None
    spans: Spans
    left_empty: frozenset[str]
    register_reads: pa.Table
    parts: ReadParts
    has_local_times: bool = True
    sums: Mapping[Series, tuple[str, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Judged:
    """`readings` (schema `READING`) may be loaded, `quarantined` (schema `REJECTED`) may not."""

    readings: pa.Table
    quarantined: pa.Table
