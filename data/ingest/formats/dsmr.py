"""Telegrams of smart meters by DSMR (Benelux, Sweden): the dials of a home at an instant.

Here: telegrams to reads of dials. Not here: the energy between two reads (`mapped_dials`). A log holds many
telegrams; what stands between them belongs to the program that wrote it. `line` is the line of a read.
"""

import datetime
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from zoneinfo import ZoneInfo

from data.ingest.formats.columns import Batch, Fault, Rejections, split_lines
from data.ingest.formats.container import Member, refuse
from data.ingest.formats.format import FileFormat, MappingUse
from data.ingest.formats.mapped_dials import Dials
from data.ingest.formats.mapping_formats import JsonMapping
from data.ingest.formats.mapping_values import Value
from data.ingest.formats.row_lists import Row, RowLists

ZONE = "Europe/Amsterdam"
# A telegram has some 60 lines.
MAX_TELEGRAM_LINES = 1000
SKIPPED_OTHER = "a value of a telegram that is no dial"
SKIPPED_BETWEEN = "a line between telegrams"

_OBJECT = re.compile(r"([0-9]+-[0-9]+:[0-9]+\.[0-9]+\.[0-9]+)((?:\([^()]*\))+)")
_DIAL = re.compile(r"1-0:([1-4])\.8\.([0-9])")
_METER_OF_BUS = re.compile(r"0-([1-9]):24\.2\.[0-9]")
# The version, the time and the devices belong to the reads.
_ABOUT = re.compile(r"1-3:0\.2\.8|0-0:1\.0\.0|0-[0-9]:96\.1\.[0-9]|0-[1-9]:24\.1\.0")
_TIME = re.compile(r"([0-9]{12})([SW])")
_END = re.compile(r"!([0-9A-Fa-f]{4})?")
_CHANNELS = {"1": "import", "2": "export", "3": "reactive_import", "4": "reactive_export"}
_ELECTRICITY, _TIMESTAMP, _VERSION = "0-0:96.1.1", "0-0:1.0.0", "1-3:0.2.8"
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_POLYNOMIAL = 0xA001


def iter_batches(
    path: Path, member: Member, part: int, mapping: JsonMapping | None = None
) -> Iterator[Batch]:
    """Yield the energy between the reads of one text. Raises `RefusedFile`."""
    reader = _Reader(path, part, mapping)
    yield from reader.read(member)


FORMAT = FileFormat(
    name="dsmr",
    reads_lines=True,
    summary="telegrams of smart meters by DSMR, one or a log of them",
    read=iter_batches,
    recognizes=lambda text: (
        re.search(r"(?m)^/\w{3}\d[^\n]*\n\s*\n?(?:\d-\d:\d+\.\d+\.\d+\()", text) is not None
    ),
    mapping=MappingUse(
        model=JsonMapping,
        is_seldom=True,
        excludes={
            "channel": "a telegram states its registers",
            "unit": "a telegram states its units",
            "label": "a read has an instant",
        },
    ),
)


@dataclass
class _Telegram:
    """The lines from / to !, with the number of the first one."""

    line: int
    lines: list[str] = field(default_factory=list)


class _Reader:
    def __init__(self, path: Path, part: int, mapping: JsonMapping | None) -> None:
        self._path = path
        self._part = part
        self._identifier = mapping.identifier if mapping else None
        zone = ZoneInfo((mapping.timezone if mapping else None) or ZONE)
        # W is the standard time of the zone, S an hour more.
        self._standard = datetime.datetime(2025, 1, 1, tzinfo=zone).utcoffset() or datetime.timedelta()
        self._dials = Dials(path, Value(column="value", cumulative=True), part)
        self._reads = RowLists()
        self._rejections = Rejections()
        self._skipped: Counter[str] = Counter()
        self._has_checksums = False
        # Whether the telegram before has no end, as the last one of a file that was cut.
        self._is_open = False

    def read(self, member: Member) -> Iterator[Batch]:
        line, open_telegram, count = 0, None, 0
        for block in member.blocks:
            for text in split_lines(block):
                line += 1
                if text.startswith("/"):
                    self._reject_open(open_telegram)
                    open_telegram = _Telegram(line)
                if open_telegram is None:
                    self._skipped[SKIPPED_BETWEEN] += bool(text.strip())
                    continue
                open_telegram.lines.append(text.rstrip())
                if text.startswith("!"):
                    self._take(open_telegram)
                    open_telegram, count = None, count + 1
                elif len(open_telegram.lines) > MAX_TELEGRAM_LINES:
                    raise refuse(self._path, open_telegram.line, "FILE-FORMAT", "a telegram does not end")
            if self._reads.is_full:
                yield self._flush()
        if open_telegram is not None or self._is_open:
            raise refuse(self._path, max(line, 1), "FILE-CUT", "the last telegram does not end")
        yield self._flush()
        yield from self._finish_dials(count)

    def _finish_dials(self, telegrams: int) -> Iterator[Batch]:
        has_energy = False
        for batch in self._dials.finish():
            has_energy |= bool(batch.readings.num_rows or batch.rejected.num_rows)
            yield batch
        if telegrams and not has_energy:
            reason = "energy lies between two reads of a dial, and the file has one of each"
            raise refuse(self._path, None, "FILE-NO-DATA", reason)

    def _reject_open(self, telegram: _Telegram | None) -> None:
        if telegram is not None:
            reason = "the telegram does not end before the next one begins"
            self._rejections.add(telegram.line, "DSMR-TELEGRAM", reason, telegram.lines[0])

    def _take(self, telegram: _Telegram) -> None:
        try:
            self._check_end(telegram)
            objects, others = _list_objects(telegram)
            self._skipped[SKIPPED_OTHER] += others + self._add_reads(objects)
        except Fault as fault:
            self._rejections.add(telegram.line, fault.rule, fault.reason, telegram.lines[0])

    def _check_end(self, telegram: _Telegram) -> None:
        end = _END.fullmatch(telegram.lines[-1].strip())
        given = end.group(1) if end else None
        needs = self._has_checksums or any(text.startswith(_VERSION) for text in telegram.lines)
        self._is_open = end is None or (given is None and needs)
        if self._is_open:
            raise Fault("DSMR-TELEGRAM", "the telegram has no checksum")
        if given is not None:
            self._has_checksums = True
            # A meter ends its lines with CR LF; a program that logs them may not.
            body = "\r\n".join(telegram.lines[:-1]) + "\r\n!"
            if int(given, 16) not in (_find_checksum(body), _find_checksum(body.replace("\r", ""))):
                raise Fault("DSMR-TELEGRAM", f"the checksum is not {given}")

    def _add_reads(self, objects: dict[str, tuple[int, list[str]]]) -> int:
        """Add the reads of a telegram; return how many of its values are no dials. Raises `Fault`."""
        at_us = self._to_us(_get(objects, _TIMESTAMP))
        meter = self._identifier or _decode(_get(objects, _ELECTRICITY))
        has_tariffs = any(f"1-0:{kind}.8.1" in objects for kind in "12")
        others = 0
        for code, (line, texts) in objects.items():
            dial, bus = _DIAL.fullmatch(code), _METER_OF_BUS.fullmatch(code)
            value, _, unit = texts[-1].partition("*")
            if dial is not None:
                # The sum of the tariffs is no energy besides them.
                is_sum = dial.group(2) == "0" and has_tariffs
                channel = "other" if is_sum else _CHANNELS[dial.group(1)]
                self._reads.rows.append(Row(line, meter, code, channel, unit, at_us, 0, value))
            elif bus is not None and len(texts) == 2:
                name = _decode(_get(objects, f"0-{bus.group(1)}:96.1.0")) or f"{meter}/{bus.group(1)}"
                at_us_of_bus = self._to_us(texts[0])
                self._reads.rows.append(Row(line, name, code, "consumption", unit, at_us_of_bus, 0, value))
            else:
                others += _ABOUT.fullmatch(code) is None
        return others

    def _to_us(self, text: str) -> int:
        found = _TIME.fullmatch(text)
        if found is None:
            raise Fault("DSMR-TELEGRAM", f"the time {text[:20]!r} is missing or has no S or W")
        digits, season = found.groups()
        try:
            local = datetime.datetime.strptime(f"20{digits}+0000", "%Y%m%d%H%M%S%z")
        except ValueError as error:
            raise Fault("DSMR-TELEGRAM", f"the time {text} does not exist: {error}") from error
        offset = self._standard + datetime.timedelta(hours=season == "S")
        return (local - offset - _EPOCH) // datetime.timedelta(microseconds=1)

    def _flush(self) -> Batch:
        skipped, self._skipped = self._skipped, Counter()
        batch = self._reads.take_batch(self._rejections, self._part)
        return replace(self._dials.add(batch), skipped=skipped)


def _list_objects(telegram: _Telegram) -> tuple[dict[str, tuple[int, list[str]]], int]:
    """Return (line and values of each object by its code, how many lines are none). Raises `Fault`."""
    objects: dict[str, tuple[int, list[str]]] = {}
    others = 0
    for line, text in enumerate(telegram.lines[1:-1], telegram.line + 1):
        found = _OBJECT.fullmatch(text.strip())
        if found is None:
            others += bool(text.strip())
        elif found.group(1) in objects:
            raise Fault("DSMR-TELEGRAM", f"the telegram has {found.group(1)} twice")
        else:
            objects[found.group(1)] = (line, found.group(2)[1:-1].split(")("))
    return objects, others


def _get(objects: dict[str, tuple[int, list[str]]], code: str) -> str:
    return objects[code][1][0] if code in objects else ""


def _decode(text: str) -> str:
    """Return the name of a device, which a telegram writes as the codes of its letters."""
    if re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", text):
        name = bytes.fromhex(text).decode("latin-1")
        if name.isascii() and name.isprintable():
            return name.strip()
    return text.strip()


def _build_table() -> list[int]:
    table = []
    for byte in range(256):
        rest = byte
        for _ in range(8):
            rest = (rest >> 1) ^ _POLYNOMIAL if rest & 1 else rest >> 1
        table.append(rest)
    return table


_TABLE = _build_table()


def _find_checksum(text: str) -> int:
    """Return the CRC-16 of a telegram (polynomial x16 + x15 + x2 + 1, the lowest bit first)."""
    rest = 0
    for byte in text.encode(errors="replace"):
        rest = (rest >> 8) ^ _TABLE[(rest ^ byte) & 0xFF]
    return rest
