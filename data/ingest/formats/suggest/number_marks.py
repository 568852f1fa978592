"""The marks of numbers in a sample: decimals, thousands, and the noise of binary arithmetic.

Not here: the meaning of the numbers (`meaning`).
"""

import json
import re

from data.ingest.formats.file_mappings import MappingError
from data.ingest.formats.mapped_numbers import are_grouped, stand_between_thousands
from data.ingest.formats.suggest.amounts import MOST_DECIMALS, find_decimals
from data.ingest.formats.suggest.columns import OTHER_MEDIUM, UNIT, VALUE
from data.ingest.formats.suggest.meaning import CHECK, POWER
from data.ingest.formats.suggest.sample import Sample
from data.ingest.formats.suggest.value_columns import NET

_BRITISH = (
    "Europe/London",
    "Europe/Dublin",
    "Europe/Belfast",
    "Europe/Jersey",
    "Europe/Guernsey",
    "Europe/Isle_of_Man",
)
# Zones of people who write a point before decimals and a comma between thousands.
_WITH_POINT = (
    *("Australia/", "US/", "Canada/", "Pacific/Auckland", "Pacific/Honolulu", "Asia/Tokyo", "Asia/Singapore"),
    *("Asia/Hong_Kong", "Asia/Kolkata", "Asia/Manila", "Asia/Seoul", "Asia/Shanghai", "Asia/Taipei"),
    *("America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles"),
    *("America/Anchorage", "America/Detroit", "America/Indiana", "America/Kentucky", "America/Boise"),
    *(
        "Asia/Dubai",
        "Asia/Riyadh",
        "Asia/Qatar",
        "Asia/Kuwait",
        "Asia/Bahrain",
        "Asia/Muscat",
        "Asia/Jerusalem",
    ),
    *("Asia/Karachi", "Asia/Dhaka", "Asia/Colombo", "Asia/Bangkok", "Asia/Kuala_Lumpur", "Africa/Cairo"),
    *("Africa/Lagos", "Africa/Nairobi", "Africa/Accra", "Africa/Kampala"),
    *("America/Mexico_City", "America/Tijuana", "America/Toronto", "America/Vancouver", "America/Halifax"),
)


def find_number_marks(
    sample: Sample, numeric: list[int], timezone: str | None
) -> tuple[str, str | None, str | None]:
    """Return the decimal mark, the thousands mark, and a number of which nothing tells what its mark is.

    A comma before three digits in every number follows the custom of the zone; a point against it is unclear.
    """
    kinds = (VALUE, UNIT, OTHER_MEDIUM, POWER)
    named = [n for n in numeric if any(kind.search(sample.describe(n)) for kind in kinds)]
    columns = [sample.take_values(n) for n in named or numeric]
    texts = [text for n in named or numeric for text in (*sample.take_values(n), *sample.others.get(n, []))]
    for column in columns:
        _refuse_two_marks(sample, column)
    groups = {sign for text in texts for sign in re.findall(r"[0-9](['\u00a0\u202f ])[0-9]{3}", text)}
    for mark, other in ((".", ","), (",", ".")):
        # Numbers of another column, such as those of the rows, say nothing of the mark of this one.
        if stand_between_thousands(texts, mark) and any(are_grouped(column, mark) for column in columns):
            return other, mark, None
    comma_last = any(
        re.search(r",[0-9]{1,2}$|,[0-9]{4,}$|\.[0-9]{3},|^[+-]?(0|[0-9]{4,}),", text) for text in texts
    )
    # A semicolon between fields suggests that the comma is the decimal mark.
    comma_last |= sample.delimiter == ";" and not any("." in text for text in texts)
    if comma_last and any("," in text for text in texts):
        groups |= {"."} if any("." in text for text in texts) else set()
        return ",", groups.pop() if len(groups) == 1 else None, None
    marked = [text for column in columns if any("," in text for text in column) for text in column]
    if marked and all(re.fullmatch(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}", text) for text in marked):
        is_decimal = has_decimal_comma(timezone)
        return (
            ("." if is_decimal is False else ","),
            ("," if is_decimal is False else None),
            (texts[0] if is_decimal is None else None),
        )
    pointed = [text for column in columns if any("." in text for text in column) for text in column]
    is_grouped = all(re.fullmatch(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}", text) for text in pointed)
    # A program that separates fields by commas writes points before decimals.
    if pointed and is_grouped and sample.delimiter != "," and has_decimal_comma(timezone):
        return ",", None, pointed[0]
    groups |= {","} if any(re.search(r"[0-9],[0-9]{3}", text) for text in texts) else set()
    return ".", groups.pop() if len(groups) == 1 else None, None


def _refuse_two_marks(sample: Sample, texts: list[str]) -> None:
    """Refuse numbers of which some have a comma before three digits, others a point, and none more."""
    marked = {text for text in texts if re.search("[.,]", text)}
    plain = {text for text in marked if re.fullmatch(r"[+-]?[0-9]{1,3}[.,][0-9]{3}", text)}
    if marked == plain and len({mark for text in plain for mark in re.findall("[.,]", text)}) == 2:
        one, other = (next(text for text in texts if mark in text) for mark in ",.")
        raise MappingError(
            f"{sample.path}: some numbers have a comma before three digits, others a point, such as {one} "
            f"and {other}: each mark may stand before decimals or between thousands. Ask for one mark"
        )


def has_decimal_comma(timezone: str | None) -> bool | None:
    """Whether people of a zone write a comma before decimals; None if the zone does not tell."""
    place = timezone or ""
    if place.startswith(("Europe/", "Atlantic/Canary", "Atlantic/Madeira", "Atlantic/Azores")):
        return place not in _BRITISH
    return False if place.startswith(_WITH_POINT) else None


def write_number_marks(sample: Sample, numeric: list[int]) -> list[str]:
    """Write the decimal and thousands marks of the values, and how many decimals are left without noise."""
    lines = ['decimal: ","'] if sample.decimal == "," else []
    if sample.unclear is not None:
        number = sample.unclear
        mark, other = (".", ",") if "." in number else (",", ".")
        whole = number.replace(mark, "")
        way = f'write "{mark}" here, or "{other}" and thousands: "{mark}"'
        lines = [f"decimal:  # {number} may be {whole}: {way}"]
    if any(not NET.search(sample.describe(place)) for place in sample.bracketed):
        lines.append(
            "brackets:  # (1.5) is below zero, as accountants write, or has a mark: below_zero or mark"
        )
    lines += [f"thousands: {json.dumps(sample.thousands)}"] if sample.thousands else []
    if (decimals := _find_decimals(sample, numeric)) is not None:
        lines.append(f"decimals: {decimals}  # {CHECK}: the digits behind are noise of binary arithmetic")
    return lines


def _find_decimals(sample: Sample, numeric: list[int]) -> int | None:
    """Return how many decimals the values have without binary noise, None if no column has any."""
    columns = [[sample.write_plain(text) for text in sample.take_values(place)] for place in numeric]
    moved = [[text for text in column if text.strip("-0.")] for column in columns]
    found = [find_decimals(column) for column in moved]
    noisy = [decimals for decimals in found if decimals is not None]
    # Other columns may be printed with more decimals.
    plain = [
        len(text.partition(".")[2])
        for column, decimals in zip(moved, found, strict=True)
        for text in column
        if decimals is None
    ]
    return max(*noisy, *(count for count in plain if count <= MOST_DECIMALS), 0) if noisy else None
