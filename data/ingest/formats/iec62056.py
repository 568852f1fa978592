"""Load profiles of meters as they are read out by IEC 62056-21: blocks P.01 and P.02 with lines of values.

Here: `P.01(time)(status)(minutes)(count)(code)(unit)...`, then a line for each interval with as many values.
The time is that of the first value, which is the end of its interval; its first digit is the season: 0
standard time, 1 an hour ahead of it, 2 UTC. A code with 5 for its fourth part is the average power of the
interval, 29 its energy, 8 the read of a dial. Not here: other values of a readout, which belong to no
interval, and profiles that do not name their registers. `line` is the line of the value.
"""

import datetime
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa

from data.ingest.formats.columns import Batch, Fault, Rejections, split_lines
from data.ingest.formats.container import Member, refuse
from data.ingest.formats.format import FileFormat, MappingUse
from data.ingest.formats.mapped_dials import Dials
from data.ingest.formats.mapped_numbers import integrate_text, multiply_numbers
from data.ingest.formats.mapping_formats import ProfileMapping
from data.ingest.formats.mapping_values import ENERGY_OF_POWER, Value
from data.ingest.formats.row_lists import Row, RowLists
from data.ingest.formats.wallclock import US

SKIPPED_LINE = "a line of the readout outside of the load profile"
SKIPPED_VALUE = "a value of a load profile that is no energy, or is the dial beside it"
_BLOCK = re.compile(r"P\.0([12])((?:\([^()]*\)){4,})")
_VALUES = re.compile(r"(?:\([^()]*\))+")
_GROUP = re.compile(r"\(([^()]*)\)")
_TIME = re.compile(r"([012])([0-9]{10})(?:[0-9]{2})?")
_CODE = re.compile(r"(?:1-[0-9]+:)?([1-8])\.([0-9]{1,2})(?:\.[0-9]{1,2})?(?:\*[0-9]+)?")
# The device, its name and its clock belong to the profile.
_ABOUT = re.compile(r"[/!]|(?:[01]-[0-9]+:)?(?:0\.0\.[0-9]|96\.1\.[0-9]|C\.1\.0|0\.9\.[12]|F\.F)(?:\*255)?\(")
_METER = re.compile(r"(?:[01]-[0-9]+:)?(?:0\.0\.0|96\.1\.0|C\.1\.0)(?:\*255)?\(([^()*]{1,40})\)")
_RATIO = re.compile(r"(?:1-[0-9]+:)?0\.4\.[23](?:\*255)?\(([0-9.]+)")
_CHANNELS = {"1": "import", "2": "export", "3": "reactive_import", "4": "reactive_export"}
_POWER, _ENERGY, _DIAL = "5", "29", "8"
# Fatal error, exhausted reserve of the clock, disturbed value: in a status of one byte.
_UNRELIABLE = 0b111
_MAX_COLUMNS = 64
_EPOCH = datetime.datetime(1970, 1, 1)


def iter_batches(
    path: Path, member: Member, part: int, mapping: ProfileMapping | None = None
) -> Iterator[Batch]:
    """Yield the readings of one text. Raises `RefusedFile`."""
    yield from _Reader(path, part, mapping or ProfileMapping(format="iec62056")).read(member)


FORMAT = FileFormat(
    name="iec62056",
    reads_lines=True,
    summary="load profiles of meters by IEC 62056-21: blocks P.01 and P.02",
    read=iter_batches,
    recognizes=lambda text: (
        re.search(r"(?m)^\x02?P\.0[12]\([012][0-9]{10,12}\)\([0-9A-Fa-f]*\)\([0-9]+\)\([0-9]+\)\(", text)
        is not None
    ),
    mapping=MappingUse(model=ProfileMapping, needs=("timezone",)),
)


class _Column(NamedTuple):
    """A register of a block: the kind is that of its code, None for a column that is passed over."""

    register: str
    channel: str
    unit: str
    kind: str | None


@dataclass
class _Block:
    """A load profile from its head on: the end of its next value, and its registers."""

    end_us: int
    seconds: int
    columns: list[_Column]
    fault: Fault | None = None


@dataclass
class _Reader:
    path: Path
    part: int
    mapping: ProfileMapping

    def __post_init__(self) -> None:
        self._rows, self._reads = RowLists(), RowLists()
        self._rejections = Rejections()
        self._skipped: Counter[str] = Counter()
        self._dials = Dials(self.path, Value(column="value", cumulative=True), self.part)
        self._zone = ZoneInfo(self.mapping.timezone or "UTC")
        # W is the standard time of the zone, S an hour more.
        days = (datetime.datetime(2025, month, 1, tzinfo=self._zone) for month in (1, 7))
        self._standard = min(day.utcoffset() or datetime.timedelta() for day in days)
        self._meter = self.mapping.identifier or ""
        self._block: _Block | None = None
        self._is_local = False
        # The profile that has a register first: the same energy may stand in a second one.
        self._profiles: dict[str, str] = {}

    def read(self, member: Member) -> Iterator[Batch]:
        line, last, is_readout = 0, "", False
        for block in member.blocks:
            for text in split_lines(block):
                line += 1
                plain = text.strip(" \r\t\x01\x02\x03\x04\x1a\0")
                last = plain or last
                is_readout |= plain.startswith("/")
                self._take(line, plain)
            if self._rows.is_full or self._reads.is_full:
                yield from self._flush()
        if not last.startswith("!"):
            if is_readout:
                raise refuse(self.path, line, "FILE-CUT", "the readout begins with / and does not end with !")
            reason = "nothing proves that the profile ends here: it was kept, but it may be cut"
            self._rejections.add(max(line, 1), "CSV-LAST-ROW", reason, last)
        yield from self._flush()
        for batch in self._dials.finish():
            yield replace(batch, has_local_times=self._is_local)

    def _flush(self) -> Iterator[Batch]:
        skipped, self._skipped = self._skipped, Counter()
        batch = self._rows.take_batch(self._rejections, self.part)
        yield replace(batch, skipped=skipped, has_local_times=self._is_local)
        dials = self._dials.add(self._reads.take_batch(self._rejections, self.part))
        yield replace(dials, has_local_times=self._is_local)

    def _take(self, line: int, text: str) -> None:
        if found := _BLOCK.match(text):
            groups = _GROUP.findall(found.group(2))
            try:
                self._block, rest = self._open_block(found.group(1), groups)
            except Fault as fault:
                self._block, rest = _Block(0, 0, [], fault), []
                self._rejections.add(line, fault.rule, fault.reason, text, identifier=self._meter)
            if rest and self._block is not None:
                self._add_values(line, text, rest)
        elif self._block is not None and _VALUES.fullmatch(text):
            self._add_values(line, text, _GROUP.findall(text))
        elif text:
            self._read_other(line, text)

    def _read_other(self, line: int, text: str) -> None:
        if self._block is not None and text.startswith("("):
            self._rejections.add(line, "IEC-PROFILE", "the values of the line are not in brackets", text)
            return
        self._skipped[SKIPPED_LINE] += _ABOUT.match(text) is None
        if (meter := _METER.match(text)) and not self.mapping.identifier:
            self._meter = meter.group(1).strip()
        ratio = _RATIO.match(text)
        if ratio and ratio.group(1).strip("0.") not in ("", "1") and self.mapping.factor is None:
            reason = (
                f"the meter counts behind a transformer of {ratio.group(1)}, and nothing says whether its "
                "values are multiplied: declare factor, 1 if they are"
            )
            raise refuse(self.path, line, "FILE-MAPPING", reason)

    def _open_block(self, profile: str, groups: list[str]) -> tuple[_Block, list[str]]:
        """Return the block of a head, and the values that stand behind it. Raises `Fault`."""
        time, status, minutes, count = groups[:4]
        if not re.fullmatch("[0-9]{1,4}", minutes) or not int(minutes) or 1440 % int(minutes):
            raise Fault("IEC-PROFILE", f"the interval of {minutes[:10]!r} minutes does not divide a day")
        if not re.fullmatch("[0-9]{1,2}", count) or not 0 < int(count) <= _MAX_COLUMNS:
            raise Fault("IEC-PROFILE", f"the block says that it has {count[:10]!r} columns")
        names = groups[4 : 4 + 2 * int(count)]
        if len(names) < 2 * int(count):
            raise Fault("IEC-PROFILE", f"the block does not name the code and the unit of {count} columns")
        if re.fullmatch("[0-9A-Fa-f]{2}", status) and int(status, 16) & _UNRELIABLE:
            raise Fault("IEC-PROFILE", f"by the status {status} the values or the clock are not reliable")
        end_us = self._to_us(time)
        # By the clock of the time itself: a day ends at local midnight.
        if (int(time[7:9]) * 60 + int(time[9:11])) % int(minutes) or time[11:].strip("0"):
            raise Fault("IEC-PROFILE", f"the time {time} is not the end of an interval of {minutes} minutes")
        columns = self._name_columns(profile, list(zip(names[::2], names[1::2], strict=True)))
        return _Block(end_us, int(minutes) * 60, columns), groups[4 + 2 * int(count) :]

    def _name_columns(self, profile: str, names: list[tuple[str, str]]) -> list[_Column]:
        codes = [_CODE.fullmatch(code) for code, _ in names]
        with_energy = {code.group(1) for code in codes if code and code.group(2) in (_POWER, _ENERGY)}
        return [
            self._name_column(profile, code, with_energy, name, unit)
            for code, (name, unit) in zip(codes, names, strict=True)
        ]

    def _name_column(
        self, profile: str, code: re.Match[str] | None, with_energy: set[str], name: str, unit: str
    ) -> _Column:
        quantity, kind = code.groups() if code else ("", "")
        is_read = kind in (_POWER, _ENERGY) or (kind == _DIAL and quantity not in with_energy)
        first = self._profiles.setdefault(quantity, profile) if is_read else profile
        channel = _CHANNELS.get(quantity, "other") if first == profile else "other"
        register = name if profile == "1" else f"P.02 {name}"
        return _Column(register, channel, unit, kind if is_read else None)

    def _to_us(self, text: str) -> int:
        found = _TIME.fullmatch(text)
        try:
            local = datetime.datetime.strptime(found.group(2), "%y%m%d%H%M") if found else None
        except ValueError:
            local = None
        if found is None or local is None:
            raise Fault("ROW-TIMESTAMP", f"the time {text[:20]!r} is not a season and YYMMDDhhmm")
        season = found.group(1)
        self._is_local |= season != "2"
        offset = self._standard + datetime.timedelta(hours=season == "1")
        at = local - (datetime.timedelta() if season == "2" else offset)
        return (at - _EPOCH) // datetime.timedelta(microseconds=1)

    def _add_values(self, line: int, text: str, values: list[str]) -> None:
        block = self._block
        assert block is not None
        if block.fault is not None:
            self._rejections.add(line, block.fault.rule, block.fault.reason, text, identifier=self._meter)
            return
        width = len(block.columns)
        if len(values) % width:
            reason = f"the line has {len(values)} values, and the block {width} columns"
            block.fault = Fault("IEC-PROFILE", f"{reason}; the times of the rest of the block are unknown")
            self._rejections.add(line, "IEC-PROFILE", reason, text, identifier=self._meter)
            return
        for place in range(0, len(values), width):
            for column, value in zip(block.columns, values[place : place + width], strict=True):
                self._add_value(line, block, column, value.partition("*")[0].strip())
            block.end_us += block.seconds * US

    def _add_value(self, line: int, block: _Block, column: _Column, text: str) -> None:
        if column.kind is None:
            self._skipped[SKIPPED_VALUE] += 1
            return
        unit, value = column.unit, text if text.strip("-") else None
        if value is not None and self.mapping.factor is not None:
            value = multiply_numbers(pa.array([value], pa.string()), self.mapping.factor)[0].as_py()
        if column.kind == _POWER:
            given = unit
            unit = ENERGY_OF_POWER.get(given, given)
            if value is not None and unit != given:
                value = integrate_text(value, block.seconds // 60, given)
        is_dial = column.kind == _DIAL
        seconds = 0 if is_dial else block.seconds
        about = (line, self._meter, column.register, column.channel, unit)
        row = Row(*about, block.end_us - seconds * US, seconds, value)
        (self._reads if is_dial else self._rows).rows.append(row)
