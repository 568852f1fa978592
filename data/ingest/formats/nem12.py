"""NEM12, the interval data of the Australian market: records 100, 200, 300, 400, 500 and 900.

Here: text to readings. Not here: whether a meter is known, or whether a value is plausible
(`data.ingest.rules`). NEM time is UTC+10 in every season and state; value i covers (i-1..i) times the
interval length. The values of many 300 records are cast together: one cast per batch, not one per value.
"""

import csv
import datetime
import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.assemble import sum_values
from data.ingest.formats.columns import (
    UNITS,
    Batch,
    Fault,
    Mask,
    Rejections,
    is_damaged,
    null_where,
    parse_decimals,
    split_lines,
    spread,
    to_mask,
)
from data.ingest.formats.container import Member, refuse
from data.ingest.formats.format import FileFormat, MappingUse
from data.ingest.formats.mapping_formats import NemMapping
from data.ingest.schema import KWH_PER_UNIT_POWER_OF_TEN, PARSED, TIMESTAMP

NEM_OFFSET = datetime.timedelta(hours=10)
MINUTES_PER_DAY = 1440
BATCH_ROWS = 65_536
UNCOVERED = "UNCOVERED"
READ_ALL_THE_SAME = "to read it all the same, give a mapping with the fields format and incomplete: read"

_CODE = re.compile(r'\s*"?(100|200|300|400|500|900)"?\s*(?:,|$)')
_QUALITY = re.compile(r"[AEFNSV]([0-9]{2})?")
_DAY = re.compile(r"[0-9]{8}")
_NUMBER = re.compile(r"[+-]?\.?[0-9]")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_CHANNELS = {"E": "import", "B": "export", "Q": "reactive_import", "K": "reactive_export", "V": "voltage"}
_QUALITIES = {"A": "actual", "F": "edited", "S": "estimated", "E": "estimated", "N": "null", "V": "null"}

Codes = npt.NDArray[np.int32]
# A quality as (quality, quality_method, reason_code).
FlaggedQuality = tuple[str, str | None, str | None]


@dataclass(frozen=True)
class Record:
    """A logical record: several lines if a 300 record is broken; `line` is its first line."""

    line: int
    code: str
    text: str


@dataclass(frozen=True)
class DataStream:
    """What a 200 record states about the 300 records below it. `fault` is why they cannot be read."""

    line: int
    identifier: str = ""
    register: str = ""
    serial_number: str | None = None
    channel: str = "other"
    unit: str = ""
    interval_seconds: int = 0
    fault: str | None = None

    @property
    def count(self) -> int:
        """Number of intervals in a day."""
        return 86_400 // self.interval_seconds


@dataclass
class DayRecord:
    """A 300 record with the 400 records that belong to it; `fault` is (rule, reason)."""

    record: Record
    series: DataStream
    start_us: int = 0
    values: list[str] = field(default_factory=list)
    flag: str = "A"
    reason: str | None = None
    version_us: int = 0
    ranges: list[tuple[int, int, str, str | None]] = field(default_factory=list)
    fault: tuple[str, str] | None = None


def iter_batches(
    path: Path, member: Member, first_part: int, mapping: NemMapping | None = None
) -> Iterator[Batch]:
    """Yield the readings of one text in batches of about 64 k rows. Raises `RefusedFile`.

    Parts count from `first_part`, one for each 100 record: of two concatenated files the later one is newer.
    """
    return _Reader(path, member, first_part, mapping).batches()


def recognizes_nem(text: str) -> bool:
    """Whether a text starts with a record of NEM12 or NEM13."""
    return re.match(r'"?(100|200|300|400|500|900)"?\s*(,|\n|$)', text) is not None


FORMAT = FileFormat(
    name="nem12",
    reads_lines=True,
    summary="interval data of the Australian market: records 100 to 900",
    read=iter_batches,
    recognizes=recognizes_nem,
    mapping=MappingUse(model=NemMapping, is_seldom=True),
)


class _Reader:
    def __init__(self, path: Path, member: Member, first_part: int, mapping: NemMapping | None) -> None:
        self._path = path
        self._member = member
        self._part = first_part - 1
        self._may_be_incomplete = mapping is not None and mapping.incomplete == "read"
        self._header_us: int | None = None
        self._series: DataStream | None = None
        self._day: DayRecord | None = None
        self._days: list[DayRecord] = []
        self._rejections = Rejections()
        self._has_header = False
        self._last: Record | None = None

    def batches(self) -> Iterator[Batch]:
        rows = 0
        for record in join_records(_number_lines(self._member.blocks), self._values_per_day):
            if record.code == "100" or (rows >= BATCH_ROWS and record.code != "400"):
                self._close_day()
                yield self._flush()
                rows = 0
            if record.code == "300":
                rows += self._values_per_day() or 0
            self._take(record)
            self._last = record
        if self._last is None:
            raise refuse(self._path, 1, "FILE-EMPTY", f"{self._member.name} holds no record")
        if self._last.code != "900":
            kind = self._last.code or "of an unknown type"
            self._take_gap(self._last, "FILE-CUT", f"the last record is {kind}, not the 900 trailer")
        self._close_day()
        yield self._flush()

    def _values_per_day(self) -> int | None:
        series = self._series
        return series.count if series is not None and series.fault is None else None

    def _take(self, record: Record) -> None:
        if not self._has_header and record.code != "100":
            reason = f"the first record is {record.text[:20]!r}, not a 100"
            self._take_gap(record, "NEM12-HEADER", reason)
            self._part += 1
            self._has_header = True
        if record.code != "400":
            self._close_day()
        match record.code:
            case "100":
                self._take_header(record)
            case "200":
                self._take_series(record)
            case "300":
                self._take_day(record)
            case "400":
                self._take_range(record)
            case "500" | "900":
                pass
            case _:
                rule = "ROW-ENCODING" if is_damaged(record.text) else "NEM12-RECORD"
                self._reject(record, rule, "the line is not a record of NEM12 and does not continue one")

    def _take_gap(self, record: Record, rule: str, reason: str) -> None:
        """Refuse a file that lacks its first or last record, or report that it is read all the same."""
        if not self._may_be_incomplete:
            raise refuse(self._path, record.line, rule, f"{reason}; {READ_ALL_THE_SAME}")
        self._reject(record, "NEM-INCOMPLETE", reason)

    def _take_header(self, record: Record) -> None:
        fields = _split_fields(record.text)
        kind = fields[1].strip().upper() if len(fields) > 1 else ""
        if kind != "NEM12":
            raise refuse(self._path, record.line, "NEM12-HEADER", f"the header announces {kind!r}, not NEM12")
        self._part += 1
        self._has_header = True
        self._series = None
        self._header_us, fault = parse_header_time(fields)
        if fault is not None:
            self._reject(record, "NEM-HEADER-TIME", fault)

    def _take_series(self, record: Record) -> None:
        try:
            if is_damaged(record.text):
                raise Fault("ROW-ENCODING", "the 200 record holds bytes that are not valid text")
            self._series = parse_series(record)
        except Fault as fault:
            self._series = DataStream(record.line, fault=fault.reason)
            self._reject(record, fault.rule, fault.reason)

    def _take_day(self, record: Record) -> None:
        series = self._series
        if series is None or series.fault is not None:
            reason = (
                "the 300 record has no 200 record before it"
                if series is None
                else "its 200 record was rejected"
            )
            self._day = DayRecord(record, series or DataStream(record.line), fault=("NEM12-RECORD", reason))
            return
        try:
            self._day = self._parse_day(record, series)
        except Fault as fault:
            self._day = DayRecord(record, series, fault=(fault.rule, fault.reason))

    def _parse_day(self, record: Record, series: DataStream) -> DayRecord:
        if is_damaged(record.text):
            raise Fault("ROW-ENCODING", "the 300 record holds bytes that are not valid text")
        fields = _split_fields(record.text)
        count = series.count
        _check_layout(fields, count)
        start_us = _parse_day_start_us(fields[1].strip())
        flag, reason, _, updated = (text.strip() for text in (fields[count + 2 :] + [""] * 4)[:4])
        flag = flag.upper()
        return DayRecord(
            record,
            series,
            start_us,
            fields[2 : count + 2],
            flag,
            reason or None,
            self._version_us(updated, start_us),
        )

    def _version_us(self, updated: str, start_us: int) -> int:
        if updated:
            try:
                return parse_nem_time_us(updated)
            except ValueError as error:
                raise Fault("NEM12-VERSION", f"the update time {updated!r} is not a time: {error}") from error
        # A record without a time cannot be older than the end of its day, and must not count as newer.
        return self._header_us if self._header_us is not None else start_us + 86_400_000_000

    def _take_range(self, record: Record) -> None:
        day = self._day
        if day is None:
            self._reject(record, "NEM12-RECORD", "the 400 record has no 300 record before it")
            return
        if not day.series.interval_seconds:
            return
        try:
            day.ranges.append(_parse_range(_split_fields(record.text), day.series.count))
        except Fault as fault:
            reason = f"{fault.reason} (400 record in line {record.line})"
            if day.fault is None:
                day.fault = (fault.rule, reason)
            elif fault.rule == "NEM12-RANGE" and "400 record" not in day.fault[1]:
                # Together with a wrong count of values it shows a wrong interval length in the 200 record.
                day.fault = (day.fault[0], f"{day.fault[1]}; {reason}")

    def _close_day(self) -> None:
        day, self._day = self._day, None
        if day is None:
            return
        if day.fault is not None:
            self._reject(day.record, *day.fault, series=day.series)
        else:
            self._days.append(day)

    def _reject(self, record: Record, rule: str, reason: str, series: DataStream | None = None) -> None:
        """Reject a record; the values of a day count as far as they can be read."""
        known = series is not None and series.fault is None and series.identifier
        self._rejections.add(
            record.line,
            rule,
            reason,
            record.text,
            identifier=series.identifier if series and known else None,
            register=series.register if series and known else None,
            value=_sum_day(record) if known else None,
            unit=series.unit if series and known else None,
        )

    def _flush(self) -> Batch:
        days, self._days = self._days, []
        readings = _build_readings(days, self._rejections) if days else PARSED.empty_table()
        return Batch(readings, self._rejections.take(), max(self._part, 0))


def _number_lines(blocks: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    line = 0
    for block in blocks:
        for text in split_lines(block):
            line += 1
            if text.startswith(("900100,", "900200,")):
                # Two files were concatenated without a line end between trailer and next header.
                yield line, text[:3]
                yield line, text[3:]
            else:
                yield line, text


def join_records(
    lines: Iterable[tuple[int, str]], values_per_day: Callable[[], int | None]
) -> Iterator[Record]:
    """Yield logical records: join the lines of a broken 300 record and skip blank lines.

    `values_per_day()` returns how many values the open 300 record must have, None if unknown.
    """
    open_day: Record | None = None
    for line, raw in lines:
        text = raw.rstrip()
        # Old systems end a file with Ctrl-Z or fill its last block with NUL.
        if not text.strip("\x1a\0"):
            continue
        match = _CODE.match(text)
        code = match.group(1) if match else ""
        if open_day is not None:
            if _continues(open_day.text, text, code, values_per_day()):
                open_day = Record(open_day.line, "300", _join(open_day.text, text))
                continue
            yield open_day
            open_day = None
        if code == "300":
            open_day = Record(line, code, text)
        else:
            yield Record(line, code, text)
    if open_day is not None:
        yield open_day


def _continues(open_text: str, text: str, code: str, count: int | None) -> bool:
    """Whether a line continues the 300 record above it, and is not a record of its own."""
    if open_text.count('"') % 2:
        return True
    fields = open_text.count(",") + 1
    # 300, date, values, flag, reason, description, two times.
    whole = count + 7 if count else 0
    if fields + text.count(",") > whole:
        return False
    if not code:
        return True
    # Wh values may look like record types: while values are missing, a record must also look like one.
    return count is not None and fields < count + 2 and not _looks_like_record(code, text)


def _looks_like_record(code: str, text: str) -> bool:
    fields = [part.strip() for part in text.split(",")]
    following = fields[1] if len(fields) > 1 else ""
    match code:
        case "100":
            return following.upper().startswith("NEM")
        case "200":
            return len(fields) >= 9 and not re.fullmatch(r"[0-9.]+", fields[7])
        case "300":
            return _DAY.fullmatch(following) is not None
        case "400":
            return len(fields) > 3 and _QUALITY.fullmatch(fields[3].upper()) is not None
        case "500":
            return not re.fullmatch(r"-?[0-9.]+", following)
        case _:
            return not any(fields[1:])


def _join(open_text: str, text: str) -> str:
    if open_text.count('"') % 2:
        return f"{open_text} {text}"
    return open_text + text if open_text.endswith(",") or text.startswith(",") else f"{open_text},{text}"


def _split_fields(text: str) -> list[str]:
    try:
        return next(csv.reader([text])) if '"' in text else text.split(",")
    except csv.Error:
        # A field beyond the limit of the csv module: split by commas, the record is invalid.
        return text.split(",")


def parse_series(record: Record) -> DataStream:
    """Parse a 200 record: NMI, configuration, register id, suffix, stream, serial, unit, interval, date."""
    fields = [part.strip() for part in _split_fields(record.text)]
    if len(fields) < 9:
        raise Fault("NEM12-CHANNEL", f"the 200 record has {len(fields)} fields, at least 9 expected")
    identifier, register, serial, unit, minutes = (fields[i] for i in (1, 4, 6, 7, 8))
    register = register.upper()
    if not identifier or not register:
        raise Fault("NEM12-CHANNEL", "the 200 record lacks its NMI or its suffix")
    channel = _CHANNELS.get(register[0], "other")
    return DataStream(
        record.line,
        identifier,
        register,
        serial or None,
        channel,
        _parse_unit(unit, channel),
        _parse_interval_seconds(minutes),
    )


def _parse_unit(text: str, channel: str) -> str:
    unit = UNITS.get(text.lower(), "" if not text else None)
    if unit is None:
        raise Fault("ROW-UNIT", f"the unit {text!r} is unknown")
    if channel in ("import", "export") and unit not in KWH_PER_UNIT_POWER_OF_TEN:
        raise Fault("ROW-UNIT", f"an energy register cannot have the unit {text!r}")
    return unit


def _parse_interval_seconds(minutes: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", minutes) or not 0 < int(minutes) <= MINUTES_PER_DAY:
        raise Fault("NEM12-CHANNEL", f"the interval length {minutes!r} is not a number of minutes")
    if MINUTES_PER_DAY % int(minutes):
        raise Fault("NEM12-CHANNEL", f"the interval length of {minutes} minutes does not divide a day")
    return int(minutes) * 60


def _check_layout(fields: list[str], count: int) -> None:
    """Check that a quality flag follows the last value that the interval length requires."""
    flag = fields[count + 2].strip().upper() if len(fields) > count + 2 else ""
    if _QUALITY.fullmatch(flag) and not any(text.strip() for text in fields[count + 7 :]):
        return
    found = next(
        (i for i, text in enumerate(fields[2:]) if re.fullmatch(r"[A-Za-z]\w{0,3}", text.strip())), None
    )
    if found == count:
        raise Fault("NEM12-QUALITY", f"the quality flag {flag!r} is unknown")
    given = len(fields) - 2 if found is None else found
    raise Fault("NEM12-VALUE-COUNT", f"the 300 record has {given} values, {count} expected")


def _parse_range(fields: list[str], count: int) -> tuple[int, int, str, str | None]:
    """Parse a 400 record to (first, last, flag, reason); intervals count from 1, both ends included."""
    texts = [*(text.strip() for text in fields), "", "", "", ""]
    first, last, flag, reason = texts[1:5]
    if not re.fullmatch(r"[0-9]{1,4}", first) or not re.fullmatch(r"[0-9]{1,4}", last):
        raise Fault("NEM12-RANGE", f"the intervals {first!r} to {last!r} are not numbers")
    if not 1 <= int(first) <= int(last) <= count:
        raise Fault("NEM12-RANGE", f"the intervals {first} to {last} are outside 1 to {count}")
    if not _QUALITY.fullmatch(flag.upper()) or flag.upper().startswith("V"):
        raise Fault("NEM12-QUALITY", f"the quality flag {flag!r} of a 400 record is unknown")
    return int(first), int(last), flag.upper(), reason or None


def _sum_day(record: Record) -> Decimal | None:
    """Sum the values of a 300 record, up to the first text that is not a number."""
    texts = (text.strip() for text in _split_fields(record.text)[2:])
    return sum_values(pa.array(itertools.takewhile(_NUMBER.match, texts), pa.string()))


def parse_header_time(fields: list[str]) -> tuple[int | None, str | None]:
    """Return (the time in a 100 record, why it is not a time); it only dates records without a time."""
    text = fields[2].strip() if len(fields) > 2 else ""
    try:
        return (parse_nem_time_us(text) if text else None), None
    except ValueError as error:
        return None, f"{text[:20]!r} in the header is not a time ({error}), so it dates no record"


@functools.lru_cache(maxsize=4096)
def parse_nem_time_us(text: str) -> int:
    """Convert a NEM time (YYYYMMDD, then hhmm or hhmmss) to microseconds since 1970 UTC.

    Raises `ValueError`.
    """
    if not re.fullmatch(r"[0-9]{8}([0-9]{4}([0-9]{2})?)?", text):
        raise ValueError("a time has 8, 12 or 14 digits")
    parts = [int(text[:4]), *(int(text[i : i + 2]) for i in range(4, len(text), 2))]
    year, month, day, hour, minute, second = (*parts, 0, 0, 0)[:6]
    local = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
    if not 1990 <= year < 2100:
        raise ValueError("the year must be from 1990 to 2099")
    return (local - NEM_OFFSET - _EPOCH) // datetime.timedelta(microseconds=1)


def _parse_day_start_us(text: str) -> int:
    if not _DAY.fullmatch(text):
        raise Fault("NEM12-DATE", f"{text!r} is not a date of the form YYYYMMDD")
    try:
        return parse_nem_time_us(text)
    except ValueError as error:
        raise Fault("NEM12-DATE", f"the date {text} does not exist: {error}") from error


def _to_quality(flag: str, reason: str | None) -> FlaggedQuality:
    return _QUALITIES[flag[0]], flag, reason


def _code_qualities(days: list[DayRecord]) -> tuple[list[FlaggedQuality], Codes]:
    """Return the distinct qualities, and the code of the quality of each interval of each day."""
    distinct: dict[FlaggedQuality, int] = {}
    codes: list[Codes] = []
    for day in days:
        # The 400 records of a V day state the quality of its intervals.
        base = ("null", "V", UNCOVERED) if day.flag.startswith("V") else _to_quality(day.flag, day.reason)
        own = np.full(day.series.count, distinct.setdefault(base, len(distinct)), dtype=np.int32)
        for first, last, flag, reason in day.ranges:
            own[first - 1 : last] = distinct.setdefault(_to_quality(flag, reason), len(distinct))
        codes.append(own)
    return list(distinct), np.concatenate(codes)


def _build_readings(days: list[DayRecord], rejections: Rejections) -> pa.Table:
    """Return days as one table of the schema `PARSED`; add intervals with a bad value to `rejections`."""
    series = list(dict.fromkeys(day.series for day in days))
    series_of = {entry: code for code, entry in enumerate(series)}
    counts = np.array([day.series.count for day in days])
    ends = np.cumsum(counts)
    ordinal = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
    series_codes = np.repeat(np.array([series_of[day.series] for day in days], dtype=np.int32), counts)
    seconds = np.array([entry.interval_seconds for entry in series], dtype=np.int32)[series_codes]
    start_us = np.repeat(np.array([day.start_us for day in days]), counts) + ordinal * seconds * 1_000_000
    lines = np.repeat(np.array([day.record.line for day in days]), counts)
    version_us = np.repeat(np.array([day.version_us for day in days]), counts)
    qualities, quality_codes = _code_qualities(days)
    no_value = np.array([quality[0] == "null" for quality in qualities])[quality_codes]
    strings = pa.array([text for day in days for text in day.values], type=pa.string())
    values, not_number, too_long = parse_decimals(strings)
    table = pa.table(
        {
            "line": pa.array(lines),
            "identifier": spread([entry.identifier for entry in series], series_codes),
            "register": spread([entry.register for entry in series], series_codes),
            "serial_number": spread([entry.serial_number for entry in series], series_codes),
            "channel": spread([entry.channel for entry in series], series_codes),
            "unit": spread([entry.unit for entry in series], series_codes),
            "reading_ts": pa.array(start_us).cast(TIMESTAMP),
            "interval_seconds": pa.array(seconds),
            "value": values,
            "quality": spread([quality[0] for quality in qualities], quality_codes),
            "quality_method": spread([quality[1] for quality in qualities], quality_codes),
            "reason_code": spread([quality[2] for quality in qualities], quality_codes),
            "source_version": pa.array(version_us).cast(TIMESTAMP),
        },
        schema=PARSED,
    )
    bad = (not_number | too_long) & ~no_value
    if bad.any():
        _reject_values(table.filter(pa.array(bad)), strings.filter(pa.array(bad)), too_long[bad], rejections)
    if no_value.any():
        uncovered = np.array([quality[2] == UNCOVERED for quality in qualities])[quality_codes]
        bad |= _reject_lost(table, strings, no_value, uncovered, rejections)
        table = table.set_column(
            PARSED.get_field_index("value"), "value", null_where(table["value"].combine_chunks(), no_value)
        )
    return table.filter(pa.array(~bad)) if bad.any() else table


def _reject_lost(
    table: pa.Table, strings: pa.Array, no_value: Mask, uncovered: Mask, rejections: Rejections
) -> Mask:
    """Reject values whose quality says that there is none, and values without a quality; return which.

    Zero stands for no value in records with the flag N.
    """
    is_given = to_mask(pc.not_equal(pc.utf8_trim_whitespace(strings), ""))
    contradicts = no_value & ~uncovered & to_mask(pc.not_equal(table["value"], 0))
    without_quality = uncovered & is_given
    for rule, reason, mask in (
        ("ROW-QUALITY", "the value is given although its quality says that it is missing", contradicts),
        ("NEM12-UNCOVERED", "the day has the quality V, and no 400 record covers the value", without_quality),
    ):
        rejections.add_readings(table.filter(pa.array(mask)), rule, reason)
    return np.asarray(contradicts | without_quality)


def _reject_values(
    rows: pa.Table, strings: pa.Array, too_long: npt.NDArray[np.bool_], rejections: Rejections
) -> None:
    texts = pc.utf8_trim_whitespace(strings).to_pylist()
    for row, text, is_long in zip(rows.to_pylist(), texts, too_long, strict=True):
        rejections.add(
            row["line"],
            "ROW-PRECISION" if is_long else "ROW-VALUE",
            "the value has more than 11 digits before or 9 after the point"
            if is_long
            else "the value is not a number",
            text,
            identifier=row["identifier"],
            register=row["register"],
            reading_ts=row["reading_ts"],
            unit=row["unit"],
        )
