"""Tables with a row for each reading: times, the length and label of intervals, and the columns of values."""

import itertools
import json
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.columns import UNITS, parse_instants
from data.ingest.formats.file_mappings import MappingError
from data.ingest.formats.mapping import OFFSET_FORMATS, carries_offset
from data.ingest.formats.names import may_be_kept
from data.ingest.formats.suggest.amounts import read_numbers
from data.ingest.formats.suggest.choice import OF_DAY, Choice, choose_values, explain_others
from data.ingest.formats.suggest.clock import END, find_clock
from data.ingest.formats.suggest.columns import (
    OTHER_MEDIUM,
    UNIT,
    VALUE,
    find_medium_column,
    find_quality_column,
    find_register_column,
    find_unit_column,
    note_foreign_units,
    repeats_times,
)
from data.ingest.formats.suggest.date_formats import EPOCHS, cut_time, find_formats
from data.ingest.formats.suggest.directions import (
    NO_ELECTRICITY,
    is_unknown,
    resolve_channels,
    tells_direction,
)
from data.ingest.formats.suggest.meaning import (
    ASSUMED,
    CHECK,
    POWER,
    UNSTATED,
    find_direction_column,
    write_channels,
    write_channels_of_words,
    write_columns,
    write_meaning,
    write_qualities_of_column,
    write_ratio,
)
from data.ingest.formats.suggest.no_readings import HALF_DAYS, count_half_days, explain_days
from data.ingest.formats.suggest.positions import find_positions
from data.ingest.formats.suggest.sample import Sample, is_number, name_column
from data.ingest.formats.wallclock import DAY_US, US, TimeFormat

DAY_MINUTES = 1440
# Units of a column of units that may be those of electricity.
ELECTRIC_UNITS = {name for name, unit in UNITS.items() if unit not in NO_ELECTRICITY}
LONG_NUMBER = re.compile(r"[0-9]{8,}")
# A column with the difference of two others.
NET = re.compile(r"(?<![a-z])(?<!til )(?<!fra )(?<!het )(net|netto|saldo)(?![a-z])|zbilans|saldov", re.I)
PERIOD = re.compile(r"period|\bsp\b|\bhh\b|interval no|\bhora\b|\bhour\b", re.I)
_NUMBER = re.compile(r"\s*(?:[A-Za-z]{1,8}\.? ?)?([0-9]+)")
# Intervals of a day; a day of a clock change has some more.
_COUNTS = (24, 48, 96, 144, 288)
# The hours of the clock at which an interval begins and ends: 07-08.
_HOURS = re.compile(r"[0-9]{1,2}(\s*-\s*)[0-9]{1,2}")


def write_reading_body(
    sample: Sample, place: int, form: str, numeric: list[int], meter: int | None
) -> tuple[list[str], list[str]]:
    """Write the lines before and after `columns:` for a row per reading."""
    head, when, micros = read_row_times(sample, place, form)
    if not carries_offset(form) and _end_days_at_midnight(sample, micros, meter):
        micros = [at if at % DAY_US else at + DAY_US for at in micros]
        head.append("midnight_ends_day: true  # the midnight of a date stands below its other rows")
    minutes, label, why = _guess_rhythm(sample, micros, meter, sample.names[place])
    label, why = (label, why) if not form.endswith(" %*") else ("start", "the file gives start and end")
    sample.minutes = minutes
    if form not in OFFSET_FORMATS or label:
        head = [f"interval_minutes: {minutes}", *head]
    unit = find_unit_column(sample, {place, meter, *numeric})
    power = _find_power(sample, unit)
    unit = None if power else unit
    medium = find_medium_column(sample, {place, meter, unit, *numeric})
    register = _find_register(sample, meter, micros, {place, *numeric}, unit)
    is_date_alone = not any(line.startswith(("  period:", "  time:", "  timestamp:")) for line in when)
    comes_again = is_date_alone and register is None and repeats_times(sample, meter, micros)
    if comes_again or (is_date_alone and minutes != 1440):
        raise MappingError(f"{sample.path}: {explain_days(micros)}")
    if not carries_offset(form) and _is_descending(sample, micros, meter):
        head.append("order: descending")
    quality = find_quality_column(sample, {meter, register, unit, *numeric})
    note_foreign_units(sample, [n for n in numeric if n != meter], unit)
    values, others = _find_values(sample, [n for n in numeric if n != meter], when)
    if not values:
        raise _refuse_numbers(sample, place)
    is_one = register is not None or bool(sample.sections)
    choice = _choose(sample, values, micros, meter, register, is_one=is_one)
    values, others = choice.kept, [] if is_one else others
    is_label = not is_date_alone and not any(line.startswith("  period:") for line in when)
    sample.no_values = {text for n in values for text in sample.take_texts(n) if sample.is_missing(text)}
    if is_label and minutes == 1440 and not choice.dials and _are_days(form, micros):
        is_label = False
        head, when = _name_days(sample, place, form, head)
    head += _write_label_of_counters(choice, is_local=is_label and not carries_offset(form))
    if is_label and set(values) != {place for place, dial in choice.dials.items() if dial.is_certain}:
        head.append(f"label: {label}  # {why}")
    lines = [*when, *write_columns(sample, quality=quality, register=register, unit=unit), "values:"]
    if register is None and repeats_times(sample, meter, micros):
        lines.insert(
            0, f"  # {CHECK}: the same time stands in several rows, and no column distinguishes them"
        )
    channels = _resolve_channels(sample, values, unit)
    ratio = write_ratio(sample)
    meanings = [
        write_meaning(
            sample,
            [n],
            0 if is_one else None,
            unit,
            dial=choice.dials.get(n),
            channel=channel,
            has_media=medium is not None,
            power=power,
        )
        for n, channel in zip(values, channels, strict=True)
    ]
    head += _leave_unit_open(meanings)
    for n, meaning in zip(values, meanings, strict=True):
        is_named = (bool(sample.names[n]) and may_be_kept(sample.names[n])) or register is not None
        lines += [
            f"  - column: {name_column(sample, n)}",
            *_write_own_times(sample, place, form, values, n),
            *(f"    {line}" for line in (*meaning, *ratio)),
            *([] if is_named else [f"    register: {_name_register(n, values)}"]),
        ]
    lines += [
        f"  # left out: {name_column(sample, n)}, {why}"
        for n, why in [*choice.left_out, *explain_others(sample, others, micros)]
    ]
    lines += ["sections:", *write_channels_of_words(sample.sections)] if sample.sections else []
    return head, [*lines, *write_qualities_of_column(sample, quality), *write_channels(sample, register)]


def _choose(
    sample: Sample,
    values: list[int],
    micros: list[int],
    meter: int | None,
    register: int | None,
    *,
    is_one: bool,
) -> Choice:
    """Choose the columns of values; with `is_one` rows have a register, and so one column of values.

    Raises `MappingError` if the rows are closer to each other than intervals may be.
    """
    by_unit = sorted(values, key=lambda n: UNIT.search(sample.describe(n)) is None) if is_one else values
    choice = choose_values(sample, by_unit[:1] if is_one else values, micros, meter, register)
    if is_one:
        reason = "the rows have a register, and one column of values"
        choice.left_out += [(n, reason) for n in by_unit[1:]]
    steps = np.abs(np.diff(np.array(micros, dtype=np.int64)))
    typical = int(np.median(steps[steps > 0])) if (steps > 0).any() else DAY_US
    if typical < 60 * US and not all(n in choice.dials for n in choice.kept):
        raise MappingError(
            f"{sample.path}: the rows are {typical / US:g} seconds apart, and an interval has whole minutes. "
            "Ask for the energy of minutes or quarter-hours, or for reads of the dial (cumulative: true)"
        )
    return choice


def _resolve_channels(sample: Sample, values: list[int], unit: int | None) -> list[str]:
    """Return the channels of columns; `unit` is the column of their units, which may be of no electricity."""
    channels = resolve_channels([sample.describe(n) for n in values])
    words = {text.lower() for text in sample.take_texts(unit)} if unit is not None else ELECTRIC_UNITS
    if words & ELECTRIC_UNITS:
        return channels
    return ["consumption" if channel == "import" else channel for channel in channels]


def _leave_unit_open(meanings: list[list[str]]) -> list[str]:
    """Take the units that nothing states out of several values, if one cannot be kWh; return the open one.

    What stands side by side without a unit has one unit.
    """
    open_lines = [line for meaning in meanings for line in meaning if line.startswith(f"{UNSTATED}:")]
    unstated = [meaning for meaning in meanings if any(map(_is_unstated, meaning))]
    if not open_lines or len(unstated) < 2:
        return []
    for meaning in unstated:
        meaning[:] = [line for line in meaning if not _is_unstated(line)]
    return [open_lines[0]]


def _is_unstated(line: str) -> bool:
    return line.startswith((f"{UNSTATED}:", ASSUMED))


def _find_register(
    sample: Sample, meter: int | None, micros: list[int], taken: set[int | None], unit: int | None
) -> int | None:
    """Find the column that tells apart the series of a meter, its media, or the directions of its rows."""
    if sample.sections:
        return None
    # A row for each unit: then the unit is what distinguishes the series of a meter.
    found = (
        find_register_column(sample, meter, micros, {meter, unit, *taken}, tells_direction),
        find_register_column(sample, meter, micros, {meter, *taken}, tells_direction),
        find_medium_column(sample, {meter, unit, *taken}),
        find_direction_column(sample, {unit, *taken}),
    )
    return next((n for n in found if n is not None), None)


def _write_label_of_counters(choice: Choice, *, is_local: bool) -> list[str]:
    """Write the label by which counters begin again at hours of the day, or forget these hours."""
    counters = [dial for dial in choice.dials.values() if dial.every_hours]
    if not counters or not is_local or len(counters) < len(choice.kept):
        choice.dials = {n: replace(dial, every_hours=None) for n, dial in choice.dials.items()}
        return []
    label = "end" if counters[0].is_end else "start"
    return [f"label: {label}  # by the times at which it begins again"]


def _refuse_numbers(sample: Sample, place: int) -> MappingError:
    """Return the error for a table without a column of numbers; it quotes what stands for one."""
    others = [text for n in range(len(sample.names)) if n != place for text in sample.take_values(n)]
    shown = next((text for text in others if re.search("[0-9]", text) and not _is_plain(text)), None)
    if shown is None:
        return MappingError(f"{sample.path}: beside the times no column holds numbers alone: nothing to read")
    return MappingError(
        f"{sample.path}: no column holds plain numbers alone, see {shown!r}. Ask the sender for numbers "
        "without other signs, or remove these in a spreadsheet"
    )


def _is_plain(text: str) -> bool:
    return is_number(text) or bool(find_formats([text], dates=False) or find_formats([text], dates=True))


def _write_own_times(sample: Sample, place: int, form: str, values: list[int], value: int) -> list[str]:
    """Write the column of times that stands before a block of columns, behind the values of another block."""
    first = min((n for n in values if n > place), default=value)
    for other in range(value - 1, first, -1):
        texts = sample.take_texts(other)
        if texts and form in find_formats(texts, dates=True) and _are_apart(sample, place, other, form):
            return [f"    timestamp: {name_column(sample, other)}"]
    return []


def _are_apart(sample: Sample, place: int, other: int, form: str) -> bool:
    """Whether the times of two columns are more than a day apart, and so no two ends of one interval."""
    times = (pa.array([row[n].strip() for row in sample.rows]) for n in (place, other))
    (one, bad), (two, unfit) = map(TimeFormat(form).parse, times)
    known = ~bad & ~unfit
    return bool(known.any() and np.median(np.abs(one - two)[known]) > DAY_US)


def _find_power(sample: Sample, unit: int | None) -> str | None:
    """Return the unit of power that a column states for all rows, None for other units."""
    words = set(sample.take_texts(unit)) if unit is not None else set()
    return words.pop() if len(words) == 1 and all(map(POWER.fullmatch, words)) else None


def _are_days(form: str, micros: list[int]) -> bool:
    """Whether the times are midnights without an offset: dates that name the local day of a value."""
    is_plain = not carries_offset(form) and "%*" not in form and TimeFormat(form).has_time
    return is_plain and not any(at % DAY_US for at in micros)


def _name_days(sample: Sample, place: int, form: str, head: list[str]) -> tuple[list[str], list[str]]:
    """Return head and columns with the date of a time alone: a day of a clock change is not 24 hours long."""
    head = [line for line in head if not line.startswith("timestamp_format:")]
    head.append(f"date_format: {json.dumps(cut_time(form))}")
    return head, [f"  date: {name_column(sample, place)}"]


def _find_values(sample: Sample, numeric: list[int], when: list[str]) -> tuple[list[int], list[int]]:
    """Return (columns of values, other columns of numbers): by their names, else all that count nothing."""
    of_time = {line.partition(": ")[2] for line in when}
    numeric = _drop_constants_around(sample, numeric)
    numeric = [n for n in numeric if name_column(sample, n) not in of_time]
    free = [n for n in numeric if not PERIOD.search(sample.names[n])]
    kinds = (VALUE, UNIT, OTHER_MEDIUM)
    named = [n for n in numeric if any(kind.search(sample.describe(n)) for kind in kinds)]
    if named and not any(UNIT.search(sample.describe(n)) for n in named):
        # Columns of power beside one that is named so are as much energy as it is.
        named = [n for n in free if n in named or POWER.search(sample.describe(n))]
    powers = [n for n in free if POWER.search(sample.describe(n)) and not UNIT.search(sample.describe(n))]
    of_day = [n for n in named if OF_DAY.search(sample.describe(n))]
    if of_day == named and len(powers) > len(named) and sample.minutes < DAY_MINUTES:
        # A curve of several powers, beside the energy of one of them since the beginning of the day.
        named = powers
    values = named or [n for n in free if not all(map(LONG_NUMBER.fullmatch, sample.take_texts(n)))]
    values = [n for n in values if not NET.search(sample.names[n])] or values
    values = sorted({*values, *_find_alike(sample, values, [n for n in free if n not in values])})
    return values, [n for n in free if n not in values]


def _find_alike(sample: Sample, values: list[int], others: list[int]) -> list[int]:
    """Return the columns with an unknown name whose numbers look like those of the values."""

    def describe(place: int) -> tuple[int, float]:
        texts = [sample.write_plain(text) for text in sample.take_values(place)]
        numbers = read_numbers(sample, place)
        known = np.abs(numbers[np.nan_to_num(numbers) != 0])
        decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
        return decimals, float(np.median(known)) if len(known) > 1 and known.std() else 0.0

    known = [describe(place) for place in values]
    return [
        place
        for place in others
        if is_unknown(sample.names[place])
        for decimals, size in [describe(place)]
        if decimals
        and any(decimals == one and size and size / 100 < other < size * 100 for one, other in known)
    ]


def _drop_constants_around(sample: Sample, numeric: list[int]) -> list[int]:
    """Return the columns without those that never change around the rows of a document, or without names."""
    header = sample.header or sample.names
    has_names = any(header)
    constants = {n: texts for n in numeric if len(texts := set(sample.take_texts(n))) == 1}
    return [
        n
        for n in numeric
        if n not in constants
        or not (header[n].startswith("$.") or (not has_names and re.fullmatch("[0-9]+", min(constants[n]))))
    ]


def _name_register(place: int, values: list[int]) -> str:
    return "kWh" if len(values) == 1 else f"column {place + 1}"


def read_row_times(sample: Sample, place: int, form: str) -> tuple[list[str], list[str], list[int]]:
    """Return (formats, columns, times in microseconds on the wall clock) for a row per reading."""
    head, when, micros = _find_row_times(sample, place, form)
    if count_half_days(micros):
        raise MappingError(f"{sample.path}: {HALF_DAYS}")
    return head, when, micros


def _find_row_times(sample: Sample, place: int, form: str) -> tuple[list[str], list[str], list[int]]:
    if form in OFFSET_FORMATS or TimeFormat(form).has_time:
        return _read_timestamps(sample, place, form)
    texts = pa.array([row[place].strip() for row in sample.rows])
    days = [int(value) for value in TimeFormat(form).parse(texts)[0]]
    head, when = [f"date_format: {json.dumps(form)}"], [f"  date: {name_column(sample, place)}"]
    found = find_clock(sample, place, days)
    if found is not None:
        head.append(f"time_format: {json.dumps(found.form)}")
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
    shape = form if form in OFFSET_FORMATS else json.dumps(form)
    when = [f"  timestamp: {name_column(sample, place)}"]
    if (found := find_positions(sample, place, micros)) is not None:
        period, minutes = found
        when.append(f"  period: {name_column(sample, period)}")
        places = (int(row[period]) - 1 for row in sample.rows)
        micros = [at + n * minutes * 60 * US for at, n in zip(micros, places, strict=True)]
    return [f"timestamp_format: {shape}"], when, micros


def _read_walls(texts: pa.Array) -> list[int]:
    """Return the wall clock of times with an offset; where offsets differ more, the instants by the first."""
    wall = pc.utf8_slice_codeunits(pc.replace_substring(texts, "T", " "), 0, 16)
    micros = [int(value) for value in TimeFormat("%Y-%m-%d %H:%M").parse(wall)[0]]
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


def _end_days_at_midnight(sample: Sample, micros: list[int], meter: int | None) -> bool:
    """Whether midnight, 00:00 of a date, follows the other rows of this date: it is the end of that day."""
    steps = [
        (before, after)
        for row, (before, after) in enumerate(itertools.pairwise(micros))
        if meter is None or sample.rows[row][meter] == sample.rows[row + 1][meter]
    ]
    if _is_descending(sample, micros, meter):
        steps = [(after, before) for before, after in steps]
    midnights = [after - before for before, after in steps if not after % DAY_US]
    return bool(midnights) and all(-DAY_US < step < 0 for step in midnights)


def _is_descending(sample: Sample, micros: list[int], meter: int | None) -> bool:
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


def _guess_rhythm(sample: Sample, micros: list[int], meter: int | None, name: str) -> tuple[int, str, str]:
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
    begins, ends = own[0] % DAY_US, own[-1] % DAY_US
    if END.search(name) or (begins == step and ends == 0):
        return (
            minutes,
            "end",
            "the days begin with the end of their first interval" if begins == step else CHECK,
        )
    if begins == 0 and ends == DAY_US - step:
        return minutes, "start", "the days begin at midnight"
    return minutes, "start", f"{CHECK}: start or end of the interval"
