"""CMEP, the California Metering Exchange Protocol: all values of a register in one record (MEPMD01).

Here: records to readings, and the energy between reads of a dial. Fields: record type, version, sender and
receiver with their customers, time of the record, meter, purpose, commodity, unit, constant, interval
(MMDDhhmm), count, then a time, a flag and a value for each reading. Times are UTC and name the end of an
interval; an empty one follows the one before. Not here: administrative records (MEPAD), which hold no
readings. `line` is the line of the record.
"""

import datetime
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from data.ingest.formats.columns import Batch, Fault, Rejections, is_damaged, split_lines
from data.ingest.formats.container import Member
from data.ingest.formats.format import FileFormat, MappingUse
from data.ingest.formats.mapped_dials import Dials
from data.ingest.formats.mapped_layout import split_fields
from data.ingest.formats.mapping_formats import CmepMapping
from data.ingest.formats.mapping_values import Value
from data.ingest.formats.row_lists import Row, RowLists
from data.ingest.formats.wallclock import US, WallClock

SKIPPED_RECORD = "a record that holds no readings of a meter"
SKIPPED_VALUE = "a value that is neither energy nor a volume"
_READINGS = "MEPMD01"
_COLUMNS = 14
_PURPOSES = ("OK", "RESEND", "HISTORY", "")
_COMMODITIES = {"E": "import", "G": "consumption", "W": "consumption", "S": "consumption"}
# Unit of a record: unit of the readings, and how many of it one is.
_UNITS = {
    "KWH": ("kWh", 1),
    "WH": ("Wh", 1),
    "MWH": ("MWh", 1),
    "KVARH": ("kvarh", 1),
    "THM": ("therm", 1),
    "THERM": ("therm", 1),
    "CF": ("ft3", 1),
    "CCF": ("ft3", 100),
    "HCF": ("ft3", 100),
    "MCF": ("ft3", 1000),
    "GAL": ("gal_us", 1),
    "CGAL": ("gal_us", 100),
    "KGAL": ("gal_us", 1000),
    "M3": ("m3", 1),
    "CM": ("m3", 1),
    "L": ("l", 1),
    "GJ": ("GJ", 1),
    "MJ": ("MJ", 1),
}
# What is measured beside energy.
_OTHER_UNITS = re.compile(r"K?(W|VA|VAR|V|A|PF)H?|VOLTS?|AMPS?|PSI|DEGF|DEGC|HZ")
_QUALITIES = {"": "actual", "R": "actual", "A": "actual", "V": "actual", "E": "estimated", "S": "estimated"}
_TIME = re.compile(r"[0-9]{12}")
_FLAG = re.compile(r"([A-Z]?)[0-9A-F]{0,8}", re.I)
_NUMBER = re.compile(r"[+-]?[0-9]{0,15}\.?[0-9]{0,12}")
_EPOCH = datetime.datetime(1970, 1, 1)


def iter_batches(
    path: Path, member: Member, part: int, mapping: CmepMapping | None = None
) -> Iterator[Batch]:
    """Yield the readings of one text. Raises `RefusedFile`."""
    yield from _Reader(path, part, mapping or CmepMapping(format="cmep")).read(member)


FORMAT = FileFormat(
    name="cmep",
    reads_lines=True,
    summary="CMEP of North American meter data systems: records MEPMD01",
    read=iter_batches,
    recognizes=lambda text: re.match(r'"?MEP(MD|AD|LD)[0-9]{2}"?,', text) is not None,
    mapping=MappingUse(model=CmepMapping, names_sender=True),
)


class _Record(NamedTuple):
    """The fields before the values of a record."""

    line: int
    meter: str
    channel: str
    unit: str
    scale: Decimal
    is_dial: bool
    seconds: int


@dataclass
class _Reader:
    path: Path
    part: int
    mapping: CmepMapping

    def __post_init__(self) -> None:
        self._rows, self._reads = RowLists(), RowLists()
        self._rejections = Rejections()
        self._skipped: Counter[str] = Counter()
        self._dials = Dials(self.path, Value(column="value", cumulative=True), self.part)
        self._clock = WallClock(self.mapping.timezone) if self.mapping.timezone else None
        self._with_intervals: set[tuple[str, str]] = set()

    def read(self, member: Member) -> Iterator[Batch]:
        line, text = 0, ""
        is_open = False
        for block in member.blocks:
            is_open = not block.endswith(b"\n")
            for text in split_lines(block):
                line += 1
                if text.strip(" \t\x1a\0,"):
                    self._take(line, text)
            if self._rows.is_full or self._reads.is_full:
                yield from self._flush()
        if is_open and text.strip():
            reason = "the last record has no line end: it was kept, but it may be cut"
            self._rejections.add(line, "CSV-LAST-ROW", reason, text)
        yield from self._flush()
        for batch in self._dials.finish():
            yield replace(batch, readings=self._set_registers_aside(batch.readings))

    def _flush(self) -> Iterator[Batch]:
        skipped, self._skipped = self._skipped, Counter()
        yield replace(self._rows.take_batch(self._rejections, self.part), skipped=skipped)
        yield self._dials.add(self._reads.take_batch(self._rejections, self.part))

    def _set_registers_aside(self, readings: pa.Table) -> pa.Table:
        """Return the energy between reads as `other` where the file has the intervals of the meter too."""
        names = zip(readings["identifier"].to_pylist(), readings["unit"].to_pylist(), strict=True)
        channels = [
            "other" if key in self._with_intervals else channel
            for key, channel in zip(names, readings["channel"].to_pylist(), strict=True)
        ]
        place = readings.schema.get_field_index("channel")
        return readings.set_column(place, readings.schema.field("channel"), pa.array(channels, pa.string()))

    def _take(self, line: int, text: str) -> None:
        if is_damaged(text):
            self._rejections.add(line, "ROW-ENCODING", "the row holds bytes that are not valid text", text)
            return
        fields = [field.strip() for field in split_fields(text, ",")]
        if not fields or fields[0] != _READINGS:
            if fields and re.fullmatch(r"MEP[A-Z]{2}[0-9]{2}", fields[0]):
                self._skipped[SKIPPED_RECORD] += 1
            else:
                self._rejections.add(line, "CMEP-RECORD", "the row is no record of CMEP", text)
            return
        try:
            values = _cut_values(fields)
            record = self._read_head(line, fields)
            if record is None:
                self._skipped[SKIPPED_VALUE] += len(values)
                return
            rows = self._read_values(record, values)
        except Fault as fault:
            meter = fields[7] if len(fields) > 7 else ""
            self._rejections.add(line, fault.rule, fault.reason, text, identifier=meter)
            return
        (self._reads if record.is_dial else self._rows).rows.extend(rows)
        if not record.is_dial:
            self._with_intervals.add((record.meter, record.unit))

    def _read_head(self, line: int, fields: list[str]) -> _Record | None:
        """Return the head of a record, None for values that are no amount. Raises `Fault`."""
        sender, meter, purpose, commodity, unit, constant, interval = (
            fields[place] for place in (2, 7, 8, 9, 10, 11, 12)
        )
        if purpose.upper() not in _PURPOSES:
            raise Fault("CMEP-RECORD", f"the purpose {purpose[:20]!r} is not that of readings")
        if commodity.upper() not in _COMMODITIES:
            raise Fault("CMEP-RECORD", f"the commodity {commodity[:20]!r} is unknown")
        if not meter:
            raise Fault("CMEP-RECORD", "the record names no meter")
        is_dial = unit.upper().endswith("REG")
        base = unit.upper().removesuffix("REG")
        if base not in _UNITS:
            if _OTHER_UNITS.fullmatch(base):
                return None
            raise Fault("ROW-UNIT", f"the unit {unit[:20]!r} is unknown")
        name, count = _UNITS[base]
        channel = "reactive_import" if name == "kvarh" else _COMMODITIES[commodity.upper()]
        scale = self._read_constant(constant) * count
        identifier = f"{self.mapping.sender or sender}/{meter}"
        seconds = 0 if is_dial else _to_seconds(interval)
        return _Record(line, identifier, channel, name, scale, is_dial, seconds)

    def _read_constant(self, text: str) -> Decimal:
        constant = Decimal(text) if _NUMBER.fullmatch(text) and re.search("[0-9]", text) else None
        if not text or constant == 1 or self.mapping.constant == "applied":
            return Decimal(1)
        if constant is None or constant <= 0:
            raise Fault("CMEP-RECORD", f"the constant {text[:20]!r} is no number above zero")
        if self.mapping.constant is None:
            raise Fault(
                "CMEP-RECORD",
                f"the constant is {text[:20]}, and nothing says whether the values are multiplied by it: "
                "declare constant: applied or constant: to_apply",
            )
        return constant

    def _read_values(self, record: _Record, values: list[tuple[str, str, str]]) -> list[Row]:
        ends = _fill_times([time for time, _, _ in values], record)
        instants = self._to_instants(ends, record)
        register = f"{record.unit}{' dial' if record.is_dial else ''}"
        rows = []
        for at, (_, flag, text) in zip(instants, values, strict=True):
            value, quality = _read_value(flag, text)
            if value is not None and record.scale != 1:
                value = _multiply(value, record.scale)
            about = (record.line, record.meter, register, record.channel, record.unit)
            rows.append(Row(*about, at - record.seconds * US, record.seconds, value, quality))
        return rows

    def _to_instants(self, ends: list[int], record: _Record) -> list[int]:
        if self._clock is None:
            return ends
        series = pa.repeat(pa.scalar(f"{record.meter} {record.unit} {record.is_dial}"), len(ends))
        instants, skipped = self._clock.resolve_ends(np.array(ends, dtype=np.int64), series)
        if skipped.any():
            raise Fault("ROW-TIMESTAMP", "a time does not exist: the clocks of the zone skip it")
        found: list[int] = instants.tolist()
        return found


def _cut_values(fields: list[str]) -> list[tuple[str, str, str]]:
    """Return (time, flag, value) of each reading. Raises `Fault` if the record counts others."""
    if len(fields) < _COLUMNS or not re.fullmatch("[0-9]{1,6}", fields[13]):
        raise Fault("CMEP-RECORD", "the record has no count of its values")
    rest = fields[_COLUMNS:]
    while len(rest) > 3 * int(fields[13]) and not rest[-1]:
        rest.pop()
    if len(rest) != 3 * int(fields[13]):
        raise Fault("CMEP-RECORD", f"the record has {len(rest)} fields of values, not 3 x {fields[13]}")
    return list(zip(rest[::3], rest[1::3], rest[2::3], strict=True))


def _fill_times(texts: list[str], record: _Record) -> list[int]:
    """Return the microseconds of each time; an empty one is an interval behind the one before."""
    found: list[int] = []
    for text in texts:
        if text:
            found.append(_to_us(text))
            if len(found) > 1 and abs(found[-1] - found[-2]) < record.seconds * US:
                raise Fault("CMEP-RECORD", "the times are closer to each other than the interval is long")
        elif found and record.seconds:
            found.append(found[-1] + record.seconds * US)
        else:
            raise Fault("ROW-TIMESTAMP", "the first value, or the read of a dial, has no time")
    return found


def _to_us(text: str) -> int:
    try:
        at = datetime.datetime.strptime(text, "%Y%m%d%H%M") if _TIME.fullmatch(text) else None
    except ValueError:
        at = None
    if at is None:
        raise Fault("ROW-TIMESTAMP", f"the time {text[:20]!r} is not CCYYMMDDhhmm")
    return (at - _EPOCH) // datetime.timedelta(microseconds=1)


def _to_seconds(interval: str) -> int:
    """Return the length of an interval, MMDDhhmm. Raises `Fault` for one of a month, or of none."""
    if not re.fullmatch("00[0-9]{6}", interval) or not int(interval):
        raise Fault("CMEP-RECORD", f"the interval {interval[:20]!r} is no length of at most days (MMDDhhmm)")
    days, hours, minutes = (int(interval[place : place + 2]) for place in (2, 4, 6))
    return ((days * 24 + hours) * 60 + minutes) * 60


def _read_value(flag: str, text: str) -> tuple[str | None, str]:
    """Return (value, quality). Raises `Fault`."""
    found = _FLAG.fullmatch(flag)
    letter = found.group(1).upper() if found else "?"
    if letter == "N" or not text:
        return None, "null"
    if letter not in _QUALITIES:
        raise Fault("ROW-QUALITY", f"the flag {flag[:20]!r} is unknown")
    return text, _QUALITIES[letter]


def _multiply(value: str, scale: Decimal) -> str:
    is_number = _NUMBER.fullmatch(value) is not None and re.search("[0-9]", value) is not None
    return format(Decimal(value) * scale, "f") if is_number else value
