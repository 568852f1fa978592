"""Values whose times are their places: a start, and values that are counted from 1 behind it.

Here: which column counts them, and how long an interval is. Not here: tables with a time in each row, or
periods of a day (`reading_rows`).
"""

import itertools
import re
from collections.abc import Iterator, Sequence

import pyarrow as pa

from data.ingest.formats.file_mappings import MappingError
from data.ingest.formats.mapping_columns import KEY
from data.ingest.formats.suggest.date_formats import find_formats
from data.ingest.formats.suggest.sample import Sample, name_column
from data.ingest.formats.wallclock import DAY_US, US, TimeFormat

_POSITION = re.compile(r"position|^pos$|ordinal|sequence|index|interval ?(no|num)|period|point", re.I)
_LENGTH = re.compile(r"interval|resolution|granularity|duration|step|length|minutes|seconds", re.I)
_ELAPSED = re.compile(r"elapsed|offset|seconds|\bsecs?\b", re.I)
_DURATION = re.compile(r"P(?:([0-9]+)D)?(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+)S)?)?")
_DAY_MINUTES = 1440
# A longer number without a unit counts seconds.
_MOST_MINUTES = 60


def find_positions(sample: Sample, place: int, micros: Sequence[int]) -> tuple[int, int] | None:
    """Return (the column that counts values from 1 behind a time, minutes of an interval), if there is one.

    Raises `MappingError` if nothing says how long an interval is.
    """
    counted = next((n for n in range(len(sample.names)) if n != place and _counts(sample, n, micros)), None)
    if counted is None:
        return None
    lengths = (length for length in _list_lengths(sample, place, micros) if length > 0)
    minutes = next((length // 60 for length in lengths if not length % 60), 0)
    if not minutes or _DAY_MINUTES % minutes:
        raise MappingError(
            f"{sample.path}: values are counted from a start in {name_column(sample, place)}, and nothing "
            "says how long an interval is. Write the mapping by hand: columns.timestamp for the start, "
            f"columns.period: {name_column(sample, counted)}, and interval_minutes, see docs/formats.md"
        )
    return counted, minutes


def find_seconds(sample: Sample, place: int, micros: Sequence[int]) -> int | None:
    """Return the column that has seconds behind a time: whole minutes, from 0, at a time for each meter."""
    for n, name in enumerate(sample.names):
        texts = [row[n].strip() for row in sample.rows]
        is_named = name == KEY or _ELAPSED.search(name)
        if n == place or not is_named or not all(re.fullmatch(r"[0-9]{1,7}", text) for text in texts):
            continue
        numbers = [int(text) for text in texts]
        groups = _group(micros, numbers)
        steps = {b - a for own in groups.values() for a, b in itertools.pairwise(sorted({*own}))}
        # Keys of an object may begin later, as those of an inverter at sunrise.
        begins = min(numbers) == 0 or (name == KEY and not min(numbers) % 60)
        if 2 * len(groups) <= len(texts) and begins and steps and not any(s % 60 for s in steps):
            return n
    return None


def _counts(sample: Sample, place: int, micros: Sequence[int]) -> bool:
    """Whether a column counts the rows of each time from 1."""
    name = sample.names[place]
    texts = [row[place].strip() for row in sample.rows]
    is_named = name == KEY or _POSITION.search(name)
    if not is_named or not all(re.fullmatch(r"[0-9]{1,6}", text) for text in texts):
        return False
    groups = _group(micros, list(map(int, texts)))
    firsts = {min(numbers) for numbers in groups.values()}
    return 2 * len(groups) <= len(texts) and firsts == {1}


def _group(micros: Sequence[int], numbers: Sequence[int]) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = {}
    for at, number in zip(micros, numbers, strict=True):
        groups.setdefault(at, []).append(number)
    return groups


def _list_lengths(sample: Sample, place: int, micros: Sequence[int]) -> Iterator[int]:
    """Yield the seconds of an interval by a duration in words, by the next start or the end, by a number."""
    constants = {
        n: next(iter(texts))
        for n in range(len(sample.names))
        if n != place and len(texts := {row[n].strip() for row in sample.rows}) == 1
    }
    for text in constants.values():
        if text and (match := _DURATION.fullmatch(text)):
            days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
            yield ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    sizes = {at: len(numbers) for at, numbers in _group(micros, range(len(micros))).items()}
    starts = sorted(sizes)
    steps = {(after - before) / sizes[before] for before, after in itertools.pairwise(starts)}
    yield _to_seconds(steps)
    for n in range(len(sample.names)):
        yield _to_seconds(_measure_to_end(sample, n, micros, sizes) if n != place else set())
    for n, text in constants.items():
        if _LENGTH.search(sample.names[n]) and re.fullmatch(r"[0-9]{1,5}", text):
            is_seconds = re.search(r"sec|_s$", sample.names[n], re.I) or int(text) > _MOST_MINUTES
            yield int(text) * (1 if is_seconds and not re.search("min", sample.names[n], re.I) else 60)
    if not any(at % DAY_US for at in starts) and len(set(sizes.values())) == 1:
        yield _to_seconds({DAY_US / size for size in sizes.values()})


def _measure_to_end(sample: Sample, place: int, micros: Sequence[int], sizes: dict[int, int]) -> set[float]:
    """Return the lengths of an interval if a column has the end of all of them."""
    texts = [row[place].strip() for row in sample.rows]
    forms = find_formats(texts, dates=True)
    form = "%Y-%m-%dT%H:%M" if forms == ["iso8601"] else forms[0] if len(forms) == 1 else None
    if form is None or "%" not in form:
        return set()
    texts = [text[:16] for text in texts] if forms == ["iso8601"] else texts
    ends, bad = TimeFormat(form).parse(pa.array(texts))
    return set() if bad.any() else {(int(end) - at) / sizes[at] for end, at in zip(ends, micros, strict=True)}


def _to_seconds(lengths: set[float]) -> int:
    """Return the only length of some in microseconds, 0 if it is not whole seconds."""
    if not lengths or len({round(length / US) for length in lengths}) > 1:
        return 0
    seconds = lengths.pop() / US
    return int(seconds) if seconds == int(seconds) else 0
