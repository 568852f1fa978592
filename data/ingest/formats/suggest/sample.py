"""The head of a file as a table: its delimiter, its header, its rows and what stands around them.

Not here: the meaning of a column (`columns`, `meaning`).
"""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from data.ingest.formats.file_mappings import MappingError
from data.ingest.formats.mapped_layout import split_fields
from data.ingest.formats.mapped_numbers import IN_BRACKETS, MINUS, split_unit
from data.ingest.formats.narrow import narrow_text
from data.ingest.formats.suggest.date_formats import find_formats, is_dated
from data.ingest.formats.suggest.headers import is_sum_above, read_stack
from data.ingest.formats.suggest.no_readings import explain_missing_dates
from data.ingest.formats.suggest.sections import find_sections

MIN_TITLE_CHARS = 4
ROWS_BELOW = 3
_ROWS_TRIED, _LINES_TRIED = 40, 200
# A line that is drawn between the header and the rows.
_RULE = re.compile(r"[-=+|;,\s]*[-=]{3}[-=+|;,\s]*")
# A few notes may stand among the numbers of a column.
_MOST = 0.9
DELIMITERS = (",", ";", "\t", "|")
# A total in the languages of the senders.
TOTAL_WORDS = (
    "total|totaal|totale|totalt|totali|totais|totales|sum|summa|summe|somme|soma|gesamt|suma|razem|i alt"
    "|yhteensä|toplam|összesen|összeg|mindösszesen|celkem|součet|spolu|ukupno|skupaj|kokku|kopā|iš viso"
    "|σύνολο|γενικό σύνολο|сумма|итого|всего|разом|усього|общо|jumlah|tổng|รวม"
    '|合計|小計|総計|总计|合计|總計|합계|총계|소계|סה"כ|סה״כ|المجموع|الإجمالي|مجموع'
)
TOTAL = re.compile(
    rf"^(grand |daily |day |column |sub|dag|tages?|spalten|dygns?|dags?)?({TOTAL_WORDS})(?![^\W_])",
    re.I,
)
_UNIT = re.compile(r"[\[(]?([kM]?Wh?|k?varh|m3|m³|l|therms?|°C)[\])]?", re.I)
_DATE_FORM = re.compile(r"[\[(]?[dmyhjatgs:./ -]+[\])]?", re.I)
NO_VALUES = (
    *("#nv", "#wert!", "#div/0!", "#bezug!", "#ref!", "#name?", "#num!", "#n/d", "#valeur!", "#¡valor!"),
    *("n/a", "na", "nan", "null", "none", "nil", "-", "--", "---", "#n/a", "#na", "#value!", "(null)", "?"),
    *("missing", "no data", "fehlt", "k.a.", "s/d", "n.d.", "nd", "unavailable", "unknown"),
)
# Between the words of gridConsumptionPower, and not in kWh.
_CAMEL = re.compile(r"(?<=[a-z]{2})(?=[A-Z][a-z]{2}|[kKM]?Wh?$)")
_LATIN = {"": "", "к": "k", "м": "M"}
# Kilowatts and kilowatt-hours in Cyrillic, Chinese and Hebrew; the longer ones first.
_UNITS_OF_SCRIPTS = tuple(
    (re.compile(pattern, re.I), latin)
    for pattern, latin in (
        (
            r"(?<![^\W\d_])([км]?)Вт[ ·⋅.*×-]*(ч|г|год|час)(?![^\W\d_])",
            lambda found: f"{_LATIN[found[1].lower()]}Wh",
        ),
        (r"(?<![^\W\d_])([км]?)Вт(?![^\W\d_])", lambda found: f"{_LATIN[found[1].lower()]}W"),
        (r"(?<![^\W\d_])([км]?)вар[ ·⋅.*×-]*(ч|г|год|час)(?![^\W\d_])", lambda found: "kvarh"),
        (r"(?<![^\W\d_])([км]?)вар(?![^\W\d_])", lambda found: "kvar"),
        (r"千瓦[·]?[时時]", lambda _: "kWh"),
        (r"兆瓦[·]?[时時]", lambda _: "MWh"),
        (r"千瓦", lambda _: "kW"),
        (r"קוט\"?ש|קוט״ש", lambda _: "kWh"),
        (r"كيلو ?و(?:ا)?ط[ ./·-]*ساعة?|ك\.? ?و\.? ?س\.?(?![^\W\d_])", lambda _: "kWh"),
        (r"ميغا ?و(?:ا)?ط[ ./·-]*ساعة?", lambda _: "MWh"),
        (r"هزار کیلووات ساعت", lambda _: "MWh"),
        (r"کیلووات ?ساعت", lambda _: "kWh"),
        (r"(?<=[(（\[])度(?=[)）\]])|度数\(度\)", lambda _: "kWh"),
        (r"กิโลวัตต์[ -]?ชั่วโมง", lambda _: "kWh"),
        (r"กิโลวัตต์", lambda _: "kW"),
        (r"किलोवाट[ -]?(?:घंटा|घंटे|आवर)", lambda _: "kWh"),
    )
)
INDIAN_GROUPS = re.compile(r"[+-]?[0-9]{1,2}(,[0-9]{2})+,[0-9]{3}(\.[0-9]*)?")
# Numbers that stand for a missing value, and words that stand in the place of a few numbers.
_NO_NUMBER = re.compile(
    r"-9{3,}([.,][09]*)?|-(2147483648|9223372036854775808|32768)|2147483647|4294967295|9223372036854775807"
    r"|1e\+?(9[89]|[1-9][0-9]{2})",
    re.I,
)
_PLACE_IN_DAY = re.compile("[0-9]{1,2}")
_WORD, _MOST_WORDS, _MOST_NUMBERS = re.compile(r"[^\W\d_][^\d]*"), 3, 0.8


@dataclass
class Sample:
    """The head of a file as a table."""

    path: Path
    delimiter: str
    names: list[str]
    rows: list[list[str]]
    # What stands above each name, if the header has two lines: the medium, direction or unit of a group.
    groups: list[str] = field(default_factory=list)
    encoding: str | None = None
    totals: list[str] = field(default_factory=list)
    # The cells above the header, and the words for a missing value in the rows.
    above: list[str] = field(default_factory=list)
    skip: int = 0
    # The words that tell apart tables of the same times, one below the other.
    sections: list[str] = field(default_factory=list)
    no_values: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    decimal: str = "."
    thousands: str | None = None
    # A number whose comma may stand before decimals or between thousands.
    unclear: str | None = None
    # The numbers of a column in another unit than most of them.
    others: dict[int, list[str]] = field(default_factory=dict)
    # Columns with numbers in brackets.
    bracketed: set[int] = field(default_factory=set)
    # The unit that another column states for the values of a column, if it is none that is read.
    units: dict[int, str] = field(default_factory=dict)
    # Between two rows.
    minutes: int = 0
    # The name of the file, the member or the sheet.
    title: str = ""
    # The meter of each column of values, if each is of another one.
    meters: dict[int, str] = field(default_factory=dict)
    # The channels of columns that the balance of a site proves.
    proven: dict[int, str] = field(default_factory=dict)
    # Whether several columns of values have one channel, and may be registers of a meter or meters.
    are_columns_alike: bool = False
    # The names as the file writes them, if `names` has units of the row below too.
    header: list[str] = field(default_factory=list)

    def describe(self, place: int) -> str:
        """Return the name of a column, below that of its group."""
        group = self.groups[place] if self.groups else ""
        name = _CAMEL.sub(" ", self.names[place])
        return narrow_text(write_units(" ".join(filter(None, (group, name, self.units.get(place))))))

    def take_texts(self, place: int) -> list[str]:
        """Return the texts of a column that are not empty."""
        return [text for row in self.rows if (text := row[place].strip())]

    def take_values(self, place: int) -> list[str]:
        """Return the texts of a column that are values."""
        return [text for text in self.take_texts(place) if not self.is_missing(text)]

    def is_missing(self, text: str) -> bool:
        """Whether a text stands for a missing value."""
        return text.lower() in NO_VALUES or text in self.words or _NO_NUMBER.fullmatch(text) is not None

    def write_plain(self, text: str) -> str:
        """Return a number with a point and without marks between thousands."""
        plain = re.sub(f"^[{MINUS}]", "-", text.strip())
        plain = plain.replace(self.thousands, "") if self.thousands else plain
        return plain.replace(",", ".") if self.decimal == "," else plain


def write_units(text: str) -> str:
    """Return a text with the units of other scripts in Latin letters."""
    for unit, latin in _UNITS_OF_SCRIPTS:
        text = unit.sub(latin, text)
    return text


def read_sample(path: Path, text: str) -> Sample:
    """Find the table in the head of a file. Raises `MappingError` if no row has a date."""
    lines = [line for line in text.split("\n") if line.strip() and not _RULE.fullmatch(line)] or [""]
    best: tuple[int, str, int, list[list[str]]] = (0, ",", 0, [])
    for delimiter in DELIMITERS:
        rows = [split_fields(line, delimiter) for line in lines]
        width, count = max(Counter(map(len, rows)).items(), key=lambda entry: entry[1] * min(entry[0], 8))
        score = count * min(width, 8) if width > 1 and _has_dates(rows, width) else 0
        if score > best[0]:
            best = (score, delimiter, width, rows)
    _, delimiter, width, rows = best if best[0] else _split_at_blanks(lines)
    table = [row for row in rows if len(row) == width]
    first = _find_first_row(table)
    if first is None:
        fields = [split_fields(line, mark) for mark in DELIMITERS for line in lines[:_LINES_TRIED]]
        raise MappingError(f"{path}: {explain_missing_dates(fields)}")
    start = rows.index(table[first])
    top = start
    while top and is_sum_above(rows[top - 1], width, TOTAL):
        top -= 1
    _check_commas(path, rows[top - 1] if top else [], table[first:], delimiter)
    header = _find_header(rows[:top], table[first:], width)
    names = [name.strip() for name in header]
    plain = names
    units_row = rows.index(header) if header in rows else 0
    if units_row and _holds_units(names) and len(rows[units_row - 1]) == len(names):
        # The names stand above their units.
        header = rows[units_row - 1]
        plain = [name.strip() for name in header]
        names = [f"{name} {unit}".strip() for name, unit in zip(plain, names, strict=True)]
    if delimiter == " " and any(" " in name for name in names):
        # Names with blanks are no fields of the file as a mapping reads it.
        plain = [""] * len(names)
    sections, second = find_sections(rows, header)
    if sections:
        # One section shows what all of them are; the titles are no rows to ignore.
        rows = rows[:second]
        table = [row for row in rows if len(row) == width]
    table = [row + [""] * (len(names) - width) for row in table]
    totals = {row[0].strip() for row in (*rows[top:start], *table[first:]) if TOTAL.match(row[0].strip())}
    # The first words of titles between the days of a table, without the date that follows.
    titles = set(sections)
    below = [row for row in rows[start:] if not titles & {cell.strip() for cell in row}]
    totals |= find_beginnings([row[0] for row in below if row and len(row) < width])
    skip = text.split("\n").index(lines[start])
    above = [cell.strip() for row in rows[:start] if row != header for cell in row]
    # Without marks between fields a label and what it says are one line.
    above += [" ".join(row) for row in rows[:start] if row != header and delimiter == " "]
    sample = Sample(
        path,
        delimiter,
        names,
        table[first:],
        read_stack(rows, rows.index(header) if header in rows[:top] else top - 1, len(names)),
        totals=sorted(word for word in totals if not any(title.startswith(word) for title in sections)),
        above=above,
        skip=skip,
        sections=sections,
        header=[*plain],
    )
    for place in range(len(names)):
        sample.words |= _find_words(sample, place)
        _write_plain_cells(sample, place)
    return sample


def _split_at_blanks(lines: list[str]) -> tuple[int, str, int, list[list[str]]]:
    """Split lines as programs write their logs, with blanks between the fields.

    A name may have a blank too: a header with more than one between its names is split there.
    """
    rows = [split_fields(" ".join(line.split()), " ") for line in lines]
    width = Counter(map(len, rows)).most_common(1)[0][0]
    if not (2 * sum(len(row) == width for row in rows) > len(rows) and _has_dates(rows, width)):
        return 0, ",", 0, []
    named = ([cell.strip() for cell in re.split(r"\s{2,}", line.strip())] for line in lines)
    rows = [
        wide if len(row) != width == len(wide) and not any(map(is_dated, wide)) else row
        for row, wide in zip(rows, named, strict=True)
    ]
    return 1, " ", width, rows


def _check_commas(path: Path, header: list[str], rows: list[list[str]], delimiter: str) -> None:
    """Refuse rows with more fields than their header, all digits: the decimals of unquoted commas."""
    spare = len(rows[0]) - len(header)
    names = [name for name in header if name.strip() and not (is_number(name) or is_dated(name))]
    if delimiter != "," or spare <= 0 or not 1 < len(names) == len(header):
        return
    last = [cell.strip() for row in rows for cell in row[-spare:]]
    if all(last) and rows[0]:
        raise MappingError(
            f"{path}: the rows have {len(rows[0])} fields and the header {len(header)}: decimal commas may "
            "be taken for ends of fields. Ask the sender for semicolons between the fields, or for quotes"
        )


def _find_header(above: list[list[str]], table: list[list[str]], width: int) -> list[str]:
    """Return the line of names among those above the rows."""
    header = above[-1] if above else []
    spare = width - len(header)
    # Rows may omit fields at their end that the header names, or end with marks behind their last one.
    if spare < 0 and not any(map(is_dated, header)):
        return header
    if spare > 0 and _ends_empty(header, table, spare):
        return header + [""] * spare
    return next((row for row in reversed(above) if len(row) == width), [""] * width)


def _ends_empty(header: list[str], rows: list[list[str]], spare: int) -> bool:
    """Whether the fields of all rows behind those of a header are empty."""
    names = [name for name in header if name.strip() and not (is_number(name) or is_dated(name))]
    return 1 < len(names) == len(header) and not any(cell.strip() for row in rows for cell in row[-spare:])


def _find_words(sample: Sample, place: int) -> set[str]:
    """Return the few words that stand between the numbers of a column."""
    texts = sample.take_values(place)
    words = [text for text in texts if not is_number(split_unit(text)[0])]
    is_few = len(words) <= (1 - _MOST_NUMBERS) * len(texts) and len(set(words)) <= _MOST_WORDS
    found = {text for text in words if _WORD.fullmatch(text) and not TOTAL.match(text)}
    return found if is_few and len(found) == len(set(words)) else set()


def _write_plain_cells(sample: Sample, place: int) -> None:
    """Write the minus of the numbers of a column before them, and the unit of most of them into its name."""
    texts = sample.take_values(place)
    cut = [split_unit(text) for text in texts]
    numbers = [unit for number, unit in cut if is_number(number)]
    units = Counter(unit for unit in numbers if unit is not None)
    if (
        texts == [number for number, _ in cut]
        or len(numbers) < _MOST * len(cut)
        or not all(map(_UNIT.fullmatch, units))
    ):
        return
    unit = units.most_common(1)[0][0] if units else None
    for row in sample.rows:
        number, own = split_unit(row[place].strip())
        if is_number(number) and IN_BRACKETS.fullmatch(row[place].strip()):
            sample.bracketed.add(place)
        if is_number(number) and own not in (None, unit):
            sample.others.setdefault(place, []).append(number)
            number = ""
        row[place] = number
    name = sample.names[place]
    if unit is not None and not re.search(rf"(?<![a-z]){unit}(?![a-z])", name, re.I):
        sample.header = sample.header or [*sample.names]
        sample.names[place] = f"{name} {unit}".strip()


def _holds_units(cells: list[str]) -> bool:
    """Whether a row has units, or the form of a date, and nothing else."""
    known = [cell for cell in cells if cell]
    has_unit = any(_UNIT.fullmatch(cell) for cell in known)
    others = [cell for cell in known if not (_UNIT.fullmatch(cell) or _DATE_FORM.fullmatch(cell))]
    # Below the name of the time stands its zone, below that of the meter one of them.
    return has_unit and len(others) <= 1 and not any(map(is_dated, others)) and len(known) > 2 * len(others)


def _has_dates(rows: list[list[str]], width: int) -> bool:
    """Whether one of the first rows has a field that is a date: commas between thousands leave none."""
    first = [row for row in rows if len(row) == width][:_ROWS_TRIED]
    return any(is_dated(cell) for row in first for cell in row)


def _find_first_row(table: list[list[str]]) -> int | None:
    """Find the first row with a date in a column in which the next rows have dates too.

    Above the table, dates stand in a line of their own: the time of the export, the span of the report.
    """
    dated = (
        (place, column)
        for place, row in enumerate(table)
        for column, cell in enumerate(row)
        if is_dated(cell)
    )
    found = None
    for place, column in dated:
        found = place if found is None else found
        below = table[place + 1 : place + 1 + ROWS_BELOW]
        if all(column < len(row) and is_dated(row[column]) for row in below):
            return place
    return found


def find_beginnings(texts: list[str]) -> set[str]:
    """Return the first words of titles and notes, without the date or number that follows."""
    words = {re.split(r"[:0-9]", text)[0].strip() for text in texts}
    return {word for word in words if len(word) >= MIN_TITLE_CHARS}


def drop_totals_of_days(sample: Sample) -> set[str]:
    """Drop the rows whose time is a word for a total; return these words."""
    for place in range(len(sample.names)):
        texts = set(sample.take_texts(place))
        words = {text for text in texts if TOTAL.match(text) and not re.search("[0-9]", text)}
        rest = sorted(texts - words)
        if words and (find_formats(rest, dates=False) or (rest and all(map(_PLACE_IN_DAY.fullmatch, rest)))):
            sample.rows = [row for row in sample.rows if row[place].strip() not in words]
            return words
    return set()


def name_column(sample: Sample, place: int) -> str:
    """Write how a mapping names a column: by its name if that is unique, else by position from 1."""
    names = sample.header or sample.names
    name = names[place]
    unique = name and [other.lower() for other in names].count(name.lower()) == 1
    return json.dumps(name, ensure_ascii=False) if unique else str(place + 1)


def has_numbers(sample: Sample, place: int) -> bool:
    """Whether all values of a column are numbers."""
    texts = sample.take_values(place)
    return bool(texts) and all(map(is_number, texts))


def is_number(text: str) -> bool:
    """Whether a text is a number, with any marks of decimals and thousands."""
    number = rf"[+{MINUS}-]?([0-9][0-9.,' \u00a0\u202f]*(e[+-]?[0-9]+)?|\.[0-9]+)"
    # Neither the code of a register, 1.8.0, nor a date; in India groups have two digits: 1,23,456.
    is_code = re.search(r"[.,][0-9]{0,2}[.,]", text) and not INDIAN_GROUPS.fullmatch(text)
    return re.fullmatch(number, text, re.I) is not None and not is_code
