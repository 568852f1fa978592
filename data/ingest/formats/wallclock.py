"""Local times: texts to wall-clock time, and wall-clock time to instants, one column at a time.

Here: declared time formats, and the clock changes. Not here: which column holds a time. The order of the rows
decides about a local time that comes twice; a skipped local time does not exist.
"""

import calendar
import datetime
import functools
import re
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.months import LETTERS, find_month
from data.ingest.formats.narrow import narrow_text, narrow_texts
from data.ingest.schema import TIMESTAMP

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

US = 1_000_000
DAY_US = 86_400 * US
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_YEARS = range(1900, 2200)
# A year with each day that a date without a year may name.
LEAP_YEAR = 2024
# Spreadsheets count from this day; a number outside of these days is no time of a meter.
_SERIAL_START_US = (datetime.date(1899, 12, 30).toordinal() - _EPOCH) * DAY_US
_SERIAL_DAYS = (
    datetime.date(1990, 1, 1).toordinal() - datetime.date(1899, 12, 30).toordinal(),
    datetime.date(2100, 1, 1).toordinal() - datetime.date(1899, 12, 30).toordinal(),
)
_MAX_OFFSET_MINUTES = 14 * 60
_NAIVE = pa.timestamp("us")
_OFFSET = r"(?:(?:[A-Za-z]{1,5})?[+-][0-9]{2}:?[0-9]{2}|[+-][0-9]{2}|Z|UTC|GMT)"
# Minutes of the names of zones that have one meaning where meters are read.
_ZONES = {
    **{"z": 0, "utc": 0, "gmt": 0, "wet": 0, "west": 60, "bst": 60, "cet": 60, "cest": 120},
    **{"mez": 60, "mesz": 120, "eet": 120, "eest": 180, "sast": 120, "jst": 540, "awst": 480},
    **{"aest": 600, "aedt": 660, "acst": 570, "acdt": 630, "nzst": 720, "nzdt": 780, "hst": -600},
    **{"est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360},
    **{"pst": -480, "pdt": -420, "akst": -540, "akdt": -480},
}
# And of the other scripts that weekdays are written in.
_ALL_LETTERS = LETTERS + "\u0370-\u04ff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af"
# Token: its meaning, and its pattern with free and with fixed width.
_TOKENS: dict[str, tuple[str, str, str]] = {
    "Y": ("year", r"[0-9]{4}", r"[0-9]{4}"),
    "y": ("short_year", r"[0-9]{2}", r"[0-9]{2}"),
    # Of the calendars of Thailand and of the Republic of China.
    "T": ("thai_year", r"[0-9]{4}", r"[0-9]{4}"),
    "N": ("roc_year", r"[0-9]{3}", r"[0-9]{3}"),
    "m": ("month", r"[0-9]{1,2}", r"[0-9]{2}"),
    "b": ("month_name", rf"[{LETTERS}]{{3,12}}\.?", rf"[{LETTERS}]{{3}}"),
    "B": ("month_name", rf"[{LETTERS}]{{3,12}}", rf"[{LETTERS}]{{3,12}}"),
    "d": ("day", r"[0-9]{1,2}", r"[0-9]{2}"),
    "j": ("day_of_year", r"[0-9]{1,3}", r"[0-9]{3}"),
    "H": ("hour", r"[0-9]{1,2}", r"[0-9]{2}"),
    "I": ("half_hour", r"[0-9]{1,2}", r"[0-9]{2}"),
    "M": ("minute", r"[0-9]{2}", r"[0-9]{2}"),
    "S": ("second", r"[0-9]{2}", r"[0-9]{2}"),
    # Databases print tenths of a microsecond; no meter measures them.
    "f": ("fraction", r"[0-9]{1,9}", r"[0-9]{1,9}"),
    "p": ("half", r"[AaPp]\.?\s?[Mm]\.?", r"[AaPp][Mm]"),
    # A name before the offset adds nothing: CEST+0200.
    "z": ("offset", _OFFSET, _OFFSET),
    "Z": ("zone", r"[A-Za-z]{1,4}", r"[A-Za-z]{1,4}"),
}
# No-break spaces too: browsers write them between the parts of a time.
_BLANKS = "[\\s\u00a0\u202f]+"
# A weekday adds nothing to the date; %* is any text, such as the end in "00:00 - 00:30".
_PASSED_OVER = {"a": rf"[{_ALL_LETTERS}]{{1,12}}\.?", "A": rf"[{_ALL_LETTERS}-]{{1,14}}", "*": r".*?"}
_SHORT_CLOCK = [("hour", r"[0-9]{0,2}?"), ("minute", r"[0-9]{1,2}")]
# The years of other calendars begin so many years after the usual ones.
_YEAR_ZERO = {"thai_year": -543, "roc_year": 1911}
_YEAR = {"year", "short_year", *_YEAR_ZERO}
_DATE = {*_YEAR, "month", "month_name", "day", "day_of_year"}


class TimeFormat:
    """A declared time format in the letters of strptime: %Y %y %m %b %B %d %j %H %I %M %S %f %p %z %Z %a %A.

    %* stands for any text, %T for a year of Thailand (2568 is 2025), %N for one of the Republic of China
    (114 is 2025). 24:00 is the end of its day. With %z (an offset) or %Z (the name of a zone such as
    CEST) a time is an instant. A date without a year is one of `LEAP_YEAR`. Raises `ValueError` for a format
    without a whole date or time.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        pieces = _split_pieces(text)
        names = [name for name, _ in pieces if name]
        self.has_date = bool(_DATE.intersection(names))
        self.has_year = bool(_YEAR.intersection(names)) or not self.has_date
        self.has_time = bool(set(names) - _DATE)
        self.has_offset = bool({"offset", "zone"}.intersection(names))
        _check_tokens(text, names)
        self._pattern = re.compile("".join(_group(name, pattern) for name, pattern in pieces))
        self._split = _build_split_pattern(pieces)

    def parse(self, texts: pa.Array) -> tuple[Ints, Mask]:
        """Return (microseconds since 1970 on the wall clock, is not a time) of strings; null is not a time.

        With an offset they are microseconds since 1970 UTC. A format without a date counts from 0; a format
        without a time gives midnight.
        """
        if self._split is None:
            return _parse_distinct(texts, self._parse_one)
        parts = pc.extract_regex(texts, pattern=self._split)
        days, bad_day = _parse_distinct(pc.struct_field(parts, "a"), self._parse_one)
        times, bad_time = _parse_distinct(pc.struct_field(parts, "b"), self._parse_one)
        return days + times, bad_day | bad_time

    def fits(self, text: str) -> bool:
        """Whether a text has the signs of this format, whatever its digits say."""
        return self._pattern.fullmatch(text) is not None

    def matches(self, text: str) -> bool:
        """Whether a text is a time in this format."""
        match = self._pattern.fullmatch(text)
        return match is not None and _count_us(match.groupdict()) is not None

    def _parse_one(self, text: str) -> int | None:
        """Parse one text: the whole, or one of the two halves."""
        for pattern in self._patterns:
            match = pattern.fullmatch(text)
            if match:
                return _count_us(match.groupdict())
        return None

    @functools.cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        if self._split is None:
            return [self._pattern]
        pieces = _split_pieces(self.text)
        cut = _find_cut(pieces)
        halves = (pieces[:cut], pieces[cut + 1 :])
        return [re.compile("".join(_group(name, pattern) for name, pattern in half)) for half in halves]


class SerialFormat:
    """The number by which a spreadsheet stores a time: days since 30 December 1899 and their fraction.

    `serial` is a date with a time, `serial_date` a date alone, `serial_time` a time of day, at most 1, and
    `decimal_hour` a time of day in hours, at most 24.
    """

    NAMES = ("serial", "serial_date", "serial_time", "decimal_hour")
    has_offset = False
    has_year = True

    def __init__(self, text: str) -> None:
        self.has_date = text in ("serial", "serial_date")
        self.has_time = text != "serial_date"
        self._is_hour = text == "decimal_hour"

    def parse(self, texts: pa.Array) -> tuple[Ints, Mask]:
        """Do the same as `TimeFormat.parse`."""
        return _parse_distinct(texts, self._parse_one)

    def _parse_one(self, text: str) -> int | None:
        if not re.fullmatch(r"[0-9]{1,5}(?:[.,][0-9]{0,20})?(?:[eE]-[0-9]{1,2})?", text):
            return None
        days = Decimal(text.replace(",", "."))
        if self._is_hour:
            return _count_us_of_hours(days)
        if not (_SERIAL_DAYS[0] <= days < _SERIAL_DAYS[1] if self.has_date else days <= 1):
            return None
        us = round(days * DAY_US)
        for unit, most in ((US, US // 100), (60 * US, US // 2)):
            # A double is a second to 10 ms; five decimals are a minute to half a second.
            nearest = (us + unit // 2) // unit * unit
            if abs(us - nearest) <= most:
                is_date_alone = not self.has_time and nearest % DAY_US
                start = _SERIAL_START_US if self.has_date else 0
                return None if is_date_alone else start + nearest
        return None


def write_wall_clock(us: int) -> str:
    """Write microseconds on the wall clock as 2025-06-01 00:15:00."""
    at = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=us)
    return at.isoformat(sep=" ", timespec="seconds")


def _count_us_of_hours(hours: Decimal) -> int | None:
    """Return the microseconds of hours with decimals, to the minute: two decimals are 0.3 of one."""
    minutes = round(hours * 60)
    is_minute = hours <= 24 and abs(hours * 60 - minutes) <= Decimal("0.3")
    return minutes * 60 * US if is_minute else None


class DayFormat:
    """The day of a declared month: `2025-03 %d` reads 1 and 01 as its first day."""

    SHAPE = re.compile(r"(?P<month>[0-9]{4}-[0-9]{2}) (?P<form>.*%d.*)")
    has_offset = has_time = False
    has_date = has_year = True

    def __init__(self, month: str, form: str) -> None:
        self._month = month
        self._format = TimeFormat(f"%Y-%m {form}")

    def parse(self, texts: pa.Array) -> tuple[Ints, Mask]:
        """Do the same as `TimeFormat.parse`."""
        return self._format.parse(pc.binary_join_element_wise(self._month, texts, " "))


def make_format(text: str) -> TimeFormat | SerialFormat | DayFormat:
    """Return the format of a declared text. Raises `ValueError` for an invalid one."""
    if text in SerialFormat.NAMES:
        return SerialFormat(text)
    day = DayFormat.SHAPE.fullmatch(text)
    return TimeFormat(text) if day is None else DayFormat(day["month"], day["form"])


class TimeFormats:
    """The shapes that the times of one column may have; used as one `TimeFormat`.

    A text that two of them read differently is not a time. Raises `ValueError` for an invalid format, and for
    formats that give different parts of a time.
    """

    def __init__(self, texts: str | tuple[str, ...]) -> None:
        # As the texts are written before they are read.
        given = tuple(map(narrow_text, (texts,) if isinstance(texts, str) else texts))
        self._formats = [*map(make_format, given)]
        kinds = {(one.has_date, one.has_time, one.has_offset, one.has_year) for one in self._formats}
        if len(kinds) > 1:
            raise ValueError(f"the formats {texts!r} give different parts of a time")
        ((self.has_date, self.has_time, self.has_offset, self.has_year),) = kinds

    def parse(self, texts: pa.Array) -> tuple[Ints, Mask]:
        """Do the same as `TimeFormat.parse`."""
        texts = narrow_texts(texts)
        found, bad = self._formats[0].parse(texts)
        for form in self._formats[1:]:
            other, unfit = form.parse(texts)
            differs = ~bad & ~unfit & (found != other)
            found, bad = np.where(bad, other, found), (bad & unfit) | differs
        return found, bad


def _split_pieces(text: str) -> list[tuple[str, str]]:
    """Return (name or empty, pattern) for each token and literal of a format."""
    raw = re.findall(r"%.?|\s+|[^%\s]", text)
    pieces: list[tuple[str, str]] = []
    for place, piece in enumerate(raw):
        if not piece.startswith("%") or piece == "%%":
            pieces.append(("", _BLANKS if piece.isspace() else re.escape(piece[-1])))
            continue
        if piece[1:] in _PASSED_OVER:
            pieces.append(("", _PASSED_OVER[piece[1:]]))
            continue
        if piece[1:] not in _TOKENS:
            raise ValueError(f"{piece!r} in {text!r} is not supported; supported are %{' %'.join(_TOKENS)}")
        name, free, fixed = _TOKENS[piece[1:]]
        around = raw[max(place - 1, 0) : place] + raw[place + 1 : place + 2]
        touches = any(other.startswith("%") and other != "%%" for other in around)
        pieces.append((name, fixed if touches and name != "half" else free))
    # A number has no leading zeros: 45 is 00:45.
    return _SHORT_CLOCK if text == "%H%M" else pieces


def _check_tokens(text: str, names: list[str]) -> None:
    found = set(names)
    years, months = found & _YEAR, found & {"month", "month_name"}
    if len(names) != len(found) or len(years) > 1 or len(months) > 1:
        raise ValueError(f"{text!r} gives a part of the time twice")
    of_month = {*months, *found & {"day"}}
    is_whole = years and not of_month if "day_of_year" in found else len(of_month) == 2
    if found & _DATE and not is_whole:
        raise ValueError(f"{text!r} gives no whole date: it needs month and day, or year and day of the year")
    if found - _DATE and len(found & {"hour", "half_hour"}) != 1:
        raise ValueError(f"{text!r} needs exactly one hour: %H, or %I with %p")
    if len(found & {"offset", "zone"}) > 1:
        raise ValueError(f"{text!r}: give %z or %Z, not both; a name before an offset belongs to %z")
    if found & {"offset", "zone"} and not (found & _DATE and found & {"hour", "half_hour"}):
        raise ValueError(f"{text!r}: an offset needs a date and a time of day")
    if ("half_hour" in found) != ("half" in found):
        raise ValueError(f"{text!r}: %I and %p come together")
    if not found:
        raise ValueError(f"{text!r} contains neither a date nor a time")


def _group(name: str, pattern: str) -> str:
    return f"(?P<{name}>{pattern})" if name else pattern


def _find_cut(pieces: list[tuple[str, str]]) -> int:
    """Find the literal between date and time; -1 if the two are mixed or one is missing."""
    kinds = ["" if not name else "date" if name in _DATE else "time" for name, _ in pieces]
    named = [kind for kind in kinds if kind]
    changes = [place for place in range(1, len(named)) if named[place] != named[place - 1]]
    if len(changes) != 1:
        return -1
    # The last literal before the first token of the second kind; without it the two touch.
    second = [place for place, kind in enumerate(kinds) if kind][changes[0]]
    return second - 1 if not kinds[second - 1] else -1


def _build_split_pattern(pieces: list[tuple[str, str]]) -> str | None:
    """Build a pattern that splits a text into date and time, each of which has few distinct values."""
    cut = _find_cut(pieces)
    if cut < 0:
        return None
    before, after = ("".join(pattern for _, pattern in half) for half in (pieces[:cut], pieces[cut + 1 :]))
    return f"^(?P<a>{before}){pieces[cut][1]}(?P<b>{after})$"


def _count_us(parts: dict[str, str]) -> int | None:
    """Return the microseconds of a date, a time or both; None if there is no such time."""
    total = 0
    if "day_of_year" in parts:
        year, day = _read_year(parts), int(parts["day_of_year"])
        if year not in _YEARS or not 1 <= day <= 365 + calendar.isleap(year):
            return None
        total += (datetime.date(year, 1, 1).toordinal() - _EPOCH + day - 1) * DAY_US
    if "day" in parts:
        year = _read_year(parts)
        month = int(parts["month"]) if "month" in parts else find_month(parts["month_name"])
        if year not in _YEARS:
            return None
        try:
            total += (datetime.date(year, month, int(parts["day"])).toordinal() - _EPOCH) * DAY_US
        except ValueError:
            return None
    time = _count_us_of_day(parts)
    return None if time is None else total + time


def _read_year(parts: dict[str, str]) -> int:
    if "short_year" in parts:
        short = int(parts["short_year"])
        # The rule of POSIX.
        return short + (1900 if short >= 69 else 2000)
    for name, zero in _YEAR_ZERO.items():
        if name in parts:
            return int(parts[name]) + zero
    return int(parts.get("year", LEAP_YEAR))


def _count_us_of_day(parts: dict[str, str]) -> int | None:
    minute, second = int(parts.get("minute", 0)), int(parts.get("second", 0))
    fraction = int(parts.get("fraction", "").ljust(6, "0")[:6])
    hour = int(parts.get("hour") or 0)
    if "half_hour" in parts:
        half = int(parts["half_hour"])
        if not 1 <= half <= 12:
            return None
        hour = half % 12 + (12 if parts["half"][0] in "pP" else 0)
    is_end_of_day = hour == 24 and not (minute or second or fraction)
    if (hour > 23 and not is_end_of_day) or minute > 59 or second > 59:
        return None
    offset = _count_offset_minutes(parts)
    return None if offset is None else ((hour * 60 + minute - offset) * 60 + second) * US + fraction


def _count_offset_minutes(parts: dict[str, str]) -> int | None:
    """Return the minutes by which the clock is ahead of UTC, None if there is no such zone."""
    if "zone" in parts:
        return _ZONES.get(parts["zone"].lower())
    found = re.search(r"([+-])([0-9]{2}):?([0-9]{2})?$", parts.get("offset", ""))
    if found is None:
        return 0
    minutes = int(found[2]) * 60 + int(found[3] or 0)
    return None if minutes > _MAX_OFFSET_MINUTES else minutes * (-1 if found[1] == "-" else 1)


def _parse_distinct(texts: pa.Array, parse: Callable[[str], int | None]) -> tuple[Ints, Mask]:
    """Parse each distinct text once: a file has few dates and few times of day."""
    encoded = pc.dictionary_encode(texts)
    parsed = [parse(text) for text in encoded.dictionary.to_pylist()]
    amounts = np.array([0 if amount is None else amount for amount in parsed] + [0], dtype=np.int64)
    bad = np.array([amount is None for amount in parsed] + [True])
    # The place after the last one stands for null.
    codes = pc.fill_null(encoded.indices, len(parsed)).to_numpy(zero_copy_only=False)
    return amounts[codes], bad[codes]


class WallClock:
    """The clock of one zone, for the rows of one text in their order.

    `is_descending`: later rows have earlier times.
    """

    def __init__(self, zone: str, *, is_descending: bool = False) -> None:
        self._zone = zone
        self._is_descending = is_descending
        self._seen: Counter[tuple[str | None, int]] = Counter()
        self._steps = np.zeros(2, dtype=np.int64)

    def resolve_starts(self, local: Ints, series: pa.Array) -> tuple[Ints, Mask]:
        """Return (instants in microseconds, does not exist); `series` names the series of each row."""
        early, late, skipped = self._find_both(local)
        twice = np.flatnonzero((early != late) & ~skipped)
        self._count_steps(local, series)
        for row in twice:
            key = (series[int(row)].as_py(), int(local[row]))
            # A third row of one local time belongs to a second copy of the hour.
            is_second = self._seen[key] % 2 == 1
            self._seen[key] += 1
            if is_second != self._is_descending:
                early[row] = late[row]
        return early, skipped

    def resolve_ends(self, local: Ints, series: pa.Array) -> tuple[Ints, Mask]:
        """Do the same for ends of intervals: the first moment of a skipped hour ends an interval."""
        instants, skipped = self.resolve_starts(local, series)
        rows = np.flatnonzero(skipped)
        if len(rows):
            before, _, still_skipped = self._find_both(local[rows] - 1)
            instants[rows] = before + 1
            skipped[rows] = still_skipped
        return instants, skipped

    def resolve_firsts(self, local: Ints) -> tuple[Ints, Mask]:
        """Do the same, and take a time that comes twice for the first of the two."""
        early, _, skipped = self._find_both(local)
        return early, skipped

    def find_midnights(self, days: Ints) -> Ints:
        """Return the instants at which local days (microseconds of their wall-clock midnight) begin."""
        early, _, skipped = self._find_both(days)
        if skipped.any():
            later = pa.array(days[skipped]).cast(_NAIVE)
            early[skipped] = _int64(
                pc.assume_timezone(later, self._zone, ambiguous="earliest", nonexistent="latest")
            )
        return early

    @property
    def runs_against_its_order(self) -> bool:
        """Whether a repeated time was resolved although most rows run in the other direction."""
        up, down = self._steps
        against = up if self._is_descending else down
        came_twice = any(count > 1 for count in self._seen.values())
        return came_twice and bool(against * 2 > up + down)

    def _count_steps(self, local: Ints, series: pa.Array) -> None:
        if len(local) > 1:
            codes = pc.dictionary_encode(series).indices.to_numpy(zero_copy_only=False)
            steps = np.diff(local)[codes[1:] == codes[:-1]]
            self._steps += (np.count_nonzero(steps > 0), np.count_nonzero(steps < 0))

    def _find_both(self, local: Ints) -> tuple[Ints, Ints, Mask]:
        """Return (earliest, latest, skipped): the two instants that a wall-clock time can mean."""
        naive = pa.array(local).cast(_NAIVE)
        early, late = (
            pc.assume_timezone(naive, self._zone, ambiguous=which, nonexistent="earliest")
            for which in ("earliest", "latest")
        )
        back = _int64(pc.local_timestamp(early))
        return _int64(early).copy(), _int64(late), back != local


def _int64(column: pa.Array) -> Ints:
    return np.asarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)


def to_timestamps(instants: Ints) -> pa.Array:
    """Convert microseconds since 1970 to the timestamps of readings."""
    return pa.array(instants).cast(TIMESTAMP)
