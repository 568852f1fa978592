"""What the readers share: exact casts of whole columns, units, and the collection of rejected rows.

Here: strings to decimals, instants and canonical units, without a loop over values and without rounding any
value. Not here: anything that belongs to one format.
"""

import datetime
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.rules.table import RULES
from data.ingest.schema import (
    DECIMAL,
    KVARH_PER_UNIT_POWER_OF_TEN,
    KWH_PER_UNIT_POWER_OF_TEN,
    REGISTER_READ,
    REJECTED,
    TIMESTAMP,
)

Mask = npt.NDArray[np.bool_]
# A rule, the reason, and a mask of the rows that violate it.
Violation = tuple[str, str, Mask]
MAX_RAW_TEXT = 500
# A double with a binary rounding error prints 16 digits or more, and lies this near to the intended number.
DOUBLE_DIGITS = 16
NOISE = Decimal("1e-12")
MAX_NOISY = Decimal("1e5")
UNITS: dict[str, str] = {
    name.lower(): name
    for name in (
        *KWH_PER_UNIT_POWER_OF_TEN,
        *KVARH_PER_UNIT_POWER_OF_TEN,
        *("W", "kW", "MW", "VA", "kVA", "MVA", "VAh", "kVAh", "MVAh", "var", "kvar", "Mvar"),
        *("V", "kV", "A", "kA", "pf", "m3", "ft3", "l", "gal_us", "gal_imp", "therm", "Btu", "GJ", "MJ"),
    )
} | {
    **{"m³": "m3", "ft³": "ft3", "therms": "therm"},
    **dict.fromkeys(("litre", "litres", "liter", "liters"), "l"),
    **{
        f"{prefix}watt{plural}": f"{letter}W"
        for prefix, letter in (("", ""), ("kilo", "k"), ("mega", "M"))
        for plural in ("", "s")
    },
    **{
        f"{prefix}w{join}{hour}": f"{letter}Wh"
        for prefix, letter in (("", ""), ("k", "k"), ("m", "M"))
        for join in ("", "-", "\u00b7", ".", "*")
        for hour in ("h", "hr", "hrs")
    },
    **{
        f"{prefix}watt{join}{hour}": f"{letter}Wh"
        for prefix, letter in (("", ""), ("kilo", "k"), ("mega", "M"))
        for join in ("", " ", "-", "_")
        for hour in ("hour", "hours", "stunde", "stunden")
    },
}
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
# The usual form of a number, which always fits the column.
_USUAL = r"^-?[0-9]{1,11}(?:\.[0-9]{1,9})?$"
# Plain digits that fit the column; zeros after the ninth decimal change nothing.
_FITS = r"^[+-]?0*[0-9]{0,11}(\.[0-9]{0,9}0*)?$"
_INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}(:?[0-9]{2}(:?[0-9]{2}(\.[0-9]{1,6})?)?)?"
    r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
)
# Programs print the name of a zone behind an offset, [Europe/Berlin], a blank or a name before it, CEST+0200.
_ZONE_NAME = r"\[[A-Za-z_/+0-9-]+\]$"
_ZONE_BEFORE_OFFSET = r" ?(?:[A-Z]{2,5})?([+-][0-9]{2}(?::?[0-9]{2})?)$"
_DAY = (
    r"^....-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    r"|02-(0[1-9]|1[0-9]|2[0-8]))"
)


class Fault(Exception):
    """A record or series cannot be used: a rule and a reason. It never leaves the reader."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


@dataclass(frozen=True)
class Batch:
    """Some rows of one text: `readings` (schema `PARSED`), `rejected` (`REJECTED`), `register_reads`
    (`REGISTER_READ`).

    `part` counts the texts of a file (members, concatenated NEM12 blocks): every row of a later part is
    newer than every row of an earlier part, whatever its line. `skipped` counts the rows that are no readings
    by declaration, by reason. `second_table` is the line of the first header below rows of data.
    `has_local_times` is false if all times carry an offset in a format whose times are local.
    """

    readings: pa.Table
    rejected: pa.Table
    part: int
    register_reads: pa.Table = field(default_factory=REGISTER_READ.empty_table)
    skipped: Counter[str] = field(default_factory=Counter)
    second_table: int | None = None
    has_local_times: bool = True

    def shift_lines(self, count: int) -> "Batch":
        """Return the batch with its lines counted from another place."""

        def shift(table: pa.Table) -> pa.Table:
            lines = pc.max_element_wise(pc.add(table["line"], count), 1)
            return table.set_column(table.schema.get_field_index("line"), table.schema.field("line"), lines)

        return replace(
            self,
            readings=shift(self.readings),
            rejected=shift(self.rejected),
            register_reads=shift(self.register_reads),
        )


@dataclass
class Rejections:
    """Rejected rows: collected one by one since they are few, or by whole readings where they are many."""

    rows: list[dict[str, object]] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)

    def add(
        self,
        line: int,
        rule: str,
        reason: str,
        raw_text: str,
        *,
        identifier: str | None = None,
        register: str | None = None,
        reading_ts: datetime.datetime | None = None,
        value: object = None,
        unit: str | None = None,
    ) -> None:
        """Add one row; `value` is a `Decimal` that fits the column, or None."""
        self.rows.append(
            {
                "line": line,
                "identifier": identifier,
                "register": register,
                "rule": rule,
                "severity": RULES[rule].severity,
                "reason": reason,
                "raw_text": raw_text[:MAX_RAW_TEXT].replace("\0", "\ufffd"),
                "reading_ts": reading_ts,
                "value": value,
                "unit": unit,
            }
        )

    def add_readings(self, readings: pa.Table, rule: str, reason: str) -> None:
        """Add all `readings` (schema `PARSED`); the text of each is its value."""
        if not readings.num_rows:
            return
        own = {
            "rule": pa.repeat(pa.scalar(rule), readings.num_rows),
            "severity": pa.repeat(pa.scalar(RULES[rule].severity), readings.num_rows),
            "reason": pa.repeat(pa.scalar(reason), readings.num_rows),
            "raw_text": readings["value"].cast(pa.string()),
        }
        columns = {name: own[name] if name in own else readings[name] for name in REJECTED.names}
        self.tables.append(pa.table(columns, schema=REJECTED))

    def take(self) -> pa.Table:
        """Return the rows as a table of the schema `REJECTED` and empty the collection."""
        rows, self.rows = self.rows, []
        tables, self.tables = self.tables, []
        return pa.concat_tables([pa.Table.from_pylist(rows, schema=REJECTED), *tables])


def to_mask(array: pa.Array | pa.ChunkedArray) -> Mask:
    """Convert a boolean Arrow column to numpy; null counts as false."""
    flat = pc.fill_null(array, False)
    if isinstance(flat, pa.ChunkedArray):
        flat = flat.combine_chunks()
    return np.asarray(flat.to_numpy(zero_copy_only=False), dtype=np.bool_)


def null_where(array: pa.Array, mask: Mask) -> pa.Array:
    """Replace values with null where `mask` is true."""
    return pc.if_else(pa.array(mask), pa.scalar(None, array.type), array)


def parse_decimals(strings: pa.Array) -> tuple[pa.Array, Mask, Mask]:
    """Return (values, is not a number, does not fit); bad and null strings are null in the values.

    Exact: a number with more than 9 decimals or 11 digits before the point is reported, not rounded. Only
    binary rounding errors are removed: 0.30000000000000004 is read as 0.3.
    """
    is_rare = to_mask(pc.invert(pc.match_substring_regex(strings, _USUAL)))
    usual = pc.cast(null_where(strings, is_rare), DECIMAL)
    if not is_rare.any():
        return usual, is_rare, is_rare
    # A few bad values do not make the whole column slow.
    values, not_number, too_long = _parse_rare_decimals(strings.filter(pa.array(is_rare)))
    found = np.zeros((2, len(strings)), dtype=np.bool_)
    found[:, is_rare] = not_number, too_long
    return pc.replace_with_mask(usual, pa.array(is_rare), values), *found


def _parse_rare_decimals(strings: pa.Array) -> tuple[pa.Array, Mask, Mask]:
    strings = pc.utf8_trim_whitespace(strings)
    is_number = to_mask(pc.match_substring_regex(strings, _NUMBER))
    # Arrow's cast reads some small numbers as zero: .0000001E-41.
    strings = _expand_exponents(strings, is_number & to_mask(pc.match_substring_regex(strings, "[eE]")))
    fits = to_mask(pc.match_substring_regex(strings, _FITS)) & is_number
    strings = _remove_noise(strings, is_number & ~fits)
    fits = to_mask(pc.match_substring_regex(strings, _FITS)) & is_number
    shortened = pc.replace_substring_regex(null_where(strings, ~fits), r"(\.[0-9]{9})0+$", r"\1")
    values, unfit = _cast_or_null(shortened, DECIMAL)
    return values, ~is_number, (is_number & ~fits) | unfit


def _remove_noise(strings: pa.Array, is_unfit: Mask) -> pa.Array:
    if not is_unfit.any():
        return strings
    plain = [_round_noise(text) for text in strings.filter(pa.array(is_unfit)).to_pylist()]
    return pc.replace_with_mask(strings, pa.array(is_unfit), pa.array(plain, pa.string()))


def _round_noise(text: str) -> str:
    """Return the nearest number of 9 decimals if the text has a binary rounding error, else the text."""
    value = Decimal(text)
    if len(value.normalize().as_tuple().digits) < DOUBLE_DIGITS or abs(value) >= MAX_NOISY:
        return text
    near = round(value, 9)
    return format(near, "f") if abs(value - near) <= NOISE else text


def _expand_exponents(strings: pa.Array, has_one: Mask) -> pa.Array:
    if not has_one.any():
        return strings
    plain = [
        format(Decimal(text) or Decimal(0), "f") for text in strings.filter(pa.array(has_one)).to_pylist()
    ]
    return pc.replace_with_mask(strings, pa.array(has_one), pa.array(plain, pa.string()))


def parse_instants(strings: pa.Array) -> tuple[pa.Array, Mask]:
    """Return (UTC instants, bad) for ISO 8601 strings with an offset; 30 February is bad, not 2 March."""
    try:
        return pc.cast(strings, TIMESTAMP), np.zeros(len(strings), dtype=np.bool_)
    except pa.ArrowInvalid:
        strings = pc.replace_substring_regex(pc.utf8_trim_whitespace(strings), _ZONE_NAME, "")
        strings = pc.replace_substring_regex(strings, _ZONE_BEFORE_OFFSET, r"\1")
        strings = pc.replace_substring_regex(strings, r"([0-9]) ?(?:UTC|GMT|Z)$", r"\1Z")
    looks_right = to_mask(pc.match_substring_regex(strings, _INSTANT))
    # A pattern recognizes ordinary days, so that one bad row does not make the whole column slow.
    day_exists = to_mask(pc.match_substring_regex(strings, _DAY))
    leap_day = to_mask(pc.match_substring_regex(strings, r"^....-02-29"))
    good = looks_right & (day_exists | leap_day)
    values, unfit = _cast_or_null(null_where(strings, ~good), TIMESTAMP)
    return values, to_mask(pc.is_valid(strings)) & (~good | unfit)


def _cast_or_null(strings: pa.Array, target: pa.DataType) -> tuple[pa.Array, Mask]:
    """Return (values, failed): cast the column at once, or text by text if Arrow refuses it."""
    try:
        return pc.cast(strings, target), np.zeros(len(strings), dtype=np.bool_)
    except pa.ArrowInvalid:
        failed = ~np.fromiter((_is_castable(text, target) for text in strings), dtype=np.bool_)
    return pc.cast(null_where(strings, failed), target), failed


def _is_castable(text: pa.Scalar, target: pa.DataType) -> bool:
    try:
        text.cast(target)
    except pa.ArrowInvalid:
        return False
    return True


def spread(distinct: Sequence[str | None], codes: npt.NDArray[np.int32]) -> pa.Array:
    """Build a string column from its distinct values and one code for each row."""
    return pa.array(list(distinct), type=pa.string()).take(pa.array(codes))


def split_lines(block: bytes) -> Iterator[str]:
    """Yield the lines of a block without their line ends."""
    text = block.decode()
    yield from (text[:-1] if text.endswith("\n") else text).split("\n")


def is_damaged(line: str) -> bool:
    """Whether a line holds a NUL or bytes that were not valid text."""
    return "\ufffd" in line or "\0" in line
