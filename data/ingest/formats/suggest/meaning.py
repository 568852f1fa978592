"""What the values of a column mean, as lines of a mapping: channel, unit and qualities.

Not here: the direction that a name tells (`directions`), or marks of numbers (`number_marks`).
"""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from data.ingest.formats.assemble import AMOUNTS
from data.ingest.formats.columns import UNITS
from data.ingest.formats.mapping_values import ENERGY_OF_POWER
from data.ingest.formats.suggest.amounts import Dial, read_numbers
from data.ingest.formats.suggest.columns import (
    MAX_REGISTERS,
    OTHER_MEDIUM,
    OTHER_UNIT,
    UNIT,
    UNIT_IN_BRACKETS,
    are_registers,
    is_quality,
)
from data.ingest.formats.suggest.directions import (
    CONSUMPTION,
    IMPORT,
    MULTIPLES,
    STORED,
    guess_channel,
    is_unknown,
    resolve_channels,
)
from data.ingest.formats.suggest.ratios import find_scale
from data.ingest.formats.suggest.registers import find_apart, find_hints, share_meters
from data.ingest.formats.suggest.sample import TOTAL, Sample, name_column
from data.ingest.formats.suggest.shapes import Series, judge_channels
from data.ingest.schema import ONE_DIRECTION_CHANNELS

# To the customer or by the customer.
_TWO_SIDED = re.compile(r"(?<!ein)(?<!aus)lieferung", re.I)
# Words above a table that speak of energy in another direction than import; an export may be one of data.
_OTHER_WAY_ABOVE = re.compile(
    r"einspeis|eingespeis|feed.?in|invoed|teruglever|vertid|excedent|surplus|inje[cçt]|immess|immiss|inmatning"
    r"|oddan|export(ed)? (of )?(energy|electricity|kwh)|energy export|received"
    r"|generation(?!s)|genera[cç]|gera[cç]|erzeugung"
    r"|(?<!re)produ(?:[ck]tion|kcj|zione|cci[oó]n|ção)|opwek|\bpv\b|solar"
    r"|[0-9]-[0-9]+:2\.|(^|[^0-9.])2\.[89]\.[0-9](?![0-9])",
    re.I,
)
_DIRECT_CURRENT = re.compile(r"(?<![a-z])[pui]dc[0-9]{0,2}(?![a-z])", re.I)
# Voltage, current and power of the sides of an inverter.
_OF_INVERTER = re.compile(
    r"(?<![a-z])[pui](?:ac|dc|pv)[0-9]{0,2}(?![a-z])|mppt|inverter|wechselrichter|onduleur|inversor", re.I
)
# A battery feeds what is used beside it as much as the grid does.
_STORAGE = re.compile(r"(?<![a-z])(so[ch]|state of charge|batter\w*|akku\w*|bms)(?![a-z])", re.I)
POWER = re.compile(r"(?<![a-z])(kW|MW|W|(?:kilo|mega)?watts?(?![ _-]?(?:h|stunde)))(?![a-z])", re.I)
# Energy for each hour is power.
PER_HOUR = re.compile(r"(?<![a-z])([kM]?W)h ?/ ?(?:h|hr|hour|std|t)(?![a-z])", re.I)
# Words for power without its unit.
_POWER_NAME = re.compile(
    r"(?<![a-z])(power|leistung|wirkleistung|puissance|potencia|potenza|vermogen|effekt|mo[cč]|v[ýy]kon|teho|demand|p(?:ac|dc|pv)[0-9]{0,2})(?![a-z])",
    re.I,
)
# The energy of a power: pv_power_energy beside pv_power.
ENERGY_NAME = re.compile(r"energ", re.I)
# Averages, maxima and the moment of power, by the codes of OBIS; 8 is the state of a dial.
_OBIS_POWER = re.compile(r"[0-9]-[0-9]+:[1-9][0-9]?\.[4-7]\.[0-9]")
# Voltage and current of a phase.
_VOLTS, _AMPS = (re.compile(rf"{name}_?(L?[123])", re.I) for name in ("[UV]", "I"))
# What a unit may be away from volts times amperes, whatever the power factor.
_MOST_AWAY = 100
_ELECTRICITY = re.compile(
    r"[eé]l[eé][ckt]*[rř]i|strom(?![a-z])|stroom|power|(?<![a-z])el(?![a-z])|电|電", re.I
)
_MEDIUM_ALONE = re.compile(
    r"(natural |erd|aard)?(gas|gaz|gás)( naturel| natural)?|(cold |warm |kalt|warm)?(water|wasser)"
    r"|acqua|[aá]gua|vatten|vand|(district )?heat(ing)?|(fern)?w(ä|ae)rme|warmte|fjernvarme|chaleur"
    r"|calor|steam",
    re.I,
)
_FLOWS_IN = re.compile(r"import|bezug|afname|purchas|from (the )?grid|usage|consum|verbrauch|verbruik", re.I)
# A count of tenths or thousands: (0.01 kWh), [x10 Wh], kWh x 1000.
_SCALE = re.compile(
    r"[(\[] ?[x×*]? ?10+ ?[x×*]? ?[kM]?Wh?(?![a-z])|(?<![0-9.,])0[.,]0*1 ?[x×*]? ?[kM]?Wh?(?![a-z])"
    r"|[kM]?Wh?\)? ?[x×*] ?10+(?![0-9])",
    re.I,
)
_PULSES = re.compile(r"pul[sz]|impuls", re.I)
_PULSES_PER = re.compile(r"([1-9][0-9]{0,5}) ?(?:im)?p\w*\.? ?(?:/|per|por|pro|par) ?kWh", re.I)
_PER_PULSE = re.compile(r"([kM]?Wh) ?(?:/|per|por|pro|par) ?(?:im)?pul[sz]", re.I)
# A single W may be a street.
_UNIT_IN_TITLE = re.compile(r"(?<![a-z])(kWh|MWh|Wh|kW)(?![a-z])", re.I)
# Whole numbers that are larger on average are those of a factory in kW, or of a home in W.
_LEAST_DOUBTED_KW = 100
CHECK = "check"
# The unit that nothing states.
UNSTATED = "unit:  # the file does not state it"
_UNKNOWN = "the name does not tell: import, export, generation, consumption or other"


def write_meaning(
    sample: Sample,
    places: Sequence[int],
    register: int | None,
    unit: int | None,
    *,
    dial: Dial | None = None,
    channel: str | None = None,
    has_media: bool = False,
    power: str | None = None,
) -> list[str]:
    """Write channel and unit of values, in one column or in the cells of a day; a column may state them.

    With `has_media` the rows are of electricity and of gas, water or heat; `power` is the unit of all rows.
    """
    name = sample.describe(places[0])
    channel = guess_channel(name) if channel is None else channel
    if places[0] in sample.proven:
        channel = sample.proven[places[0]]
    elif channel == "import" and register is None:
        channel = _doubt_import(sample, places, name)
    lines = [*_write_channel(channel, register, dial), *_write_dial(dial)]
    if dial is None and register is None:
        lines += _write_sign(sample, places, channel)
    if unit is not None:
        return lines
    if has_media:
        return [*lines, "unit:  # rows of several media: in its place give units, the unit of each register"]
    return lines + _write_unit(sample, places, power, is_dial=dial is not None)


def _write_pulses(sample: Sample, name: str) -> list[str]:
    """Write the energy of one pulse, if the name or the lines above state it, else leave it open."""
    per = _PULSES_PER.search(name)
    # A tenth or a thousandth has an end as a decimal.
    if per and not 10**9 % int(per[1]):
        factor = format(Decimal(1) / int(per[1]), "f")
        return [f"unit: kWh  # {CHECK}", f"factor: {factor}  # {CHECK}: {per.group()}"]
    for label, cell in itertools.pairwise(sample.above):
        number = cell.replace(",", ".")
        if (match := _PER_PULSE.search(label)) and re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,9})?", number):
            return [
                f"unit: {UNITS[match[1].lower()]}",
                f"factor: {number}  # {CHECK}: above the table, {label!r}",
            ]
    return [
        f"unit: kWh  # {CHECK}",
        "factor:  # the column counts pulses: write the kWh of one, such as 0.001",
    ]


def _write_unit(sample: Sample, places: Sequence[int], power: str | None, *, is_dial: bool) -> list[str]:
    """Write the unit that the name, the rows or the lines above state, else leave it open."""
    name = sample.describe(places[0])
    stated = (
        POWER.fullmatch(power) if power else PER_HOUR.search(name) or UNIT.search(name) or POWER.search(name)
    )
    other = None if stated else OTHER_UNIT.search(name)
    if _PULSES.search(name) and (stated is None or _PULSES_PER.search(name)):
        return _write_pulses(sample, name)
    if other is not None and other.group().lower() in MULTIPLES:
        unit, factor = MULTIPLES[other.group().lower()]
        return [f"unit: {unit}", f"factor: {factor}  # {CHECK}: the column states {other.group()}"]
    if other is not None:
        return [f"unit:  # the file states {other.group()}: write a unit that docs/formats.md names"]
    contrary = _find_contrary_unit(sample, stated)
    word = stated.group(1) if stated else _find_unit_in_words(sample) or _find_unit_above(sample)
    if contrary is not None or (OTHER_MEDIUM.search(name) and (word is None or not stated)):
        why = "gas, water or heat: the file does not state its unit"
        return [
            f"unit:  # {why if contrary is None else f'the column states {word}, a line above {contrary}'}"
        ]
    if word is None:
        return [_write_unstated_unit(sample, places, name, is_dial=is_dial)]
    doubt = _doubt_power(sample, places, word) or _doubt_prefix(sample, places, word, is_dial=is_dial)
    lines = [doubt or f"unit: {UNITS[word.lower()]}"]
    if scale := _SCALE.search(name):
        lines.append(f"factor:  # the name says {scale.group().strip('([')!r}: write how many {word} one is")
    if POWER.fullmatch(word):
        lines.append(
            f"average_power: true  # {CHECK}: power is energy only if it is the average of its interval"
        )
    return lines


def _find_contrary_unit(sample: Sample, stated: re.Match[str] | None) -> str | None:
    """Return the unit alone in a cell above the table that contradicts that of a name: energy or power."""
    names = [*sample.names, *sample.groups]
    alone = {UNITS[cell.lower()] for cell in sample.above if cell.lower() in UNITS and cell not in names}
    is_told = any(map(POWER.search, names)) and any(map(UNIT.search, names))
    if stated is None or len(alone) != 1 or is_told:
        return None
    unit, own = alone.pop(), UNITS[stated.group(1).lower()]
    are_known = {unit, own} <= {*AMOUNTS, *ENERGY_OF_POWER}
    return unit if are_known and (unit in ENERGY_OF_POWER) != (own in ENERGY_OF_POWER) else None


def _doubt_power(sample: Sample, places: Sequence[int], word: str) -> str:
    """Return an open unit for large whole numbers of kW, which may be W; "" for others."""
    texts = [text for place in places for text in sample.take_values(place)]
    if word != "kW" or not texts or not all(text.isdigit() for text in texts):
        return ""
    mean = sum(map(int, texts)) / len(texts)
    if mean < _LEAST_DOUBTED_KW:
        return ""
    return (
        f"unit:  # {mean:.0f} kW on average, in whole numbers, may be W: write kW, or W and the number of "
        "the column in place of its name"
    )


def _doubt_prefix(sample: Sample, places: Sequence[int], word: str, *, is_dial: bool) -> str:
    """Return an open unit where volts times amperes contradict it a hundred times; "" for others."""
    volts, amps = (
        {found.group(1): n for n, name in enumerate(sample.names) if (found := kind.fullmatch(name))}
        for kind in (_VOLTS, _AMPS)
    )
    own = {"Wh": 1, "varh": 1, "kWh": 1000, "kvarh": 1000}.get(UNITS[word.lower()], 0)
    watts = own * _average_kw(sample, places, is_dial=is_dial)
    if not volts or volts.keys() != amps.keys() or not watts:
        return ""
    phases = [read_numbers(sample, volts[one]) * read_numbers(sample, amps[one]) for one in volts]
    seen = float(np.nan_to_num(sum(phases, np.zeros(len(sample.rows)))).mean())
    if not seen or watts / _MOST_AWAY < seen < watts * _MOST_AWAY:
        return ""
    return (
        f"unit:  # the name says {word}, {watts:.3g} W on average, but volts times amperes are {seen:.3g} W: "
        "write another unit, and the number of the column in place of its name"
    )


def _write_unstated_unit(sample: Sample, places: Sequence[int], name: str, *, is_dial: bool) -> str:
    if names_power(name):
        return "unit:  # the name says power: W or kW, and average_power: true if it is the average"
    power_kw = _average_kw(sample, places, is_dial=is_dial) * (find_scale(sample) or (1, ""))[0]
    return f"{UNSTATED}: kWh would be {power_kw:.3g} kW on average" if power_kw else UNSTATED


def names_power(name: str) -> bool:
    """Whether a name has a word or code for power, and no word behind it that says energy."""
    found = _POWER_NAME.search(name) or _OBIS_POWER.search(name)
    return found is not None and ENERGY_NAME.search(name, found.end()) is None


def leave_unit_open(meanings: list[list[str]]) -> list[str]:
    """Take the units that nothing states out of several values; return the only open one.

    What stands side by side without a unit has one unit.
    """
    unstated = [meaning for meaning in meanings if any(line.startswith(UNSTATED) for line in meaning)]
    if len(unstated) < 2:
        return []
    lines = [line for meaning in unstated for line in meaning if line.startswith(UNSTATED)]
    for meaning in unstated:
        meaning[:] = [line for line in meaning if line not in lines]
    # The one with an average.
    return [max(lines, key=len)]


def leave_channel_open(meanings: list[list[str]]) -> list[str]:
    """Take the channels out of several values if no name tells one; return the only open one."""
    line = f"channel:  # {_UNKNOWN}"
    has_ways = any(line.startswith("negative:") for meaning in meanings for line in meaning)
    if len(meanings) < 2 or has_ways or not all(line in meaning for meaning in meanings):
        return []
    for meaning in meanings:
        meaning.remove(line)
    return ["channel:  # that of all values, or one with each: no name tells it"]


def _doubt_import(sample: Sample, places: Sequence[int], name: str) -> str:
    """Return the channel of a column that is import by default, by its sign and the lines above."""
    if not IMPORT.search(name):
        if _is_below_zero(sample, places):
            # What is sent out is written below zero, also in a column of what is used.
            return ""
        is_inverter = _says_nothing(name) and any(map(_DIRECT_CURRENT.search, sample.names))
        is_load = CONSUMPTION.search(name) and any(map(_STORAGE.search, sample.names))
        found = "generation" if is_inverter else "consumption" if is_load else _find_medium_around(sample)
        if found is not None:
            return found
        if _name_other_way(sample) or _is_unknown(sample, places[0]):
            return ""
    if POWER.search(name) and not _FLOWS_IN.search(name) and _has_both_signs(sample, places):
        # Each inverter has its own sign for what flows in.
        return ""
    if not _says_nothing(name):
        return "import"
    return "" if _TWO_SIDED.search(name) else _guess_channel_above(sample, "import")


def _is_unknown(sample: Sample, place: int) -> bool:
    if not any(sample.names) and not any(sample.groups):
        # Without names nothing tells, unless a line above does.
        return all(map(_says_nothing, sample.above))
    is_told = any(map(UNIT.search, sample.groups)) or not all(map(_says_nothing, sample.above))
    return is_unknown(sample.names[place]) and not is_told


def _says_nothing(name: str) -> bool:
    return not (IMPORT.search(name) or CONSUMPTION.search(name))


def _guess_channel_above(sample: Sample, channel: str) -> str:
    """Return the channel of a title with a unit; empty where other words above speak of another direction."""
    around = [*sample.above, sample.path.stem, sample.title]
    titles = [cell for cell in sample.above if UNIT.search(cell) and not UNIT.fullmatch(cell)]
    is_two_sided = any(map(_TWO_SIDED.search, titles))
    guessed = set(map(guess_channel, titles))
    if len(guessed) == 1 and not is_two_sided:
        return guessed.pop()
    return "" if is_two_sided or any(map(_OTHER_WAY_ABOVE.search, around)) else channel


def _write_channel(channel: str, register: int | None, dial: Dial | None) -> list[str]:
    if dial is not None and not dial.is_certain:
        # Left empty, so that nobody loads the state of a dial as the energy of an interval.
        field = "channel" if register is None else "cumulative"
        return [f"{field}:  # the values only rise: reads of a dial are not the energy of an interval"]
    if not channel and register is None:
        return [f"channel:  # {_UNKNOWN}"]
    return [] if register is not None else [f"channel: {channel}  # {CHECK}"]


def _write_dial(dial: Dial | None) -> list[str]:
    if dial is None or not dial.is_certain:
        return []
    resets = [f"resets: to_zero  # {CHECK}: the dial begins again"] if dial.is_reset else []
    if dial.every_hours:
        resets.append(
            f"every_hours: {dial.every_hours}  # {CHECK}: it begins again at these hours of the day"
        )
    digits = [f"digits: {dial.digits}  # {CHECK}: the dial passes its last digit"] if dial.digits else []
    return [f"cumulative: true  # {CHECK}: the values are reads of a dial, not energy", *resets, *digits]


def _is_below_zero(sample: Sample, places: Sequence[int]) -> bool:
    numbers = np.concatenate([read_numbers(sample, place) for place in places])
    return bool((numbers < 0).any() and not (numbers > 0).any())


def _list_constant_words(sample: Sample) -> list[str]:
    """Return the words of the columns that have the same word in each row."""
    columns = (set(sample.take_texts(n)) for n in range(len(sample.names)))
    return [word for texts in columns if len(texts) == 1 and re.search(r"[^\W\d_]{2}", word := texts.pop())]


def _find_medium_around(sample: Sample) -> str | None:
    """Return the channel where words around the values name gas, water or heat, None where none does.

    A street or a company may have such a name too, so only the word alone tells the medium.
    """
    if any(OTHER_MEDIUM.search(sample.describe(n)) for n in range(len(sample.names))):
        # What stands above speaks of those columns.
        return None
    # A group of columns speaks of its own ones.
    above = [cell for cell in sample.above if cell not in sample.groups]
    around = [*above, *_list_constant_words(sample), sample.path.stem, sample.title]
    if not any(map(OTHER_MEDIUM.search, around)):
        return None
    is_alone = any(map(_MEDIUM_ALONE.fullmatch, around)) and not any(map(_ELECTRICITY.search, around))
    return "consumption" if is_alone else ""


def _name_other_way(sample: Sample) -> bool:
    """Whether a word in all rows is one of generation or export, or columns are those of an inverter."""
    return any(map(_OF_INVERTER.search, sample.names)) or any(
        guess_channel(word) in ("export", "generation") for word in _list_constant_words(sample)
    )


def _has_both_signs(sample: Sample, places: Sequence[int]) -> bool:
    numbers = np.concatenate([read_numbers(sample, place) for place in places])
    return bool((numbers < 0).any() and (numbers > 0).any())


def _write_sign(sample: Sample, places: Sequence[int], channel: str) -> list[str]:
    numbers = np.concatenate([read_numbers(sample, place) for place in places])
    if channel == "other" and STORED.search(sample.describe(places[0])) and _has_both_signs(sample, places):
        return [f"negative: other  # {CHECK}: a battery is charged and discharged"]
    if not np.count_nonzero(numbers < 0) or channel not in ("", *ONE_DIRECTION_CHANNELS):
        return []
    if not np.count_nonzero(numbers > 0):
        return [f"sign: -1  # {CHECK}: no value is above zero"]
    other = "import" if channel == "export" else "export"
    return [f"negative: {other}  # {CHECK}: values below zero are energy in the other direction"]


def _find_unit_in_words(sample: Sample) -> str | None:
    """Return the only unit in the words of the rows: in brackets, or in all words of a column."""
    found = set()
    for n in range(len(sample.names)):
        words = set(sample.take_texts(n))
        if len(words) <= MAX_REGISTERS:
            found |= {match.group(1) for word in words if (match := UNIT_IN_BRACKETS.search(word))}
            stated = [UNITS[match.group(1).lower()] for word in words if (match := UNIT.search(word))]
            found |= {*stated} if len(stated) == len(words) else set()
    return found.pop() if len(found) == 1 else None


def _average_kw(sample: Sample, places: Sequence[int], *, is_dial: bool) -> float:
    """Return the average power if the values are kWh, 0 without values; of a dial that between its reads."""
    numbers = np.abs(np.concatenate([read_numbers(sample, place) for place in places]))
    if is_dial:
        steps = np.diff(numbers[~np.isnan(numbers)])
        # Newest first, a dial falls.
        numbers = np.abs(steps[np.sign(steps) == np.sign(np.median(steps[steps != 0]))])
    known = numbers[numbers > 0]
    return float(known.mean()) * 60 / sample.minutes if len(known) and sample.minutes else 0.0


def _find_unit_above(sample: Sample) -> str | None:
    """Return the only unit above the header: alone in a cell, else in the words of a title or in the name."""
    alone = {cell for cell in sample.above if UNIT.fullmatch(cell) or POWER.fullmatch(cell)}
    names = (sample.path.stem, sample.title)
    found = alone or {UNITS[unit.lower()] for cell in sample.above for unit in _UNIT_IN_TITLE.findall(cell)}
    found = found or {UNITS[unit.lower()] for name in names for unit in _UNIT_IN_TITLE.findall(name)}
    return found.pop() if len(found) == 1 else None


def write_columns(sample: Sample, **places: int | None) -> list[str]:
    """Write the given fields of `columns` that have a place."""
    return [f"  {name}: {name_column(sample, place)}" for name, place in places.items() if place is not None]


def write_channels(
    sample: Sample,
    register: int | None,
    series: Sequence[Series] = (),
    meter: int | None = None,
    idle: Mapping[str, str] | None = None,
) -> list[str]:
    """Write the channel of each register in a column; `series` are the amounts of each.

    `idle` has those that are not read, with their unit.
    """
    if register is None:
        return []
    words = sorted(set(sample.take_texts(register)))
    hints = find_hints(sample, register)
    are_units = all(word.lower() in UNITS for word in words)
    if are_units and meter is not None and not share_meters(sample, meter, register):
        # What is of other meters tells nothing.
        return ["channels:", *(line for word in words for line in write_channels_of_words([word]))]
    apart = find_apart(series)
    of_words = {one.name: one for one in series if one.name not in apart}
    return [
        "channels:",
        *write_channels_of_words([word for word in words if word not in apart], of_words, hints),
        *(
            f"  {json.dumps(word, ensure_ascii=False)}: other  # {CHECK}: it has values in a few rows only"
            for word in words
            if word in apart
        ),
        *(
            f"  {json.dumps(word, ensure_ascii=False)}: null  # not read: {why}"
            for word, why in (idle or {}).items()
        ),
    ]


def write_channels_of_words(
    words: Sequence[str], series: Mapping[str, Series] | None = None, hints: Mapping[str, str] | None = None
) -> list[str]:
    """Write the channel of each register or section, empty where neither its word nor its amounts tell.

    `hints` has what another column says of a word, which tells more than the word.
    """
    channels = resolve_channels([(hints or {}).get(word, word) for word in words], are_registers=True)
    if series and all(word in series for word in words):
        channels = judge_channels([series[word] for word in words], channels)
    found = zip(words, channels, strict=True)
    has_parts = not all(map(TOTAL.match, words))
    return [
        f"  {json.dumps(word, ensure_ascii=False)}: "
        + (
            f"{channel}  # {CHECK}"
            if channel and not (has_parts and TOTAL.match(word))
            else f'""  # {_UNKNOWN}'
        )
        for word, channel in found
    ]


def find_direction_column(sample: Sample, taken: set[int | None]) -> int | None:
    """Find the column whose words say that some rows are generation or export, and others are not."""
    for n in range(len(sample.names)):
        words = {row[n].strip() for row in sample.rows} if n not in taken else set()
        if are_registers(words) and not all(map(is_quality, words)):
            # A total beside its parts is another direction too.
            other = {w for w in words if guess_channel(w) in ("generation", "export") or TOTAL.match(w)}
            if other and other != words:
                return n
    return None
