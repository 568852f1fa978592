"""A mapping proposed for a file, for a data engineer to check: what `inspect --suggest-mapping` prints.

Here: guesses, each from the content and marked where the content does not decide. Not here: any reading of a
file for loading, which never guesses. What cannot be known (the zone, a meter without a name) stays empty,
so that the proposal is refused until somebody has filled it in.
"""

import csv
import functools
import itertools
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.errors import RefusedFile
from data.ingest.formats.assemble import AMOUNTS
from data.ingest.formats.columns import UNITS
from data.ingest.formats.container import open_members
from data.ingest.formats.detect import detect
from data.ingest.formats.mapping import OFFSET_FORMATS, MappingError
from data.ingest.formats.wallclock import DAY_US, US, TimeFormat

# What is looked at: enough for months of one meter.
SAMPLE_BYTES = 1 << 20
# Import and export by tariff, and reactive energy in four quadrants: a column with more words is no register.
MAX_REGISTERS = 12
MIN_TITLE_CHARS = 4
MAX_NOTES = 5
# So many values do not rise one after the other by chance.
MIN_DIAL_ROWS = 12
_DATES = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d")
_MORE_DATES = ("%d.%m.%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y", "%m-%d-%Y", "%Y%m%d")
_DATES_IN_WORDS = ("%d/%b/%Y", "%b %d %Y", "%d %b %y", "%a %d %b %Y")
_TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M%p", "%I:%M:%S %p", "%H%M", "%H:%M:%S.%f")
# Seconds and milliseconds since 1970, of this century; only a name tells them from other long numbers.
_EPOCHS = {"unix": re.compile(r"1[0-9]{9}"), "unix_ms": re.compile(r"1[0-9]{12}")}
_EPOCH_NAME = re.compile(r"time|date|zeit|stamp|epoch", re.I)
# What is a document and no table: pages, XML, JSON, PDF.
_DOCUMENT = re.compile(r"\s*(<|\{|\[\s*\{|%PDF|PAR1)")
# From here to there: the second time is the end of the interval, and is passed over.
_RANGE = re.compile(r"^(.*[0-9])(\s+(?:to|until|bis|-|–)\s+)(?:.*[0-9].*)$")
_JOINS = (" ", "T", "", ":", ", ")
_DELIMITERS = (",", ";", "\t", "|")
_METER = re.compile(
    r"mp(a|r)n?\b|mpan|mprn|nmi|cups|meter(?! ?type)|z(ä|ae?)hler|serial|point|site|device|prm|pod|\bean"
    r"|esi ?id|\bid\b",
    re.I,
)
# Names that are those of a connection point in their country.
_POINT_NAME = re.compile(r"^(mpan|mprn|nmi|cups)$", re.I)
_VALUE = re.compile(
    r"k?m?wh|kvarh|\bm3\b|consum|import|export|deliver|receiv|usage|value|energ|bezug|einspeis|generat"
    r"|verbrauch|menge|mængde|förbrukning|forbrug|määrä|quantity|volume|inflow|outflow|inje[cç]",
    re.I,
)
# Numbers of connection points: United Kingdom, Spain, Germany and Austria, those of GS1 elsewhere.
_POINT = re.compile(
    r"[0-9]{13}|ES[0-9]{16}[A-Z]{2}([0-9][A-Z])?|(DE|AT)[0-9]{11}[0-9A-Z]{20}|(=\")?[0-9]{18}\"?"
)
_LONG_NUMBER = re.compile(r"[0-9]{8,}")
_EXPORT = re.compile(
    r"export|receiv|einspeis|abgabe|vertid|feed|inje[cç]|return|surplus|terug|outflow|(^|_)as(_|$)|#b[0-9]$",
    re.I,
)
_GENERATION = re.compile(r"genera[tc]|solar|pv\b|produ", re.I)
# What stays behind the meter: stored, or made and used there.
_INSIDE = re.compile(r"batter|stored|autocons|self.?cons", re.I)
# The difference of two other columns.
_NET = re.compile(r"(?<![a-z])(net|netto|saldo)(?![a-z])", re.I)
_QUALITY = re.compile(
    r"qualit|status|read ?type|estima[td]|flag|method|metodo|actual|kvalitet|calidad|laatu|validat", re.I
)
_UNIT = re.compile(r"(?<![a-z])(kWh|MWh|Wh|kvarh|varh|m3|m³|therms?|lit(?:er|re)s?)(?![a-z])", re.I)
# Units that have no name here, or two meanings.
_OTHER_UNIT = re.compile(r"(?<![a-z])(ccf|hcf|mcf|k?gal(?:lons?)?|[gm]j|(?:mm)?btu|dth|kvah)(?![a-z])", re.I)
_NO_ELECTRICITY = ("m3", "l", "therm")
_POWER = re.compile(r"(?<![a-z])(kW|MW|W)(?![a-z])", re.I)
# A unit that stands in the words of a row.
_IN_BRACKETS = re.compile(r"\((k?W|k?Wh)\)", re.I)
_UNIT_COLUMN = re.compile(
    r"^(units?( of measure| type)?|uom|einheit|m(å|aa)leenhed|eenheid|unidad|unit[eé])$", re.I
)
_PERIOD = re.compile(r"period|\bsp\b|\bhh\b|interval no|\bhora\b|\bhour\b", re.I)
_END = re.compile(r"(?<![a-z])(end|to|bis|until|fin)(?![a-z])", re.I)
_TOTAL = re.compile(r"^(grand |daily |day )?(total|sum|summe|gesamt|suma|totale)\b", re.I)
_ESTIMATED, _ACTUAL = (
    re.compile(r"^(e|s|est.*|sub.*|ersatz.*|gesch.*)$", re.I),
    re.compile(r"^(a|r|w|v|act(?!ive).*|real|meas.*|valid|wahr.*|m[åa]lt|gemeten|uitgelezen|good|ok)$", re.I),
)
_ANSWERS = {"": "actual", "n": "actual", "no": "actual", "y": "estimated", "yes": "estimated"}
_NO_VALUES = ("n/a", "na", "nan", "null", "none", "-", "--")
_CHECK = "check"


@dataclass
class _Sample:
    """The head of a file as a table, and what its columns look like."""

    path: Path
    delimiter: str
    names: list[str]
    rows: list[list[str]]
    encoding: str | None = None
    totals: list[str] = field(default_factory=list)
    # The cells above the header, and below it a column's words for a value that is missing.
    above: list[str] = field(default_factory=list)
    skip: int = 0
    no_values: set[str] = field(default_factory=set)

    def column(self, place: int) -> list[str]:
        """The texts of a column that are not empty."""
        return [text for row in self.rows if (text := row[place].strip())]

    def values(self, place: int) -> list[str]:
        """The texts of a column that say a value."""
        return [text for text in self.column(place) if text.lower() not in _NO_VALUES]


def suggest_mapping(path: Path | str, timezone: str | None = None) -> str:
    """A mapping in YAML for the file, with comments where somebody must decide.

    Raises `RefusedFile` where the file cannot be read, `MappingError` where no table is found in it or it
    needs no mapping.
    """
    path = Path(path)
    text = _head(path, None)
    encoding = None
    if "\ufffd" in text:
        encoding, text = "cp1252", _head(path, "cp1252")
    try:
        known = detect(path, text)
    except RefusedFile:
        if _DOCUMENT.match(text):
            raise
        known = "mapped_csv"
    if known in ("octopus_json", "n3rgy_json", "solaredge_json"):
        return _for_json(known, timezone)
    if known != "mapped_csv":
        raise MappingError(f"{path}: this is {known}, which needs no mapping: inspect or ingest it as it is")
    sample = _sample(path, text)
    sample.encoding = encoding
    return "\n".join(_lines(path, sample, timezone)) + "\n"


def _for_json(format: str, timezone: str | None) -> str:
    lines = [f"format: {format}", "identifier:  # the meter's name, where the file has none"]
    if format != "octopus_json":
        lines.append(_timezone(timezone))
    return "\n".join(lines) + "\n"


def _timezone(zone: str | None) -> str:
    if zone is not None:
        return f"timezone: {json.dumps(zone)}"
    return "timezone:  # the file does not say it: the zone of its times, such as Europe/London or Etc/GMT"


def _zone_line(sample: _Sample, place: int, zone: str | None) -> str:
    says_utc = re.search(r"(?<![a-z])UTC(?![a-z])", sample.names[place], re.I)
    return 'timezone: "UTC"  # as the name of the column says' if says_utc else _timezone(zone)


def _head(path: Path, encoding: str | None) -> str:
    for member in open_members(path, encoding):
        text = b""
        for block in member.blocks:
            text += block
            if len(text) >= SAMPLE_BYTES:
                break
        return text.decode(errors="replace")
    return ""


def _sample(path: Path, text: str) -> _Sample:
    lines = [line for line in text.split("\n") if line.strip()] or [""]
    best: tuple[int, str, int, list[list[str]]] = (0, ",", 0, [])
    for delimiter in _DELIMITERS:
        rows = [_fields(line, delimiter) for line in lines]
        width, count = max(Counter(map(len, rows)).items(), key=lambda entry: entry[1] * min(entry[0], 8))
        score = count * min(width, 8) if width > 1 else 0
        if score > best[0]:
            best = (score, delimiter, width, rows)
    _, delimiter, width, rows = best
    table = [row for row in rows if len(row) == width]
    first = next((place for place, row in enumerate(table) if any(map(_is_dated, row))), None)
    if first is None:
        raise MappingError(
            f"{path}: no rows with a date were found: write the mapping by hand (docs/formats.md)"
        )
    start = rows.index(table[first])
    header = rows[start - 1] if start else []
    # Rows may leave fields away at their end that the header names.
    is_header = len(header) > width and not any(map(_is_dated, header))
    if not is_header:
        header = table[first - 1] if first else [""] * width
    names = [name.strip() for name in header]
    table = [row + [""] * (len(names) - width) for row in table]
    totals = {row[0].strip() for row in table[first:] if _TOTAL.match(row[0].strip())}
    # Titles between the days of a table: how they begin, without the date that follows.
    below = rows[start:]
    totals |= _beginnings([row[0] for row in below if row and len(row) < width])
    skip = text.split("\n").index(lines[start])
    above = [cell.strip() for row in rows[:start] if row != header for cell in row]
    return _Sample(path, delimiter, names, table[first:], totals=sorted(totals), above=above, skip=skip)


def _beginnings(texts: list[str]) -> set[str]:
    """How titles and notes begin, without the date or number that follows."""
    words = {re.split(r"[:0-9]", text)[0].strip() for text in texts}
    return {word for word in words if len(word) >= MIN_TITLE_CHARS}


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _is_dated(text: str) -> bool:
    if any(epoch.fullmatch(text.strip()) for epoch in _EPOCHS.values()):
        return True
    return bool(re.search(r"[0-9]", text)) and bool(_formats([text.strip()], dates=True))


@functools.cache
def _candidates(dates: bool) -> tuple[TimeFormat, ...]:
    if not dates:
        return tuple(map(TimeFormat, _TIMES))
    every = (*_DATES, *_MORE_DATES, *_DATES_IN_WORDS)
    joined = (f"{date}{join}{time}" for date in every for join in _JOINS for time in _TIMES)
    return tuple(map(TimeFormat, (*every, *joined)))


def _formats(texts: list[str], *, dates: bool) -> list[str]:
    """The known formats that read every text, those with a date or those without."""
    if not texts:
        return []
    sample = list(dict.fromkeys(texts))[:2000]
    found = [form.text for form in _candidates(dates) if all(map(form.reads, sample))]
    ranges = [_RANGE.match(text) for text in sample] if dates and not found else []
    if ranges and all(ranges):
        to = {" ".join(match.group(2).split()) for match in ranges if match}
        starts = _formats([match.group(1) for match in ranges if match], dates=True)
        return [f"{form} {to.pop()} %*" for form in starts[:1]] if len(to) == 1 else []
    if (
        dates
        and not found
        and all(re.fullmatch(r"\d{4}-\d\d-\d\d[T ].*(Z|[+-]\d\d:?\d\d)", t) for t in texts)
    ):
        return ["iso8601"]
    return found


def _likeliest(texts: list[str], forms: list[str], timezone: str | None) -> list[str]:
    """Day or month first: what lets the days lie closest together; of equals the custom of the zone."""
    if len(forms) < 2 or forms[0] in OFFSET_FORMATS:
        return forms
    distinct = pa.array(list(dict.fromkeys(texts))[:2000])
    is_american = timezone is not None and timezone.startswith(("America/", "US/"))

    def rank(form: str) -> tuple[int, bool]:
        days = TimeFormat(form).parse(distinct)[0] // DAY_US
        return int(days.max() - days.min()), is_american != form.startswith("%m")

    return sorted(forms, key=rank) if is_american else sorted(forms, key=lambda form: rank(form)[0])


def _lines(path: Path, sample: _Sample, timezone: str | None) -> list[str]:
    dated = {
        place: _likeliest(sample.column(place), found, timezone)
        for place in range(len(sample.names))
        if (found := _dated(sample, place))
    }
    if not dated:
        raise MappingError(
            f"{path}: no column of dates was found: write the mapping by hand (docs/formats.md)"
        )
    # The first one, unless it is the same in many rows, as the day of an export or of a revision is.
    distinct = {n: len(set(sample.column(n))) for n in dated}
    place = next(n for n in dated if 2 * distinct[n] > max(distinct.values()))
    form = dated[place][0]
    notes = [row[0] for row in sample.rows if _formats_fail(row[place], form)]
    sample.rows = [row for row in sample.rows if not _formats_fail(row[place], form)]
    # What no row of data begins with, nor the header that comes again.
    words = _beginnings([note for note in notes if note.strip() != sample.names[0]])
    words = {word for word in words if not any(row[0].strip().startswith(word) for row in sample.rows)}
    sample.totals = sorted({*sample.totals, *words})
    numeric = [n for n in range(len(sample.names)) if n not in dated and _numbers(sample, n)]
    meter = _meter_column(sample, dated)
    # A total behind the values, or a number of a site before them, is none of them.
    cells = [n for n in numeric if n != meter and not _TOTAL.search(sample.names[n])]
    day = _day_columns(sample, [n for n in cells if not _METER.search(sample.names[n])])
    body = (
        _day_body(sample, place, form, day, meter)
        if day
        else _reading_body(sample, place, form, numeric, meter)
    )
    ambiguous = len({text.replace("%y", "%Y")[:2] for text in dated[place] if text[:2] in ("%d", "%m")}) > 1
    lines = [
        f"# Proposed from {path.name}: read every line before it is used.",
        "format: mapped_csv",
        *([] if form in OFFSET_FORMATS else [_zone_line(sample, place, timezone)]),
        *(
            ["# Day or month first: both can be; taken is what lets the days lie closest together."]
            if ambiguous
            else []
        ),
        *body[0],
        *([f"delimiter: {json.dumps(sample.delimiter)}"] if sample.delimiter != "," else []),
        *([f"encoding: {sample.encoding}"] if sample.encoding else []),
        *([] if any(sample.names) else ["has_header: false"]),
        *([f"skip_lines: {sample.skip}"] if sample.skip and not any(sample.names) else []),
        *_marks(sample, numeric if not day else [n for cells in day[0] for n in cells]),
        *([f"no_value: {json.dumps(sorted(sample.no_values))}"] if sample.no_values else []),
        *([f"ignore_rows: {json.dumps(sample.totals)}"] if sample.totals else []),
        "columns:",
        *([f"  identifier: {_name(sample, meter)}"] if meter is not None else []),
        *body[1],
    ]
    if meter is None:
        lines.insert(2, "identifier:  # no column names the meter: write its name, or columns.identifier")
    return lines


def _meter_column(sample: _Sample, dated: dict[int, list[str]]) -> int | None:
    """By what its values look like, by its name, or without a header by a long text that hardly changes."""
    others = [n for n in range(len(sample.names)) if n not in dated]
    by_point = (n for n in others if _POINT_NAME.match(sample.names[n]))
    by_number = (n for n in others if sample.column(n) and all(map(_POINT.fullmatch, sample.column(n))))
    by_name = (
        n
        for n in others
        if re.search(r"mpan|mprn?|nmi|cups|meter(?! ?type)", sample.names[n], re.I)
        and not _VALUE.search(sample.names[n])
    )
    by_any_name = (n for n in others if _METER.search(sample.names[n]) and not _UNIT.search(sample.names[n]))
    without_header = (n for n in others if not any(sample.names) and _names_a_meter(sample, n))
    return next(itertools.chain(by_point, by_number, by_name, by_any_name, without_header), None)


def _names_a_meter(sample: _Sample, place: int) -> bool:
    texts = sample.column(place)
    return bool(texts) and len(set(texts)) * 5 <= len(texts) + 4 and all(len(text) > 5 for text in texts)


def _dated(sample: _Sample, place: int) -> list[str]:
    texts = sample.column(place)
    # Totals and notes below the table are no dates.
    known = [text for text in texts if re.search(r"[0-9]", text) and not _TOTAL.match(text)]
    if not known or len(known) < 0.9 * len(sample.rows) or re.fullmatch(r"[0-9.,]{1,7}", known[0]):
        return []
    if _EPOCH_NAME.search(sample.names[place]):
        for form, epoch in _EPOCHS.items():
            if all(map(epoch.fullmatch, known)):
                return [form]
    # Below a table may stand a few notes.
    cuts = range(min(MAX_NOTES, len(known) - 1) + 1)
    return next((found for cut in cuts if (found := _formats(known[: len(known) - cut], dates=True))), [])


def _formats_fail(text: str, form: str) -> bool:
    if form in OFFSET_FORMATS:
        return not (_EPOCHS[form].fullmatch if form in _EPOCHS else re.compile(r"\d{4}-").match)(text.strip())
    return not TimeFormat(form).reads(text.strip())


def _numbers(sample: _Sample, place: int) -> bool:
    texts = sample.values(place)
    return bool(texts) and all(
        re.fullmatch(r"[+-]?[0-9][0-9.,' \u00a0\u202f]*(e-?[0-9]+)?|[+-]?\.[0-9]+", text, re.I)
        for text in texts
    )


def _marks(sample: _Sample, numeric: list[int]) -> list[str]:
    texts = [text for place in numeric for text in sample.values(place)]
    groups = {sign for text in texts for sign in re.findall(r"[0-9](['\u00a0\u202f ])[0-9]{3}", text)}
    comma_last = any(re.search(r",[0-9]{1,2}$|,[0-9]{4,}$|\.[0-9]{3},|^[+-]?0,", text) for text in texts)
    # A semicolon between fields is there because the comma is taken.
    comma_last |= sample.delimiter == ";" and not any("." in text for text in texts)
    if comma_last and any("," in text for text in texts):
        groups |= {"."} if any("." in text for text in texts) else set()
        return ['decimal: ","', *_thousands(groups)]
    return _thousands(
        groups | ({","} if any(re.search(r"[0-9],[0-9]{3}", text) for text in texts) else set())
    )


def _thousands(signs: set[str]) -> list[str]:
    return [f"thousands: {json.dumps(signs.pop())}"] if len(signs) == 1 else []


def _name(sample: _Sample, place: int) -> str:
    name = sample.names[place]
    unique = name and [other.lower() for other in sample.names].count(name.lower()) == 1
    return json.dumps(name, ensure_ascii=False) if unique else str(place + 1)


def _day_columns(sample: _Sample, numeric: list[int]) -> tuple[list[range], int] | None:
    """(columns of values, minutes) of a row a day: runs of as many columns as a day has intervals."""
    for step in (1, 2):
        runs: list[range] = []
        minutes = 0
        for first in numeric:
            if runs and first < runs[-1].stop:
                continue
            found = _run(sample, numeric, first, step)
            if found is not None and minutes in (0, found[1]):
                runs.append(found[0])
                minutes = found[1]
        if runs:
            return runs, minutes
    return None


def _run(sample: _Sample, numeric: list[int], first: int, step: int) -> tuple[range, int] | None:
    """(columns, minutes) of the run that begins with a column, None where none does."""
    before, name = first - step, sample.names[first]
    comes_again = bool(name) and name in sample.names[:first]
    if before in numeric and _stem(sample.names[before]) == _stem(name) and not comes_again:
        # In the middle of a run: the columns before it belong to the day too.
        return None
    count = 0
    while _continues(sample, numeric, first, count, step):
        count += 1
    for minutes in (60, 30, 15, 10, 5):
        due = 1440 // minutes
        cells = range(first, first + (count - 1) * step + 1, step)
        if count in (due, due + 60 // minutes) and _has_flags_between(sample, cells, numeric):
            return cells, minutes
    return None


def _continues(sample: _Sample, numeric: list[int], first: int, count: int, step: int) -> bool:
    """Whether the next column is another cell of the day: of numbers, and named like the first one."""
    place = first + count * step
    is_cell = place in numeric or _is_spare(sample, place, count, step)
    if count and is_cell and sample.names[place] and sample.names[place] == sample.names[first]:
        # The same labels anew: another run.
        return False
    return is_cell and _stem(sample.names[place]) == _stem(sample.names[first])


def _stem(name: str) -> str:
    """A column's name without what tells the cells of a day apart."""
    return re.sub(r"(?<![a-z])[ap]\.?m(?![a-z])|[^a-z]", "", name.lower())


def _has_flags_between(sample: _Sample, cells: range, numeric: list[int]) -> bool:
    """Whether each value is followed by a column of its own that holds no numbers; true of a step of 1."""
    behind = [place + 1 for place in cells if cells.step > 1]
    return all(place < len(sample.names) and place not in numeric for place in behind)


def _is_spare(sample: _Sample, place: int, count: int, step: int) -> bool:
    """An empty column behind a whole day of values: that of the longer day."""
    return count >= 24 and step == 1 and place < len(sample.names) and not sample.column(place)


def _day_body(
    sample: _Sample, place: int, form: str, day: tuple[list[range], int], meter: int | None
) -> tuple[list[str], list[str]]:
    runs, minutes = day
    flags = runs[0].step > 1
    words = {text for cells in runs for n in cells for text in sample.column(n + 1)} if flags else set()
    taken = {place, meter, *(n for cells in runs for n in range(cells[0], cells[-1] + 1 + flags))}
    keys = [row[place] for row in sample.rows]
    register = _register_column(sample, meter, keys, taken) if len(runs) == 1 else None
    unit = _unit_column(sample, taken)
    quality = None if flags else _quality_column(sample, {*taken, register, unit})
    named = _named_columns(sample, quality=quality, register=register, unit=unit)
    lines = [f"  date: {_name(sample, place)}", *named, "day:"]
    stems = [_stem(sample.names[cells[0]]) for cells in runs]
    for cells, stem in zip(runs, stems, strict=True):
        run = _run_lines(sample, cells, minutes, register, unit)
        if len(runs) > 1:
            # Of two runs of one channel each needs a name of its own.
            name = stem if stem and stems.count(stem) == 1 else str(cells[0] + 1)
            run.append(f"register: {json.dumps(name)}")
        first = "  - " if len(runs) > 1 else "  "
        lines += [first + run[0], *(" " * len(first) + line for line in run[1:])]
    return (
        [f"interval_minutes: {minutes}", f"date_format: {json.dumps(_date_alone(form))}"],
        [
            *lines,
            *(_qualities(sorted(words)) if flags else []),
            *_qualities_of(sample, quality),
            *_channels(sample, register),
        ],
    )


def _run_lines(
    sample: _Sample, cells: range, minutes: int, register: int | None, unit: int | None
) -> list[str]:
    spare = len(cells) > 1440 // minutes
    change = "elapsed" if spare else "wall_clock"
    why = "columns for the longer day are there" if spare else f"{_CHECK}: what the days of a change hold"
    return [
        f"first: {_name(sample, cells[0])}",
        f"last: {_name(sample, cells[-1])}",
        *(["step: 2", "quality_offset: 1"] if cells.step > 1 else []),
        f"clock_change: {change}  # {why}",
        *_meaning(sample, cells[0], register, unit),
    ]


def _date_alone(form: str) -> str:
    """The format of a day whose text ends with the midnight at which it begins."""
    times = [form.find(token) for token in ("%H", "%I") if token in form]
    return form[: min(times)].rstrip("T ") + "%*" if times else form


def _reading_body(
    sample: _Sample, place: int, form: str, numeric: list[int], meter: int | None
) -> tuple[list[str], list[str]]:
    head, when, micros = _times(sample, place, form)
    minutes, label, why = _rhythm(sample, micros, meter, sample.names[place])
    if form.endswith(" %*"):
        label, why = "start", "the interval is told from here to there"
    if form not in OFFSET_FORMATS or label:
        head = [f"interval_minutes: {minutes}", *head]
    unit = _unit_column(sample, {place, meter, *numeric})
    register = _register_column(sample, meter, micros, {place, meter, unit, *numeric})
    is_date_alone = not any(line.startswith(("  period:", "  time:", "  timestamp:")) for line in when)
    comes_again = is_date_alone and register is None and _comes_again(sample, meter, micros)
    if comes_again or (is_date_alone and minutes != 1440):
        raise MappingError(
            f"{sample.path}: the dates have no time of day and are not those of one day after the other: "
            "what is no total of a day is no reading (docs/formats.md)"
        )
    if not is_date_alone and not any(line.startswith("  period:") for line in when):
        head.append(f"label: {label}  # {why}")
    if form not in OFFSET_FORMATS and _is_descending(sample, micros, meter):
        head.append("order: descending")
    quality = _quality_column(sample, {meter, register, unit, *numeric})
    values = [
        n for n in numeric if n != meter and (_VALUE.search(sample.names[n]) or _UNIT.search(sample.names[n]))
    ]
    period = [line.split()[1] for line in when if line.startswith("  period:")]
    others = (
        n for n in numeric if n != meter and not _PERIOD.search(sample.names[n]) and str(n + 1) not in period
    )
    values = values or [n for n in others if not all(map(_LONG_NUMBER.fullmatch, sample.column(n)))]
    values = [n for n in values if not _NET.search(sample.names[n])] or values
    sample.no_values = {text for n in values for text in sample.column(n) if text.lower() in _NO_VALUES}
    lines = [*when, *_named_columns(sample, quality=quality, register=register, unit=unit), "values:"]
    if register is None and _comes_again(sample, meter, micros):
        lines.insert(0, f"  # {_CHECK}: the same time comes in several rows, and no column tells them apart")
    for n in values[:1] if register is not None else values:
        lines += [
            f"  - column: {_name(sample, n)}",
            *(f"    {line}" for line in _meaning(sample, n, register, unit)),
            *([] if sample.names[n] or register is not None else [f"    register: {_unnamed(n, values)}"]),
        ]
    return head, [*lines, *_qualities_of(sample, quality), *_channels(sample, register)]


def _quality_column(sample: _Sample, taken: set[int | None]) -> int | None:
    named = (n for n, name in enumerate(sample.names) if _QUALITY.search(name) and n not in taken)
    return next(
        (n for n in named if sample.column(n) and not _numbers(sample, n) and not _names_values(sample, n)),
        None,
    )


def _names_values(sample: _Sample, place: int) -> bool:
    """Whether the words of a column say what the values are, with their unit: they are no quality."""
    return any(map(_IN_BRACKETS.search, set(sample.column(place))))


def _qualities_of(sample: _Sample, quality: int | None) -> list[str]:
    if quality is None:
        return []
    words = sorted({row[quality].strip() for row in sample.rows})
    return _qualities(words, asks_if_estimated=sample.names[quality].strip().lower().startswith("estimated"))


def _named_columns(sample: _Sample, **places: int | None) -> list[str]:
    return [f"  {name}: {_name(sample, place)}" for name, place in places.items() if place is not None]


def _meaning(sample: _Sample, place: int, register: int | None, unit: int | None) -> list[str]:
    """Channel and unit of a column of values, as far as no column of the file tells them row by row."""
    name = sample.names[place]
    found = _UNIT.search(name)
    is_reactive = found is not None and found.group(1).lower().endswith("varh")
    channel = _channel(name, is_reactive)
    if channel == "import" and found is not None and UNITS[found.group(1).lower()] in _NO_ELECTRICITY:
        channel = "consumption"
    lines = [] if register is not None else [f"channel: {channel}  # {_CHECK}"]
    if register is None and _only_rises(sample.values(place)):
        # Left empty: nobody shall load the state of a dial as the energy of an interval.
        lines = ["channel:  # the values only rise: reads of a dial are no energy of an interval"]
    if unit is not None:
        return lines
    said = found or _POWER.search(name)
    other = None if said else _OTHER_UNIT.search(name)
    if other is not None:
        return [*lines, f"unit:  # the column says {other.group()}: write a unit that docs/formats.md names"]
    word = said.group(1) if said else _unit_in_words(sample) or _unit_above(sample)
    if word is None:
        return [*lines, f"unit: kWh  # {_CHECK}: the file does not say it"]
    lines.append(f"unit: {UNITS[word.lower()]}")
    if _POWER.fullmatch(word):
        lines.append(f"average_power: true  # {_CHECK}: a power is no energy unless it is the average")
    return lines


def _only_rises(texts: list[str]) -> bool:
    """Whether the values rise from the first to the last, or fall where the newest stands first."""
    if len(texts) < MIN_DIAL_ROWS:
        return False
    try:
        numbers = [float(text.replace(",", ".")) for text in texts]
    except ValueError:
        return False
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    moves = sum(step != 0 for step in steps)
    return 2 * moves > len(steps) and (min(steps) >= 0 or max(steps) <= 0)


def _unit_in_words(sample: _Sample) -> str | None:
    """The one unit that stands in brackets in the words of the rows."""
    found = set()
    for n in range(len(sample.names)):
        words = set(sample.column(n))
        if len(words) <= MAX_REGISTERS:
            found |= {match.group(1) for word in words if (match := _IN_BRACKETS.search(word))}
    return found.pop() if len(found) == 1 else None


def _unit_above(sample: _Sample) -> str | None:
    """The one unit that stands alone in a cell above the header."""
    found = {cell for cell in sample.above if _UNIT.fullmatch(cell) or _POWER.fullmatch(cell)}
    return found.pop() if len(found) == 1 else None


def _channel(name: str, is_reactive: bool = False) -> str:
    if is_reactive:
        return "reactive_export" if _EXPORT.search(name) else "reactive_import"
    if _INSIDE.search(name):
        return "other"
    return "export" if _EXPORT.search(name) else "generation" if _GENERATION.search(name) else "import"


def _unit_column(sample: _Sample, taken: set[int | None]) -> int | None:
    """A column that says the unit of each row."""
    for n, name in enumerate(sample.names):
        units = {UNITS.get(text.lower()) for text in sample.column(n)} if n not in taken else set()
        # A nameless column of "A" may as well hold the flag of actual values.
        if units and None not in units and (_UNIT_COLUMN.match(name) or (not name and units <= {*AMOUNTS})):
            return n
    return None


def _register_column(
    sample: _Sample, meter: int | None, times: Sequence[object], taken: set[int | None]
) -> int | None:
    """The column that tells series of one meter apart, where the same time comes once for each of them."""
    if not _comes_again(sample, meter, times):
        return None
    keys = _keys(sample, meter, times)
    found: list[tuple[int, int]] = []
    for n in range(len(sample.names)):
        words = {row[n].strip() for row in sample.rows} if n not in taken else set()
        whole = (
            {(key, row[n].strip()) for key, row in zip(keys, sample.rows, strict=True)} if words else set()
        )
        # An hour that comes twice takes its share of a short file.
        if 2 <= len(words) <= MAX_REGISTERS and "" not in words and len(whole) > 0.95 * len(keys):
            found.append((len(words), n))
    return min(found)[1] if found else None


def _keys(sample: _Sample, meter: int | None, times: Sequence[object]) -> list[tuple[str, object]]:
    names = [row[meter] if meter is not None else "" for row in sample.rows]
    return list(zip(names, times, strict=True))


def _unnamed(place: int, values: list[int]) -> str:
    return "kWh" if len(values) == 1 else f"column {place + 1}"


def _comes_again(sample: _Sample, meter: int | None, times: Sequence[object]) -> bool:
    """Whether a meter has the same time in several rows, more often than where the clocks are put back."""
    keys = _keys(sample, meter, times)
    return len(set(keys)) <= 0.9 * len(keys)


def _channels(sample: _Sample, register: int | None) -> list[str]:
    if register is None:
        return []
    words = sorted(set(sample.column(register)))
    return [
        "channels:",
        *(f"  {json.dumps(word, ensure_ascii=False)}: {_channel(word)}  # {_CHECK}" for word in words),
    ]


def _times(sample: _Sample, place: int, form: str) -> tuple[list[str], list[str], list[int]]:
    """(formats, columns, times in microseconds on the wall clock) of a row a reading."""
    texts = pa.array([row[place].strip() for row in sample.rows])
    if form in _EPOCHS:
        scale = US if form == "unix" else US // 1000
        micros = [int(row[place]) * scale for row in sample.rows]
        return [f"timestamp_format: {form}"], [f"  timestamp: {_name(sample, place)}"], micros
    if form in OFFSET_FORMATS:
        wall = pc.utf8_slice_codeunits(pc.replace_substring(texts, "T", " "), 0, 16)
        micros = [int(value) for value in TimeFormat("%Y-%m-%d %H:%M").parse(wall)[0]]
        return [f"timestamp_format: {form}"], [f"  timestamp: {_name(sample, place)}"], micros
    parsed = TimeFormat(form)
    days = [int(value) for value in parsed.parse(texts)[0]]
    if parsed.has_time:
        head = [f"timestamp_format: {json.dumps(form)}"]
        return head, [f"  timestamp: {_name(sample, place)}"], days
    head, when = [f"date_format: {json.dumps(form)}"], [f"  date: {_name(sample, place)}"]
    for other in range(len(sample.names)):
        found = _formats(sample.column(other), dates=False) if other != place else []
        if found and ":" in sample.column(other)[0]:
            of_day = TimeFormat(found[0]).parse(pa.array([row[other].strip() for row in sample.rows]))[0]
            head.append(f"time_format: {json.dumps(found[0])}")
            when.append(f"  time: {_name(sample, other)}")
            return head, when, [day + int(time) for day, time in zip(days, of_day, strict=True)]
    period = next((n for n, name in enumerate(sample.names) if _PERIOD.search(name)), None)
    if period is None and not any(sample.names):
        period = next((n for n in range(len(sample.names)) if _counts_a_day(sample, n, days)), None)
    if period is not None:
        numbers = [int(row[period]) if row[period].strip().isdigit() else 0 for row in sample.rows]
        last = max(numbers)
        step = 1440 // (24 if last <= 25 else 48 if last <= 50 else 96) * 60 * US
        is_hour = min(numbers) == 0 and last < 24
        if is_hour:
            # Periods count from 1: this is the hour of the clock.
            head.append('time_format: "%H"')
        when.append(f"  {'time' if is_hour else 'period'}: {_name(sample, period)}")
        return head, when, [day + number * step for number, day in zip(numbers, days, strict=True)]
    return head, when, days


def _counts_a_day(sample: _Sample, place: int, days: list[int]) -> bool:
    """Whether a column without a name holds the numbers of a day's intervals, counted from 1."""
    texts = [row[place].strip() for row in sample.rows]
    if not all(re.fullmatch(r"[0-9]{1,3}", text) for text in texts):
        return False
    of_first = [int(text) for text, day in zip(texts, days, strict=True) if day == days[0]]
    count = len(set(of_first))
    return count in (23, 24, 25, 46, 48, 50, 92, 96, 100) and set(of_first) == {*range(1, count + 1)}


def _is_descending(sample: _Sample, micros: list[int], meter: int | None) -> bool:
    steps = [
        micros[row] - micros[row - 1]
        for row in range(1, len(micros))
        if meter is None or sample.rows[row][meter] == sample.rows[row - 1][meter]
    ]
    return sum(step < 0 for step in steps) > sum(step > 0 for step in steps)


def _rhythm(sample: _Sample, micros: list[int], meter: int | None, name: str) -> tuple[int, str, str]:
    """(minutes, label, why) by the steps between the rows of a meter and by where its days begin."""
    meters = [row[meter] if meter is not None else "" for row in sample.rows]
    steps = Counter(
        abs(micros[row] - micros[row - 1])
        for row in range(1, len(micros))
        if meters[row] == meters[row - 1] and micros[row] != micros[row - 1]
    )
    step = steps.most_common(1)[0][0] if steps else 30 * 60 * US
    minutes = max(step // (60 * US), 1)
    if minutes > 1440 or 1440 % minutes:
        minutes = 30
    step = minutes * 60 * US
    own = sorted(micros[row] for row in range(len(micros)) if meters[row] == meters[0])
    begins, ends = own[0] % DAY_US, own[-1] % DAY_US
    if _END.search(name) or (begins == step and ends == 0):
        return minutes, "end", "the days begin with the first interval's end" if begins == step else _CHECK
    if begins == 0 and ends == DAY_US - step:
        return minutes, "start", "the days begin at midnight"
    return minutes, "start", f"{_CHECK}: start or end of the interval"


def _qualities(words: list[str], *, asks_if_estimated: bool = False) -> list[str]:
    lines = ["qualities:"]
    for word in words[:50]:
        kind = "estimated" if _ESTIMATED.match(word) else "actual" if _ACTUAL.match(word) else ""
        if asks_if_estimated and word.lower() in _ANSWERS:
            kind = _ANSWERS[word.lower()]
        note = "" if kind else "  # actual, edited, estimated or null"
        lines.append(f"  {json.dumps(word, ensure_ascii=False)}: {kind}{note}".rstrip())
    return lines
