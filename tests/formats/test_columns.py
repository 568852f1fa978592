"""Texts to decimals, one column at a time: against `Decimal`, one by one."""

from decimal import Decimal, InvalidOperation

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.formats.columns import parse_decimals
from data.ingest.schema import DECIMAL

TEXTS = st.lists(
    st.none()
    | st.decimals(-(10**12), 10**12, places=3).map(str)
    | st.from_regex(r"[+-]?[0-9]{0,13}(\.[0-9]{0,12})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
    | st.sampled_from(
        ["", " ", "-", "x", "NaN", "inf", " 1.5 ", "1,5", "0x1", "1.0000000000", "٣", "1e308", ".0000001E-41"]
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_each_value_is_exact_or_reported(texts: list[str | None]) -> None:
    values, not_number, too_long = parse_decimals(pa.array(texts, pa.string()))
    assert values.type == DECIMAL
    for text, value, is_wrong, is_long in zip(texts, values.to_pylist(), not_number, too_long, strict=True):
        exact = number(text)
        if exact is not None and is_noise(exact):
            exact = round(exact, 9)
        fits = exact is not None and abs(exact) < 10**11 and exact == round(exact, 9)
        assert (value is not None) == fits
        assert value is None or value == exact
        assert is_wrong == (text is not None and exact is None)
        assert is_long == (exact is not None and value is None)


def is_noise(exact: Decimal) -> bool:
    """Whether a number has the digits of a double and lies beside one of 9 decimals."""
    has_digits = len(exact.normalize().as_tuple().digits) > 15
    return has_digits and abs(exact) < 10**5 and abs(exact - round(exact, 9)) * 10**12 <= 1


def number(text: str | None) -> Decimal | None:
    """The number that a plain text of ASCII digits is."""
    if text is None or not text.isascii():
        return None
    try:
        found = Decimal(text.strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() else None
