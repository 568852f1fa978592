"""What the readers share: exact casts of whole columns, units, and the collection of rejected rows.

Here: strings to decimals, instants and canonical units without a loop over values and without a value
ever being rounded. Not here: anything of one format.
"""

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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
MAX_RAW_TEXT = 500
# A double that is not exactly what was meant prints 16 digits or more, and lies this near to it.
DOUBLE_DIGITS = 16
NOISE = Decimal("1e-12")
MAX_NOISY = Decimal("1e5")
UNITS: dict[str, str] = {
    name.lower(): name
    for name in (
        *KWH_PER_UNIT_POWER_OF_TEN,
        *KVARH_PER_UNIT_POWER_OF_TEN,
        *("W", "kW", "MW", "VA", "kVA", "MVA", "VAh", "kVAh", "MVAh", "var", "kvar", "Mvar"),
        *("V", "kV", "A", "kA", "pf", "m3", "ft3", "l", "gal_us", "gal_imp", "therm", "Btu"),
    )
} | {
    **{"m³": "m3", "ft³": "ft3", "therms": "therm"},
    **dict.fromkeys(("litre", "litres", "liter", "liters"), "l"),
}
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
# What numbers look like nearly always: these fit.
_USUAL = r"^-?[0-9]{1,11}(?:\.[0-9]{1,9})?$"
# Plain digits that fit the column; trailing zeros beyond the ninth decimal change nothing.
_FITS = r"^[+-]?0*[0-9]{0,11}(\.[0-9]{0,9}0*)?$"
_INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}(:?[0-9]{2}(:?[0-9]{2}(\.[0-9]{1,6})?)?)?"
    r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
)
_DAY = (
    r"^....-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    r"|02-(0[1-9]|1[0-9]|2[0-8]))"
)


@dataclass(frozen=True)
class Batch:
    """Some rows of one text: `readings` (schema `PARSED`), `rejected` (`REJECTED`), `register_reads`
    (`REGISTER_READ`).

    `part` counts the texts of a file (members, concatenated NEM12 blocks): a row of a later part is
    later than every row of an earlier one, whatever its line.
    """

    readings: pa.Table
    rejected: pa.Table
    part: int
    register_reads: pa.Table = field(default_factory=REGISTER_READ.empty_table)


@dataclass
class Rejections:
    """Rows turned away, collected one by one: they are few."""

    rows: list[dict[str, object]] = field(default_factory=list)

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
        """Keep one row; `value` is a `Decimal` or None and fits the column."""
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

    def take(self) -> pa.Table:
        """The rows so far as a table of the schema `REJECTED`; the collection is empty afterwards."""
        rows, self.rows = self.rows, []
        return pa.Table.from_pylist(rows, schema=REJECTED)


def to_mask(array: pa.Array | pa.ChunkedArray) -> Mask:
    """A boolean Arrow column as numpy; null counts as false."""
    flat = pc.fill_null(array, False)
    if isinstance(flat, pa.ChunkedArray):
        flat = flat.combine_chunks()
    return np.asarray(flat.to_numpy(zero_copy_only=False), dtype=np.bool_)


def null_where(array: pa.Array, mask: Mask) -> pa.Array:
    """`array` with null where `mask` is true."""
    return pc.if_else(pa.array(mask), pa.scalar(None, array.type), array)


def decimals(strings: pa.Array) -> tuple[pa.Array, Mask, Mask]:
    """(values, is not a number, does not fit) of strings; bad and null ones are null in the values.

    Exact: what needs more than 9 decimals or 11 digits before the point is reported, not rounded. Only
    what binary arithmetic left on a number is taken off: 0.30000000000000004 is 0.3.
    """
    is_rare = to_mask(pc.invert(pc.match_substring_regex(strings, _USUAL)))
    usual = pc.cast(null_where(strings, is_rare), DECIMAL)
    if not is_rare.any():
        return usual, is_rare, is_rare
    # A few bad values do not send the column to the slow way.
    values, not_number, too_long = _rare_decimals(strings.filter(pa.array(is_rare)))
    found = np.zeros((2, len(strings)), dtype=np.bool_)
    found[:, is_rare] = not_number, too_long
    return pc.replace_with_mask(usual, pa.array(is_rare), values), *found


def _rare_decimals(strings: pa.Array) -> tuple[pa.Array, Mask, Mask]:
    strings = pc.utf8_trim_whitespace(strings)
    is_number = to_mask(pc.match_substring_regex(strings, _NUMBER))
    # Arrow's own cast takes some small numbers for zero: .0000001E-41.
    strings = _without_exponents(strings, is_number & to_mask(pc.match_substring_regex(strings, "[eE]")))
    fits = to_mask(pc.match_substring_regex(strings, _FITS)) & is_number
    strings = _without_noise(strings, is_number & ~fits)
    fits = to_mask(pc.match_substring_regex(strings, _FITS)) & is_number
    shortened = pc.replace_substring_regex(null_where(strings, ~fits), r"(\.[0-9]{9})0+$", r"\1")
    values, unfit = _cast_or_null(shortened, DECIMAL)
    return values, ~is_number, (is_number & ~fits) | unfit


def _without_noise(strings: pa.Array, is_unfit: Mask) -> pa.Array:
    if not is_unfit.any():
        return strings
    plain = [_denoised(text) for text in strings.filter(pa.array(is_unfit)).to_pylist()]
    return pc.replace_with_mask(strings, pa.array(is_unfit), pa.array(plain, pa.string()))


def _denoised(text: str) -> str:
    """The number of 9 decimals beside one with as many digits as a double prints, else the text as it is."""
    value = Decimal(text)
    if len(value.normalize().as_tuple().digits) < DOUBLE_DIGITS or abs(value) >= MAX_NOISY:
        return text
    near = round(value, 9)
    return format(near, "f") if abs(value - near) <= NOISE else text


def _without_exponents(strings: pa.Array, has_one: Mask) -> pa.Array:
    if not has_one.any():
        return strings
    plain = [
        format(Decimal(text) or Decimal(0), "f") for text in strings.filter(pa.array(has_one)).to_pylist()
    ]
    return pc.replace_with_mask(strings, pa.array(has_one), pa.array(plain, pa.string()))


def instants(strings: pa.Array) -> tuple[pa.Array, Mask]:
    """(UTC instants, bad) of ISO 8601 strings with an offset; 30 February is bad, not 2 March."""
    try:
        return pc.cast(strings, TIMESTAMP), np.zeros(len(strings), dtype=np.bool_)
    except pa.ArrowInvalid:
        # A blank may stand before the offset, as many programs print it.
        strings = pc.replace_substring_regex(
            pc.utf8_trim_whitespace(strings), r" ([+-][0-9:]{2,5}|Z)$", r"\1"
        )
    looks_right = to_mask(pc.match_substring_regex(strings, _INSTANT))
    # Ordinary days are told by a pattern, so that one bad row does not send the column to the slow way.
    day_exists = to_mask(pc.match_substring_regex(strings, _DAY))
    leap_day = to_mask(pc.match_substring_regex(strings, r"^....-02-29"))
    good = looks_right & (day_exists | leap_day)
    values, unfit = _cast_or_null(null_where(strings, ~good), TIMESTAMP)
    return values, to_mask(pc.is_valid(strings)) & (~good | unfit)


def _cast_or_null(strings: pa.Array, target: pa.DataType) -> tuple[pa.Array, Mask]:
    """(values, failed): a column at once, and one by one where Arrow finds more wrong than a pattern can."""
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
    """A string column from its distinct values and a code per row."""
    return pa.array(list(distinct), type=pa.string()).take(pa.array(codes))


def split_lines(block: bytes) -> Iterator[str]:
    """The lines of a block without their line ends."""
    text = block.decode()
    yield from (text[:-1] if text.endswith("\n") else text).split("\n")


def is_damaged(line: str) -> bool:
    """Whether a line holds a NUL or stands for bytes that are no valid text."""
    return "\ufffd" in line or "\0" in line
