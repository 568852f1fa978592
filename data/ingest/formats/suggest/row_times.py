"""The times of tables with a row for each reading: instants, days with a time or a place, length and label.

Not here: the columns of values (`value_columns`), or the lines of a mapping (`reading_rows`).
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.columns import parse_instants
from data.ingest.formats.file_mappings import MappingError
from data.ingest.formats.mapping_shapes import OFFSET_FORMATS
from data.ingest.formats.suggest.clock import END, find_clock
from data.ingest.formats.suggest.date_formats import EPOCHS
from data.ingest.formats.suggest.meaning import CHECK
from data.ingest.formats.suggest.no_readings import HALF_DAYS, count_half_days
from data.ingest.formats.suggest.positions import find_positions, find_seconds
from data.ingest.formats.suggest.sample import Sample, name_column
from data.ingest.formats.wallclock import DAY_US, US, TimeFormat

PERIOD = re.compile(r"period|\bsp\b|\bhh\b|interval no|\bhora\b|\bhour\b", re.I)
_NUMBER = re.compile(r"\s*(?:[A-Za-z]{1,8}\.? ?)?([0-9]+)")
# Intervals of a day; a day of a clock change has some more.
_COUNTS = (24, 48, 96, 144, 288)
# Times of a logger lie at most this share of an interval from its ends, and differ.
_ROUNDED_SHARE, _MIN_OFFSETS = 5, 2
# The hours of the clock at which an interval begins and ends: 07-08.
_HOURS = re.compile(r"[0-9]{1,2}(\s*-\s*)[0-9]{1,2}")


def read_row_times(sample: Sample, place: int, form: str) -> tuple[list[str], list[str], list[int]]:
    """Return (formats, columns, times in microseconds on the wall clock) for a row per reading."""
    head, when, micros = _find_row_times(sample, place, form)
    if all(at % (60 * US) == 59 * US for at in micros):
        # The last second of an interval.
        micros = [at + US for at in micros]
    if count_half_days(micros):
        raise MappingError(f"{sample.path}: {HALF_DAYS}")
    return head, when, micros


def _find_row_times(sample: Sample, place: int, form: str) -> tuple[list[str], list[str], list[int]]:
    if form in OFFSET_FORMATS or TimeFormat(form).has_time:
        return _read_timestamps(sample, place, form)
    texts = pa.array([row[place].strip() for row in sample.rows])
    days = [int(value) for value in TimeFormat(form).parse(texts)[0]]
    head, when = (
        [f"date_format: {json.dumps(form, ensure_ascii=False)}"],
        [f"  date: {name_column(sample, place)}"],
    )
    found = find_clock(sample, place, days)
    if found is not None:
        head.append(f"time_format: {json.dumps(found.form, ensure_ascii=False)}")
        when.append(f"  time: {name_column(sample, found.place)}")
        return head, when, [day + time for day, time in zip(days, found.micros, strict=True)]
    period = next((n for n, name in enumerate(sample.names) if PERIOD.search(name) and n != place), None)
    if period is None:
        period = next((n for n in range(len(sample.names)) if _counts_intervals(sample, n, days)), None)
    if period is not None:
        numbers = [int(match[1]) if (match := _NUMBER.match(row[period])) else 0 for row in sample.rows]
        last = max(numbers)
        step = 1440 // next((n for n in _COUNTS if last <= n + n // 24), _COUNTS[-1]) * 60 * US
        is_hour = min(numbers) == 0 and last < 24
        if min(numbers) == 0 and not is_hour:
            head.append("label: start  # the periods count from 0")
        end = {match[1] for row in sample.rows if (match := _HOURS.fullmatch(row[period].strip()))}
        if is_hour:
            # Periods count from 1, so this is the hour of the clock.
            head.append(f'time_format: "%H{end.pop() + "%*" if len(end) == 1 else ""}"')
        when.append(f"  {'time' if is_hour else 'period'}: {name_column(sample, period)}")
        return head, when, [day + number * step for number, day in zip(numbers, days, strict=True)]
    return head, when, days


def _read_timestamps(sample: Sample, place: int, form: str) -> tuple[list[str], list[str], list[int]]:
    """Return the same for a column of dates with times, or of starts from which values are counted."""
    texts = pa.array([row[place].strip() for row in sample.rows])
    if form in EPOCHS:
        nanos = 10 ** {"unix": 9, "unix_ms": 6, "unix_us": 3, "unix_ns": 0}[form]
        micros = [int(row[place].split(".")[0]) * nanos // 1000 for row in sample.rows]
    elif form in OFFSET_FORMATS:
        micros = _read_walls(texts)
    else:
        micros = [int(value) for value in TimeFormat(form).parse(texts)[0]]
    shape = form if form in OFFSET_FORMATS else json.dumps(form, ensure_ascii=False)
    when = [f"  timestamp: {name_column(sample, place)}"]
    if (seconds := find_seconds(sample, place, micros)) is not None:
        when.append(f"  seconds: {name_column(sample, seconds)}")
        micros = [at + int(row[seconds]) * US for at, row in zip(micros, sample.rows, strict=True)]
    elif (found := find_positions(sample, place, micros)) is not None:
        period, minutes = found
        when.append(f"  period: {name_column(sample, period)}")
        places = (int(row[period]) - 1 for row in sample.rows)
        micros = [at + n * minutes * 60 * US for at, n in zip(micros, places, strict=True)]
    return [f"timestamp_format: {shape}"], when, micros


def _read_walls(texts: pa.Array) -> list[int]:
    """Return the wall clock of times with an offset; where offsets differ more, the instants by the first."""
    plain = pc.replace_substring(texts, "T", " ")
    whole, lacks_seconds = TimeFormat("%Y-%m-%d %H:%M:%S").parse(pc.utf8_slice_codeunits(plain, 0, 19))
    wall = TimeFormat("%Y-%m-%d %H:%M").parse(pc.utf8_slice_codeunits(plain, 0, 16))[0]
    micros = [int(value) for value in np.where(lacks_seconds, wall, whole)]
    instants, bad = parse_instants(texts)
    if bad.any() or instants.null_count:
        return micros
    counted = instants.cast(pa.int64()).to_pylist()
    offsets = {at - instant for at, instant in zip(micros, counted, strict=True)}
    # Seconds are cut off, and summer time is an hour.
    is_mixed = (
        len({offset // (60 * US) for offset in offsets}) > 2 or max(offsets) - min(offsets) > 90 * 60 * US
    )
    return [instant + micros[0] - counted[0] for instant in counted] if is_mixed else micros


def _counts_intervals(sample: Sample, place: int, days: list[int]) -> bool:
    """Whether a column without a name numbers the intervals of a day from 1."""
    texts = [row[place].strip() for row in sample.rows]
    if not all(re.fullmatch(r"[0-9]{1,3}", text) or _HOURS.fullmatch(text) for text in texts):
        return False
    of_day: dict[int, set[int]] = {}
    for text, day in zip(texts, days, strict=True):
        of_day.setdefault(day, set()).add(int(text.split("-")[0]))
    # A day at the begin or the end of a file may be a part.
    longest = max(of_day.values(), key=len)
    count = len(longest)
    if not any(sample.names) or count in (23, 25, 46, 50, 92, 100):
        return count in (23, 24, 25, 46, 48, 50, 92, 96, 100) and longest == {*range(1, count + 1)}
    return count in _COUNTS and longest in ({*range(1, count + 1)}, {*range(count)})


def end_days_at_midnight(sample: Sample, micros: list[int], meter: int | None) -> bool:
    """Whether midnight, 00:00 of a date, follows the other rows of this date: it is the end of that day."""
    steps = [
        (before, after)
        for row, (before, after) in enumerate(itertools.pairwise(micros))
        if meter is None or sample.rows[row][meter] == sample.rows[row + 1][meter]
    ]
    if is_descending(sample, micros, meter):
        steps = [(after, before) for before, after in steps]
    midnights = [after - before for before, after in steps if not after % DAY_US]
    return bool(midnights) and all(-DAY_US < step < 0 for step in midnights)


def is_descending(sample: Sample, micros: list[int], meter: int | None) -> bool:
    steps = [
        micros[row] - micros[row - 1]
        for row in range(1, len(micros))
        if meter is None or sample.rows[row][meter] == sample.rows[row - 1][meter]
    ]
    return sum(step < 0 for step in steps) > sum(step > 0 for step in steps)


def _sort_unordered(times: list[int]) -> list[int]:
    """Return times that go up and down in order, others as they are."""
    signs = np.sign(np.diff(np.array(times, dtype=np.int64)))
    least = min(int((signs > 0).sum()), int((signs < 0).sum()))
    return sorted(times) if 4 * least > len(times) else times


def guess_rhythm(sample: Sample, micros: list[int], meter: int | None, name: str) -> tuple[int, str, str]:
    """Return (minutes, label, reason) by the steps between the rows of a meter and the start of its days."""
    meters = [row[meter] if meter is not None else "" for row in sample.rows]
    times: dict[str, list[int]] = {}
    for one, at in zip(meters, micros, strict=True):
        times.setdefault(one, []).append(at)
    steps = Counter(
        abs(after - before)
        for of_meter in times.values()
        for before, after in itertools.pairwise(_sort_unordered(of_meter))
        if after != before
    )
    step = steps.most_common(1)[0][0] if steps else 30 * 60 * US
    minutes = max(step // (60 * US), 1)
    if minutes > 1440 or 1440 % minutes:
        minutes = 30
    step = minutes * 60 * US
    own = sorted(micros[row] for row in range(len(micros)) if meters[row] == meters[0])
    # An event of a logger, such as the end of its file, is no time of an interval.
    begins, ends = (at % DAY_US for at in (own[0], max(at for at in own if (at - own[0]) % step == 0)))
    if END.search(name) or (begins == step and ends == 0):
        return (
            minutes,
            "end",
            "the days begin with the end of their first interval" if begins == step else CHECK,
        )
    if begins == 0 and ends == DAY_US - step:
        return minutes, "start", "the days begin at midnight"
    return minutes, "start", f"{CHECK}: start or end of the interval"


def write_rounding(micros: Sequence[int], minutes: int) -> list[str]:
    """Write how far the times of a logger may lie from those of its intervals, if they do."""
    length = minutes * 60 * US
    behind = np.unique(np.array(micros, dtype=np.int64) % length)
    apart = np.minimum(behind, length - behind)
    most = length // _ROUNDED_SHARE
    # Times that are all as far from it belong to other intervals.
    is_off = len(behind) > _MIN_OFFSETS and minutes < DAY_US // (60 * US) and 0 < apart.max() <= most
    why = f"the times lie up to {apart.max() // US} seconds from those of the intervals"
    return [f"round_seconds: {most // US}  # {CHECK}: {why}"] if is_off else []
