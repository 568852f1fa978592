"""NEM13, the accumulated registers of the Australian market: records 100, 250, 550 and 900.

Here: two register reads, and the energy between them. Not here: interval data (`nem12`), or whether a meter
is known (`vee`). NEM time is UTC+10 in every season and state. A reading is derived: its reason code says
how.

DIFFERENCE: current less previous read. MULTIPLIER: the sender's quantity, a whole multiple of the difference,
as behind a current transformer. ROLLOVER: the register passed its last digit in between; the quantity, or
without one an energy below half of the register's range, says so. COUNTDOWN: an export register that counts
down, as its negative quantity says. A negative quantity of an export is an amount with the sign of its flow.
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

from data.ingest.formats.columns import UNITS, Batch, Rejections, is_damaged, split_lines
from data.ingest.formats.container import Member, refuse
from data.ingest.formats.nem12 import nem_instant_us
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
# Between two reads of a register that anyone sends lie months, not decades.
MAX_SECONDS = 10 * 366 * 86_400
MAX_MULTIPLIER = 10_000
_LIMIT = Decimal(10) ** DECIMAL_DIGITS_BEFORE_POINT

_US = 1_000_000
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
# A register may have more digits than an amount: their difference is what must fit.
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
    """One read of a register: the text as it stands on the dial, when, and its quality flag."""

    text: str
    at_us: int
    flag: str

    @property
    def value(self) -> Decimal:
        return Decimal(self.text)

    @property
    def digits(self) -> int:
        """How many digits stand before the point, leading zeros among them."""
        return len(self.text.split(".")[0])

    @property
    def span(self) -> Decimal:
        """What the register counts before it starts again: the digits it is written with tell."""
        return Decimal(10) ** self.digits

    @property
    def step(self) -> Decimal:
        """One step of its last digit."""
        return Decimal(1).scaleb(-len(self.text.partition(".")[2]))


class _Fault(Exception):
    """A record cannot be used: a rule and a reason. Never leaves this module."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


def iter_batches(path: Path, member: Member, first_part: int) -> Iterator[Batch]:
    """The readings of one text in batches of about 64 k rows. Raises `RefusedFile`.

    Parts count from `first_part`, one for each 100 record, as in NEM12.
    """
    return _Reader(path, member, first_part).batches()


class _Reader:
    def __init__(self, path: Path, member: Member, first_part: int) -> None:
        self._path = path
        self._member = member
        self._part = first_part - 1
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
                fields = _fields(text)
                last = fields[0] if fields else ""
                if len(self._rows) >= BATCH_ROWS or (last == "100" and self._has_header):
                    yield self._flush()
                self._take(line, text, last, fields)
        if last != "900":
            reason = f"the last record is {last[:20]!r}, not the 900 trailer"
            raise refuse(self._path, max(line, 1), "FILE-CUT", reason)
        yield self._flush()

    def _take(self, line: int, text: str, code: str, fields: list[str]) -> None:
        if not self._has_header and code != "100":
            reason = f"the first record is {text[:20]!r}, not a 100"
            raise refuse(self._path, line, "NEM13-HEADER", reason)
        match code:
            case "100":
                self._has_header = True
                self._part += 1
                self._header_us = _header(self._path, line, fields)
            case "250":
                try:
                    row, reads, doubt = _reading(line, text, fields, self._header_us)
                except _Fault as fault:
                    self._rejections.add(line, fault.rule, fault.reason, text, **_known(fields))
                    return
                self._rows.append(row)
                self._reads.extend(reads)
                if doubt is not None:
                    self._rejections.add(line, "NEM13-QUANTITY", doubt, text, identifier=row["identifier"])
            case "550" | "900":
                pass
            case _:
                rule = "ROW-ENCODING" if is_damaged(text) else "NEM13-RECORD"
                self._rejections.add(line, rule, "the line is no record of NEM13", text)

    def _flush(self) -> Batch:
        rows, self._rows = self._rows, []
        reads, self._reads = self._reads, []
        return Batch(
            pa.Table.from_pylist(rows, schema=PARSED),
            self._rejections.take(),
            max(self._part, 0),
            pa.Table.from_pylist(reads, schema=REGISTER_READ),
        )


def _fields(text: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([text]), [])]
    except csv.Error:
        # A field beyond the limit of the csv module is no field of a register read.
        return []


def _header(path: Path, line: int, fields: list[str]) -> int | None:
    kind = fields[1].upper() if len(fields) > 1 else ""
    if kind != "NEM13":
        raise refuse(
            path, line, "NEM13-HEADER", f"the header announces {kind[:20]!r}; only NEM13 is read here"
        )
    text = fields[2] if len(fields) > 2 else ""
    try:
        return nem_instant_us(text) if text else None
    except ValueError as error:
        raise refuse(path, line, "NEM13-HEADER", f"{text[:20]!r} is no time: {error}") from error


def _reading(
    line: int, text: str, fields: list[str], header_us: int | None
) -> tuple[dict[str, Any], list[dict[str, Any]], str | None]:
    """(the reading, the reads it is derived from, what is doubtful about it)."""
    if is_damaged(text):
        raise _Fault("ROW-ENCODING", "the 250 record holds bytes that are no text")
    if len(fields) < FIELDS:
        raise _Fault("NEM13-RECORD", f"a 250 record has {FIELDS} fields or more, this one {len(fields)}")
    identifier, register = fields[1], (fields[4] or fields[3]).upper()
    if not identifier or not register:
        raise _Fault("ROW-CHANNEL", "the 250 record lacks its NMI or its suffix")
    unit = UNITS.get(fields[19].lower())
    if unit not in KWH_PER_UNIT_POWER_OF_TEN and unit not in KVARH_PER_UNIT_POWER_OF_TEN:
        raise _Fault("ROW-UNIT", f"the unit {fields[19][:20]!r} is none of an energy register")
    direction = fields[7].upper()
    channel = _CHANNELS.get((direction, unit in KWH_PER_UNIT_POWER_OF_TEN))
    if channel is None:
        raise _Fault("ROW-CHANNEL", f"the direction {fields[7][:20]!r} is neither E nor I")
    before, after = (_read(fields[place : place + 3]) for place in (8, 13))
    seconds = (after.at_us - before.at_us) // _US
    if not 0 < seconds <= MAX_SECONDS:
        raise _Fault("NEM13-DATES", "the current read is not after the previous one, or decades after it")
    value, method, doubt = _derived(before, after, _quantity(fields[18]), direction)
    worst = max(before, after, key=lambda read: _RANKS.index(_QUALITIES[read.flag[0]]))
    same = {
        "line": line,
        "identifier": identifier,
        "register": register,
        "serial_number": fields[6] or None,
        "channel": channel,
        "unit": unit,
        "source_version": _instant(_version_us(fields[20:], after, header_us)),
    }
    reading = same | {
        "reading_ts": _instant(before.at_us),
        "interval_seconds": seconds,
        "value": value,
        "quality": _QUALITIES[worst.flag[0]],
        "quality_method": worst.flag,
        "reason_code": method,
    }
    # What counts down, or has no device, is no dial to compare with; a wider one does not fit.
    digits = max(before.digits, after.digits)
    is_dial = same["serial_number"] and method != "COUNTDOWN" and digits <= DECIMAL_DIGITS_BEFORE_POINT
    multiplier = int(value / (after.value - before.value)) if method == "MULTIPLIER" else 1
    return reading, _dial(same, before, after, multiplier) if is_dial else [], doubt


def _dial(same: dict[str, Any], before: _Read, after: _Read, multiplier: int) -> list[dict[str, Any]]:
    """Both reads of a record as rows (`REGISTER_READ`)."""
    return [
        same
        | {
            "read_at": _instant(read.at_us),
            "value": read.value,
            "digits": max(before.digits, after.digits),
            "multiplier": multiplier,
            "quality": _QUALITIES[read.flag[0]],
        }
        for read in (before, after)
    ]


def _read(fields: list[str]) -> _Read:
    text, time, flag = fields[0], fields[1], fields[2].upper()
    if not _REGISTER.fullmatch(text):
        raise _Fault("ROW-VALUE", f"the register read {text[:20]!r} is no number of 15 digits and 9 decimals")
    if not _FLAG.fullmatch(flag):
        raise _Fault("NEM13-QUALITY", f"the quality flag {flag[:20]!r} is not known")
    if flag.startswith("N"):
        raise _Fault("NEM13-QUALITY", "a read marked N is none: no difference can be taken")
    try:
        return _Read(text, nem_instant_us(time), flag)
    except ValueError as error:
        raise _Fault("NEM13-DATES", f"the read time {time[:20]!r} cannot be: {error}") from error


def _derived(
    before: _Read, after: _Read, quantity: Decimal | None, direction: str
) -> tuple[Decimal, str, str | None]:
    """(energy between two reads, how it was found, what is doubtful about it)."""
    value, method = after.value - before.value, ""
    if quantity is not None and quantity < 0:
        if direction != "I":
            raise _Fault(
                "VEE-NEGATIVE", f"the quantity {quantity} is below zero, the register counts imports"
            )
        if _agree(quantity, value, before, after):
            value, method = -value, "COUNTDOWN"
        quantity = -quantity
    if not method:
        value, method = _energy(before, after, quantity)
    if value >= _LIMIT:
        raise _Fault("ROW-PRECISION", f"the energy {value} does not fit")
    if quantity is None or _agree(quantity, value, before, after):
        return value, method, None
    return (
        value,
        method,
        f"the quantity {quantity} is not the difference {value} of the registers, which was taken",
    )


def _energy(before: _Read, after: _Read, quantity: Decimal | None) -> tuple[Decimal, str]:
    """(energy between two reads, how it was found)."""
    difference = after.value - before.value
    if difference < 0:
        difference += before.span
        has_same_digits = before.digits == after.digits
        is_small = quantity is None and has_same_digits and difference * 2 < before.span
        if not is_small and not (quantity is not None and _agree(quantity, difference, before, after)):
            raise _Fault("NEM13-ROLLOVER", "the register went down, and no rollover explains it")
        return difference, "ROLLOVER"
    if quantity is not None and difference and not quantity % difference:
        multiplier = quantity / difference
        if 1 < multiplier <= MAX_MULTIPLIER:
            return quantity, "MULTIPLIER"
    if (
        quantity is not None
        and difference * 2 > before.span
        and not _agree(quantity, difference, before, after)
    ):
        reason = f"the register went up by {difference}, most of its range, and the quantity is {quantity}"
        raise _Fault("NEM13-ROLLOVER", reason)
    return difference, "DIFFERENCE"


def _agree(quantity: Decimal, energy: Decimal, before: _Read, after: _Read) -> bool:
    """Whether two sums differ by no more than a thousandth or one step of the register."""
    return abs(quantity - energy) <= max(abs(energy) / 1000, before.step, after.step)


def _quantity(text: str) -> Decimal | None:
    if not text:
        return None
    if not _QUANTITY.fullmatch(text):
        raise _Fault("ROW-VALUE", f"the quantity {text[:20]!r} is no number of 11 digits and 9 decimals")
    return Decimal(text)


def _version_us(fields: list[str], after: _Read, header_us: int | None) -> int:
    """The update time, the time in the header, or else the later read."""
    text = fields[1] if len(fields) > 1 else ""
    if text:
        try:
            return nem_instant_us(text)
        except ValueError as error:
            raise _Fault("NEM13-DATES", f"the update time {text[:20]!r} is no time: {error}") from error
    return header_us if header_us is not None else after.at_us


def _instant(microseconds: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(microseconds=microseconds)


def _known(fields: list[str]) -> dict[str, Any]:
    """What can be read of a record that is rejected: its energy must not vanish."""
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
