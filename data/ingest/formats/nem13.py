"""NEM13, the accumulated registers of the Australian market: records 100, 250, 550 and 900.

Here: two register reads, and the energy between them. Not here: interval data (`nem12`), or whether a meter
is known (`data.ingest.rules`). NEM time is UTC+10 in every season and state. A reading is derived; its
reason code is the method.

DIFFERENCE: the current read less the previous one. MULTIPLIER: the sender's quantity, a multiple of the
difference by the ratio of a current transformer. ROLLOVER: the register passed its last digit in between,
as the quantity shows, or without a quantity an energy below half of the register's range. COUNTDOWN: an
export register that counts down, as its negative quantity shows. Otherwise a negative quantity of an export
is an amount with the sign of its flow.
"""

import csv
import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from data.ingest.formats.columns import UNITS, Batch, Fault, Rejections, is_damaged, split_lines
from data.ingest.formats.container import Member, refuse
from data.ingest.formats.format import FileFormat, MappingUse
from data.ingest.formats.mapping_formats import NemMapping
from data.ingest.formats.nem12 import READ_ALL_THE_SAME, parse_header_time, parse_nem_time_us
from data.ingest.schema import (
    DECIMAL_DIGITS_AFTER_POINT,
    DECIMAL_DIGITS_BEFORE_POINT,
    KVARH_PER_UNIT_POWER_OF_TEN,
    KWH_PER_UNIT_POWER_OF_TEN,
    PARSED,
    REGISTER_READ,
)

BATCH_ROWS = 65_536
FIELDS = 20
# Two reads of a register are months apart, not decades.
MAX_SECONDS = 10 * 366 * 86_400
MAX_MULTIPLIER = 10_000
# Ratios of current transformers are multiples of 5: 50/5, 75/5, 200/5. A difference of a few steps has too
# many multiples to show one.
MULTIPLIER_STEP = 5
MIN_STEPS = 10
_LIMIT = Decimal(10) ** DECIMAL_DIGITS_BEFORE_POINT

_US = 1_000_000
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
# A register may have more digits than an amount: only the difference of two reads must fit.
_REGISTER = re.compile(rf"[0-9]{{1,15}}(\.[0-9]{{0,{DECIMAL_DIGITS_AFTER_POINT}}})?")
_QUANTITY = re.compile(
    rf"-?[0-9]{{1,{DECIMAL_DIGITS_BEFORE_POINT}}}(\.[0-9]{{0,{DECIMAL_DIGITS_AFTER_POINT}}})?"
)
_FLAG = re.compile(r"[AEFNS]([0-9]{2})?")
_QUALITIES = {"A": "actual", "F": "edited", "S": "estimated", "E": "estimated"}
_RANKS = ("actual", "edited", "estimated")
# E leaves the grid for the customer, I comes from the customer.
_CHANNELS = {
    ("E", True): "import",
    ("I", True): "export",
    ("E", False): "reactive_import",
    ("I", False): "reactive_export",
}


@dataclass(frozen=True)
class _Read:
    """One read of a register: the text on the dial, the time, and the quality flag."""

    text: str
    at_us: int
    flag: str

    @property
    def value(self) -> Decimal:
        return Decimal(self.text)

    @property
    def digits(self) -> int:
        """Number of digits before the point, leading zeros included."""
        return len(self.text.split(".")[0])

    @property
    def span(self) -> Decimal:
        """The range of the register before it starts again, by its number of digits."""
        return Decimal(10) ** self.digits

    @property
    def step(self) -> Decimal:
        """One step of the last digit."""
        return Decimal(1).scaleb(-len(self.text.partition(".")[2]))


def iter_batches(
    path: Path, member: Member, first_part: int, mapping: NemMapping | None = None
) -> Iterator[Batch]:
    """Yield the readings of one text in batches of about 64 k rows. Raises `RefusedFile`.

    Parts count from `first_part`, one for each 100 record, as in NEM12.
    """
    return _Reader(path, member, first_part, mapping).batches()


def _recognizes(text: str) -> bool:
    """Whether a text starts with the 100 record of NEM13, or with a 250 record in its place."""
    starts = r'(?i)"?100"?\s*,\s*"?NEM13|"?250"?\s*,(?:[^,\n]*,){6}\s*"?[EI]"?\s*,'
    return re.match(starts, text) is not None


FORMAT = FileFormat(
    name="nem13",
    reads_lines=True,
    summary="accumulated registers of the Australian market: records 100, 250, 550 and 900",
    read=iter_batches,
    recognizes=_recognizes,
    mapping=MappingUse(model=NemMapping, is_seldom=True),
)


class _Reader:
    def __init__(self, path: Path, member: Member, first_part: int, mapping: NemMapping | None) -> None:
        self._path = path
        self._member = member
        self._part = first_part - 1
        self._may_be_incomplete = mapping is not None and mapping.incomplete == "read"
        self._has_header = False
        self._header_us: int | None = None
        self._rows: list[dict[str, Any]] = []
        self._reads: list[dict[str, Any]] = []
        self._rejections = Rejections()

    def batches(self) -> Iterator[Batch]:
        line, last = 0, ""
        for block in self._member.blocks:
            for raw in split_lines(block):
                line += 1
                text = raw.strip()
                # Old systems end a file with Ctrl-Z or fill its last block with NUL.
                if not text.strip("\x1a\0"):
                    continue
                fields = _split_fields(text)
                last = fields[0] if fields else ""
                if len(self._rows) >= BATCH_ROWS or (last == "100" and self._has_header):
                    yield self._flush()
                self._take(line, text, last, fields)
        if last != "900":
            self._take_gap(max(line, 1), "FILE-CUT", f"the last record is {last[:20]!r}, not the 900 trailer")
        yield self._flush()

    def _take(self, line: int, text: str, code: str, fields: list[str]) -> None:
        if not self._has_header and code != "100":
            self._take_gap(line, "NEM13-HEADER", f"the first record is {text[:20]!r}, not a 100")
            self._has_header = True
            self._part += 1
        match code:
            case "100":
                self._has_header = True
                self._part += 1
                self._take_header(line, text, fields)
            case "250":
                try:
                    row, reads = _parse_reading(line, text, fields, self._header_us)
                except Fault as fault:
                    self._rejections.add(line, fault.rule, fault.reason, text, **_salvage_fields(fields))
                    return
                self._rows.append(row)
                self._reads.extend(reads)
            case "550" | "900":
                pass
            case _:
                rule = "ROW-ENCODING" if is_damaged(text) else "NEM13-RECORD"
                self._rejections.add(line, rule, "the line is not a record of NEM13", text)

    def _take_gap(self, line: int, rule: str, reason: str) -> None:
        """Refuse a file that lacks its first or last record, or report that it is read all the same."""
        if not self._may_be_incomplete:
            raise refuse(self._path, line, rule, f"{reason}; {READ_ALL_THE_SAME}")
        self._rejections.add(line, "NEM-INCOMPLETE", reason, "")

    def _take_header(self, line: int, text: str, fields: list[str]) -> None:
        kind = fields[1].upper() if len(fields) > 1 else ""
        if kind != "NEM13":
            raise refuse(self._path, line, "NEM13-HEADER", f"the header announces {kind[:20]!r}, not NEM13")
        self._header_us, fault = parse_header_time(fields)
        if fault is not None:
            self._rejections.add(line, "NEM-HEADER-TIME", fault, text)

    def _flush(self) -> Batch:
        rows, self._rows = self._rows, []
        reads, self._reads = self._reads, []
        return Batch(
            pa.Table.from_pylist(rows, schema=PARSED),
            self._rejections.take(),
            max(self._part, 0),
            pa.Table.from_pylist(reads, schema=REGISTER_READ),
        )


def _split_fields(text: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([text]), [])]
    except csv.Error:
        # No field of a register read exceeds the limit of the csv module.
        return []


def _parse_reading(
    line: int, text: str, fields: list[str], header_us: int | None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return (the reading, the reads it is derived from)."""
    if is_damaged(text):
        raise Fault("ROW-ENCODING", "the 250 record holds bytes that are not valid text")
    if len(fields) < FIELDS:
        raise Fault("NEM13-RECORD", f"the 250 record has {len(fields)} fields, at least {FIELDS} expected")
    identifier, register = fields[1], (fields[4] or fields[3]).upper()
    if not identifier or not register:
        raise Fault("ROW-CHANNEL", "the 250 record lacks its NMI or its suffix")
    unit = UNITS.get(fields[19].lower())
    if unit not in KWH_PER_UNIT_POWER_OF_TEN and unit not in KVARH_PER_UNIT_POWER_OF_TEN:
        raise Fault("ROW-UNIT", f"the unit {fields[19][:20]!r} is not a unit of energy")
    direction = fields[7].upper()
    channel = _CHANNELS.get((direction, unit in KWH_PER_UNIT_POWER_OF_TEN))
    if channel is None:
        raise Fault("ROW-CHANNEL", f"the direction {fields[7][:20]!r} is neither E nor I")
    before, after = (_parse_read(fields[place : place + 3]) for place in (8, 13))
    seconds = (after.at_us - before.at_us) // _US
    if not 0 < seconds <= MAX_SECONDS:
        raise Fault("NEM13-DATES", "the current read is not after the previous one, or decades after it")
    value, method = _derive_energy(before, after, _parse_quantity(fields[18]), direction)
    worst = max(before, after, key=lambda read: _RANKS.index(_QUALITIES[read.flag[0]]))
    same = {
        "line": line,
        "identifier": identifier,
        "register": register,
        "serial_number": fields[6] or None,
        "channel": channel,
        "unit": unit,
        "source_version": _to_instant(_find_version_us(fields[20:], after, header_us)),
    }
    reading = same | {
        "reading_ts": _to_instant(before.at_us),
        "interval_seconds": seconds,
        "value": value,
        "quality": _QUALITIES[worst.flag[0]],
        "quality_method": worst.flag,
        "reason_code": method,
    }
    # A register that counts down, has no device or is too wide is not compared with other reads.
    digits = max(before.digits, after.digits)
    is_dial = same["serial_number"] and method != "COUNTDOWN" and digits <= DECIMAL_DIGITS_BEFORE_POINT
    multiplier = int(value / (after.value - before.value)) if method == "MULTIPLIER" else 1
    return reading, _build_register_reads(same, before, after, multiplier) if is_dial else []


def _build_register_reads(
    same: dict[str, Any], before: _Read, after: _Read, multiplier: int
) -> list[dict[str, Any]]:
    """Return both reads of a record as rows (`REGISTER_READ`)."""
    return [
        same
        | {
            "read_at": _to_instant(read.at_us),
            "value": read.value,
            "digits": max(before.digits, after.digits),
            "multiplier": multiplier,
            "quality": _QUALITIES[read.flag[0]],
        }
        for read in (before, after)
    ]


def _parse_read(fields: list[str]) -> _Read:
    text, time, flag = fields[0], fields[1], fields[2].upper()
    if not _REGISTER.fullmatch(text):
        raise Fault(
            "ROW-VALUE",
            f"the register read {text[:20]!r} is not a number of at most 15 digits and 9 decimals",
        )
    if not _FLAG.fullmatch(flag):
        raise Fault("NEM13-QUALITY", f"the quality flag {flag[:20]!r} is unknown")
    if flag.startswith("N"):
        raise Fault("NEM13-QUALITY", "the read is marked N (no read), so there is no difference")
    try:
        return _Read(text, parse_nem_time_us(time), flag)
    except ValueError as error:
        raise Fault("NEM13-DATES", f"the read time {time[:20]!r} does not exist: {error}") from error


def _derive_energy(
    before: _Read, after: _Read, quantity: Decimal | None, direction: str
) -> tuple[Decimal, str]:
    """Return (energy between two reads, the method). Raises `Fault` if quantity and reads disagree."""
    value, method = after.value - before.value, ""
    if quantity is not None and quantity < 0:
        if direction != "I":
            raise Fault(
                "VEE-NEGATIVE", f"the quantity {quantity} is below zero, although the register counts imports"
            )
        if _agrees(quantity, value, before, after):
            value, method = -value, "COUNTDOWN"
        quantity = -quantity
    if not method:
        value, method = _find_energy(before, after, quantity)
    if value >= _LIMIT:
        raise Fault("ROW-PRECISION", f"the energy {value} has more than 11 digits before the point")
    if quantity is not None and not _agrees(quantity, value, before, after):
        reason = f"the quantity {quantity} is not the difference {value} of the reads: one of them is wrong"
        raise Fault("NEM13-QUANTITY", reason)
    return value, method


def _find_energy(before: _Read, after: _Read, quantity: Decimal | None) -> tuple[Decimal, str]:
    """Return (energy between two reads, the method)."""
    difference = after.value - before.value
    if difference < 0:
        difference += before.span
        has_same_digits = before.digits == after.digits
        is_small = quantity is None and has_same_digits and difference * 2 < before.span
        if not is_small and not (quantity is not None and _agrees(quantity, difference, before, after)):
            raise Fault("NEM13-ROLLOVER", "the register went down, and a rollover does not explain it")
        return difference, "ROLLOVER"
    if quantity is not None and difference >= MIN_STEPS * max(before.step, after.step):
        multiplier = quantity / difference
        if 1 < multiplier <= MAX_MULTIPLIER and not multiplier % MULTIPLIER_STEP:
            return quantity, "MULTIPLIER"
    if (
        quantity is not None
        and difference * 2 > before.span
        and not _agrees(quantity, difference, before, after)
    ):
        reason = f"the register went up by {difference}, most of its range, but the quantity is {quantity}"
        raise Fault("NEM13-ROLLOVER", reason)
    return difference, "DIFFERENCE"


def _agrees(quantity: Decimal, energy: Decimal, before: _Read, after: _Read) -> bool:
    """Whether quantity and energy differ by at most a thousandth or one step of the register."""
    return abs(quantity - energy) <= max(abs(energy) / 1000, before.step, after.step)


def _parse_quantity(text: str) -> Decimal | None:
    if not text:
        return None
    if not _QUANTITY.fullmatch(text):
        raise Fault(
            "ROW-VALUE", f"the quantity {text[:20]!r} is not a number of at most 11 digits and 9 decimals"
        )
    return Decimal(text)


def _find_version_us(fields: list[str], after: _Read, header_us: int | None) -> int:
    """Return the update time, else the time in the header, else the time of the later read."""
    text = fields[1] if len(fields) > 1 else ""
    if text:
        try:
            return parse_nem_time_us(text)
        except ValueError as error:
            raise Fault("NEM13-DATES", f"the update time {text[:20]!r} is not a time: {error}") from error
    return header_us if header_us is not None else after.at_us


def _to_instant(microseconds: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(microseconds=microseconds)


def _salvage_fields(fields: list[str]) -> dict[str, Any]:
    """Return the readable fields of a rejected record, so that its energy is not lost."""
    padded = [*fields, *[""] * FIELDS]
    unit = UNITS.get(padded[19].lower())
    value = Decimal(padded[18]) if _QUANTITY.fullmatch(padded[18]) else None
    if value is not None and padded[7].upper() == "I":
        value = abs(value)
    return {
        "identifier": padded[1] or None,
        "register": (padded[4] or padded[3]).upper() or None,
        "value": value,
        "unit": unit,
    }
