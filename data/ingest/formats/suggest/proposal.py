"""A mapping proposed for a file, for a data engineer to check: what `inspect --suggest-mapping` prints.

Here: guesses by the content, marked where the content does not decide. Not here: reading a file for
loading, which never guesses. What cannot be known (the zone, a meter without a name) stays empty, so that
the proposal is refused until somebody has filled it in.
"""

import itertools
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from data.ingest.errors import RefusedFile
from data.ingest.formats.container import (
    TextForm,
    choose_sheets,
    open_members,
    strip_name,
)
from data.ingest.formats.detect import detect_text
from data.ingest.formats.file_mappings import MappingError
from data.ingest.formats.format import MappingUse
from data.ingest.formats.json_events import is_json
from data.ingest.formats.mapped_csv import unquote_rows
from data.ingest.formats.mapping_columns import COLUMN, NAME
from data.ingest.formats.mapping_formats import JsonMapping
from data.ingest.formats.mapping_shapes import carries_offset
from data.ingest.formats.narrow import narrow_fields
from data.ingest.formats.suggest import json_rows
from data.ingest.formats.suggest.across_dates import read_across
from data.ingest.formats.suggest.clock import find_end
from data.ingest.formats.suggest.columns import (
    MAX_REGISTERS,
    METER,
    OTHER_MEDIUM,
    find_date_formats,
    find_meter_column,
    find_meter_name,
)
from data.ingest.formats.suggest.date_formats import cut_time, lacks_date, mixes_orders, rank_formats
from data.ingest.formats.suggest.day_rows import check_cells, find_day_runs, write_day_body
from data.ingest.formats.suggest.directions import guess_channel
from data.ingest.formats.suggest.encodings import list_codecs
from data.ingest.formats.suggest.joined_dates import JoinedDates, write_joined_dates
from data.ingest.formats.suggest.meaning import CHECK, write_channels_of_words
from data.ingest.formats.suggest.member_names import (
    NamedDates,
    choose_members,
    share_times,
    write_name_dates,
    write_shared_names,
)
from data.ingest.formats.suggest.meter_columns import find_meters
from data.ingest.formats.suggest.month_days import MonthDays, write_month, write_month_days
from data.ingest.formats.suggest.no_readings import are_quoted, explain_missing_dates
from data.ingest.formats.suggest.number_marks import find_number_marks, write_number_marks
from data.ingest.formats.suggest.reading_rows import write_reading_body
from data.ingest.formats.suggest.sample import (
    TOTAL,
    Sample,
    drop_totals_of_days,
    find_beginnings,
    has_numbers,
    name_column,
    read_sample,
)
from data.ingest.formats.suggest.serials import SerialTimes, write_serials
from data.ingest.formats.suggest.title_dates import (
    DatesOnce,
    TitledDates,
    write_dates_once,
    write_title_dates,
)
from data.ingest.formats.suggest.years import Yearless, write_years
from data.ingest.formats.xml_events import find_arrays, iter_xml_leaves

# How much of a file is examined: enough for months of one meter.
SAMPLE_BYTES = 1 << 20
# A line of a mapping with a column by its name.
_NAMES_COLUMN = re.compile(r'[- ]*[a-z_]+: "')
# A line that speaks of the times of the rows, and not of that of the export.
_OF_TIMES = re.compile(
    r"times\b|timestamps|time ?zone|zeiten|zeitzone|zeitstempel|horas en|heures en|tijden|orari", re.I
)
# The time of a document, and not that of its values.
_OF_PRINT = re.compile(
    r"creat|erstell|print|generated|export|issue|document|sent|version|updated|modified", re.I
)
# What a mapping of JSON does not have.
_OF_TEXT = ("delimiter:", "encoding:", "has_header:", "skip_lines:", "ignore_rows:")
_XML = re.compile(r"<(\?xml|[A-Za-z_])")
_NO_ROWS = (
    "no list or object of the document has a date or a time in each of its elements, or values for places "
    "behind one, so nothing says when its values were. Ask the portal for a time beside each value"
)
# Documents that are not tables: pages, XML, JSON, PDF, Parquet.
_DOCUMENT = re.compile(r"\s*(<|\{|\[\s*\{|%PDF|PAR1|MEP[A-Z]{2}[0-9]{2},|ZH[VD]\||/[A-Za-z]{3}[0-9])")


def suggest_mapping(path: Path | str, timezone: str | None = None, sheet: str | None = None) -> str:
    """Propose a mapping in YAML for a file, with comments where somebody must decide.

    Of a workbook `sheet` is read, with those that have its header; without it the longest one.

    Raises `RefusedFile` if the file cannot be read, `MappingError` if it holds no table or needs no mapping.
    """
    path = Path(path)
    choice = choose_sheets(path, sheet) or choose_members(path, sheet)
    sheets = (choice.chosen[0],) if choice else ()
    text = read_head(path, TextForm(sheets=sheets, any_sheets=True))
    encoding = None
    if "\ufffd" in text:
        encoding, text = _read_encoded(path, sheets, timezone)
    text = narrow_fields(text)
    try:
        format = detect_text(path, text)
    except RefusedFile:
        if (found := _read_document(path, text.lstrip())) is not None:
            return _suggest_for_document(path, *found, timezone)
        if is_json(text.lstrip()):
            raise MappingError(f"{path}: {_NO_ROWS}") from None
        if _DOCUMENT.match(text):
            raise
    else:
        if format.name in ("nem12", "nem13") and not re.match(r'\s*"?100"?\s*,', text):
            return (
                f"format: {format.name}\nincomplete: read  # {CHECK}: nothing proves that the file is whole\n"
            )
        if format.mapping is None or format.mapping.model is not JsonMapping:
            raise MappingError(f"{path}: {format.name} needs no mapping: inspect or ingest the file as it is")
        return _suggest_for_portal(format.name, format.mapping, timezone)
    form = TextForm(encoding, sheets=sheets, any_sheets=True)
    name = next((strip_name(name) for name, _ in read_heads(path, form)), "")
    lines = _suggest_for_table(path, text, encoding, timezone, name)
    form = TextForm(encoding, sheets=tuple(choice.chosen) if choice else (), any_sheets=True)
    lines = write_shared_names(_name_meters(path, lines, form), [text for _, text in read_heads(path, form)])
    if choice is not None:
        # A mapping skips the sheets that it does not name.
        which = "the one that is asked for" if sheet else "the longest"
        which = which if len(choice.chosen) == 1 else f"the {len(choice.chosen)} with this header"
        names = json.dumps(choice.chosen, ensure_ascii=False)
        place = lines.index("format: mapped_csv") + 1
        lines[place:place] = [
            f"sheets: {names}  # {CHECK}: {which} of {choice.count}",
            *(
                f"# not read: {name!r}, with a mapping of its own: add --sheet {name!r}"
                for name in choice.others
            ),
            *(f"# not read: {name!r}, which has no rows with a date" for name in choice.idle),
        ]
    return "\n".join(lines) + "\n"


def _read_encoded(path: Path, sheets: tuple[str, ...], timezone: str | None) -> tuple[str, str]:
    """Return (the encoding of a text that is not UTF-8, its head): that of the zone, if the bytes fit it."""
    for codec in list_codecs(timezone):
        text = read_head(path, TextForm(codec, sheets=sheets, any_sheets=True))
        if "\ufffd" not in text.rstrip("\ufffd"):
            break
    return codec, text


def _suggest_for_table(
    path: Path, text: str, encoding: str | None, timezone: str | None, name: str
) -> list[str]:
    """Propose for a table; one with a column for each date is seen with a row for each cell."""
    if are_quoted(text.split("\n")):
        lines = _suggest_for_table(path, unquote_rows(text.encode()).decode(), encoding, timezone, name)
        line = "quoted_rows: true  # each line stands in quotes as a whole"
        lines.insert(lines.index("format: mapped_csv") + 1, line)
        return lines
    across = read_across(text, f"{name} {path.stem}")
    if across is None:
        return _suggest_for_rows(path, text, encoding, timezone, name)
    sample = read_sample(path, across.text)
    sample.encoding, sample.delimiter, sample.title = encoding, across.delimiter, name
    sample.sections = [*across.sections]
    lines = _write_lines(path, sample, timezone)
    line = f"across: {across.place}  # from this column on, a column for each date"
    lines.insert(lines.index("format: mapped_csv") + 1, line)
    return write_month(lines, across.month) if across.month else lines


def _suggest_for_rows(
    path: Path, text: str, encoding: str | None, timezone: str | None, name: str
) -> list[str]:
    """Propose for rows whose date may stand above them, lack its year or be a number of spreadsheets."""
    rewritten: JoinedDates | NamedDates | TitledDates | DatesOnce | Yearless | SerialTimes | MonthDays | None
    rewritten = write_joined_dates(text) or write_title_dates(text) or write_name_dates(text, name)
    rewritten = rewritten or write_dates_once(text) or write_month_days(text, f"{name} {path.stem}")
    try:
        sample = read_sample(path, text if rewritten is None else rewritten.text)
    except MappingError:
        rewritten = write_years(" ".join(dict.fromkeys((path.stem, name))), text) or write_serials(text)
        if rewritten is None:
            raise
        sample = read_sample(path, rewritten.text)
    sample.encoding, sample.title = encoding, name
    lines = _write_lines(path, sample, timezone)
    return lines if rewritten is None else rewritten.write_forms(lines)


def _name_meters(path: Path, lines: list[str], form: TextForm) -> list[str]:
    """Return the lines with the name of each text as its meter, if two of them have the same times.

    Where a name speaks of a direction or a medium, the texts are the registers of one meter.
    """
    one = next((line for line in lines if line.startswith("identifier:")), None)
    heads = list(itertools.islice(read_heads(path, form), MAX_REGISTERS))
    if one is None or len(heads) < 2 or not share_times(heads[0][1], heads[1][1]):
        return lines
    place = lines.index("columns:") + 1
    names = [strip_name(name) for name, _ in heads]
    if any(guess_channel(name) in ("export", "generation") or OTHER_MEDIUM.search(name) for name in names):
        return _name_registers(lines, names, place)
    column = f'  identifier: "{NAME}"  # {CHECK}: they have the same times, so each is of another meter'
    return [line for line in (*lines[:place], column, *lines[place:]) if line != one]


def _name_registers(lines: list[str], names: list[str], place: int) -> list[str]:
    """Return the lines with the name of each text as the register, and the channel of each name."""
    if sum(line.startswith("  - ") for line in lines) > 1:
        raise MappingError(
            f"the texts {', '.join(map(repr, names[:3]))} have several columns of values each, and their "
            "names speak of a direction: send them one by one"
        )
    of_value = ("    channel:", "    register:", "    sign:", "    negative:")
    kept = [line for line in lines if not line.startswith(of_value)]
    return [
        *kept[:place],
        f'  register: "{NAME}"  # {CHECK}: the names tell the direction or the medium',
        *kept[place:],
        "channels:",
        *write_channels_of_words(names),
    ]


def _read_document(path: Path, text: str) -> tuple[str, json_rows.JsonTable] | None:
    """Return (format, table) of a JSON or XML document with dated rows, None for another file."""
    if is_json(text):
        table = json_rows.read_table(path)
        return None if table is None else ("mapped_json", table)
    if not _XML.match(text):
        return None
    arrays = next((find_arrays(path, member) for member in open_members(path)), set())
    table = json_rows.read_table(path, partial(iter_xml_leaves, arrays=arrays))
    return None if table is None else ("mapped_xml", table)


def _suggest_for_document(path: Path, format: str, table: json_rows.JsonTable, timezone: str | None) -> str:
    """Propose for rows at a path what would be proposed for them as CSV."""
    sample = read_sample(path, table.text)
    sample.above = table.around
    # The signs of a path belong to no name.
    sample.header = sample.header or sample.names
    sample.names = [re.sub(r"^\$\.|\[\*\]", "", name) for name in sample.names]
    sample.groups = [*table.names, *[""] * (len(sample.names) - len(table.names))] if table.names else []
    lines = _write_lines(path, sample, timezone)
    kept = [line for line in lines if not line.startswith(_OF_TEXT)]
    place = kept.index("format: mapped_csv")
    kept[place : place + 1] = [
        f"format: {format}",
        f"rows: {table.rows if isinstance(table.rows, str) else json.dumps(table.rows)}",
        *(f"# not read: the rows at {other}, which need a mapping of their own" for other in table.others),
    ]
    # The columns of a row that is an array are places.
    return "\n".join(re.sub(r': "([0-9]+)"$', r": \1", line) for line in kept) + "\n"


def _suggest_for_portal(format: str, use: MappingUse, timezone: str | None) -> str:
    lines = [f"format: {format}", "identifier:  # the meter's name, unless the file states it"]
    if "timezone" in use.needs:
        lines.append(_write_zone(timezone))
    if "channel" in use.needs:
        lines.append("channel:  # not in the file: import, export, generation or consumption")
    return "\n".join(lines) + "\n"


def _write_identifier(sample: Sample, dated: dict[int, list[str]]) -> str:
    if sample.meters:
        return f"# {CHECK}: each column of values is of a meter of its own"
    found = find_meter_name(sample, dated)
    if found is None and sample.are_columns_alike:
        return f"identifier:  # its name, or {json.dumps(COLUMN)} if each column is of a meter of its own"
    if found is None:
        return "identifier:  # no column names the meter: write its name, or columns.identifier"
    name, where = found
    return f"identifier: {json.dumps(name, ensure_ascii=False)}  # {CHECK}: from {where}"


def _write_zone(zone: str | None) -> str:
    if zone is not None:
        return f"timezone: {json.dumps(zone)}"
    return "timezone:  # not in the file: the zone of its times, such as Europe/London or Etc/GMT"


def _write_zone_of_column(sample: Sample, place: int, zone: str | None) -> str:
    name = sample.names[place]
    offset = re.search(r"(?<![a-z])(?:UTC|GMT) ?([+-])0?([0-9]{1,2})(?::?00)?(?![0-9:])", name, re.I)
    if offset is not None:
        # The signs of these zones are those of POSIX.
        sign = "-" if offset[1] == "+" else "+"
        zone = f"Etc/GMT{sign}{offset[2]}" if offset[2] != "0" else "UTC"
        return f'timezone: "{zone}"  # {CHECK}: by the name of the column'
    says_utc = re.compile(r"(?<![a-z])UTC(?![a-z])(?! ?[+-])", re.I)
    if says_utc.search(name):
        return 'timezone: "UTC"  # by the name of the column'
    if any(says_utc.search(cell) and _OF_TIMES.search(cell) for cell in sample.above):
        return f'timezone: "UTC"  # {CHECK}: by a line above the table'
    return _write_zone(zone)


def read_head(path: Path, form: TextForm) -> str:
    """Return the text at the beginning of a file. Raises `RefusedFile` if the file cannot be read."""
    return next((text for _, text in read_heads(path, form)), "")


def read_heads(path: Path, form: TextForm) -> Iterator[tuple[str, str]]:
    """Yield the name and the beginning of each member of a file."""
    for member in open_members(path, form):
        text = b""
        for block in member.blocks:
            text += block
            if len(text) >= SAMPLE_BYTES:
                break
        yield member.name, text.decode(errors="replace")


def _leave_open(line: str, undecided: list[str]) -> str:
    """Leave the format of the dates empty if several fit and nothing decides."""
    field = line.partition(":")[0]
    if not undecided or field not in ("timestamp_format", "date_format"):
        return line
    shapes = (cut_time(other) if field == "date_format" else other for other in undecided)
    forms = [json.dumps(shape, ensure_ascii=False) for shape in shapes]
    return f"{field}:  # the dates fit several formats, write {' or '.join(forms)}"


def _drop_total_meters(sample: Sample, meter: int | None) -> set[str]:
    """Drop the rows whose meter is a word for a total; return these words."""
    names = set(sample.take_texts(meter)) if meter is not None else set()
    words = {name for name in names if TOTAL.fullmatch(name)}
    if not words or any(name.lower().startswith(word.lower()) for name in names - words for word in words):
        return set()
    sample.rows = [row for row in sample.rows if meter is None or row[meter].strip() not in words]
    return words


def _find_start(sample: Sample, dated: list[int]) -> int:
    """Return the column of the start among dates that stand around all rows: the one nearest to them."""
    names = {n: sample.describe(n).rpartition(".")[2] for n in dated}
    starts = [n for n in dated if find_end(names[n]) == "start"]
    starts = starts or [n for n in dated if not (find_end(names[n]) or _OF_PRINT.search(names[n]))]
    return max(starts or dated[:1], key=lambda n: sample.names[n].count("."))


def _take_start(sample: Sample, place: int, dated: dict[int, list[str]]) -> int:
    """Return the column of starts that stands beside that of ends: a short file has one day of starts."""
    if find_end(sample.names[place]) != "end":
        return place
    starts = (n for n in dated if n < place and find_end(sample.names[n]) == "start")
    return next((n for n in starts if dated[n][0] == dated[place][0]), place)


def _write_words(field: str, words: list[str]) -> list[str]:
    return [f"{field}: {json.dumps(words, ensure_ascii=False)}"] if words else []


def _write_lines(path: Path, sample: Sample, timezone: str | None) -> list[str]:
    ranked = {
        place: rank_formats(sample.take_texts(place), found, timezone)
        for place in range(len(sample.names))
        if (found := find_date_formats(sample, place))
    }
    dated = {place: forms for place, (forms, _) in ranked.items()}
    if not dated:
        raise MappingError(f"{path}: {explain_missing_dates([*sample.rows, sample.names])}")
    # The first one, unless many rows share its date, like the day of an export or of a revision.
    distinct = {n: len(set(sample.take_texts(n))) for n in dated}
    candidates = [n for n in dated if 2 * distinct[n] > max(distinct.values())]
    place = _find_start(sample, candidates) if max(distinct.values()) == 1 else candidates[0]
    place = _take_start(sample, place, dated)
    form = dated[place][0]
    if mixes_orders(sample.take_texts(place), form):
        raise MappingError(
            f"{path}: the dates change the order of day and month, or jump by months, see "
            f"{sample.rows[0][place].strip()!r} and {sample.rows[-1][place].strip()!r}: nothing says which. "
            "Ask the sender for dates in one order, such as 2025-06-01"
        )
    notes = [row[0] for row in sample.rows if lacks_date(row[place], form)]
    sample.rows = [row for row in sample.rows if not lacks_date(row[place], form)]
    # Words with which neither a row of data nor a repeated header begins.
    words = find_beginnings([note for note in notes if note.strip() != sample.names[0]])
    words = {word for word in words if not any(row[0].strip().startswith(word) for row in sample.rows)}
    sample.totals = sorted({*sample.totals, *words, *drop_totals_of_days(sample)})
    numeric = [n for n in range(len(sample.names)) if n not in dated and has_numbers(sample, n)]
    sample.decimal, sample.thousands, sample.unclear = find_number_marks(sample, numeric, timezone)
    meter = find_meter_column(sample, dated)
    if meter is not None and len({row[meter] for row in sample.rows}) == 1:
        # The house of its flats.
        names = [sample.describe(n) for n in numeric if n != meter and not TOTAL.search(sample.names[n])]
        meter = None if find_meters(names) else meter
    sample.totals = sorted({*sample.totals, *_drop_total_meters(sample, meter)})
    # A total after the values, or a site number before them, is not one of the values.
    cells = [n for n in numeric if n != meter and not TOTAL.search(sample.names[n])]
    day = find_day_runs(sample, [n for n in cells if not METER.search(sample.names[n])])
    if not day:
        check_cells(sample, cells)
    body = (
        write_day_body(sample, place, form, day, meter)
        if day
        else write_reading_body(sample, place, form, numeric, meter)
    )
    undecided = ranked[place][1]
    ambiguous = len({text[:2] for text in dated[place]}) > 1 and not undecided
    # Without a name the header is not found among the lines above it.
    is_named = any(sample.names) and any(map(_NAMES_COLUMN.match, body[1]))
    is_named = is_named or (meter is not None and name_column(sample, meter).startswith('"'))
    lines = [
        f"# Proposed from {path.name}: check every line before you use it.",
        "format: mapped_csv",
        *([] if carries_offset(form) else [_write_zone_of_column(sample, place, timezone)]),
        *(
            ["# Day, month or year first: several fit; chosen is the one with the fewest days between dates."]
            if ambiguous
            else []
        ),
        *(_leave_open(line, undecided) for line in body[0]),
        *([f"delimiter: {json.dumps(sample.delimiter)}"] if sample.delimiter != "," else []),
        *([f"encoding: {sample.encoding}"] if sample.encoding else []),
        *([] if is_named else ["has_header: false"]),
        *([f"skip_lines: {sample.skip}"] if sample.skip and not is_named else []),
        *write_number_marks(sample, numeric if not day else [n for cells in day[0] for n in cells]),
        *_write_words("no_value", sorted(sample.no_values)),
        *_write_words("ignore_rows", sample.totals),
        "columns:",
        *([f"  identifier: {name_column(sample, meter)}"] if meter is not None else []),
        *body[1],
    ]
    if meter is None:
        lines.insert(2, _write_identifier(sample, dated))
    return lines
