"""The canonical CSV: one reading per row, in UTC, with every field of a reading.

Here: text to readings, one block of rows and one column at a time. Not here: whether a meter is known, or
whether a value is plausible (`data.ingest.rules`).

Columns, in any order: identifier, register, channel, unit, reading_ts (ISO 8601 with offset, the start of
the interval), interval_seconds, value (empty if there is none), quality, source_version; optional:
serial_number, quality_method and reason_code. Any other column refuses the file.
"""

import csv
import io
import itertools
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from data.ingest.formats.columns import (
    UNITS,
    Batch,
    Mask,
    Rejections,
    Violation,
    is_damaged,
    null_where,
    parse_decimals,
    parse_instants,
    split_lines,
    to_mask,
)
from data.ingest.formats.container import Member, refuse
from data.ingest.formats.format import FileFormat
from data.ingest.schema import CHANNELS, PARSED, QUALITIES

REQUIRED = (
    "identifier",
    "register",
    "channel",
    "unit",
    "reading_ts",
    "interval_seconds",
    "value",
    "quality",
    "source_version",
)
OPTIONAL = ("serial_number", "quality_method", "reason_code")
# A month and an hour: the longest interval that senders use.
MAX_INTERVAL_SECONDS = 31 * 86_400 + 3_600


def iter_batches(path: Path, member: Member, part: int) -> Iterator[Batch]:
    """Yield the readings of one text, one batch for each block of about 1 MiB. Raises `RefusedFile`."""
    blocks = member.blocks
    first = next(blocks, b"")
    head, _, rest = first.partition(b"\n")
    names = _read_header(path, head.decode())
    line = 2
    last = first
    for block in itertools.chain([rest], blocks):
        if not block:
            continue
        last = block
        strings, lines, rejected = _split_block(block, names, line)
        line += block.count(b"\n")
        yield read_columns(strings, lines, rejected, part)
    if not last.endswith(b"\n"):
        raise refuse(path, line, "FILE-CUT", "the last row has no line end, so rows may be missing")


def _recognizes(text: str) -> bool:
    names = {name.strip().strip('"').lower() for name in text.split("\n", 1)[0].split(",")}
    return not text.startswith(("<", "{", "[")) and {"identifier", "reading_ts"} <= names


FORMAT = FileFormat(
    name="canonical_csv",
    reads_lines=True,
    summary="one reading per row, with every field of a reading",
    read=iter_batches,
    recognizes=_recognizes,
)


def _read_header(path: Path, text: str) -> list[str]:
    names = [name.strip().lower() for name in _split_fields(text)]
    check_columns(path, 1, names)
    return names


def check_columns(path: Path, line: int | None, names: list[str]) -> None:
    """Raise `RefusedFile` unless there are exactly the canonical columns, each once."""
    unknown = [name for name in names if name not in REQUIRED + OPTIONAL]
    missing = [name for name in REQUIRED if name not in names]
    if unknown:
        raise refuse(path, line, "CSV-HEADER", f"unknown columns: {', '.join(map(repr, unknown))}")
    if missing:
        raise refuse(path, line, "CSV-HEADER", f"missing columns: {', '.join(missing)}")
    if len(set(names)) != len(names):
        raise refuse(path, line, "CSV-HEADER", "a column name is repeated")


def _split_block(block: bytes, names: list[str], first_line: int) -> tuple[pa.Table, pa.Array, Rejections]:
    """Return (string columns, line of each row, rejected rows) of a block.

    Arrow splits an ordinary block. It treats quotes, NUL and blank lines differently and stops at the first
    fault, so a block with one of them is split line by line.
    """
    rejections = Rejections()
    table = None if b'"' in block or b"\0" in block or _has_damage(block) else _split_fast(block, names)
    if table is None:
        return *_split_slowly(block, names, first_line, rejections), rejections
    return table, pa.array(np.arange(first_line, first_line + table.num_rows)), rejections


def _has_damage(block: bytes) -> bool:
    return not block.isascii() and "\ufffd".encode() in block


def _split_fast(block: bytes, names: list[str]) -> pa.Table | None:
    try:
        table = _split_by_arrow(block, names)
    except pa.ArrowInvalid:
        return None
    # Arrow reads a blank line as a row of empty fields, which are faster to find than the line.
    may_be_blank = pc.any(pc.equal(table.column(0), "")).as_py()
    return None if may_be_blank and (block.startswith(b"\n") or b"\n\n" in block) else table


def _split_by_arrow(block: bytes, names: list[str]) -> pa.Table:
    return pacsv.read_csv(
        io.BytesIO(block),
        # One block: rows keep their order, and no row is split between threads.
        read_options=pacsv.ReadOptions(column_names=names, use_threads=False, block_size=len(block) + 1),
        parse_options=pacsv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        convert_options=pacsv.ConvertOptions(
            # `container` has replaced invalid text with U+FFFD.
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
            check_utf8=False,
        ),
    ).combine_chunks()


def _split_slowly(
    block: bytes, names: list[str], first_line: int, rejections: Rejections
) -> tuple[pa.Table, pa.Array]:
    rows: list[list[str]] = []
    lines: list[int] = []
    for line, text in enumerate(split_lines(block), first_line):
        if not text.strip():
            continue
        if is_damaged(text):
            rejections.add(line, "ROW-ENCODING", "the row holds bytes that are not valid text", text)
            continue
        fields = _split_fields(text)
        if len(fields) != len(names):
            rejections.add(
                line, "CSV-COLUMNS", f"the row has {len(fields)} fields, {len(names)} expected", text
            )
            continue
        rows.append(fields)
        lines.append(line)
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    table = pa.table([pa.array(list(column), type=pa.string()) for column in columns], names=names)
    return table, pa.array(lines, type=pa.int64())


def _split_fields(text: str) -> list[str]:
    try:
        return next(csv.reader([text]), [])
    except csv.Error:
        # No field of a reading exceeds the limit of the csv module.
        return []


def _take_column(strings: pa.Table, name: str) -> pa.Array:
    """Return a column without blanks around its texts, null where it is empty or absent."""
    if name not in strings.column_names:
        return pa.nulls(strings.num_rows, pa.string())
    column = strings.column(name).combine_chunks()
    # In some versions of Arrow a column of one chunk stays chunked.
    flat = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    if _may_have_blanks(flat):
        flat = pc.utf8_trim_whitespace(flat)
    is_empty = pc.equal(flat, "")
    return pc.if_else(is_empty, pa.scalar(None, pa.string()), flat) if pc.any(is_empty).as_py() else flat


def _may_have_blanks(column: pa.Array) -> bool:
    """Whether the texts of a column hold a blank, or a byte that may belong to one."""
    content = column.buffers()[2]
    if content is None:
        return False
    text = np.frombuffer(content, np.uint8)
    return bool(((text <= ord(" ")) | (text >= 0x7F)).any())


def read_columns(strings: pa.Table, lines: pa.Array, rejections: Rejections, part: int) -> Batch:
    """Convert string columns with the canonical names to readings; `lines` has the line of each row."""
    columns = {name: _take_column(strings, name) for name in REQUIRED + OPTIONAL}
    violations: list[Violation] = []
    parsed: dict[str, pa.Array] = {"line": lines}
    for name, parse in _PARSERS.items():
        parsed[name], found = parse(columns[name])
        violations += found
    violations.append(_check_null_values(parsed))
    bad = np.logical_or.reduce([mask for _, _, mask in violations])
    if bad.any():
        _reject(strings, parsed, violations, bad, rejections)
        parsed = {name: column.filter(pa.array(~bad)) for name, column in parsed.items()}
    readings = pa.table({name: parsed[name] for name in PARSED.names}, schema=PARSED)
    return Batch(readings, rejections.take(), part)


def _check_null_values(parsed: dict[str, pa.Array]) -> Violation:
    is_null = to_mask(pc.is_null(parsed["value"]))
    says_null = to_mask(pc.equal(parsed["quality"], "null"))
    return "ROW-QUALITY", "the quality must be null if and only if there is no value", is_null != says_null


def _reject(
    strings: pa.Table,
    parsed: dict[str, pa.Array],
    violations: list[Violation],
    bad: Mask,
    rejections: Rejections,
) -> None:
    """Reject each bad row by the first rule that it violates, with the fields that could be read."""
    for index in np.flatnonzero(bad):
        row = int(index)
        rule, reason, _ = next(violation for violation in violations if violation[2][row])
        value = parsed["value"][row].as_py()
        rejections.add(
            parsed["line"][row].as_py(),
            rule,
            reason,
            ",".join(column[row].as_py() or "" for column in strings.columns),
            identifier=parsed["identifier"][row].as_py(),
            register=parsed["register"][row].as_py(),
            reading_ts=parsed["reading_ts"][row].as_py(),
            value=value if isinstance(value, Decimal) else None,
            unit=parsed["unit"][row].as_py(),
        )


def _parse_given(column: pa.Array) -> tuple[pa.Array, list[Violation]]:
    return column, [("ROW-CHANNEL", "the identifier or register is empty", to_mask(pc.is_null(column)))]


def _parse_optional(column: pa.Array) -> tuple[pa.Array, list[Violation]]:
    return column, []


def _parser_of_choice(
    names: tuple[str, ...], rule: str, reason: str
) -> Callable[[pa.Array], tuple[pa.Array, list[Violation]]]:
    def parse(column: pa.Array) -> tuple[pa.Array, list[Violation]]:
        return column, [(rule, reason, ~to_mask(pc.is_in(column, pa.array(names))))]

    return parse


def _parse_unit(column: pa.Array) -> tuple[pa.Array, list[Violation]]:
    encoded = pc.dictionary_encode(column)
    canonical = pa.array([UNITS.get(text.as_py().lower()) for text in encoded.dictionary], type=pa.string())
    units = canonical.take(encoded.indices)
    return units, [("ROW-UNIT", "the unit is missing or unknown", to_mask(pc.is_null(units)))]


def _parse_instant(column: pa.Array) -> tuple[pa.Array, list[Violation]]:
    values, bad = parse_instants(column)
    reason = "the time is missing, does not exist, or has no offset"
    return values, [("ROW-TIMESTAMP", reason, bad | to_mask(pc.is_null(column)))]


def _parse_seconds(column: pa.Array) -> tuple[pa.Array, list[Violation]]:
    encoded = pc.dictionary_encode(column)
    digits = to_mask(pc.match_substring_regex(encoded.dictionary, r"^[0-9]{1,8}$"))
    lengths = pc.cast(null_where(encoded.dictionary, ~digits), pa.int32())
    fit = pc.and_(pc.greater(lengths, 0), pc.less_equal(lengths, MAX_INTERVAL_SECONDS))
    seconds = null_where(lengths, ~to_mask(fit)).take(encoded.indices)
    reason = "interval_seconds is not a valid length"
    return seconds, [("ROW-INTERVAL", reason, to_mask(pc.is_null(seconds)))]


def _parse_value(column: pa.Array) -> tuple[pa.Array, list[Violation]]:
    values, not_number, too_long = parse_decimals(column)
    return values, [
        ("ROW-VALUE", "the value is not a number", not_number),
        ("ROW-PRECISION", "the value has more than 11 digits before or 9 after the point", too_long),
    ]


_PARSERS: dict[str, Callable[[pa.Array], tuple[pa.Array, list[Violation]]]] = {
    "identifier": _parse_given,
    "register": _parse_given,
    "serial_number": _parse_optional,
    "channel": _parser_of_choice(CHANNELS, "ROW-CHANNEL", "the channel is missing or unknown"),
    "unit": _parse_unit,
    "reading_ts": _parse_instant,
    "interval_seconds": _parse_seconds,
    "value": _parse_value,
    "quality": _parser_of_choice(QUALITIES, "ROW-QUALITY", "the quality is missing or unknown"),
    "quality_method": _parse_optional,
    "reason_code": _parse_optional,
    "source_version": _parse_instant,
}
