"""Numbers of a mapped CSV that are not yet amounts: their sign, and the noise of binary arithmetic.

Here: texts of plain decimal numbers. Not here: the marks of decimals and thousands (`mapped_csv`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Context, Decimal, Inexact, InvalidOperation

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.assemble import UncheckedRows
from data.ingest.formats.columns import Mask, to_mask
from data.ingest.formats.mapping_values import Day, Value

# Noise is far below the last decimal: a sender's own rounding is not.
_NOISE_SHARE = Decimal("1e-3")
# A minus, and dashes that stand for one.
MINUS = "\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d"
# A text with so many letters is no number that a meter prints.
_MAX_CHARS = 60
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?"
# Enough digits for the product of any two numbers that are let through.
_EXACT = Context(prec=200, traps=[Inexact])


def split_ways(rows: UncheckedRows, value: Value | Day) -> Iterator[UncheckedRows]:
    """Yield the rows with their declared sign, one time for each direction that the sign tells apart."""
    numbers = _turn(rows.value) if value.sign == -1 else rows.value
    if value.negative is None:
        yield rows if numbers is rows.value else replace(rows, value=numbers)
        return
    below = to_mask(pc.starts_with(numbers, "-"))
    zero = pa.scalar("0")
    yield replace(rows, value=pc.if_else(pa.array(below), zero, numbers))
    count = len(rows.line)
    register = pc.binary_join_element_wise(rows.register, pa.scalar(value.negative), " ")
    yield replace(
        rows,
        register=register,
        channel=pa.repeat(pa.scalar(value.negative), count),
        value=pc.if_else(pa.array(below), pc.utf8_slice_codeunits(numbers, 1), _zero_numbers(numbers)),
    )


def _zero_numbers(numbers: pa.Array) -> pa.Array:
    """Replace numbers by zero; keep what is missing or not a number."""
    is_number = pc.match_substring_regex(numbers, r"^[+]?[0-9.]")
    return pc.if_else(is_number, pa.scalar("0"), numbers)


def _turn(numbers: pa.Array) -> pa.Array:
    below = to_mask(pc.starts_with(numbers, "-"))
    plain = pc.replace_substring_regex(numbers, r"^[+-]", "")
    return pc.if_else(pa.array(below), plain, pc.binary_join_element_wise("-", plain, ""))


def write_plain_minus(texts: pa.Array) -> pa.Array:
    """Replace the minus of typesetters and the dash before a number by a hyphen."""
    if not _any(pc.match_substring_regex(texts, f"^[{MINUS}]")):
        return texts
    return pc.replace_substring_regex(texts, f"^[{MINUS}]", "-")


class GroupedTexts:
    """Sees in the texts of a column whether a mark stands between thousands alone: 985 beside 1.012."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self.pattern = rf"^[+-]?[1-9][0-9]{{0,2}}({re.escape(mark)}[0-9]{{3}})+$"
        self._may_be = True
        self._has_marks = self._has_several = self._has_hundreds = False
        self._is_below = True

    def add(self, texts: pa.Array) -> None:
        """Add texts, block by block; null has no meaning."""
        if not self._may_be:
            return
        has_mark = pc.match_substring(texts, self._mark)
        marked, plain = texts.filter(has_mark), texts.filter(pc.invert(has_mark))
        self._may_be = _all(pc.match_substring_regex(marked, self.pattern))
        self._has_marks |= len(marked) > 0
        self._has_several |= _any(pc.greater(pc.count_substring(marked, self._mark), 1))
        self._is_below &= _all(pc.match_substring_regex(plain, r"^[+-]?[0-9]{1,3}$"))
        self._has_hundreds |= _any(pc.match_substring_regex(plain, r"^[+-]?[0-9]{3}$"))

    @property
    def are_thousands(self) -> bool:
        """Whether the marks of the texts so far stand between thousands."""
        is_below = self._is_below and self._has_hundreds
        return self._may_be and self._has_marks and (is_below or self._has_several)


def _any(column: pa.Array) -> bool:
    return bool(pc.any(column).as_py())


def _all(column: pa.Array) -> bool:
    return pc.all(column).as_py() is not False


def stand_between_thousands(texts: Sequence[str], mark: str) -> bool:
    """Whether each number that has the mark may have it between thousands."""
    grouped = re.compile(GroupedTexts(mark).pattern)
    return all(map(grouped.match, (text for text in texts if mark in text)))


def are_grouped(texts: Sequence[str], mark: str) -> bool:
    """Whether a mark stands between thousands alone in a column: 985 beside 1.012, or 8.547.000."""
    grouped = GroupedTexts(mark)
    grouped.add(pa.array(texts, pa.string()))
    return grouped.are_thousands


def remove_decimals(texts: pa.Array, decimals: int) -> tuple[pa.Array, Mask]:
    """Return (texts without the noise behind the declared decimals, has other digits there)."""
    is_long = to_mask(pc.match_substring_regex(texts, rf"\.[0-9]{{{decimals + 1},}}|[eE]"))
    has_more = np.zeros(len(texts), dtype=np.bool_)
    if not is_long.any():
        return texts, has_more
    encoded = pc.dictionary_encode(texts.filter(pa.array(is_long)))
    short = [_round_to(text, decimals) for text in encoded.dictionary.to_pylist()]
    found = pa.array(short, pa.string()).take(encoded.indices)
    has_more[is_long] = to_mask(pc.is_null(found))
    return pc.replace_with_mask(texts, pa.array(is_long), found), has_more


def multiply_numbers(texts: pa.Array, factor: Decimal) -> pa.Array:
    """Return the numbers times a factor, exactly; keep what is not a number."""
    encoded = pc.dictionary_encode(texts)
    found = [_multiply(text, factor) for text in encoded.dictionary.to_pylist()]
    return pa.array(found, pa.string()).take(encoded.indices)


def _multiply(text: str, factor: Decimal) -> str:
    if len(text) > _MAX_CHARS or re.fullmatch(_NUMBER, text) is None:
        return text
    product = _EXACT.multiply(Decimal(text), factor)
    sign, digits, exponent = product.as_tuple()
    assert isinstance(exponent, int)  # a number of digits is finite
    while exponent < 0 and len(digits) > 1 and not digits[-1]:
        digits, exponent = digits[:-1], exponent + 1
    return format(Decimal((sign, digits, exponent)), "f")


def _round_to(text: str, decimals: int) -> str | None:
    """Return the number with the declared decimals, None if it says more; keep what is not a number."""
    if len(text) > _MAX_CHARS:
        return None
    try:
        value = Decimal(text)
        near = round(value, decimals)
    except (InvalidOperation, OverflowError, ValueError):
        return text
    is_noise = abs(value - near) <= _NOISE_SHARE.scaleb(-decimals)
    return format(near, "f") if is_noise else None
