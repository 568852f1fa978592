"""What the values of a column mean, as lines of a mapping: channel, unit, qualities and number marks."""

import json
import re
from collections.abc import Sequence

import numpy as np

from data.ingest.formats.columns import UNITS
from data.ingest.formats.mapped_numbers import are_grouped, stand_between_thousands
from data.ingest.formats.suggest.amounts import Dial, find_decimals, read_numbers
from data.ingest.formats.suggest.columns import (
    ACTUAL,
    ESTIMATED,
    MAX_REGISTERS,
    OTHER_MEDIUM,
    UNIT,
    UNIT_IN_BRACKETS,
    VALUE,
    are_registers,
    is_quality,
)
from data.ingest.formats.suggest.sample import TOTAL, Sample, name_column
from data.ingest.schema import KWH_PER_UNIT_POWER_OF_TEN, ONE_DIRECTION_CHANNELS

_EXPORT = re.compile(
    r"export|receiv|einspeis|eingespeis|ins netz|invoed|abgabe|vertid|feed|inje[cçt]|inyec|return|surplus"
    r"|terug|outflow|\bventa|\bvenda|\bvendit|\bmyyn|prodej|\bsold\b|\bsell"
    r"|veri[sş]|bet[aá]pl[aá]l|(?<!\w)(-[AP]|[AP] ?-)(?!\w)|売電"
    r"|excedent|vendu|cedut|immess|immissione|inmatning|s[åa]ld\b|\bsalg|solgt|oddan|wprowadz|sprzed|(^|_)as(_|$)|#b[0-9]$"
    r"|\bexp\b|energy_?out(?![a-z])|(to|til) (the )?(grid|net)\b"
    r"|[0-9]-[0-9]+:2\.|(?<![0-9])(?<![0-9]\.)2\.[89]\.",
    re.I,
)
_IMPORT = re.compile(
    r"import|\bimp\b|bezug|bezogen|from (the )?grid|deliver|afname|preliev|prelev|soutir|purchas|inflow"
    r"|entrante|[cç]eki[sş]|odb[eě]r|prejet|preuzet|(?<!\w)(\+ ?[AP]|[AP] ?\+)(?!\w)|買電"
    r"|pob[oó]r|pobran|uttag|k[öo]pt|k[øo]bt|\bgrid\b|netz|[0-9]-[0-9]+:1\.|(?<![0-9])(?<![0-9]\.)1\.[89]\."
    r"|\bcompra|acquist|\bosto|n[aá]kup|zakup|\bbought|\bbuy|^AI$",
    re.I,
)
_CONSUMPTION = re.compile(
    r"consum|consom|zu[zż]y|verbrauch|usage|verbruik|\bload\b|demand|kulutus|forbru|f(ö|o)rbruk|tarbi|fogyaszt"
    r"|t[uü]ketim|spot[rř]eb|suvartoj|patēriņ|potro[sš]n|κατανάλ|使用|用电|사용량",
    re.I,
)
# Parts of one direction: tariffs, phases, rates, meters.
_PART = re.compile(
    r"tarif|peak|valle|punta|llano|\bdag|nacht|nuit|jour|\bday|night|\blow|\bhigh|normal|laag|hoog"
    r"|\b(ht|nt|hc|hp)\b|\b[tfpl][1-6]\b|phase|fase|rate|vazio|ponta|cheias?\b|pleine|creuse|[0-9]\.8\.[0-9]|[0-9]-[0-9]:|\be[0-9]+\b|meter|z(ä|ae)hler|unit|wohnung"
    r"|^[0-9]{6,}\b|compteur|contador|contatore|licznik|m(å|aa)ler|m(ä|ae)tar",
    re.I,
)
_GENERATION = re.compile(
    r"genera[tc]|gera[cç]|solar|pv ?[0-9]{0,2}\b|produ|erzeug|opwek|wytw|yield|ertrag"
    r"|inverter|wechselrichter|onduleur|inversor|tuotanto|tootm|termel|[uü]retim|παραγωγ|výrob|発電|发电|발전량"
    r"|\b[ep]ac(today|total)?\b|\bsymo\b|\bprimo\b|gesamtanlage",
    re.I,
)
_OTHER_WAY = re.compile(f"{_EXPORT.pattern}|{_GENERATION.pattern}|ele[ck]tr|strom|stroom|\\bel\\b", re.I)
# Before and behind an inverter: the same energy twice.
_BEFORE_INVERTER, _BEHIND_INVERTER = (
    re.compile(r"\bpv\b|\bdc\b|solar|panel|string|mppt", re.I),
    re.compile(r"inverter|wechselrichter|onduleur|inversor|\bac\b", re.I),
)
_AT_GRID = re.compile(r"(?<![a-z])(grid|netz?|réseau|rete)(?![a-z])", re.I)
# Energy that stays behind the meter: stored, or generated and used there.
_INSIDE = re.compile(
    r"batter|powerwall|stored|speicher(?!h)|beladung|entladung|charg(ed|ing)\b|geladen|ontladen|autocons|self.?cons"
    r"|eigenverbrauch|direktverbrauch|eigennutz|(consum|verbrauch|usage|load).*(pv\b|solar)"
    r"|(pv|solar).* to (home|house|load|consum|batter)|egenforbrug|egenf[öo]rbruk|autoverbruik",
    re.I,
)
# A utility delivers to its customer and receives from him; where another one is named, he speaks himself.
_CUSTOMER = r"(?!(the |your )?(customer|consumer|you\b|client|member|home|house|load|solar|pv\b|generat))"
_OF_CUSTOMER = re.compile(rf"receiv\w* from {_CUSTOMER}|deliver\w* to {_CUSTOMER}", re.I)
_FROM_GRID, _TO_GRID = (
    re.compile(rf"{way} (the |your )?(grid|utility|network|supplier)", re.I) for way in ("from", "to")
)
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
# Units that the platform does not know, or that have two meanings.
_OTHER_UNIT = re.compile(r"(?<![a-z])(ccf|hcf|mcf|k?gal(?:lons?)?|[gm]j|(?:mm)?btu|dth|kvah)(?![a-z])", re.I)
_MULTIPLES = {"ccf": ("ft3", 100), "hcf": ("ft3", 100), "mcf": ("ft3", 1000), "dth": ("therm", 10)}
_NO_ELECTRICITY = ("ft3", "m3", "l", "therm")
POWER = re.compile(r"(?<![a-z])(kW|MW|W|(?:kilo|mega)?watts?(?![ _-]?(?:h|stunde)))(?![a-z])", re.I)
# Words for power without its unit.
POWER_NAME = re.compile(
    r"(?<![a-z])(power|leistung|wirkleistung|puissance|potencia|potenza|vermogen|effekt|mo[cč]|v[ýy]kon|teho|demand)(?![a-z])",
    re.I,
)
# A single W may be a street.
_UNIT_IN_TITLE = re.compile(r"(?<![a-z])(kWh|MWh|Wh|kW)(?![a-z])", re.I)
# What a meter without a unit may measure, in kW on average; beyond it the unit is another one.
LEAST_KW, MOST_KW = 0.001, 100.0
_ANSWERS = {"": "actual", "n": "actual", "no": "actual", "y": "estimated", "yes": "estimated"}
CHECK = "check"
_UNKNOWN = "the name does not tell: import, export, generation, consumption or other"


def guess_channel(name: str) -> str:
    """Guess the channel by the name of a column or the word of a register."""
    found = UNIT.search(name)
    is_reactive = found is not None and found.group(1).lower().endswith("varh")
    channel = _guess_channel(name, is_reactive)
    is_other = found is not None and UNITS[found.group(1).lower()] in _NO_ELECTRICITY
    stated = None if found else _OTHER_UNIT.search(name)
    is_other |= stated is not None and stated.group().lower() in _MULTIPLES
    return "consumption" if channel == "import" and (is_other or OTHER_MEDIUM.search(name)) else channel


def resolve_channels(names: Sequence[str], *, are_registers: bool = False) -> list[str]:
    """Guess the channels of names that stand beside each other, empty where the names do not tell.

    Two names without a direction may be parts of the import; beside a name with the direction they may be
    anything, and the consumption of a site is more than its import.
    """
    guessed = [guess_channel(name) for name in names]
    if {"AI", "AE"} <= {*names}:
        # Active export in Britain; elsewhere it is active energy that comes in.
        guessed = ["export" if name == "AE" else c for name, c in zip(names, guessed, strict=True)]
    units = [UNITS.get(name.lower()) if are_registers else None for name in names]
    if any(unit in _NO_ELECTRICITY for unit in units):
        # The energy of gas stands beside its volume.
        guessed = [
            "" if unit in KWH_PER_UNIT_POWER_OF_TEN else c for unit, c in zip(units, guessed, strict=True)
        ]
    if not are_registers and any(map(_is_volume_of_any, names)):
        guessed = ["" if _is_energy_of_any(n) else c for n, c in zip(names, guessed, strict=True)]
    guessed = _open_generation(names, guessed)
    imports = [name for name, channel in zip(names, guessed, strict=True) if channel == "import"]
    explicit = {name for name in imports if _IMPORT.search(name)}
    others = [name for name in imports if name not in explicit and not _PART.search(name)]
    if len(imports) < 2:
        return guessed
    if not explicit and not are_registers:
        consumed = [name for name in others if _CONSUMPTION.search(name)]
        explicit = {*consumed} if len(consumed) == 1 else {*others} if len(others) == 1 else set()
    return [
        channel
        if channel != "import" or name in explicit or _PART.search(name)
        else "consumption"
        if any(map(_IMPORT.search, explicit)) and _CONSUMPTION.search(name)
        else ""
        for name, channel in zip(names, guessed, strict=True)
    ]


def _is_volume_of_any(name: str) -> bool:
    """Whether a name has a unit of volume, and does not say of what."""
    unit = UNIT.search(name)
    return unit is not None and UNITS[unit.group(1).lower()] == "m3" and not OTHER_MEDIUM.search(name)


def _is_energy_of_any(name: str) -> bool:
    """Whether a name has a unit of energy, and says neither the direction nor that it is electricity."""
    unit = UNIT.search(name)
    is_energy = unit is not None and UNITS[unit.group(1).lower()] in KWH_PER_UNIT_POWER_OF_TEN
    return is_energy and not (_IMPORT.search(name) or _OTHER_WAY.search(name) or OTHER_MEDIUM.search(name))


def _open_generation(names: Sequence[str], guessed: Sequence[str]) -> list[str]:
    """Leave the channel of generation open where names speak of different points, which one cannot add."""
    pairs = list(zip(names, guessed, strict=True))
    generated = [name for name, channel in pairs if channel == "generation"]
    is_before = [
        bool(_BEFORE_INVERTER.search(name) and not _BEHIND_INVERTER.search(name)) for name in generated
    ]
    is_behind = [
        bool(_BEHIND_INVERTER.search(name) and not _BEFORE_INVERTER.search(name)) for name in generated
    ]
    has_both = any(is_before) and any(is_behind)
    sent = [name for name, channel in pairs if channel == "export" and not _PART.search(name)]
    at_grid = {name for name in sent if _AT_GRID.search(name)}
    is_sun = {name for name in sent if at_grid and name not in at_grid and _GENERATION.search(name)}
    return [
        "" if (channel == "generation" and has_both) or name in is_sun else channel for name, channel in pairs
    ]


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
    if channel == "import" and register is None:
        channel = _doubt_import(sample, places, name)
    lines = [*_write_channel(channel, register, dial), *_write_dial(dial)]
    if dial is None and register is None:
        lines += _write_sign(sample, places, channel)
    if unit is not None:
        return lines
    if has_media:
        return [*lines, "unit:  # rows of several media: in its place give units, the unit of each register"]
    return lines + _write_unit(sample, places, power, is_dial=dial is not None)


def _write_unit(sample: Sample, places: Sequence[int], power: str | None, *, is_dial: bool) -> list[str]:
    """Write the unit that the name, the rows or the lines above state; else leave it open or say kWh."""
    name = sample.describe(places[0])
    stated = POWER.fullmatch(power) if power else UNIT.search(name) or POWER.search(name)
    other = None if stated else _OTHER_UNIT.search(name)
    if other is not None and other.group().lower() in _MULTIPLES:
        unit, factor = _MULTIPLES[other.group().lower()]
        return [f"unit: {unit}", f"factor: {factor}  # {CHECK}: the column states {other.group()}"]
    if other is not None:
        return [f"unit:  # the column states {other.group()}: write a unit that docs/formats.md names"]
    word = stated.group(1) if stated else _find_unit_in_words(sample) or _find_unit_above(sample)
    if OTHER_MEDIUM.search(name) and (word is None or not stated):
        return ["unit:  # gas, water or heat: the file does not state its unit"]
    if word is None:
        return [_write_unstated_unit(sample, places, name, is_dial=is_dial)]
    lines = [f"unit: {UNITS[word.lower()]}"]
    if POWER.fullmatch(word):
        lines.append(
            f"average_power: true  # {CHECK}: power is energy only if it is the average of its interval"
        )
    return lines


def _write_unstated_unit(sample: Sample, places: Sequence[int], name: str, *, is_dial: bool) -> str:
    if POWER_NAME.search(name):
        return "unit:  # the name says power: W or kW, and average_power: true if it is the average"
    power_kw = 0.0 if is_dial else _average_kw(sample, places)
    if power_kw and not LEAST_KW <= power_kw <= MOST_KW:
        return f"unit:  # the file does not state it: kWh would be {power_kw:.3g} kW on average"
    return f"unit: kWh  # {CHECK}: the file does not state it"


def _doubt_import(sample: Sample, places: Sequence[int], name: str) -> str:
    """Return the channel of a column that is import by default, by its sign and the lines above."""
    if not _IMPORT.search(name) and _is_below_zero(sample, places):
        # What is sent out is written below zero, also in a column of what is used.
        return ""
    if not _says_nothing(name):
        return "import"
    return "" if _TWO_SIDED.search(name) else _guess_channel_above(sample, "import")


def _says_nothing(name: str) -> bool:
    return not (_IMPORT.search(name) or _CONSUMPTION.search(name))


def _guess_channel_above(sample: Sample, channel: str) -> str:
    """Return the channel of a title with a unit; empty where other words above speak of another direction."""
    titles = [cell for cell in sample.above if UNIT.search(cell) and not UNIT.fullmatch(cell)]
    is_two_sided = any(map(_TWO_SIDED.search, titles))
    guessed = set(map(guess_channel, titles))
    if len(guessed) == 1 and not is_two_sided:
        return guessed.pop()
    return "" if is_two_sided or any(map(_OTHER_WAY_ABOVE.search, sample.above)) else channel


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


def _write_sign(sample: Sample, places: Sequence[int], channel: str) -> list[str]:
    numbers = np.concatenate([read_numbers(sample, place) for place in places])
    if not np.count_nonzero(numbers < 0) or channel not in ("", *ONE_DIRECTION_CHANNELS):
        return []
    if not np.count_nonzero(numbers > 0):
        return [f"sign: -1  # {CHECK}: no value is above zero"]
    other = "import" if channel == "export" else "export"
    return [f"negative: {other}  # {CHECK}: values below zero are energy in the other direction"]


def _find_unit_in_words(sample: Sample) -> str | None:
    """Return the only unit in brackets in the words of the rows."""
    found = set()
    for n in range(len(sample.names)):
        words = set(sample.take_texts(n))
        if len(words) <= MAX_REGISTERS:
            found |= {match.group(1) for word in words if (match := UNIT_IN_BRACKETS.search(word))}
    return found.pop() if len(found) == 1 else None


def _average_kw(sample: Sample, places: Sequence[int]) -> float:
    """Return the average power if the values are kWh, 0 without values."""
    numbers = np.abs(np.concatenate([read_numbers(sample, place) for place in places]))
    known = numbers[numbers > 0]
    return float(known.mean()) * 60 / sample.minutes if len(known) and sample.minutes else 0.0


def _find_unit_above(sample: Sample) -> str | None:
    """Return the only unit above the header: alone in a cell, else in the words of a title."""
    alone = {cell for cell in sample.above if UNIT.fullmatch(cell) or POWER.fullmatch(cell)}
    found = alone or {UNITS[unit.lower()] for cell in sample.above for unit in _UNIT_IN_TITLE.findall(cell)}
    return found.pop() if len(found) == 1 else None


def _guess_channel(name: str, is_reactive: bool = False) -> str:
    if is_reactive:
        return "reactive_export" if _EXPORT.search(name) else "reactive_import"
    if _INSIDE.search(name):
        return "other"
    if _OF_CUSTOMER.search(name):
        return "import" if _FROM_GRID.search(name) else "export" if _TO_GRID.search(name) else ""
    return "export" if _EXPORT.search(name) else "generation" if _GENERATION.search(name) else "import"


def write_columns(sample: Sample, **places: int | None) -> list[str]:
    """Write the given fields of `columns` that have a place."""
    return [f"  {name}: {name_column(sample, place)}" for name, place in places.items() if place is not None]


def write_channels(sample: Sample, register: int | None) -> list[str]:
    """Write the channel of each register in a column."""
    if register is None:
        return []
    return ["channels:", *write_channels_of_words(sorted(set(sample.take_texts(register))))]


def write_channels_of_words(words: Sequence[str]) -> list[str]:
    """Write the channel of each register or section, empty where its word does not tell."""
    found = zip(words, resolve_channels(words, are_registers=True), strict=True)
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


def write_qualities_of_column(sample: Sample, quality: int | None) -> list[str]:
    """Write the quality of each word in a column."""
    if quality is None:
        return []
    words = sorted({row[quality].strip() for row in sample.rows})
    return write_qualities(
        words, asks_if_estimated=sample.names[quality].strip().lower().startswith("estimated")
    )


def write_qualities(words: list[str], *, asks_if_estimated: bool = False) -> list[str]:
    """Write the quality of each word; with `asks_if_estimated` yes means estimated."""
    lines = ["qualities:"]
    for word in words[:50]:
        kind = "estimated" if ESTIMATED.match(word) else "actual" if ACTUAL.match(word) else ""
        if asks_if_estimated and word.lower() in _ANSWERS:
            kind = _ANSWERS[word.lower()]
        note = "" if kind else "  # actual, edited, estimated or null"
        lines.append(f"  {json.dumps(word, ensure_ascii=False)}: {kind}{note}".rstrip())
    return lines


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
    *("America/Mexico_City", "America/Tijuana", "America/Toronto", "America/Vancouver", "America/Halifax"),
)


def find_number_marks(
    sample: Sample, numeric: list[int], timezone: str | None
) -> tuple[str, str | None, str | None]:
    """Return the decimal mark, the thousands mark, and a number of which nothing tells what its comma is.

    A comma before three digits in every number follows the custom of the zone.
    """
    kinds = (VALUE, UNIT, OTHER_MEDIUM, POWER)
    named = [n for n in numeric if any(kind.search(sample.describe(n)) for kind in kinds)]
    columns = [sample.take_values(n) for n in named or numeric]
    texts = [text for n in named or numeric for text in (*sample.take_values(n), *sample.others.get(n, []))]
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
        is_decimal = _has_decimal_comma(timezone)
        return (
            ("." if is_decimal is False else ","),
            ("," if is_decimal is False else None),
            (texts[0] if is_decimal is None else None),
        )
    groups |= {","} if any(re.search(r"[0-9],[0-9]{3}", text) for text in texts) else set()
    return ".", groups.pop() if len(groups) == 1 else None, None


def _has_decimal_comma(timezone: str | None) -> bool | None:
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
        whole = number.replace(",", "")
        lines = [f'decimal:  # {number} may be {whole}: write "," here, or "." and thousands: ","']
    lines += [f"thousands: {json.dumps(sample.thousands)}"] if sample.thousands else []
    texts = [sample.write_plain(text) for place in numeric for text in sample.take_values(place)]
    decimals = find_decimals(texts)
    if decimals is not None:
        lines.append(f"decimals: {decimals}  # {CHECK}: the digits behind are noise of binary arithmetic")
    return lines
