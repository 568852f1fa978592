"""MSCONS, the EDIFACT message of metered values (UN D.04B as EDI@Energy uses it, and its neighbours).

Here: segments to readings. Not here: whether a meter is known, or whether a value is plausible
(`data.ingest.rules`). A value covers the time from its DTM 163 to its DTM 164. A value with only a date
(DTM 9 or 7) is a register reading, not energy. In Switzerland and the Nordic countries a period is one text
(DTM 324), values follow each other from a start by a length (DTM 354), and DTM 735 is the offset of all
times. `line` is the number of a segment, UNA included: a file is often one line.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.errors import RefusedFile
from data.ingest.formats.columns import (
    UNITS,
    Batch,
    Mask,
    Rejections,
    Violation,
    null_where,
    parse_decimals,
    parse_instants,
    spread,
    to_mask,
)
from data.ingest.formats.container import Member, refuse
from data.ingest.formats.format import FileFormat
from data.ingest.schema import PARSED, TIMESTAMP

BATCH_ROWS = 65_536
# A series of up to this length stays in one batch, so that its times can be compared with its period: a year
# of five minutes. Ten times as many values without times took a gigabyte.
MAX_SERIES_ROWS = 2 * BATCH_ROWS
# Rows that are rejected at once: each is a dict of all columns.
REJECTED_AT_ONCE = 4096
# Below this length a series is too short to show that nine of ten values stand in their place.
MIN_SERIES_ROWS = 10
MAX_SEGMENT_CHARS = 1 << 16
# The lengths that meters have: for values without times the count must give one of them.
BLOCK_SECONDS = (300, 600, 900, 1800, 3600)
# A year and an hour: the energy of a small customer is sent once a year.
MAX_INTERVAL_SECONDS = 366 * 86_400 + 3_600
# The zone of times without an offset: German legal time.
ZONE = "Europe/Berlin"

_SEGMENTS = re.compile(
    "UNA|UNB|UNG|UNH|BGM|DTM|CUX|RFF|NAD|CTA|COM|UNS|LOC|CCI|CAV|MEA|LIN|PIA"
    "|IMD|PRI|MOA|QTY|STS|TAX|PCD|ALI|AJT|FTX|ERC|AGR|SEQ|IDE|CNT|UNT|UNE|UNZ"
)
# The terms of EDI@Energy: true value, sum, substitute, proposal, forecast, provisional and missing value.
_QUALITIES = {
    "220": "actual",
    "79": "actual",
    # The quantity of a period and an estimate, in the Nordic countries.
    "136": "actual",
    "99": "estimated",
    "67": "estimated",
    "201": "estimated",
    "187": "estimated",
    "Z18": "estimated",
    "Z30": "null",
}
_UNIT_CODES = {
    **UNITS,
    "whr": "Wh",
    "kwt": "kW",
    "maw": "MW",
    "wtt": "W",
    "k3": "kvarh",
    "kvr": "kvar",
    "mtq": "m3",
}
_OBIS = re.compile(r"([0-9]+)-[0-9A-Za-z]+:([0-9]+)\.([0-9]+)\.[0-9A-Za-z]+(?:[*&][0-9]+)?")
_ELECTRICITY = "1"
_CHANNELS = {"1": "import", "2": "export", "3": "reactive_import", "4": "reactive_export"}
# OBIS group D: integrals over time are energy; maxima, averages and instantaneous values are not.
_INTEGRALS = ("8", "9", "10", "29", "30", "58", "59")
_BASE_UNITS = {
    **dict.fromkeys(("1", "2"), ("kWh", "kW")),
    **dict.fromkeys(("3", "4", "5", "6", "7", "8"), ("kvarh", "kvar")),
    **dict.fromkeys(("9", "10"), ("kVAh", "kVA")),
}
_BOUNDS = {"163": "start", "164": "end"}
# Start and end in one text, and what each of them is then.
_PERIOD = "324"
_PERIOD_FORMAT = "719"
_PERIOD_TEXT = re.compile(r"([0-9]{12})([0-9]{12})([+-][0-9]{2}(?:[0-9]{2})?)?")
# The offset of all times of a message that have none of their own.
_OFFSET = "735"
_OFFSET_TEXT = re.compile(r"[+-][0-9]{4}")
_RESOLUTION = "354"
_SECONDS_PER_UNIT = {"806": 60, "805": 3600}
_POINT_IN_TIME = ("7", "9")
_CANCELLATION = "1"
_FUNCTIONS = ("", "5", "7", "9")
_METERING_POINT = "172"
_METER_NUMBER = "MG"
_MOVED = (
    "MSCONS-PLACE",
    "the value got the times of its place in the period, since its own do not fit there",
)

# Stands for a run of values that was read at once.
_RUN = "..."

_COLUMNS = (
    "line",
    "series",
    "method",
    "value",
    "unit",
    "start",
    "start_format",
    "end",
    "end_format",
    "status",
    "is_point",
)

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Elements = list[list[str]]


@dataclass(frozen=True)
class Signs:
    """The service characters; `decimal` is None if no UNA declares one: then both marks are valid."""

    component: str = ":"
    element: str = "+"
    decimal: str | None = None
    release: str = "?"
    terminator: str = "'"

    @cached_property
    def _marks(self) -> dict[str, str]:
        signs = (self.release, self.element, self.component, self.terminator)
        return {self.release + sign: chr(0xE000 + i) for i, sign in enumerate(signs)}

    @cached_property
    def _signs(self) -> dict[int, str]:
        return {ord(mark): pair[-1] for pair, mark in self._marks.items()}

    def split(self, segment: str) -> Elements:
        """Split a segment into the components of each element, tag first; restore released characters."""
        is_released = self.release != " " and self.release in segment
        if is_released:
            # Latin-1 text has no characters of the private use area.
            for pair, mark in self._marks.items():
                segment = segment.replace(pair, mark)
            segment = segment.replace(self.release, "")
        elements = [element.split(self.component) for element in segment.split(self.element)]
        if is_released:
            return [[part.translate(self._signs) for part in element] for element in elements]
        return elements

    @cached_property
    def run(self) -> re.Pattern[str]:
        """The pattern of consecutive values in the usual form: only a quantity, its start and its end."""
        value = self._build_pattern(f"(?:{re.escape(self.release + self.element)}|-)", "")
        following = "|".join(tag + re.escape(self.element) for tag in ("QTY", "LIN", "LOC", "NAD", "UNT"))
        return re.compile(f"(?:{value})+(?={following})")

    @cached_property
    def value(self) -> re.Pattern[str]:
        """The pattern of one value: qualifier, quantity, unit, start, end, without release characters."""
        return re.compile(self._build_pattern(f"(?:{re.escape(self.element)}|-)", "("))

    def _build_pattern(self, sign: str, group: str) -> str:
        """Build the pattern of one value; `group` opens a group around each item, or is empty."""
        close = ")" if group else ""
        element, component, end = (re.escape(s) for s in (self.element, self.component, self.terminator))
        quantity = f"{group}[0-9.,-]*{close}(?:{component}{group}[A-Z0-9]*{close})?"
        time = f"{component}{group}[0-9]{{12}}{sign}[0-9]{{2}}{close}{component}303{end}"
        start, stop = f"DTM{element}163{time}", f"DTM{element}164{time}"
        return f"QTY{element}{group}[0-9A-Z]+{close}{component}{quantity}{end}{start}{stop}"

    def ends_released(self, segment: str) -> bool:
        """Whether the terminator after `segment` belongs to the text."""
        if self.release == " ":
            return False
        return (len(segment) - len(segment.rstrip(self.release))) % 2 == 1


@dataclass
class Message:
    """The segments from UNH to UNT. `fault` is (rule, reason) why its values cannot be used."""

    reference: str
    segments: int = 1
    version: tuple[str, str] | None = None
    offset: str = ""
    fault: tuple[str, str] | None = None
    is_detail: bool = False


@dataclass
class Group:
    """The values of one metering point; its times apply to a series of one value."""

    identifier: str = ""
    qualifier: str = ""
    serial_number: str | None = None
    start: tuple[str, str] | None = None
    end: tuple[str, str] | None = None
    step_seconds: int | None = None
    unit: str | None = None
    is_point: bool = False
    has_series: bool = False
    fault: tuple[str, str] | None = None


@dataclass
class ProductSeries:
    """The values under one LIN segment.

    `start`, `end` and `step_seconds`, the length of its intervals, are of the series, else of its group.
    """

    group: Group
    start: tuple[str, str] | None = None
    end: tuple[str, str] | None = None
    step_seconds: int | None = None
    register: str = ""
    has_product: bool = False
    channel: str = "other"
    unit: str | None = None
    version_us: int | None = None
    count: int = 0
    fault: tuple[str, str] | None = None


def iter_batches(path: Path, member: Member, part: int) -> Iterator[Batch]:
    """Yield the readings of one text in batches of about 64 k rows, one part for each interchange.

    Raises `RefusedFile`.
    """
    return _Reader(path, member, part).batches()


def _recognizes(text: str) -> bool:
    return re.match(r"UN[ABH]", text) is not None


FORMAT = FileFormat(
    name="mscons",
    summary="EDIFACT MSCONS of Germany (EDI@Energy), Switzerland and the Nordic countries",
    read=iter_batches,
    recognizes=_recognizes,
)


class _Reader:
    def __init__(self, path: Path, member: Member, first_part: int) -> None:
        self._path = path
        self._member = member
        self._part = first_part - 1
        self._signs = Signs()
        self._number = 0
        self._reference: str | None = None
        self._messages = 0
        self._groups = 0
        self._message: Message | None = None
        self._group = Group()
        self._series: ProductSeries | None = None
        self._value: dict[str, Any] | None = None
        self._known: list[ProductSeries] = []
        self._rows: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        self._rejections = Rejections()

    def batches(self) -> Iterator[Batch]:
        """Yield all readings; they are complete only if no refusal follows."""
        for segment in self._iter_segments():
            tag = segment[:3]
            rows = len(self._rows["line"])
            if tag == "LIN" and rows >= BATCH_ROWS:
                self._close_series()
                yield self._flush()
            elif tag in {"QTY", _RUN} and rows >= MAX_SERIES_ROWS:
                self._close_value()
                yield self._flush()
            if tag != _RUN:
                self._take(tag, segment)
            if tag == "UNZ":
                yield self._flush()
        if not self._number:
            raise self._refuse("FILE-EMPTY", f"{self._member.name} holds no segment")
        if self._reference is not None or not self._messages:
            raise self._refuse("FILE-CUT", "the last segment is not the UNZ trailer")

    def _refuse(self, rule: str, reason: str) -> RefusedFile:
        return refuse(self._path, max(self._number, 1), rule, reason)

    def _iter_segments(self) -> Iterator[str]:
        """Yield the segments without terminator and line ends; count them, and obey UNA.

        Values in the usual form are read at once, and `_RUN` stands for them.
        """
        rest = ""
        for block in self._member.blocks:
            rest += block.decode("latin-1").replace("\n", "").replace("\r", "")
            if not self._number:
                rest = rest.lstrip()
                if rest.startswith("UNA") and len(rest) > 8:
                    self._signs = Signs(terminator=rest[8])
            position = 0
            while True:
                after_run = self._take_run(rest, position)
                if after_run > position:
                    position = after_run
                    yield _RUN
                    continue
                end = self._find_segment_end(rest, position)
                if end < 0:
                    break
                self._number += 1
                segment = rest[position:end].lstrip()
                position = end + 1
                if segment.startswith("UNA"):
                    self._take_signs(segment)
                yield segment
            rest = rest[position:]
            if len(rest) > MAX_SEGMENT_CHARS:
                raise self._refuse(
                    "EDIFACT-SYNTAX", f"a segment is longer than {MAX_SEGMENT_CHARS} characters"
                )
        rest = rest.strip(" \t\x1a\0")
        if rest:
            self._number += 1
            is_closed = self._messages > 0 and self._reference is None
            rule = "EDIFACT-SYNTAX" if is_closed else "FILE-CUT"
            raise self._refuse(rule, f"the text ends without {self._signs.terminator!r}: {rest[:20]!r}")

    def _find_segment_end(self, text: str, start: int) -> int:
        end = text.find(self._signs.terminator, start)
        while end >= 0 and self._signs.ends_released(text[start:end]):
            end = text.find(self._signs.terminator, end + 1)
        return end

    def _take_run(self, text: str, position: int) -> int:
        """Read the values in usual form that begin at `position`; return where they end."""
        if self._series is None or self._message is None or not text.startswith("QTY", position):
            return position
        found = self._signs.run.match(text, position)
        if found is None:
            return position
        self._close_value()
        plain = found.group().replace(self._signs.release + self._signs.element, self._signs.element)
        items = self._signs.value.findall(plain)
        count = len(items)
        methods, values, units, starts, ends = zip(*items, strict=True)
        new: dict[str, Iterable[Any]] = {
            "line": range(self._number + 1, self._number + 3 * count, 3),
            "series": itertools.repeat(self._count_values(self._series, count), count),
            "method": methods,
            "value": (value or None for value in values),
            "unit": (unit or None for unit in units),
            "start": starts,
            "end": ends,
            "start_format": itertools.repeat("303", count),
            "end_format": itertools.repeat("303", count),
        }
        for name, column in self._rows.items():
            column.extend(new.get(name, itertools.repeat(None, count)))
        self._number += 3 * count
        self._message.segments += 3 * count
        return found.end()

    def _take_signs(self, segment: str) -> None:
        terminator = self._signs.terminator
        signs = segment[3:7] + terminator
        if self._reference is not None:
            raise self._refuse("FILE-CUT", "an interchange begins before the previous one has ended")
        if len(segment) != 8 or len(set(signs)) != 5 or signs[2] not in ".,":
            raise self._refuse("EDIFACT-SYNTAX", f"{segment!r} is not a valid service string advice")
        self._signs = Signs(signs[0], signs[1], signs[2], signs[3], terminator)

    def _take(self, tag: str, segment: str) -> None:
        is_known = _SEGMENTS.fullmatch(tag) is not None
        if not is_known or (segment[3:4] not in ("", self._signs.element) and tag != "UNA"):
            raise self._refuse("EDIFACT-SYNTAX", f"{segment[:20]!r} is not a segment of MSCONS")
        if tag == "UNA":
            return
        if self._message is not None:
            self._message.segments += 1
        elif tag not in {"UNB", "UNG", "UNH", "UNE", "UNZ"}:
            raise self._refuse("EDIFACT-SYNTAX", f"the segment {tag} stands outside a message")
        if tag not in {"DTM", "STS"}:
            self._close_value()
        take = self._HANDLERS.get(tag)
        if take is not None:
            take(self, self._signs.split(segment))

    def _take_interchange(self, elements: Elements) -> None:
        if self._reference is not None or self._message is not None:
            raise self._refuse("FILE-CUT", "an interchange begins before the previous one has ended")
        self._reference = _get_component(elements, 5)
        self._messages = self._groups = 0
        self._part += 1

    def _take_group(self, _: Elements) -> None:
        self._groups += 1

    def _take_interchange_end(self, elements: Elements) -> None:
        if self._message is not None or self._reference is None:
            raise self._refuse("EDIFACT-SYNTAX", "the segment UNZ does not end an interchange")
        self._check_count(elements, self._groups or self._messages, self._reference)
        self._reference = None
        # An interchange without messages is complete too.
        self._messages = max(self._messages, 1)

    def _check_count(self, elements: Elements, count: int, reference: str) -> None:
        stated = _get_component(elements, 1)
        if not stated.isdecimal() or int(stated) != count:
            raise self._refuse(
                "EDIFACT-COUNT", f"{elements[0][0]} states the count {stated!r}, but there are {count}"
            )
        if _get_component(elements, 2) != reference:
            raise self._refuse(
                "EDIFACT-COUNT",
                f"{elements[0][0]} has the reference {_get_component(elements, 2)!r}, not {reference!r}",
            )

    def _take_message(self, elements: Elements) -> None:
        if self._reference is None:
            raise self._refuse(
                "EDIFACT-SYNTAX", "a message begins outside an interchange: its UNB is missing"
            )
        if self._message is not None:
            raise self._refuse("EDIFACT-SYNTAX", "a message begins before the previous one has ended")
        kind = _get_component(elements, 2)
        if kind != "MSCONS":
            raise self._refuse(
                "FILE-FORMAT", f"the message is {kind!r}; the only supported EDIFACT message is MSCONS"
            )
        self._message = Message(_get_component(elements, 1))
        self._messages += 1
        self._group = Group()

    def _take_message_end(self, elements: Elements) -> None:
        if self._message is not None:
            self._close_series()
            self._check_count(elements, self._message.segments, self._message.reference)
            self._message = None

    def _take_function(self, elements: Elements) -> None:
        function = _get_component(elements, 3)
        if self._message is None or function in _FUNCTIONS:
            return
        reason = "the message cancels an earlier one"
        if function != _CANCELLATION:
            reason = f"the message function {function!r} is unknown"
        self._message.fault = ("MSCONS-CANCELLATION", reason)
        self._rejections.add(self._number, "MSCONS-CANCELLATION", reason, _get_component(elements, 2))

    def _take_time(self, elements: Elements) -> None:
        qualifier = _get_component(elements, 1)
        text, format = _get_component(elements, 1, 1), _get_component(elements, 1, 2)
        if qualifier == _RESOLUTION:
            unit = _SECONDS_PER_UNIT.get(format)
            if unit is not None and re.fullmatch(r"[0-9]{1,4}", text):
                (self._series or self._group).step_seconds = int(text) * unit
        elif qualifier == _OFFSET and self._message is not None and not self._message.is_detail:
            self._take_offset(text)
        elif qualifier == _PERIOD:
            for bound, time in zip(("163", "164"), _split_period(text, format), strict=True):
                self._take_bound(bound, self._add_offset(time))
        else:
            self._take_bound(qualifier, self._add_offset((text, format)))

    def _take_bound(self, qualifier: str, time: tuple[str, str]) -> None:
        if self._value is not None:
            _set_time(self._value, qualifier, time)
        elif self._message is not None and not self._message.is_detail:
            # DTM 293 is the version of a time series, 137 the date of its message.
            if qualifier == "293" or (qualifier == "137" and self._message.version is None):
                self._message.version = time
        elif qualifier in _BOUNDS:
            setattr(self._series or self._group, _BOUNDS[qualifier], time)
        elif qualifier in _POINT_IN_TIME:
            self._group.is_point = True

    def _take_offset(self, text: str) -> None:
        assert self._message is not None
        if not _OFFSET_TEXT.fullmatch(text):
            raise self._refuse("EDIFACT-SYNTAX", f"the offset {text[:20]!r} is not hours and minutes")
        self._message.offset = text
        if self._message.version is not None:
            self._message.version = self._add_offset(self._message.version)

    def _add_offset(self, time: tuple[str, str]) -> tuple[str, str]:
        """Return a time with the offset of its message, if the message has one and the time has none."""
        text, format = time
        if self._message is None or not self._message.offset or format not in ("203", "204"):
            return time
        return text + self._message.offset, {"203": "303", "204": "304"}[format]

    def _take_measure(self, elements: Elements) -> None:
        unit = _UNIT_CODES.get(_get_component(elements, 3).lower())
        (self._series or self._group).unit = unit

    def _take_detail(self, _: Elements) -> None:
        if self._message is not None:
            self._message.is_detail = True

    def _take_party(self, _: Elements) -> None:
        if self._message is not None and self._message.is_detail:
            self._close_series()
            self._group = Group()

    def _take_location(self, elements: Elements) -> None:
        self._close_series()
        if self._group.has_series:
            self._group = Group()
        qualifier = _get_component(elements, 1)
        # In Switzerland the metering point is the name of the place.
        identifier = _get_component(elements, 2) or _get_component(elements, 2, 3)
        group = self._group
        if qualifier == _METERING_POINT == group.qualifier and identifier != group.identifier:
            group.fault = (
                "ROW-CHANNEL",
                f"the value has two metering points, {group.identifier!r} and {identifier!r}",
            )
        if qualifier == _METERING_POINT or not group.identifier:
            group.identifier, group.qualifier = identifier, qualifier

    def _take_reference(self, elements: Elements) -> None:
        if self._series is None and self._message is not None and self._message.is_detail:
            reference = _get_component(elements, 1, 1)
            if _get_component(elements, 1) == _METER_NUMBER and reference.isprintable():
                self._group.serial_number = reference or None

    def _take_line(self, elements: Elements) -> None:
        self._close_series()
        self._group.has_series = True
        version = self._message.version if self._message is not None else None
        group = self._group
        product = _get_component(elements, 3)
        self._series = ProductSeries(
            group, group.start, group.end, group.step_seconds, register=product, unit=group.unit
        )
        if version is not None:
            self._series.version_us = _parse_version_us(version)
            if self._series.version_us is None:
                self._series.fault = (
                    "ROW-TIMESTAMP",
                    f"the date of the message, {version[0]!r}, is not a time",
                )

    def _take_product(self, elements: Elements) -> None:
        series = self._series
        if (
            series is not None
            and not series.count
            and (_get_component(elements, 1) == "5" or not series.register or not series.has_product)
        ):
            series.register = _get_component(elements, 2)
            series.has_product = True

    def _take_quantity(self, elements: Elements) -> None:
        if self._series is None:
            self._take_line([])
        series = self._series
        assert series is not None
        self._value = {
            "line": self._number,
            "series": self._count_values(series, 1),
            "method": _get_component(elements, 1),
            "value": _get_component(elements, 1, 1).strip() or None,
            "unit": _get_component(elements, 1, 2) or None,
        }

    def _count_values(self, series: ProductSeries, count: int) -> int:
        """Add `count` values to a series; return its place among the series of the batch."""
        if not series.count:
            self._describe(series)
        # An earlier batch may hold the start of this series.
        if not series.count or not self._known:
            self._known.append(series)
        series.count += count
        return len(self._known) - 1

    def _describe(self, series: ProductSeries) -> None:
        identifier, register = series.group.identifier, series.register
        found = _OBIS.fullmatch(register)
        if found is not None:
            medium, kind, process = found.groups()
            if medium == _ELECTRICITY:
                energy, power = _BASE_UNITS.get(kind, (None, None))
                is_integral = process in _INTEGRALS
                series.unit = series.unit or (energy if is_integral else power)
                series.channel = _CHANNELS.get(kind, "other") if is_integral else "other"
            else:
                series.channel = "consumption"
        if not identifier:
            series.fault = ("ROW-CHANNEL", "the value has no metering point (LOC)")
        elif not register:
            series.fault = ("ROW-CHANNEL", "the value has no product (PIA or LIN)")
        elif not (identifier + register).isprintable():
            series.fault = (
                "ROW-ENCODING",
                "the metering point or product holds bytes that are not valid text",
            )
        if self._message is not None:
            series.fault = self._message.fault or series.group.fault or series.fault

    def _take_status(self, elements: Elements) -> None:
        if self._value is not None:
            status = (
                f"{_get_component(elements, 1)}:{_get_component(elements, 3) or _get_component(elements, 2)}"
            )
            previous = self._value.get("status")
            self._value["status"] = f"{previous} {status}" if previous else status

    def _close_value(self) -> None:
        value, self._value = self._value, None
        if value is not None:
            for name, column in self._rows.items():
                column.append(value.get(name))

    def _close_series(self) -> None:
        """Close the series; a single value without times gets those of its series or metering point."""
        self._close_value()
        series, self._series = self._series, None
        if series is None or series.count != 1 or not self._rows["line"]:
            return
        if series.end is None and series.step_seconds:
            # Its length gives the end.
            return
        last = {name: column[-1] for name, column in self._rows.items()}
        if last["start"] is None and last["end"] is None:
            start, end = series.start or (None, None), series.end or (None, None)
            times = (*start, *end, last["is_point"] or series.group.is_point)
            for name, item in zip(
                ("start", "start_format", "end", "end_format", "is_point"), times, strict=True
            ):
                self._rows[name][-1] = item

    def _flush(self) -> Batch:
        rows, self._rows = self._rows, {name: [] for name in _COLUMNS}
        series, self._known = self._known, []
        readings = PARSED.empty_table()
        if rows["line"]:
            readings = _build_readings(rows, series, self._signs.decimal, self._rejections)
        return Batch(readings, self._rejections.take(), max(self._part, 0))

    _HANDLERS: ClassVar = {
        "UNB": _take_interchange,
        "UNG": _take_group,
        "UNZ": _take_interchange_end,
        "UNH": _take_message,
        "UNT": _take_message_end,
        "BGM": _take_function,
        "DTM": _take_time,
        "MEA": _take_measure,
        "UNS": _take_detail,
        "NAD": _take_party,
        "LOC": _take_location,
        "RFF": _take_reference,
        "LIN": _take_line,
        "PIA": _take_product,
        "QTY": _take_quantity,
        "STS": _take_status,
    }


def _get_component(elements: Elements, element: int, component: int = 0) -> str:
    """Return a component of an element, empty if there is none."""
    if element < len(elements) and component < len(elements[element]):
        return elements[element][component]
    return ""


def _split_period(text: str, format: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the start and the end of a period; what is no period is no time either."""
    found = _PERIOD_TEXT.fullmatch(text) if format == _PERIOD_FORMAT else None
    if found is None:
        return (text, format), (text, format)
    start, end, offset = found.groups()
    form = "303" if offset else "203"
    return (start + (offset or ""), form), (end + (offset or ""), form)


def _set_time(value: dict[str, Any], qualifier: str, time: tuple[str, str]) -> None:
    name = _BOUNDS.get(qualifier)
    if name is not None:
        # A second time makes the first one ambiguous: both together are not a time.
        before = value.get(name)
        value[name] = time[0] if before is None else f"{before} {time[0]}"
        value[f"{name}_format"] = time[1]
    elif qualifier in _POINT_IN_TIME:
        value["is_point"] = True


@lru_cache(maxsize=64)
def _parse_version_us(time: tuple[str, str]) -> int | None:
    instant, bad = _parse_times(pa.array([time[0]]), pa.array([time[1]]), "earliest")
    return None if bad[0] else int(instant[0])


def _build_readings(
    rows: dict[str, list[Any]], series: list[ProductSeries], decimal: str | None, rejections: Rejections
) -> pa.Table:
    """Return values as a table of the schema `PARSED`; add the invalid ones to `rejections`."""
    codes = np.array(rows["series"], dtype=np.int32)
    text = {name: pa.array(rows[name], pa.string()) for name in ("method", "value", "unit", "status")}
    start, bad_start = _parse_bounds(rows["start"], rows["start_format"])
    end, bad_end = _parse_bounds(rows["end"], rows["end_format"])
    bad_time = bad_start | bad_end
    no_time = np.array([s is None and e is None for s, e in zip(rows["start"], rows["end"], strict=True)])
    is_point = np.array([bool(point) for point in rows["is_point"]]) & no_time
    _place_untimed(series, codes, start, end, bad_time, has_no_time=no_time & ~is_point)
    moved = _move_to_place(series, codes, start, end, bad_time)
    seconds, fraction = np.divmod(end - start, 1_000_000)
    bad_length = (seconds <= 0) | (seconds > MAX_INTERVAL_SECONDS) | (fraction != 0)
    quality = _translate(text["method"], _QUALITIES)
    values, not_number, too_long = parse_decimals(_normalize_decimal_marks(text["value"], decimal))
    unit, bad_unit = _resolve_units(text["unit"], [entry.unit for entry in series], codes)
    version = np.array([-1 if s.version_us is None else s.version_us for s in series], dtype=np.int64)[codes]
    table = pa.table(
        {
            "line": pa.array(rows["line"], pa.int64()),
            "identifier": spread([entry.group.identifier or None for entry in series], codes),
            "register": spread([entry.register or None for entry in series], codes),
            "serial_number": spread([entry.group.serial_number for entry in series], codes),
            "channel": spread([entry.channel for entry in series], codes),
            "unit": unit,
            "reading_ts": pa.array(start).cast(TIMESTAMP),
            "interval_seconds": pa.array(np.where(bad_length, 0, seconds).astype(np.int32)),
            "value": values,
            "quality": pc.if_else(pc.is_null(text["value"]), "null", quality),
            "quality_method": text["method"],
            "reason_code": text["status"],
            # A message without a time cannot be older than the end of its values.
            "source_version": pa.array(np.where(version < 0, end, version)).cast(TIMESTAMP),
        }
    )
    violations: list[Violation] = [
        ("", "", np.array([entry.fault is not None for entry in series])[codes]),
        ("ROW-CUMULATIVE", "the value is a register reading: it has a date and no interval", is_point),
        ("ROW-TIMESTAMP", "the start or end is missing, not a time, or ambiguous", bad_time),
        ("ROW-INTERVAL", "the end is not after the start, or too far from it", bad_length),
        ("ROW-QUALITY", "the qualifier of the value is unknown", to_mask(pc.is_null(quality))),
        (
            "ROW-QUALITY",
            "the value is given although its qualifier says that it is missing",
            to_mask(pc.and_(pc.equal(quality, "null"), pc.is_valid(text["value"]))),
        ),
        ("ROW-UNIT", "the unit is missing or unknown", bad_unit),
        ("ROW-VALUE", "the value is not a number", not_number),
        ("ROW-PRECISION", "the value has more than 11 digits before or 9 after the point", too_long),
    ]
    bad = np.logical_or.reduce([mask for _, _, mask in violations])
    if bad.any():
        first = np.argmax(np.stack([mask for _, _, mask in violations]), axis=0)
        for index, row in _iter_rows(table, bad):
            rule, reason, _ = violations[first[index]]
            fault = series[codes[index]].fault
            _reject(row, fault or (rule, reason), {name: rows[name][index] for name in rows}, rejections)
    moved &= ~bad
    for index, row in _iter_rows(table, moved):
        raw = {name: rows[name][index] for name in rows}
        # The reading keeps the value: the report omits it, so that no energy counts twice.
        _reject(row | {"value": None}, _MOVED, raw, rejections)
    return table.filter(pa.array(~bad)).cast(PARSED)


def _iter_rows(table: pa.Table, chosen: Mask) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and columns of the rows that are chosen, a few thousand in memory at once."""
    numbers = np.flatnonzero(chosen)
    for begin in range(0, len(numbers), REJECTED_AT_ONCE):
        own = numbers[begin : begin + REJECTED_AT_ONCE]
        yield from zip(own.tolist(), table.take(pa.array(own)).to_pylist(), strict=True)


def _place_untimed(
    series: list[ProductSeries], codes: Codes, start: Ints, end: Ints, bad: Mask, *, has_no_time: Mask
) -> None:
    """Place values without times in the period of their series; change `start`, `end` and `bad`.

    They are in the order of time. Their count must divide the period into intervals of the stated length, or
    else of a usual one. Without the end of the period the stated length decides.
    """
    for code, entry in enumerate(series):
        own = slice(*np.searchsorted(codes, [code, code + 1]))
        count = own.stop - own.start
        step = (entry.step_seconds or 0) * 1_000_000
        if count < (1 if step else 2) or count != entry.count or not has_no_time[own].all():
            continue
        if entry.start is None or (entry.end is None and not step):
            continue
        end_text, end_format = entry.end or entry.start
        bounds, no_period = _parse_bounds([entry.start[0], end_text], [entry.start[1], end_format])
        if entry.end is None:
            bounds[1] = bounds[0] + count * step
        length, rest = divmod(int(bounds[1] - bounds[0]), int(count))
        allowed = [step] if step else [seconds * 1_000_000 for seconds in BLOCK_SECONDS]
        if no_period.any() or rest or length not in allowed:
            continue
        step = length
        start[own] = bounds[0] + np.arange(count) * step
        end[own] = start[own] + step
        bad[own] = False


def _move_to_place(series: list[ProductSeries], codes: Codes, start: Ints, end: Ints, bad: Mask) -> Mask:
    """Give mislabelled rows the times of their place in the period of their series; return which rows.

    Changes `start`, `end` and `bad`. If the metering point states a period, the values fill it exactly, and
    nine of ten carry the times of their place, then the others are mislabelled: as given they overlap and
    leave gaps. Values that fill the period in another order are not changed.
    """
    moved = np.zeros(len(codes), dtype=np.bool_)
    for code, entry in enumerate(series):
        first, last = np.searchsorted(codes, [code, code + 1])
        count = int(last - first)
        begins, ends = entry.start, entry.end
        if count < MIN_SERIES_ROWS or count != entry.count or begins is None or ends is None:
            continue
        own = slice(first, last)
        bounds, no_period = _parse_bounds([begins[0], ends[0]], [begins[1], ends[1]])
        step, rest = divmod(int(bounds[1] - bounds[0]), count)
        if no_period.any() or rest or step <= 0:
            continue
        place = bounds[0] + np.arange(count) * step
        fits = ~bad[own] & (start[own] == place) & (end[own] == place + step)
        is_cell = ~bad[own] & (end[own] - start[own] == step)
        fills = np.array_equal(np.unique(start[own][is_cell]), place)
        if fits.all() or fills or fits.sum() * 10 < count * 9:
            continue
        moved[own] = ~fits
        start[own], end[own], bad[own] = place, place + step, False
    return moved


def _reject(row: dict[str, Any], fault: tuple[str, str], raw: dict[str, Any], rejections: Rejections) -> None:
    """Reject one value. A register reading is not energy: its value gets no unit."""
    rule, reason = fault
    unit = f":{raw['unit']}" if raw["unit"] else ""
    rejections.add(
        row["line"],
        rule,
        reason,
        f"QTY+{raw['method']}:{raw['value']}{unit} {raw['start']} {raw['end']}",
        identifier=row["identifier"],
        register=row["register"],
        reading_ts=None if rule == "ROW-TIMESTAMP" or raw["start"] is None else row["reading_ts"],
        value=row["value"],
        unit=None if rule == "ROW-CUMULATIVE" else row["unit"],
    )


def _parse_bounds(texts: Sequence[str | None], formats: Sequence[str | None]) -> tuple[Ints, Mask]:
    return _parse_times(pa.array(texts, pa.string()), pa.array(formats, pa.string()), "raise")


def _parse_times(texts: pa.Array, formats: pa.Array, repeated: str) -> tuple[Ints, Mask]:
    """Return (microseconds since 1970 UTC, bad) of EDIFACT times; bad ones are 0.

    Formats: 303 and 304 with an offset, 203 and 204 in German legal time. In legal time a repeated hour is
    bad, unless `repeated` chooses one of the two. A date alone (102) is bad: it may include its day or not.
    """
    result = np.zeros(len(texts), dtype=np.int64)
    bad = np.ones(len(texts), dtype=np.bool_)
    for code, digits in (("303", 12), ("304", 14), ("203", 12), ("204", 14)):
        of_format = to_mask(pc.equal(formats, code))
        if not of_format.any():
            continue
        zone = r"[+-][0-9]{2}([0-9]{2})?" if code.startswith("3") else ""
        fits = of_format & to_mask(pc.match_substring_regex(texts, rf"^[0-9]{{{digits}}}{zone}$"))
        iso = _to_iso(null_where(texts, ~fits), digits)
        if zone:
            found, wrong = parse_instants(iso)
        else:
            found, wrong = parse_instants(pc.binary_join_element_wise(iso, "Z", ""))
            found, ambiguous = _resolve_legal_time(found, repeated)
            wrong |= ambiguous
        good = fits & ~wrong & to_mask(pc.is_valid(found))
        numbers = pc.fill_null(found.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        result = np.where(good, numbers, result)
        bad &= ~good
    return result, bad


def _to_iso(texts: pa.Array, digits: int) -> pa.Array:
    cuts = [(0, 4, ""), (4, 6, "-"), (6, 8, "-"), (8, 10, "T"), (10, 12, ":"), (12, 14, ":")][
        : digits // 2 - 1
    ]
    pieces: list[Any] = []
    for start, end, sign in cuts:
        pieces += [pa.scalar(sign), pc.utf8_slice_codeunits(texts, start, end)]
    pieces.append(pc.utf8_slice_codeunits(texts, digits, 99))
    return pc.binary_join_element_wise(*pieces, "")


def _resolve_legal_time(wall: pa.Array, repeated: str) -> tuple[pa.Array, Mask]:
    """Return (instants, ambiguous) of wall-clock times that were parsed as UTC."""
    naive = wall.cast(pa.int64()).cast(pa.timestamp("us"))
    early = pc.assume_timezone(naive, ZONE, ambiguous="earliest", nonexistent="earliest").cast(pa.int64())
    late = pc.assume_timezone(naive, ZONE, ambiguous="latest", nonexistent="latest").cast(pa.int64())
    ambiguous = to_mask(pc.not_equal(early, late)) if repeated == "raise" else np.zeros(len(wall), np.bool_)
    return early.cast(TIMESTAMP), ambiguous


def _normalize_decimal_marks(texts: pa.Array, decimal: str | None) -> pa.Array:
    """Write numbers with a point; if UNA declares the mark, the other one makes the text invalid."""
    if decimal == ",":
        texts = pc.replace_substring(texts, ".", "_")
    return texts if decimal == "." else pc.replace_substring(texts, ",", ".")


def _translate(texts: pa.Array, names: dict[str, str]) -> pa.Array:
    """Return the name of each text, null if it has none."""
    encoded = pc.dictionary_encode(texts)
    known = pa.array([names.get(text) for text in encoded.dictionary.to_pylist()], pa.string())
    return known.take(encoded.indices)


def _resolve_units(
    texts: pa.Array, defaults: list[str | None], codes: npt.NDArray[np.int32]
) -> tuple[pa.Array, Mask]:
    given = _translate(pc.utf8_lower(texts), _UNIT_CODES)
    unit = pc.if_else(pc.is_null(texts), spread(defaults, codes), given)
    return unit, to_mask(pc.is_null(unit))
