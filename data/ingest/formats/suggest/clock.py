"""The column of a table with the time of day beside its date: a clock, HHMM as a number, hours with decimals.

Not here: numbers of intervals from 1 (`reading_rows`).
"""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from data.ingest.formats.mapping_shapes import TimeShapes
from data.ingest.formats.suggest.columns import UNIT, VALUE
from data.ingest.formats.suggest.date_formats import find_formats
from data.ingest.formats.suggest.sample import Sample
from data.ingest.formats.wallclock import TimeFormats

END = re.compile(r"(?<![a-z])(end|to|bis|until|fin|fine|fim|tot|til|till|do)(?![a-z])", re.I)
START = re.compile(
    r"(?<![a-z])(start|begin|from|von|ab|van|fra|från|d[ée]but|inicio|inizio|in[ií]cio|desde|dal|od)(?![a-z])",
    re.I,
)
# The time of the highest power of a day is not that of its row.
_OF_EXTREME = re.compile(
    r"(?<![a-z])(peak|max(imum)?|min(imum)?|spitzen?\w*|pico|pointe|sunrise|sunset)(?![a-z])", re.I
)
# Numbers that are times follow each other by one step.
# Hours and minutes with a point between them, which are no hours with decimals.
_POINTED = re.compile(r"[0-2]?[0-9]\.[0-5][0-9]")
_MOST, _MIN_ROWS = 0.8, 6


def find_end(name: str) -> str | None:
    """Return which end of an interval the name of a time says, "start" or "end", None if it says neither."""
    return "end" if END.search(name) else "start" if START.search(name) else None


@dataclass(frozen=True)
class Clock:
    """A column of times of day: its place, its format, and the microseconds since midnight of each row."""

    place: int
    form: TimeShapes
    micros: list[int]


def find_clock(sample: Sample, date: int, days: Sequence[int]) -> Clock | None:
    """Find the column of times beside that of dates; `days` are the microseconds of these."""
    others = [n for n in range(len(sample.names)) if n != date and not _OF_EXTREME.search(sample.names[n])]
    # Beside the date of the start stands the time of the start.
    role = find_end(sample.names[date])
    others.sort(key=lambda place: find_end(sample.names[place]) not in (role, None))
    for place in others:
        texts = sample.take_texts(place)
        found = find_formats(texts, dates=False)
        if found and re.search("[:時时시点h]", texts[0]):
            return Clock(place, found[0], _parse(sample, place, found[0]) or [])
    for place in others:
        form = _find_number_form(sample, place)
        micros = _parse(sample, place, form) if form else None
        if form and micros and _is_regular(days, micros):
            return Clock(place, form, micros)
    return None


def _find_number_form(sample: Sample, place: int) -> TimeShapes | None:
    """Return the format of times that are numbers, None for other columns."""
    texts, name = sample.take_texts(place), sample.names[place]
    if len(texts) < _MIN_ROWS or VALUE.search(name) or UNIT.search(name):
        return None
    letters = {text[-1] for text in texts if text[-1:].isalpha()}
    if len(letters) == 1 and all(re.fullmatch("[0-9]{1,2}[A-Za-z]?", text) for text in texts):
        # The hour that comes again when the clocks go back: 3, 3A.
        return "%H", f"%H{letters.pop()}"
    if all(map(_POINTED.fullmatch, texts)) and {text[-2:] for text in texts} & {"15", "30", "45"}:
        return "%H.%M"
    if all(re.fullmatch(r"[0-9]{1,4}", text) for text in texts):
        return "%H%M" if max(map(int, texts)) >= 100 else None
    if all(re.fullmatch(r"[0-9]{1,2}([.,][0-9]{1,4})?", text) for text in texts):
        return "decimal_hour"
    return None


def _parse(sample: Sample, place: int, form: TimeShapes) -> list[int] | None:
    """Return the microseconds of each row, None if a number is not a time of the form."""
    found, bad = TimeFormats(form).parse(pa.array([row[place].strip() for row in sample.rows]))
    return None if bad.any() and ":" not in form else [int(at) for at in found]


def _is_regular(days: Sequence[int], micros: Sequence[int]) -> bool:
    """Whether the rows of a day follow each other by the same time, whatever their meter."""
    times = list(zip(days, micros, strict=True))
    of_day = [after - before for (day, before), (other, after) in itertools.pairwise(times) if day == other]
    steps = Counter(step for step in of_day if step)
    return 2 * len(of_day) >= len(times) and max(steps.values(), default=0) >= max(
        _MOST * steps.total(), _MIN_ROWS
    )
