"""Numbers of a mapped CSV that are not yet amounts: their sign, a unit behind them, and the noise of
binary arithmetic.

Here: texts of numbers. Not here: the marks of decimals and thousands (`mapped_csv`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Context, Decimal, Inexact, InvalidOperation

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.assemble import UncheckedRows
from data.ingest.formats.columns import UNITS, Mask, parse_decimals, to_mask
from data.ingest.formats.mapping_values import ENERGY_OF_POWER, Day, Value
from data.ingest.formats.narrow import narrow_text
from data.ingest.formats.wallclock import Ints
from data.ingest.schema import KVARH_PER_UNIT_POWER_OF_TEN, KWH_PER_UNIT_POWER_OF_TEN

# Noise is far below the last decimal: a sender's own rounding is not.
_NOISE_SHARE = Decimal("1e-3")
# A minus, and dashes that stand for one.
MINUS = "\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d"
# A text with so many letters is no number that a meter prints.
_MAX_CHARS = 60
# A text that is a plain number, with any marks of decimals and thousands.
_ORDINARY = "^[+-]?[0-9.,][0-9., '\u00a0\u202f]*([eE][+-]?[0-9]{1,3})?$"
# What spreadsheets write before a number that is to stay a text.
_AS_TEXT = re.compile(r"^'(?=[0-9.,+-])")
_APOSTROPHES = "\u2019\u02bc\u00b4"
IN_BRACKETS = re.compile(r"\(\s*([0-9.][^()]*)\)")
# Not in 5.-, which is a price without cents.
_MINUS_BEHIND = re.compile(rf"([0-9.].*[0-9]|[0-9])\s*[-{MINUS}]")
_WITH_UNIT = re.compile(r"(.*[0-9)])\s*([A-Za-z]{1,5}(?:[-.*\u00b7][Hh]r?s?)?[3\u00b3]?)\.?")
# The powers of ten between units that measure the same.
_FAMILIES: tuple[dict[str, int], ...] = (
    KWH_PER_UNIT_POWER_OF_TEN,
    KVARH_PER_UNIT_POWER_OF_TEN,
    {"W": -3, "kW": 0, "MW": 3},
    {"l": -3, "m3": 0},
)
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?"
# Digits of a share of an hour, and decimals of the energy of power that are exact in kWh with 9 decimals.
_HOUR_DIGITS = 4
_ENERGY_DECIMALS = {"W": 6, "kW": 9, "MW": 9, "var": 6, "kvar": 9}
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


@dataclass(frozen=True)
class PlainTexts:
    """Numbers with a minus before them and without a unit; `powers` of ten lead to the declared unit."""

    texts: pa.Array
    powers: Ints | None = None

    def scale(self, numbers: pa.Array) -> pa.Array:
        """Convert plain decimal numbers at the places of these texts to the declared unit, exactly."""
        for power in np.unique(self.powers) if self.powers is not None else ():
            if power:
                is_other = pa.array(self.powers == power)
                scaled = multiply_numbers(numbers.filter(is_other), Decimal(1).scaleb(int(power)))
                numbers = pc.replace_with_mask(numbers, is_other, scaled)
        return numbers


def write_plain_texts(texts: pa.Array, unit: str | None = None, *, has_marks: bool = False) -> PlainTexts:
    """Write `(1,5)`, `1,5-` and typesetters' minus with a hyphen before the number, and cut off units.

    A unit behind a number is cut off if it measures what `unit` does: 950 Wh in a column of kWh. Brackets
    that are marks (`has_marks`), such as those of estimates, change nothing.
    """
    is_rare = pc.invert(pc.match_substring_regex(texts, _ORDINARY))
    if not _any(is_rare):
        return PlainTexts(texts)
    encoded = pc.dictionary_encode(texts.filter(is_rare))
    found = [
        write_plain_text(_cut_brackets(text) if has_marks else text, unit)
        for text in encoded.dictionary.to_pylist()
    ]
    plain = pa.array([text for text, _ in found], pa.string()).take(encoded.indices)
    powers = np.zeros(len(texts), dtype=np.int64)
    of_distinct = np.array([power for _, power in found], dtype=np.int64)
    powers[to_mask(is_rare)] = of_distinct[encoded.indices.to_numpy(zero_copy_only=False)]
    return PlainTexts(pc.replace_with_mask(texts, pc.fill_null(is_rare, False), plain), powers)


def _cut_brackets(text: str) -> str:
    match = IN_BRACKETS.fullmatch(text)
    return match[1].rstrip() if match else text


def write_plain_text(text: str, unit: str | None = None) -> tuple[str, int]:
    """Return (one text as `write_plain_texts` writes it, the power of ten that leads to the unit)."""
    number, stated = split_unit(text)
    power = _find_power(stated, unit)
    return (text, 0) if power is None else (number, power)


def split_unit(text: str) -> tuple[str, str | None]:
    """Return (number with its minus before it, the unit behind it, None without a known one)."""
    text = _AS_TEXT.sub("", narrow_text(text))
    match = IN_BRACKETS.fullmatch(text) or _MINUS_BEHIND.fullmatch(text)
    inner, sign = (match[1].rstrip(), "-") if match else (text, "")
    with_unit = _WITH_UNIT.fullmatch(inner)
    unit = UNITS.get(with_unit[2].lower()) if with_unit else None
    if with_unit is not None and unit is not None and not match:
        number, _ = split_unit(with_unit[1])
        return number, unit
    number = with_unit[1] if with_unit is not None and unit is not None else inner
    number = re.sub(f"(?<=[0-9])[{_APOSTROPHES}](?=[0-9])", "'", number)
    return sign + re.sub(f"^[{MINUS}]", "-", number), unit


def _find_power(stated: str | None, unit: str | None) -> int | None:
    """Return the power of ten between two units, None if they measure different things."""
    if stated is None:
        return 0
    family = next((family for family in _FAMILIES if unit in family), {})
    return family[stated] - family[unit] if unit is not None and stated in family else None


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


def integrate_rows(numbers: pa.Array, units: pa.Array, minutes: int) -> tuple[pa.Array, pa.Array]:
    """Return numbers and units with the energy of those that are average power, for the unit of each row."""
    for power, energy in ENERGY_OF_POWER.items():
        is_power = pc.fill_null(pc.equal(units, power), False)
        if _any(is_power):
            own = integrate_power(numbers.filter(is_power), minutes, power)
            numbers = pc.replace_with_mask(numbers, is_power, own)
            units = pc.if_else(is_power, pa.scalar(energy), units)
    return numbers, units


def integrate_power(powers: pa.Array, minutes: int, unit: str) -> pa.Array:
    """Multiply average powers by the hours of an interval; keep texts that are not numbers.

    Exact for 15, 30 and 60 minutes. A twelfth of an hour has no end: such energy is rounded to what is exact
    in kWh with 9 decimals.
    """
    hours = Decimal(minutes) / 60
    if not (minutes * 10**_HOUR_DIGITS) % 60:
        values, _, _ = parse_decimals(powers)
        energies = pc.multiply(values, pa.scalar(hours, pa.decimal128(8, _HOUR_DIGITS)))
        return pc.coalesce(energies.cast(pa.string()), powers)
    places = _ENERGY_DECIMALS[unit]
    encoded = pc.dictionary_encode(powers)
    found = [_divide(text, minutes, places) for text in encoded.dictionary.to_pylist()]
    return pa.array(found, pa.string()).take(encoded.indices)


def integrate_text(text: str, minutes: int, unit: str) -> str:
    """Do the same for one number in text."""
    is_exact = not (minutes * 10**_HOUR_DIGITS) % 60
    return _divide(text, minutes, 15 if is_exact else _ENERGY_DECIMALS.get(unit, 9))


def _divide(text: str, minutes: int, places: int) -> str:
    if len(text) > _MAX_CHARS or re.fullmatch(_NUMBER, text) is None:
        return text
    try:
        energy = (Decimal(text) * minutes / 60).quantize(Decimal(1).scaleb(-places))
    except InvalidOperation:
        return text
    return format(energy, "f")


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
