"""What the rows of a table say of its registers beside their words: other columns, meters, their number.

Not here: the channel of a word (`directions`), or the lines of a mapping (`meaning`).
"""

from collections.abc import Sequence

import numpy as np

from data.ingest.formats.suggest.columns import MAX_REGISTERS, OTHER_MEDIUM
from data.ingest.formats.suggest.directions import (
    IMPORT,
    REACTIVE_WITHOUT_UNIT,
    guess_channel,
    is_reactive_without_unit,
    tells_direction,
)
from data.ingest.formats.suggest.sample import Sample
from data.ingest.formats.suggest.shapes import Series

# A register or column with values in fewer than one of so many rows has totals of days beside intervals.
RARE = 5


def _is_explicit(word: str) -> bool:
    return guess_channel(word) == "export" or IMPORT.search(word) is not None


def find_hints(sample: Sample, register: int) -> dict[str, str]:
    """Return what another column says of the direction of a register, if all rows of it say the same."""
    hints: dict[str, str] = {}
    for n in range(len(sample.names)):
        pairs = {(row[register].strip(), row[n].strip()) for row in sample.rows} if n != register else set()
        texts = {text for _, text in pairs}
        if len(pairs) == len({word for word, _ in pairs}) and 2 <= len(texts) <= MAX_REGISTERS:
            hints |= {word: text for word, text in pairs if tells_direction(text) and not _is_explicit(word)}
    return hints


def find_reactive(sample: Sample, register: int | None, unit: int | None) -> dict[str, str]:
    """Return the registers of reactive energy beside others, if no column states their unit, and why."""
    if register is None or unit is not None:
        return {}
    words = set(sample.take_texts(register))
    found = {word: REACTIVE_WITHOUT_UNIT for word in sorted(words) if is_reactive_without_unit(word)}
    return found if len(found) < len(words) else {}


def share_meters(sample: Sample, meter: int, register: int) -> bool:
    """Whether a meter has several registers."""
    pairs = {(row[meter].strip(), row[register].strip()) for row in sample.rows}
    return len(pairs) > len({name for name, _ in pairs})


def find_apart(series: Sequence[Series]) -> set[str]:
    """Return the registers with fewer values than others, further apart: reads or totals of days."""
    steps = {one.name: min(np.diff(sorted(one.amounts)), default=0) for one in series}
    most = max((len(one.amounts) for one in series), default=0)
    least = min((steps[one.name] for one in series if 2 * len(one.amounts) > most), default=0)
    return {
        one.name
        for one in series
        if len(one.amounts) * RARE < most
        and (steps[one.name] >= 2 * least or len(one.amounts) < 2)
        and not (OTHER_MEDIUM.search(one.name) and len(one.amounts) > RARE)
    }
