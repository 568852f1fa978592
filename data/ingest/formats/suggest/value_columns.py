"""Which columns of numbers may be values of readings: by their names, or because they look like those.

Not here: which of them count the same thing twice (`choice`), or what they mean (`meaning`).
"""

import re

import numpy as np

from data.ingest.formats.suggest.amounts import read_numbers
from data.ingest.formats.suggest.choice import OF_DAY
from data.ingest.formats.suggest.columns import OTHER_MEDIUM, UNIT, VALUE
from data.ingest.formats.suggest.directions import is_unknown, tells_direction
from data.ingest.formats.suggest.meaning import POWER
from data.ingest.formats.suggest.row_times import PERIOD
from data.ingest.formats.suggest.sample import Sample, name_column

DAY_MINUTES = 1440
OBIS = re.compile(r"[0-9]-[0-9]+:[0-9]+\.[0-9]+\.[0-9]")
LONG_NUMBER = re.compile(r"[0-9]{8,}")
# A column with the difference of two others.
NET = re.compile(r"(?<![a-z])(?<!til )(?<!fra )(?<!het )(net|netto|saldo)(?![a-z])|zbilans|saldov", re.I)


def find_values(
    sample: Sample, numeric: list[int], when: list[str], meter: int | None
) -> tuple[list[int], list[int]]:
    """Return (columns of values, other columns of numbers): by their names, else all that count nothing."""
    of_time = {line.partition(": ")[2] for line in when}
    given = numeric
    numeric = _drop_constants_around(sample, numeric, meter)
    numeric = [n for n in numeric if name_column(sample, n) not in of_time]
    kinds = (VALUE, UNIT, OTHER_MEDIUM)
    # The energy of a capture period numbers none.
    counted = {n for n in numeric if PERIOD.search(sample.names[n]) and not VALUE.search(sample.names[n])}
    free = [n for n in numeric if n not in counted]
    named = [n for n in numeric if any(kind.search(sample.describe(n)) for kind in kinds)]
    if named and not any(UNIT.search(sample.describe(n)) for n in named):
        # Columns of power beside one that is named so are as much energy as it is.
        named = [n for n in free if n in named or POWER.search(sample.describe(n))]
    powers = [n for n in free if POWER.search(sample.describe(n)) and not UNIT.search(sample.describe(n))]
    of_day = [n for n in named if OF_DAY.search(sample.describe(n))]
    if of_day == named and len(powers) > len(named) and sample.minutes < DAY_MINUTES:
        # A curve of several powers, beside the energy of one of them since the beginning of the day.
        named = powers
    values = named or [
        n
        for n in free
        # A code of a register says that the digits are reads of a dial, not a number of something.
        if OBIS.search(sample.names[n]) or not all(map(LONG_NUMBER.fullmatch, sample.take_texts(n)))
    ]
    values = [n for n in values if not NET.search(sample.names[n])] or values
    values = sorted({*values, *_find_alike(sample, values, [n for n in free if n not in values])})
    # What numbers something is shown as left out; what stands around the rows of a document is not.
    header = sample.header or sample.names
    numbers = [n for n in given if n not in numeric and not header[n].startswith("$.")]
    numbers = [n for n in numbers if name_column(sample, n) not in of_time]
    return values, sorted([*(n for n in free if n not in values), *numbers])


def _find_alike(sample: Sample, values: list[int], others: list[int]) -> list[int]:
    """Return the columns whose numbers look like those of the values, with an unknown name or a direction."""

    def describe(place: int) -> tuple[int, float]:
        texts = [sample.write_plain(text) for text in sample.take_values(place)]
        numbers = read_numbers(sample, place)
        known = np.abs(numbers[np.nan_to_num(numbers) != 0])
        decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
        return decimals, float(np.median(known)) if len(known) > 1 and np.ptp(known) > 0 else 0.0

    known = [describe(place) for place in values]
    return [
        place
        for place in others
        if is_unknown(sample.names[place]) or tells_direction(sample.describe(place))
        for decimals, size in [describe(place)]
        if decimals
        and any(decimals == one and size and size / 100 < other < size * 100 for one, other in known)
    ]


def _list_constants(sample: Sample, place: int, meter: int | None) -> set[str]:
    """Return the texts of a column that has one in all rows of each meter, none of another column."""
    pairs = {
        (row[meter].strip() if meter is not None else "", text)
        for row in sample.rows
        if (text := row[place].strip())
    }
    is_one = len({name for name, _ in pairs}) == len(pairs)
    # One row of each meter says nothing.
    return (
        {text for _, text in pairs}
        if is_one and (len(pairs) == 1 or 2 * len(pairs) <= len(sample.rows))
        else set()
    )


def _drop_constants_around(sample: Sample, numeric: list[int], meter: int | None) -> list[int]:
    """Return the columns without those of one whole number that no name calls a value: it numbers something.

    A meter may have a number of its own, such as that of a post office.
    What stands around the rows of a document never changes either.
    """
    header = sample.header or sample.names
    kinds = (VALUE, UNIT, OTHER_MEDIUM, POWER)
    constants = {n: min(texts) for n in numeric if (texts := _list_constants(sample, n, meter))}
    numbers = {
        n
        for n, text in constants.items()
        if re.fullmatch("[0-9]*[1-9][0-9]*", text)
        and not any(kind.search(sample.describe(n)) for kind in kinds)
        and len(sample.rows) > 1
    }
    around = {n for n in numeric if header[n].startswith("$.") and not header[n].endswith("[*]")}
    own = [n for n in numeric if n not in around] or [n for n in numeric if n not in constants]
    return [n for n in own if n not in numbers] or own
