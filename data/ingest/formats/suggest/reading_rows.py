"""Tables with a row for each reading: times, the length and label of intervals, and the columns of values."""

import json
import re
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pyarrow as pa

from data.ingest.formats.columns import UNITS
from data.ingest.formats.file_mappings import MappingError
from data.ingest.formats.mapping_shapes import carries_offset
from data.ingest.formats.mapping_values import ENERGY_OF_POWER
from data.ingest.formats.names import may_be_kept
from data.ingest.formats.suggest.amounts import has_missing_zeros, read_numbers
from data.ingest.formats.suggest.balance import find_grid_sign
from data.ingest.formats.suggest.choice import Choice, choose_values, explain_no_energy, explain_others
from data.ingest.formats.suggest.columns import (
    OTHER_MEDIUM,
    UNIT,
    find_foreign_words,
    find_kind_column,
    find_medium_column,
    find_medium_unit,
    find_quality_column,
    find_register_column,
    find_unit_column,
    list_labelled,
    note_foreign_units,
    repeats_times,
)
from data.ingest.formats.suggest.date_formats import cut_time, find_formats
from data.ingest.formats.suggest.dials_beside import DialBeside, find_dial_beside
from data.ingest.formats.suggest.directions import (
    NO_ELECTRICITY,
    resolve_channels,
    tells_direction,
)
from data.ingest.formats.suggest.lengths import find_lengths
from data.ingest.formats.suggest.meaning import (
    CHECK,
    POWER,
    find_direction_column,
    leave_channel_open,
    leave_unit_open,
    write_channels,
    write_channels_of_words,
    write_columns,
    write_meaning,
)
from data.ingest.formats.suggest.meter_columns import find_meters
from data.ingest.formats.suggest.no_readings import explain_days
from data.ingest.formats.suggest.qualities import write_qualities_of_column
from data.ingest.formats.suggest.ratios import write_ratio
from data.ingest.formats.suggest.registers import find_reactive
from data.ingest.formats.suggest.row_times import (
    end_days_at_midnight,
    guess_rhythm,
    is_descending,
    read_row_times,
    write_rounding,
)
from data.ingest.formats.suggest.sample import Sample, is_number, name_column
from data.ingest.formats.suggest.shapes import Series, judge_channels, read_series
from data.ingest.formats.suggest.value_columns import find_values
from data.ingest.formats.wallclock import DAY_US, US, TimeFormat

# The largest number of a counter of sixteen bits, so many times larger than what is usual.
_FULL, _FULL_TIMES = re.compile("65535|32767"), 20
# Units of a column of units that may be those of electricity.
ELECTRIC_UNITS = {name for name, unit in UNITS.items() if unit not in NO_ELECTRICITY}


def write_reading_body(
    sample: Sample, place: int, form: str, numeric: list[int], meter: int | None
) -> tuple[list[str], list[str]]:
    """Write the lines before and after `columns:` for a row per reading."""
    head, when, micros = read_row_times(sample, place, form)
    if not carries_offset(form) and end_days_at_midnight(sample, micros, meter):
        micros = [at if at % DAY_US else at + DAY_US for at in micros]
        head.append("midnight_ends_day: true  # the midnight of a date stands below its other rows")
    unit, power = _find_units(sample, {place, meter, *numeric})
    medium = find_medium_column(sample, {place, meter, unit, *numeric})
    register = _find_register(sample, meter, micros, {place, *numeric}, unit)
    idle = find_foreign_words(sample, register, unit) or find_reactive(sample, register, unit)
    micros = _drop_rows(sample, micros, register, idle)
    lengths = find_lengths(sample, micros, meter, register)
    minutes, label, why = _guess_rhythm(sample, place, micros, (meter, register), lengths)
    label, why = _correct_label(form, head, label, why)
    sample.minutes, head = minutes, [f"interval_minutes: {minutes}", *head, *write_rounding(micros, minutes)]
    is_date_alone = not any(line.startswith(("  period:", "  time:", "  timestamp:")) for line in when)
    comes_again = register is None and repeats_times(sample, meter, micros)
    if is_date_alone and (comes_again or minutes != 1440):
        raise MappingError(f"{sample.path}: {explain_days(micros)}")
    if not carries_offset(form) and is_descending(sample, micros, meter):
        head.append("order: descending")
    quality = find_quality_column(sample, {meter, register, unit, *numeric})
    note_foreign_units(sample, [n for n in numeric if n != meter], unit)
    values, others = find_values(sample, [n for n in numeric if n != meter], when, meter)
    if not values:
        raise _refuse_numbers(sample, place)
    is_one = register is not None or bool(sample.sections)
    choice = _choose(sample, values, micros, meter, register, is_one=is_one)
    values, others = choice.kept, [] if is_one else others
    is_label = not is_date_alone and not any(line.startswith("  period:") for line in when)
    sample.no_values = _list_no_values(sample, values, choice)
    if is_label and minutes == 1440 and not choice.dials and _are_days(form, micros):
        is_label = False
        head, when = _name_days(sample, place, form, head)
    beside = find_dial_beside(sample, choice, micros, meter) if not choice.dials else None
    head += _write_lengths(lengths, minutes) if is_label and not choice.dials else []
    head += _write_label_of_counters(choice, is_local=is_label and not carries_offset(form))
    head += _write_label(label, why, beside, choice) if is_label else []
    lines = [*when, *write_columns(sample, quality=quality, register=register, unit=unit), "values:"]
    if comes_again:
        lines.insert(
            0, f"  # {CHECK}: the same time stands in several rows, and no column distinguishes them"
        )
    channels = _find_channels(
        sample, choice, micros, meter, unit, has_own_meters=meter is None and not is_one
    )
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
    head += [*leave_unit_open(meanings), *leave_channel_open(meanings)]
    of_rows = [*_write_power_of_rows(sample, unit), *write_ratio(sample, beside.ratio if beside else 0)]
    own = {n: [*meaning, *of_rows] for n, meaning in zip(values, meanings, strict=True)}
    lines += _write_values(sample, choice, (place, form), own, has_register=register is not None)
    lines += [
        f"  # left out: {name_column(sample, n)}, {why}"
        for n, why in [*choice.left_out, *explain_others(sample, others, micros)]
    ]
    lines += ["sections:", *write_channels_of_words(sample.sections)] if sample.sections else []
    of_words = _split_series(sample, register, choice, micros, meter)
    return head, [
        *lines,
        *write_qualities_of_column(sample, quality, values),
        *write_channels(sample, register, of_words, meter, idle),
    ]


def _drop_rows(sample: Sample, micros: list[int], register: int | None, idle: Collection[str]) -> list[int]:
    """Drop the rows of registers that are not read; return the times of the others."""
    kept = [n for n, row in enumerate(sample.rows) if not idle or row[register or 0].strip() not in idle]
    sample.rows = [sample.rows[n] for n in kept]
    return [micros[n] for n in kept]


def _guess_rhythm(
    sample: Sample,
    place: int,
    micros: list[int],
    told: tuple[int | None, int | None],
    lengths: dict[str, int],
) -> tuple[int, str, str]:
    """Return (minutes, label, reason) by the rows of all series, or of those with the shortest intervals.

    `told` has the columns of the meter and of the register.
    """
    meter, register = told
    word = register if register is not None else meter
    least = min(lengths.values(), default=0)
    own = [n for n, row in enumerate(sample.rows) if not least or lengths[row[word or 0].strip()] == least]
    rows = replace(sample, rows=[sample.rows[n] for n in own])
    return guess_rhythm(rows, [micros[n] for n in own], meter, sample.names[place])


def _are_alike(names: list[str], channels: list[str]) -> bool:
    """Whether several columns with names have one channel, so that they may be meters or registers of one."""
    is_named = len({name.lower() for name in names} - {""}) == len(names)
    return is_named and len(set(channels)) < len(channels)


def _write_own_meter(sample: Sample, value: int) -> list[str]:
    name = sample.meters.get(value)
    return [] if name is None else [f"identifier: {json.dumps(name, ensure_ascii=False)}"]


def _write_own_length(choice: Choice, value: int) -> list[str]:
    return [f"interval_minutes: {choice.lengths[value]}  # {CHECK}"] if value in choice.lengths else []


def _write_values(
    sample: Sample,
    choice: Choice,
    times: tuple[int, str],
    meanings: dict[int, list[str]],
    *,
    has_register: bool,
) -> list[str]:
    """Write the columns of values with their meanings; `times` is the column of times, and its format."""
    lines, values = [], [*meanings]
    for n, meaning in meanings.items():
        own_times = _write_own_times(sample, *times, values, n)
        is_named = (bool(sample.names[n]) and may_be_kept(sample.names[n])) or has_register
        of_column = [*_write_own_meter(sample, n), *own_times, *_write_own_length(choice, n), *meaning]
        if sample.meters and name_column(sample, n).isdigit() and _names_one(sample, n):
            of_column.append(f"register: {json.dumps(sample.names[n], ensure_ascii=False)}")
        else:
            of_column += [] if is_named else [f"register: {_name_register(n, values)}"]
        lines += [f"  - column: {name_column(sample, n)}", *(f"    {line}" for line in of_column)]
    return lines


def _names_one(sample: Sample, value: int) -> bool:
    """Whether a name is that of one column of its meter."""
    own = [sample.names[n] for n, meter in sample.meters.items() if meter == sample.meters[value]]
    name = sample.names[value]
    return bool(name) and own.count(name) == 1 and may_be_kept(name)


def _correct_label(form: str, head: list[str], label: str, why: str) -> tuple[str, str]:
    """Return the label with its reason, if the form of the times tells it."""
    if form.endswith(" %*"):
        return "start", "the file gives start and end"
    return ("end", "midnight ends its day") if "midnight_ends_day" in head[-1] else (label, why)


def _write_lengths(lengths: dict[str, int], minutes: int) -> list[str]:
    """Write the length of the intervals of the meters or registers that have longer ones than others."""
    longer = {word: length for word, length in lengths.items() if length > minutes}
    return [f"lengths: {json.dumps(longer, ensure_ascii=False)}  # {CHECK}"] if longer else []


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
    _refuse_signs(sample)
    by_unit = _sort_by_unit(sample, values) if is_one else values
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


def _sort_by_unit(sample: Sample, values: list[int]) -> list[int]:
    """Return columns with those that state a unit of energy first, and those that are no energy last."""

    def rank(place: int) -> tuple[bool, bool]:
        name = sample.describe(place)
        return explain_no_energy(name, read_numbers(sample, place)) is not None, UNIT.search(name) is None

    return sorted(values, key=rank)


def _list_no_values(sample: Sample, values: list[int], choice: Choice) -> set[str]:
    """Return the texts that stand for a missing value: words, zeros between reads, and full counters."""
    found = {text for n in values for text in sample.take_texts(n) if sample.is_missing(text)}
    for n in values:
        numbers = read_numbers(sample, n)
        known = numbers[~np.isnan(numbers)]
        if n in choice.dials and has_missing_zeros(known):
            found |= {text for text in sample.take_texts(n) if not text.strip("0.,")}
        elif n not in choice.dials and len(known):
            full = {text for text in sample.take_texts(n) if _FULL.fullmatch(re.sub("[.,]", "", text))}
            most = float(known.max())
            if len(full) == 1 and most > _FULL_TIMES * float(np.median(known)) and (known == most).sum() > 1:
                found |= full
    return found


def _read_series(sample: Sample, choice: Choice, micros: list[int], meter: int | None) -> list[Series]:
    """Return the amounts of the first meter in each column of values."""
    own = [n for n, row in enumerate(sample.rows) if meter is None or row[meter] == sample.rows[0][meter]]
    times = [micros[n] for n in own]
    return [
        read_series(sample.describe(n), times, read_numbers(sample, n)[own], is_dial=n in choice.dials)
        for n in choice.kept
    ]


def _split_series(
    sample: Sample, register: int | None, choice: Choice, micros: list[int], meter: int | None
) -> list[Series]:
    """Return the amounts of each register, of the first meter that has it."""
    if register is None:
        return []
    value = choice.kept[0]
    numbers = read_numbers(sample, value)
    rows: dict[str, list[int]] = {}
    for n, row in enumerate(sample.rows):
        own = rows.setdefault(row[register].strip(), [])
        if meter is None or not own or row[meter] == sample.rows[own[0]][meter]:
            own.append(n)
    return [
        read_series(word, [micros[n] for n in own], numbers[own], is_dial=value in choice.dials)
        for word, own in rows.items()
    ]


def _find_channels(
    sample: Sample,
    choice: Choice,
    micros: list[int],
    meter: int | None,
    unit: int | None,
    *,
    has_own_meters: bool,
) -> list[str]:
    """Return the channels of columns, and note their meters if each is of another one."""
    described = [sample.describe(n) for n in choice.kept]
    names = (find_meters(described) or _find_meters_of_media(sample, described)) if has_own_meters else []
    sample.meters = dict(zip(choice.kept, names, strict=False))
    channels = _resolve_channels(sample, _read_series(sample, choice, micros, meter), unit)
    found = find_grid_sign([read_numbers(sample, n) for n in choice.kept], channels)
    if found is not None and not (sample.meters or choice.dials):
        sample.proven = {choice.kept[found[0]]: "import" if found[1] > 0 else "export"}
    sample.are_columns_alike = has_own_meters and _are_alike([sample.names[n] for n in choice.kept], channels)
    return channels


def _find_meters_of_media(sample: Sample, names: list[str]) -> list[str]:
    """Return the meters of columns of electricity and of another medium, if a label above names both."""
    labelled = list_labelled(sample)
    of_media = {OTHER_MEDIUM.search(text) is not None: name for name, text in labelled}
    is_other = [OTHER_MEDIUM.search(name) is not None for name in names]
    if len({name for name, _ in labelled}) != 2 or len(of_media) != 2 or len(set(is_other)) != 2:
        return []
    return [of_media[one] for one in is_other]


def _resolve_channels(sample: Sample, series: list[Series], unit: int | None) -> list[str]:
    """Return the channels of columns; `unit` is the column of their units, which may be of no electricity."""
    channels = [""] * len(series)
    meters = [*sample.meters.values()] or [""] * len(series)
    for meter in dict.fromkeys(meters):
        own = [n for n, one in enumerate(meters) if one == meter]
        found = judge_channels([series[n] for n in own], resolve_channels([series[n].name for n in own]))
        for n, channel in zip(own, found, strict=True):
            channels[n] = channel
    words = {text.lower() for text in sample.take_texts(unit)} if unit is not None else ELECTRIC_UNITS
    if words & ELECTRIC_UNITS:
        return channels
    return ["consumption" if channel == "import" else channel for channel in channels]


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
        find_medium_unit(sample, unit),
        find_kind_column(sample, meter, {meter, unit, *taken}),
    )
    return next((n for n in found if n is not None), None)


def _write_label(label: str, why: str, beside: DialBeside | None, choice: Choice) -> list[str]:
    """Write what a time names, unless all values are dials."""
    if {*choice.kept} == {place for place, dial in choice.dials.items() if dial.is_certain}:
        return []
    if beside is None or beside.label is None:
        return [f"label: {label}  # {why}"]
    return [f"label: {beside.label}  # by the reads of the dial beside the energy"]


def _write_label_of_counters(choice: Choice, *, is_local: bool) -> list[str]:
    """Write the label by which counters begin again at hours of the day, or forget these hours."""
    counters = [dial for dial in choice.dials.values() if dial.every_hours]
    if not counters or not is_local or len(counters) < len(choice.kept):
        choice.dials = {n: replace(dial, every_hours=None) for n, dial in choice.dials.items()}
        return []
    label = "end" if counters[0].is_end else "start"
    return [f"label: {label}  # by the times at which it begins again"]


def _refuse_signs(sample: Sample) -> None:
    """Raise `MappingError` for a column that has the signs of the values of another one."""
    for n, name in enumerate(sample.names):
        if {row[n].strip() for row in sample.rows} == {"+", "-"}:
            raise MappingError(
                f"{sample.path}: the column {name!r} has the sign of the values beside it, which a mapping "
                "does not join. Ask the sender for values with their sign, or for a column for each direction"
            )


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
            return [f"timestamp: {name_column(sample, other)}"]
    return []


def _are_apart(sample: Sample, place: int, other: int, form: str) -> bool:
    """Whether the times of two columns are more than a day apart, and so no two ends of one interval."""
    times = (pa.array([row[n].strip() for row in sample.rows]) for n in (place, other))
    (one, bad), (two, unfit) = map(TimeFormat(form).parse, times)
    known = ~bad & ~unfit
    return bool(known.any() and np.median(np.abs(one - two)[known]) > DAY_US)


def _find_units(sample: Sample, taken: set[int | None]) -> tuple[int | None, str | None]:
    """Return (the column of units, None) or (None, the unit of power that a column states for all rows)."""
    unit = find_unit_column(sample, taken)
    words = set(sample.take_texts(unit)) if unit is not None else set()
    is_power = len(words) == 1 and all(map(POWER.fullmatch, words))
    return (None, words.pop()) if is_power else (unit, None)


def _write_power_of_rows(sample: Sample, unit: int | None) -> list[str]:
    """Write that rows with a unit of power are average power, if some are."""
    words = {UNITS.get(text.lower()) for text in sample.take_texts(unit)} if unit is not None else set()
    if not words & {*ENERGY_OF_POWER}:
        return []
    return [f"average_power: true  # {CHECK}: the rows of power are energy only if it is the average"]


def _are_days(form: str, micros: list[int]) -> bool:
    """Whether the times are midnights without an offset: dates that name the local day of a value."""
    is_plain = not carries_offset(form) and "%*" not in form and TimeFormat(form).has_time
    return is_plain and not any(at % DAY_US for at in micros)


def _name_days(sample: Sample, place: int, form: str, head: list[str]) -> tuple[list[str], list[str]]:
    """Return head and columns with the date of a time alone: a day of a clock change is not 24 hours long."""
    head = [line for line in head if not line.startswith("timestamp_format:")]
    head.append(f"date_format: {json.dumps(cut_time(form))}")
    return head, [f"  date: {name_column(sample, place)}"]


def _name_register(place: int, values: list[int]) -> str:
    return "kWh" if len(values) == 1 else f"column {place + 1}"
