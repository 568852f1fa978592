"""Which columns of numbers a proposal takes, and which ones it leaves out and why.

Here: columns that count the same thing twice, and shares. Not here: what a column means (`meaning`).
"""

import datetime
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from data.ingest.formats.columns import UNITS
from data.ingest.formats.file_mappings import MappingError
from data.ingest.formats.mapping_columns import CELL
from data.ingest.formats.suggest.amounts import (
    DIAL_NAME,
    Dial,
    find_dial,
    find_multiples,
    find_parts,
    find_rhythm,
    is_idle_dial,
    read_numbers,
)
from data.ingest.formats.suggest.balances import find_balances
from data.ingest.formats.suggest.columns import OTHER_MEDIUM, UNIT, VALUE
from data.ingest.formats.suggest.directions import (
    IMPORT,
    OBIS_OTHER,
    REACTIVE_WITHOUT_UNIT,
    STORED,
    guess_channel,
    is_reactive_without_unit,
    resolve_channels,
    tells_direction,
)
from data.ingest.formats.suggest.meaning import ENERGY_NAME, POWER, names_power
from data.ingest.formats.suggest.meter_columns import find_meters
from data.ingest.formats.suggest.registers import RARE
from data.ingest.formats.suggest.sample import Sample
from data.ingest.formats.sum_guard import Floats
from data.ingest.formats.wallclock import US
from data.ingest.schema import KWH_PER_UNIT_POWER_OF_TEN

# A share of something, which is no energy of the meter.
_SHARE = re.compile(
    r"anteil|\bshare\b|ideell|quote\b|percent|prozent|%|autark|self.?sufficien|(?<![a-z])soc(?![a-z])"
    r"|state.?of.?charge|ladestand",
    re.I,
)
# What is used where it is generated, as energy or as a share of a hundred.
_OWN_USE = re.compile(r"self.?cons|eigenverbrauch|autocons|autoconsom", re.I)
_MIN_WHOLES = 3
# Figures about the energy of a meter, of other meters or of other times.
_OTHER_FIGURE = re.compile(
    r"average|\bavg\b|\bmean\b|durchschnitt|gemiddeld|\bmax(imum)?\b|\bminimum\b|forecast|predict|previst|pr[ée]vu|vorhersage|předpov|план|prognos|estimat"
    r"|(?<![a-z])limit|grenz(e|wert)|setpoint|sollwert|threshold"
    r"|similar|neighbo|benchmark|compar|target|budget|baseline|last year|previous|vorjahr|vorig",
    re.I,
)
# Energy since the beginning of a day, in a table of shorter intervals.
OF_DAY = re.compile(
    r"today\b|\bday ?sum|\bday('s)? total|total of (the )?day|\bdaily\b|\bheute\b"
    r"|tages?(summe|wert|total|ertrag|verbrauch)|dagtotaal|dygnssumma|total del d[ií]a|so far",
    re.I,
)
# A part of another column, in words; the least and the most within an interval.
_PART_OF = re.compile(
    r"(?<![a-z])fund(amental)?(?![a-z])"
    r"|\b(davon|thereof|of which|including|waarvan|dont|di cui|de los cuales|herav|varav)\b",
    re.I,
)
_EXTREME = re.compile(r"(?<![0-9])(?<![0-9] )\b(min|max)(imum)?\b", re.I)
_STATE = re.compile(r"(error|status|alarm|fault|warning|flag)s?( ?(code|no))?|inv", re.I)
_MOST_COLUMNS = 12
_NUMBERS = re.compile(r"[0-9]+")
_YEAR = re.compile(r"(?<![0-9A-Za-z])20[0-9]{2}(?![0-9])")
MIN_ROWS_COUNTED, _LONGEST_MINUTES = 5, 720
# What a unit costs, or weighs.
_PER_UNIT = re.compile(r"(/|\bper\b|\bpro\b|\bpor\b|\bpar\b|\bal\b) ?[\[(]?[kM]?Wh", re.I)
# What falls on an area, or what a plant might yield.
_PER_AREA = re.compile(
    r"[kM]?Wh? ?(/|per) ?(m2|m²|㎡|kWp?)|irradi|insolation|einstrahl|theor[ei]ti|specific", re.I
)
_APPARENT = re.compile(r"(?<![a-z])[kM]?VAh?(?![a-z])|apparent|scheinarbeit|scheinleistung|aparente", re.I)
_PULSES = re.compile(r"puls|imp\b|impuls|imp/", re.I)
_MONEY_SIGN = re.compile(r"[$€£¥]")
_COMMUNITY = re.compile(r"restnetz|restbezug|eigendeckung|gemeinschaft|communaut|comunit", re.I)
_MONEY = re.compile(
    r"cost|price|preis|kosten|betrag|coste|precio|prix|montant|[€$£]|\b(eur|usd|gbp|nok|sek|dkk|pln|czk|huf|chf|ron|inr|jpy|cad|aud|nzd|zar|brl)\b"
    r"|(?<![^\W\d_])(zł|kč|öre|øre)(?![^\W\d_])",
    re.I,
)
# What else a device measures.
_OTHER_QUANTITY = re.compile(
    r"temperat|(?<![a-z])temp(?![a-z])|co2|(?<![a-z])capacity|kapazit(ä|ae)t|voltage|spannung|(?<![a-z])volts?(?![a-z])|(?<![a-z])(amps?|intensity)(?![a-z])|stromst(ä|ae)rke"
    r"|(?<![a-z])current(?![a-z])(?![ _]?(read|usage|use|consum|index|value|month|day|period|meter|kwh))"
    r"|(?<![a-z])[ui](ac|dc|pv)[0-9]{0,2}(?![a-z])|frequen[cz]|power.?factor|cos.?phi|humidity|luftfeucht"
    # The unit of another quantity in brackets.
    r"|[(\[] ?(° ?[CFK]|[℃℉]|[mk]?V|mA|Ah|k?Hz|lux|[hk]?Pa|mbar|bar|rpm|m/s) ?[)\]]",
    re.I,
)


@dataclass
class Choice:
    """The columns of values, those that are dials, and the others with the reason."""

    kept: list[int]
    dials: dict[int, Dial] = field(default_factory=dict)
    left_out: list[tuple[int, str]] = field(default_factory=list)
    # Minutes of intervals that are longer than those of other columns.
    lengths: dict[int, int] = field(default_factory=dict)

    def leave_out(self, place: int, reason: str) -> None:
        """Take a column from the proposal."""
        if len(self.kept) > 1:
            self.kept.remove(place)
            self.left_out.append((place, reason))


def choose_values(
    sample: Sample, values: list[int], micros: Sequence[int], meter: int | None, register: int | None
) -> Choice:
    """Choose among the columns of values; `micros` are the times of the rows."""
    own = _find_series(sample, values[0], meter, register)
    numbers = {place: read_numbers(sample, place)[own] for place in values}
    choice = Choice(list(values))
    for place in values:
        reason = explain_no_energy(sample.describe(place), numbers[place])
        if reason and len(choice.kept) == 1 and sample.names[place] != CELL:
            raise MappingError(
                f"{sample.path}: the column {sample.names[place]!r} holds no energy of a meter ({reason}), "
                "and no other column has values. Ask the sender for the energy of each interval"
            )
        if reason:
            choice.leave_out(place, reason)
    _choose_figures(sample, choice, micros)
    counts = {place: int(np.count_nonzero(~np.isnan(numbers[place]))) for place in choice.kept}
    for place, count in counts.items():
        if count * RARE < max(counts.values()) and not _is_medium(sample, place, count):
            choice.leave_out(place, "it has values in a few rows only")
    times = [at for at, is_own in zip(micros, own, strict=True) if is_own]
    for place in find_balances({n: sample.describe(n) for n in choice.kept}, numbers, times):
        choice.leave_out(place, "what comes in less what goes out")
    _choose_dials(sample, choice, numbers, times)
    _choose_rhythm(sample, choice, numbers, times)
    _choose_sums(sample, choice, numbers)
    _choose_differences(sample, choice, numbers)
    return choice


def explain_no_energy(name: str, numbers: Floats) -> str | None:
    """Return why a column of this name is no energy of the meter, None if it may be."""
    reasons: tuple[tuple[object, str], ...] = (
        (_counts_rows(name, numbers), "the number of the row"),
        (_SHARE.search(name) or _is_share_of_hundred(name, numbers), "a share is no energy of the meter"),
        (
            (_PER_UNIT.search(name) and not _PULSES.search(name)) or _MONEY_SIGN.search(name),
            "a price or an amount of money",
        ),
        (_PER_AREA.search(name), "irradiation, or what a plant might yield"),
        (_APPARENT.search(name), "apparent energy or power"),
        (
            (_MONEY.search(name) or _OTHER_QUANTITY.search(name)) and not UNIT.search(name),
            "its name is not one of energy",
        ),
        (OBIS_OTHER.search(name), "its code is not one of active energy"),
        (_STATE.fullmatch(name), "the state of a device"),
        (is_reactive_without_unit(name), REACTIVE_WITHOUT_UNIT),
    )
    return next((reason for is_so, reason in reasons if is_so), None)


def explain_others(sample: Sample, others: list[int], micros: Sequence[int]) -> list[tuple[int, str]]:
    """Return the columns of numbers that are no candidates, each with the reason."""
    found = []
    for place in others:
        dial = find_dial(sample.describe(place), read_numbers(sample, place), micros)
        is_dial = dial is not None and dial.is_certain
        found.append((place, "reads of a dial" if is_dial else "its name is not one of energy"))
    return found


def _find_series(
    sample: Sample, value: int, meter: int | None, register: int | None
) -> "np.typing.NDArray[np.bool_]":
    """Return the rows of the first meter, and of that of its registers which has most values above zero."""
    keys = [tuple(row[n].strip() for n in (meter, register) if n is not None) for row in sample.rows]
    moved = np.nan_to_num(read_numbers(sample, value)) > 0
    counts = Counter(key for key, one in zip(keys, moved, strict=True) if one and key[:-1] == keys[0][:-1])
    best = max(counts, key=counts.__getitem__, default=keys[0]) if register is not None else keys[0]
    return np.array([key == best for key in keys], dtype=np.bool_)


def _choose_figures(sample: Sample, choice: Choice, micros: Sequence[int]) -> None:
    """Leave out what is not the energy of the meter at the times of the rows, by the names of columns."""
    years = {
        str(datetime.datetime.fromtimestamp(at / 1e6, datetime.UTC).year) for at in (micros[0], micros[-1])
    }
    names = {place: sample.describe(place) for place in choice.kept}
    has_energy = any(
        UNIT.search(name)
        or (VALUE.search(name) and not _names_power(name))
        or ((dial := find_dial(name, read_numbers(sample, place), micros)) is not None and dial.is_certain)
        for place, name in names.items()
    )
    has_power = any(map(_names_power, names.values()))
    has_extremes = any(map(_EXTREME.search, names.values()))
    of_day = {place for place, name in names.items() if OF_DAY.search(name)}
    has_intervals = any(place not in of_day and not _names_power(name) for place, name in names.items())
    for place in sorted(of_day) if sample.minutes < 1440 and has_intervals else []:
        choice.leave_out(place, "the energy since the beginning of the day")
        del names[place]
    for place, name in names.items():
        year = _YEAR.search(name)
        if year is not None and year.group() not in years:
            choice.leave_out(place, "the times of the rows are of another year")
        elif _EXTREME.search(name) or _PART_OF.search(name):
            choice.leave_out(place, "a part of another column, or a value within the interval")
        elif _OTHER_FIGURE.search(name) and not (has_extremes and _names_power(name)):
            choice.leave_out(place, "its name is not one of energy of this meter")
        elif _names_power(name) and has_energy:
            choice.leave_out(place, "power beside energy")
        elif not has_energy and has_power and not (_names_power(name) or VALUE.search(name)):
            choice.leave_out(place, "its name is not one of energy or power")


def _counts_rows(name: str, numbers: Floats) -> bool:
    """Whether a column numbers the rows: by 1, from the beginning, without a unit."""
    steps = np.diff(numbers)
    is_counted = len(steps) > MIN_ROWS_COUNTED and bool((steps == steps[0]).all()) and abs(steps[0]) == 1
    return is_counted and min(numbers[0], numbers[-1]) <= 1 and not UNIT.search(name)


def _is_share_of_hundred(name: str, numbers: Floats) -> bool:
    """Whether what is used where it is generated is a share: no unit, at most 100, that often."""
    known = numbers[~np.isnan(numbers)]
    is_own = _OWN_USE.search(name) is not None and not (UNIT.search(name) or POWER.search(name))
    return is_own and len(known) > 0 and known.max() == 100 and (known == 100).sum() >= _MIN_WHOLES


def _names_power(name: str) -> bool:
    return bool(POWER.search(name) or names_power(name)) and not UNIT.search(name)


def _choose_dials(sample: Sample, choice: Choice, numbers: dict[int, Floats], micros: Sequence[int]) -> None:
    for place in choice.kept:
        dial = find_dial(sample.describe(place), numbers[place], micros)
        if dial is not None:
            choice.dials[place] = dial
    idle: list[int] = []
    if any(dial.is_certain for dial in choice.dials.values()):
        for place in [*choice.kept]:
            if place in choice.dials:
                # What only rises beside a dial is one too.
                choice.dials[place] = replace(choice.dials[place], is_certain=True)
            name = sample.describe(place)
            is_named = DIAL_NAME.search(name) is not None
            is_zero = not np.nan_to_num(numbers[place]).any()
            if place not in choice.dials and (is_zero or is_idle_dial(numbers[place], is_named=is_named)):
                choice.dials[place] = Dial(is_certain=True, is_reset=False)
                if not (is_named or VALUE.search(name) or UNIT.search(name) or tells_direction(name)):
                    idle.append(place)
        for place in idle if len(idle) < len(choice.kept) else []:
            choice.leave_out(place, "it never changes, and its name is not one of energy")
            del choice.dials[place]
    energy = [
        place for place in choice.kept if place not in choice.dials and np.nansum(np.abs(numbers[place]))
    ]
    for place in [*choice.dials] if energy else []:
        choice.leave_out(place, "reads of a dial: the file has the energy of the intervals too")
        del choice.dials[place]


def _is_medium(sample: Sample, place: int, count: int) -> bool:
    """Whether a column is of gas, water or heat, which may have longer intervals than electricity."""
    return OTHER_MEDIUM.search(sample.describe(place)) is not None and count > MIN_ROWS_COUNTED


def _choose_rhythm(sample: Sample, choice: Choice, numbers: dict[int, Floats], micros: list[int]) -> None:
    """Leave out longer intervals beside shorter ones, which may contain these, unless of another medium."""
    rhythms = {
        place: find_rhythm(numbers[place], micros) for place in choice.kept if place not in choice.dials
    }
    known = [minutes for minutes in rhythms.values() if minutes]
    for place, minutes in rhythms.items():
        if not known or minutes < 2 * min(known):
            continue
        at = np.array(micros, dtype=np.int64)[~np.isnan(numbers[place])]
        is_length = (
            minutes <= _LONGEST_MINUTES and not 1440 % minutes and not (at % (minutes * 60 * US)).any()
        )
        if is_length and _is_medium(sample, place, MIN_ROWS_COUNTED + 1):
            choice.lengths[place] = minutes
        else:
            choice.leave_out(place, f"its values are {minutes} minutes apart, those of others {min(known)}")


def _choose_sums(sample: Sample, choice: Choice, numbers: dict[int, Floats]) -> None:
    channels: dict[tuple[str, bool], dict[str, Floats]] = {}
    # The consumption of a site contains its import, and neither is left out for the other one.
    names = {place: sample.describe(place) for place in choice.kept}
    # In an energy community both come through the meter.
    known = [*names.values()]
    is_shared = any(map(_COMMUNITY.search, known))
    resolved = dict(
        zip(choice.kept, map(_guess_shared, known) if is_shared else resolve_channels(known), strict=True)
    )

    def rank(place: int) -> tuple[bool, bool]:
        # A counter that begins again is no part of one that goes on: the other way round it may be.
        is_reset = place in choice.dials and choice.dials[place].is_reset
        return is_reset, ENERGY_NAME.search(names[place]) is None

    # Of two columns that say the same the one that is named energy stays.
    for place in sorted(choice.kept, key=rank):
        name = sample.describe(place)
        unit = UNIT.search(name)
        # The same energy may stand in Wh and in kWh.
        power = KWH_PER_UNIT_POWER_OF_TEN.get(UNITS[unit.group(1).lower()], 0) if unit else 0
        is_dial = place in choice.dials
        amounts = _subtract_reads(numbers[place]) if is_dial else numbers[place]
        key = (resolved[place] or guess_channel(name), is_dial)
        channels.setdefault(key, {})[str(place)] = amounts * 10.0**power
    for columns in channels.values():
        for other, first in find_multiples(columns).items():
            one, two = (_NUMBERS.sub("", sample.describe(int(place))) for place in (first, other))
            # Names that differ by a number are those of devices of one kind.
            if not UNIT.search(sample.describe(int(other))) and one != two:
                reason = f"a multiple of {sample.names[int(first)]!r}: its power or its cost"
                choice.leave_out(int(other), reason)
                del columns[other]
        parts = find_parts(columns)
        if find_meters([names[place] for place in choice.kept]):
            # The sum of several meters is none.
            for whole in {*parts.values()}:
                choice.leave_out(int(whole), "the sum of other meters")
                choice.dials.pop(int(whole), None)
            continue
        for part, whole in parts.items():
            name = sample.names[int(whole)] or f"column {int(whole) + 1}"
            choice.leave_out(int(part), f"contained in {name!r}")
            choice.dials.pop(int(part), None)


def _guess_shared(name: str) -> str:
    """Guess the channel of a column in an energy community, whose parts come through the meter."""
    return "import" if _COMMUNITY.search(name) else guess_channel(name)


def _choose_differences(sample: Sample, choice: Choice, numbers: dict[int, Floats]) -> None:
    """Leave out a column below zero that is the difference of two others: what is net.

    That of the grid or of a battery has what others have not: what comes in and what goes out.
    """
    nets = [
        place
        for place in choice.kept
        if (np.nan_to_num(numbers[place]) < 0).any()
        and not (IMPORT.search(name := sample.describe(place)) or STORED.search(name))
    ]
    for net in nets if len(choice.kept) <= _MOST_COLUMNS else []:
        others = [place for place in choice.kept if place != net]
        if any(
            np.allclose(np.nan_to_num(numbers[one] - numbers[two] - numbers[net]), 0, atol=0.0011)
            for one, two in itertools.permutations(others, 2)
        ):
            choice.leave_out(net, "the difference of two others")


def _subtract_reads(reads: Floats) -> Floats:
    """Return the energy between the reads of a dial, zero where it goes down; newest first is turned."""
    steps = np.diff(reads, append=reads[-1:])
    steps = -steps if np.nansum(steps < 0) > np.nansum(steps > 0) else steps
    return np.asarray(np.round(np.maximum(steps, 0), 6), dtype=np.float64)
