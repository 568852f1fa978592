"""Arrow schemas of readings between the steps of ingestion, and the values that they hold.

Here: the shape of what a reader yields (`PARSED`, and `REGISTER_READ` of dials), of what it or a rule turned
away (`REJECTED`), of what the meter configuration says (`REGISTERS`) and of what is ready to load
(`READING`).
Not here: how a format is read (`formats`), what makes a reading wrong (`vee`), or how it is stored (`load`).
"""

import dataclasses
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

TIMESTAMP = pa.timestamp("us", tz="UTC")
# The column types of `meter_readings`: a value that does not fit is rejected, never rounded.
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

# Units are written in one way, whatever the letter case of the file.
KWH_PER_UNIT_POWER_OF_TEN: dict[str, int] = {"Wh": -3, "kWh": 0, "MWh": 3}
KVARH_PER_UNIT_POWER_OF_TEN: dict[str, int] = {"varh": -3, "kvarh": 0, "Mvarh": 3}
# Energy that flows one way is never below zero.
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

# What stood on the dial of a device: of two, the difference is energy.
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
    """One meter file as rows, before anything is known of the meters it names.

    `readings` has the schema `PARSED`, at most one row per (identifier, register, reading_ts): of several
    in the file the later one won. `rejected` has the schema `REJECTED`. `content_hash` is the SHA-256
    of the bytes of the file as received, in hexadecimal. `source_version` is the newest version that any
    reading of the file carries (UTC), None where it has no reading. `register_reads` has the schema
    `REGISTER_READ`, in the order of the file.
    """

    path: Path
    format: str
    content_hash: str
    readings: pa.Table
    rejected: pa.Table
    source_version: datetime.datetime | None
    register_reads: pa.Table = dataclasses.field(default_factory=REGISTER_READ.empty_table)


# (identifier, register) to the first and last start of its readings, in microseconds since 1970.
Spans = dict[tuple[str, str], tuple[int, int]]


@dataclasses.dataclass(frozen=True)
class FileInParts:
    """A meter file of any size, as parts of which each can be judged by itself, one after the other.

    `parts` gives them anew at each call: together they have the rows of the file once, and no two of them
    have readings of one register that could meet. A file that fits into memory has one part. `spans` are of
    all registers that were read, in file order; `left_empty` are the columns that the file leaves to a
    mapping. The other attributes are those of `ParsedFile`.
    """

    path: Path
    format: str
    content_hash: str
    source_version: datetime.datetime | None
    spans: Spans
    left_empty: frozenset[str]
    register_reads: pa.Table
    parts: Callable[[], Iterator[ParsedFile]]


@dataclasses.dataclass(frozen=True)
class Judged:
    """`readings` (schema `READING`) may be loaded, `quarantined` (schema `REJECTED`) may not."""

    readings: pa.Table
    quarantined: pa.Table
