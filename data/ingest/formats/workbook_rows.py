"""The sheets of a workbook as CSV on the standard output: a program of its own, since a workbook is hostile.

A few bytes can ask for a table of 17 billion cells, and the library of the reader allocates it: the limits of
this process hold whatever the file says. Here: cells to texts. Not here: which process runs it (`workbook`),
or the meaning of a text (`mapped_csv`). So it imports nothing of the project.

The output is frames: a letter, the number of bytes in four bytes, the bytes. S is the name of the next sheet,
D is a piece of its CSV, F is a fault as `RULE reason`.
"""

import contextlib
import csv
import datetime
import fnmatch
import io
import json
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

MEMORY_BYTES = 512 << 20
CPU_SECONDS = 300
MAX_PACKED_BYTES = 64 << 20
MAX_UNPACKED_BYTES = 1 << 30
# A sheet shrinks 5 to 30 times; a higher ratio is suspicious only above this size.
MAX_RATIO = 200
RATIO_FREE_BYTES = 64 << 20
MAX_SHEETS = 100
MAX_MARKED_CELLS = 10_000
PIECE_BYTES = 1 << 20
# Beyond it a number of a workbook, which is a double, has lost digits: two identifiers may become one.
EXACT_BELOW = 2.0**53
LOST_DIGITS = "\ufffd"
_MIDNIGHT = datetime.time()
# The first day of a spreadsheet, as which the library reads 24:00.
_DAY_ONE = datetime.date(1900, 1, 1)
_SECOND = datetime.timedelta(seconds=1)
# A second is 0.0000116 of a day: what spreadsheets write lies nearer to it than this.
_NEAR = datetime.timedelta(milliseconds=10)
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_SHEET_PART = re.compile(r"xl/worksheets/[^/]+\.xml")

Cell = tuple[int, int]


class WorkbookFault(Exception):
    """The workbook cannot be read: a rule and a reason."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


def main() -> None:
    """Write the sheets that the arguments choose: a path, and the options as JSON."""
    limit_process()
    path, options = sys.argv[1], json.loads(sys.argv[2])
    try:
        for letter, content in iter_frames(path, **options):
            write_frame(letter, content)
    except WorkbookFault as fault:
        write_frame(b"F", f"{fault.rule} {fault}".encode(errors="replace"))
    except MemoryError:
        write_frame(b"F", b"FILE-TOO-LARGE its sheets need more memory than readings do")
    sys.stdout.buffer.flush()


def write_frame(letter: bytes, content: bytes) -> None:
    """Write one frame to the standard output."""
    sys.stdout.buffer.write(letter + struct.pack(">I", len(content)) + content)


def limit_process() -> None:
    """Limit memory and time of this process, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def iter_frames(
    path: str, *, delimiter: str, decimal: str, sheets: list[str], is_any: bool
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the frames of the chosen sheets. Raises `WorkbookFault`.

    `sheets` are patterns of names; without them there must be one sheet with content, unless `is_any`.
    """
    import python_calamine

    with Path(path).open("rb") as file:
        content = file.read(MAX_PACKED_BYTES + 1)
    if len(content) > MAX_PACKED_BYTES:
        raise WorkbookFault("FILE-TOO-LARGE", f"the workbook has more than {MAX_PACKED_BYTES >> 20} MiB")
    marked = scan_parts(content) if content.startswith(b"PK") else {}
    try:
        workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        names = choose_sheets(workbook, sheets, is_any=is_any)
        for name in names:
            sheet = workbook.get_sheet_by_name(name)
            yield b"S", name.encode(errors="replace")
            yield from write_csv(sheet, marked.get(name, {}), delimiter, decimal)
    except python_calamine.PasswordError as error:
        raise WorkbookFault("FILE-ARCHIVE", "the workbook is protected by a password") from error
    except python_calamine.CalamineError as error:
        raise WorkbookFault("FILE-FORMAT", f"it is no workbook that can be read: {error}") from error


def choose_sheets(workbook: Any, patterns: list[str], *, is_any: bool) -> list[str]:
    """Return the names of the sheets to read, in their order. Raises `WorkbookFault`."""
    kind = "WorkSheet"
    names = [sheet.name for sheet in workbook.sheets_metadata if str(sheet.typ).endswith(kind)]
    if len(names) > MAX_SHEETS:
        raise WorkbookFault("FILE-TOO-LARGE", f"the workbook has {len(names)} sheets")
    if patterns:
        found = [name for name in names if any(name == p or fnmatch.fnmatchcase(name, p) for p in patterns)]
        if not found:
            raise WorkbookFault("MAP-SHEETS", f"no sheet is named {join(patterns)}; there are {join(names)}")
        return found
    filled = [name for name in names if workbook.get_sheet_by_name(name).start is not None]
    if not filled:
        raise WorkbookFault("FILE-EMPTY", "the workbook has no sheet with content")
    if len(filled) > 1 and not is_any:
        raise WorkbookFault(
            "MAP-SHEETS", f"the sheets {join(filled)} have content, and no mapping says which"
        )
    return filled


def join(names: list[str]) -> str:
    """Quote names for a message."""
    return ", ".join(map(repr, names[:20]))


def write_csv(
    sheet: Any, marked: dict[Cell, str], delimiter: str, decimal: str
) -> Iterator[tuple[bytes, bytes]]:
    """Yield a sheet as CSV, one line a row: numbers with `decimal`, dates and times as ISO 8601."""
    left = sheet.start[1] if sheet.start is not None else 0
    dates = find_date_columns(sheet)
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    for number, row in enumerate(repeat_merged(sheet, left)):
        cells = (format_cell(cell, place in dates, decimal) for place, cell in enumerate(row))
        fields = [*[""] * left, *cells]
        for place in range(left, len(fields)) if marked else ():
            fields[place] = marked.get((number, place), fields[place])
        writer.writerow(fields)
        if text.tell() > PIECE_BYTES:
            yield b"D", text.getvalue().encode(errors="replace")
            text.seek(0)
            text.truncate()
    yield b"D", text.getvalue().encode(errors="replace")


def repeat_merged(sheet: Any, left: int) -> Iterator[list[Any]]:
    """Yield the rows of a sheet; a text or date that is merged over rows of one column stands in each.

    A number is not repeated: the energy of two rows would count twice.
    """
    ends = {
        (first[0], first[1] - left): last[0]
        for first, last in sheet.merged_cell_ranges or ()
        if first[1] == last[1] and first[1] >= left
    }
    repeated: dict[int, tuple[Any, int]] = {}
    for number, row in enumerate(sheet.iter_rows()):
        for place, (cell, end) in list(repeated.items()):
            row[place] = cell
            if number >= end:
                del repeated[place]
        yield row
        for place, cell in enumerate(row) if ends else ():
            end = ends.get((number, place), -1)
            if end > number and isinstance(cell, str | datetime.date) and cell != "":
                repeated[place] = (cell, end)


def find_date_columns(sheet: Any) -> set[int]:
    """Return the columns whose dates are all midnights: a date there has no time."""
    timed: set[int] = set()
    dated: set[int] = set()
    for row in sheet.iter_rows():
        for column, cell in enumerate(row):
            if isinstance(cell, datetime.date):
                dated.add(column)
                if isinstance(cell, datetime.datetime) and round_second(cell).time() != _MIDNIGHT:
                    timed.add(column)
    return dated - timed


def format_cell(cell: Any, is_date_alone: bool, decimal: str) -> str:
    """Return the text of a cell; a line end inside it becomes a blank."""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, int | float):
        return format_number(cell, decimal)
    if isinstance(cell, datetime.date):
        return format_date(cell, is_date_alone)
    if isinstance(cell, datetime.time | datetime.timedelta):
        return format_time(cell)
    return str(cell).replace("\n", " ").replace("\r", " ").replace("\0", LOST_DIGITS)


def format_number(number: float, decimal: str) -> str:
    """Write a number with the digits that a spreadsheet keeps of it."""
    if not abs(number) < EXACT_BELOW:
        return LOST_DIGITS
    return str(int(number)) if number == int(number) else repr(number).replace(".", decimal)


def format_date(day: datetime.date, is_date_alone: bool) -> str:
    """Write a date or an instant; 24:00 is the first day of a spreadsheet."""
    if day == _DAY_ONE:
        return "24:00:00"
    if isinstance(day, datetime.datetime):
        day = round_second(day)
    elif not is_date_alone:
        day = datetime.datetime.combine(day, _MIDNIGHT)
    return f"{day:%Y-%m-%d}" if is_date_alone else str(day)


def format_time(of_day: datetime.time | datetime.timedelta) -> str:
    """Write a time of day; a duration may reach 24:00."""
    if isinstance(of_day, datetime.time):
        of_day = datetime.datetime.combine(_DAY_ONE, of_day) - datetime.datetime.combine(_DAY_ONE, _MIDNIGHT)
    seconds = round(of_day.total_seconds())
    if abs(seconds - of_day.total_seconds()) > _NEAR.total_seconds():
        return str(of_day)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def round_second(at: datetime.datetime) -> datetime.datetime:
    """Return the whole second next to an instant, if it is a spreadsheet's way to write that second."""
    whole = (at + _SECOND / 2).replace(microsecond=0)
    return whole if abs(whole - at) <= _NEAR else at


# What the library does not say: cells with an error, and formulas whose value nobody computed.


class Elements:
    """Collects the attributes of the elements with one name."""

    def __init__(self, name: str = "") -> None:
        self.found: list[dict[str, str]] = []
        self._name = name

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the start of an element."""
        if name == self._name and len(self.found) < MAX_MARKED_CELLS:
            self.found.append({key.rpartition(":")[2]: value for key, value in attributes.items()})

    def end(self, name: str) -> None:
        """Take the end of an element."""


class Cells:
    """Finds the cells of a sheet that show an error, or have a formula and no value."""

    def __init__(self) -> None:
        self.marked: dict[Cell, str] = {}
        self._row = -1
        self._column = -1
        self._shows_error = False
        self._has_formula = False
        self._has_value = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the start of an element."""
        match name:
            case "row":
                self._row = (
                    int(given) - 1 if (given := attributes.get("r", "")).isdecimal() else self._row + 1
                )
                self._column = -1
            case "c":
                self._column = self._find_column(attributes.get("r", ""))
                self._shows_error = attributes.get("t") == "e"
                self._has_formula = self._has_value = False
            case "f":
                self._has_formula = True
            case "v" | "is":
                self._has_value = True

    def end(self, name: str) -> None:
        """Take the end of an element."""
        if name == "c" and (self._shows_error or (self._has_formula and not self._has_value)):
            self.marked[self._row, self._column] = "#ERROR" if self._shows_error else "#FORMULA"
            if len(self.marked) > MAX_MARKED_CELLS:
                reason = (
                    f"more than {MAX_MARKED_CELLS} cells show an error, or have a formula without its value"
                )
                raise WorkbookFault("FILE-FORMAT", f"{reason}: open and save the workbook in a spreadsheet")

    def _find_column(self, reference: str) -> int:
        found = _REFERENCE.fullmatch(reference)
        if found is None:
            return self._column + 1
        column = 0
        for letter in found.group(1):
            column = column * 26 + ord(letter) - ord("A") + 1
        return column - 1


def scan_parts(content: bytes) -> dict[str, dict[Cell, str]]:
    """Return by sheet the cells without a value of their own. Raises `WorkbookFault`.

    Unpacks each part once, in pieces: too much text, a document type and damage refuse the file.
    """
    sheets, relations = Elements("sheet"), Elements("Relationship")
    known: dict[str, Elements | Cells] = {
        "xl/workbook.xml": sheets,
        "xl/_rels/workbook.xml.rels": relations,
    }
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            left = min(MAX_UNPACKED_BYTES, max(MAX_RATIO * len(content), RATIO_FREE_BYTES))
            for info in archive.infolist():
                is_sheet = _SHEET_PART.fullmatch(info.filename) is not None
                scanner = known.setdefault(info.filename, Cells() if is_sheet else Elements())
                left = scan_part(archive, info, scanner, left)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError, zlib.error) as error:
        raise WorkbookFault("FILE-DAMAGED", f"the workbook cannot be unpacked: {error}") from error
    parts = {link.get("Id"): f"xl/{link.get('Target', '').removeprefix('/xl/')}" for link in relations.found}
    scanned = {sheet.get("name", ""): known.get(parts.get(sheet.get("id"), "")) for sheet in sheets.found}
    return {name: cells.marked for name, cells in scanned.items() if isinstance(cells, Cells)}


def scan_part(archive: zipfile.ZipFile, info: zipfile.ZipInfo, scanner: Elements | Cells, left: int) -> int:
    """Unpack a part, and give its elements to the scanner; return how many bytes may still be unpacked."""
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: scanner.start(name.rpartition(":")[2], attributes)
    parser.EndElementHandler = lambda name: scanner.end(name.rpartition(":")[2])
    parser.StartDoctypeDeclHandler = refuse_document_type
    is_xml = info.filename.endswith((".xml", ".rels"))
    with archive.open(info) as part:
        while piece := part.read(PIECE_BYTES):
            left -= len(piece)
            if left < 0:
                raise WorkbookFault("FILE-TOO-LARGE", "the workbook unpacks to far more than readings need")
            if is_xml:
                try:
                    parser.Parse(piece, False)
                except expat.ExpatError as error:
                    raise WorkbookFault(
                        "XML-SYNTAX", f"{info.filename} is not well-formed: {error}"
                    ) from error
    return left


def refuse_document_type(*_: object) -> None:
    """Refuse a part that declares a document type: without one there are no entities."""
    raise WorkbookFault("XML-DOCTYPE", "the workbook declares a document type")


if __name__ == "__main__":
    main()
