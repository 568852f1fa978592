"""Which column of a sample holds the date, the meter, the unit, the register or the quality.

Here: guesses by name and content. Not here: the values (`meaning`), or the layout (`day_rows`,
`reading_rows`).
"""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from data.ingest.formats.assemble import AMOUNTS
from data.ingest.formats.columns import UNITS
from data.ingest.formats.json_events import MEMBER_KEY
from data.ingest.formats.mapping_shapes import OFFSET_FORMATS
from data.ingest.formats.suggest.amounts import DIAL_NAME
from data.ingest.formats.suggest.date_formats import EPOCHS, find_formats
from data.ingest.formats.suggest.meter_columns import are_meters, find_device
from data.ingest.formats.suggest.sample import TOTAL, Sample, has_numbers
from data.ingest.formats.wallclock import DAY_US, TimeFormat

# Import and export by tariff, and four quadrants of reactive energy: a register column has at most these.
MAX_REGISTERS = 12
# Seconds since 1970, or their thousandths, millionths or billionths.
_SECONDS = re.compile(r"1[0-9]{9}([0-9]{3}){0,3}(\.0*)?")
MAX_NOTES = 5
# A longer word names no register and no quality.
MAX_WORD_CHARS = 100
EPOCH_NAME = re.compile(r"time|dat[aeou]|zeit|stamp|epoch|tid|tijd|hora|heure|\bora\b|godz|czas|fecha", re.I)
METER = re.compile(
    r"mp(a|r)n?\b|mpan|mprn|nmi|cups|meter(?! ?type)|z(ä|ae?)hl(er|punkt)|serial|(?<!data)(?<!data[ _])point"
    r"|site|device|prm"
    r"|pod|\bean"
    r"|\bpdl\b|compteur|contador|contatore|matricola|licznik|m(å|aa)ler|m(å|aa)lepunkt|m(ä|ae)tpunkt|mittauspist|m(ä|ae)tar|medidor|\bppe\b|\bcpe\b|\bpdr\b"
    r"|mieter|(?<![a-z])(tenant|resident|flat|apartment|apt|dwelling|household|haushalt|nutzeinheit)(?![a-z])"
    r"|wohnung|appartement|vivienda|lägenhet|leilighet|lejlighed|mieszkanie|(?<![a-z])location|standort|building"
    r"|geb(ä|ae)ude|esi ?id|\bid\b|merilno mesto|mjerno mjesto|m[eě]rn[eé] miesto|odb[eě]rn[eé] m[ií]sto"
    r"|m[eé]r([eé]si|ő) ?pont"
    r"|fogyaszt[aá]si hely|käyttöpaikka|anl(æ|e)gg?s?(nummer|id)|mõõtepunkt|loc de consum"
    r"|sayaç|tesisat|παροχή|μετρητής|прибор|сч[её]тчик|лічильник|точка (учета|обліку)|electromer|\buc\b"
    r"|供給地点|お客さま番号|計器|계기|고객번호|电表|電表|表号|电号|מונה|عداد",
    re.I,
)
# National names of a connection point.
_POINT_NAME = re.compile(r"^(mpan|mprn|nmi|cups)$", re.I)
# Numbers of connection points: United Kingdom, New Zealand, Spain, Germany and Austria, elsewhere GS1.
_POINT = re.compile(
    r"[0-9]{13}|[0-9]{10}[A-Z]{2}[0-9A-F]{3}|ES[0-9]{16}[A-Z]{2}([0-9][A-Z])?|(DE|AT|CH|LU)[0-9]{11}[0-9A-Z]{20}|(=\")?[0-9]{18}\"?"
)
_LONG_POINT = re.compile(r"(DE|AT|CH|LU)[0-9A-Z]{31}")
# The label of a meter above a table, and what may be its name.
METER_NAME = re.compile(
    r"mpan|mprn|nmi|cups|meter ?(no|nr|num|id|serial)|z(ä|ae?)hl(ernummer|er?punkt)|\bean\b|\bpod\b|esi ?id"
    r"|\bprm\b|\bpdl\b|\bcpe\b|\bppe\b|compteur|contador|contatore|licznik|m(å|aa)lernummer|m(ä|ae)tarnummer"
    r"|meter(ing)? ?point|supply point|delivery point|loc de consum|m[eé]r([eé]si|ő) ?pont"
    r"|fogyaszt[aá]si hely|punto de suministro|punto di (prelievo|fornitura)|point de (livraison|comptage)"
    r"|käyttöpaikka|tesisat"
    r"|m(ä|ae)tpunkt|m(å|aa)lepunkt|m[eě]rn[eé] miesto|точка (учета|обліку)"
    r"|(?<![^\W\d_])serial(?! ?(time|date))|anl(ä|ae)ggning|มิเตอร์|電表"
    r"|medidor|merilno mesto|mjerno mjesto|odb[eě]rn[eé] m[ií]sto|sayaç|παροχή|παροχής|μετρητή|сч[её]тчик"
    r"|電力量計|供給地点特定番号|계기번호|고객번호|计量点|电表号|מונה|عداد",
    re.I,
)
# A label and a name in one cell, or in a line of a table without marks between its fields.
_LABELLED = re.compile(
    rf"(?:{METER_NAME.pattern})[^\n0-9]{{0,25}}?(?<![^\W_])(?P<name>[A-Z]{{0,4}}[0-9][0-9A-Z-]{{4,39}})(?![\w.:/])",
    re.I,
)
_NAME = re.compile(r"(?=.*[0-9])[0-9A-Z][0-9A-Z ._/-]{3,40}", re.I)
_DECIMAL = re.compile(r"[+-]?[0-9]*[.,][0-9]+")
# What homes have beside their number, and what tells the rows of one home apart.
_NO_HOME = re.compile(
    r"zip|plz|tari|register|phase|channel|kanal|capacit|power|poten[cz]"
    r"|year|month|day|period|hour|multipl|fa[ck]tor|ratio|type|kind|categor|class|direction|flow|code|obis"
    r"|quality|status|flag",
    re.I,
)
# So many names that change with each row are no names.
MIN_CHANGES = 4
VALUE = re.compile(
    r"k?m?wh|kvarh|pemakaian|ekspor\b|\bimpor\b|\barbeit\b|wirkarbeit|\bm3\b|consum|consom|import|export|deliver|receiv|usage|value|energ|bezug|einspeis|generat"
    r"|verbrauch|menge|mængde|förbrukning|forbru[gk]|gera[cç]ão|määrä|quantity|volume|inflow|outflow|inje[cçt]|inyec|opwek"
    r"|afname|invoed|productie|\bstand(?!ard|ing)|verbruik|levering|lieferung|abgabe|erzeug|produ(?:[ck]tion|kcj|zione|cci[oó]n|ção)"
    r"|\bcompra|\bventa|\bvenda|acquist|\bbought\b|\bsold\b|immess|prelie|prelev|immission|cedut|soutir|excedent|vertid|købt|køb\b|salg|köpt|såld|uttag|inmatning|pobór|pobran|oddan|wprowadz|zuży|wytw"
    r"|tarbi|tootm|tuotanto|kulutus|fogyaszt|bet[aá]pl[aá]l|termel|t[uü]ketim|[cç]eki[sş]|veri[sş]|[uü]retim"
    r"|spot[rř]eb|odb[eě]r|výrob|suvartoj|patēriņ|potro[sš]n|prejet|preuzet|κατανάλ|παραγωγ"
    r"|ενέργει|енерги|энерги|使用|電力量|発電|売電|買電|用电|发电|사용량|발전량"
    r"|ele[ckt]*tri|\bel\b|strom\b|stroom|\bgas\b|wasser|water|fernw(ä|ae)rme",
    re.I,
)
UNIT = re.compile(
    r"(?<![a-z])(kWh|MWh|Wh|[kM]?W[-·.*]?hr?|kvarh|varh|[GM]J|m3(?![0-9])|m³|therms?|lit(?:er|re)s?"
    r"|(?:kilo|mega)?watt[ _-]?(?:hours?|stunden?))s?(?![a-z])",
    re.I,
)
# Units that the platform does not know, or that have two meanings.
OTHER_UNIT = re.compile(r"(?<![a-z])(ccf|hcf|mcf|k?gal(?:lons?)?|(?:mm)?btu|dth|kvah)(?![a-z])", re.I)
# Media that are not electricity, in the languages of the senders.
OTHER_MEDIUM = re.compile(
    r"(?<![a-z])(gas|gaz|gás)(?![a-z])|erdgas|aardgas|gasverb|water|wasser|[aá]gua|\bwod[ay]\b|acqua|\beau\b"
    r"|vatten|vand\b"
    r"|heat(?! ?pump)|w(ä|ae)rme(?!pumpe)|warmte(?!pomp)|varme(?!pump)|chaleur|calor|steam",
    re.I,
)
_QUALITY = re.compile(
    r"qualit|status|read ?type|estima[td]|flag|method|m[eé]todo|actual|kvalitet|calidad|laatu|validat"
    r"|kwaliteit|jako[sś][cć]|estado|\bstato\b|\bnature\b|tipo (de )?(dato|lectura|leitura)",
    re.I,
)
# Words that say that there is nothing to say.
_NOTHING = {"none", "no", "null", "n/a", "na", "nil", "-", "keine", "nein", "false", "0"}
_METHOD = re.compile(r"method|m[eé]todo|flag", re.I)
ESTIMATED, ACTUAL = (
    re.compile(r"^(e|s|est.*|calc.*|sub.*|ersatz.*|gesch.*|stima.*|szac.*|ber[eä]kn.*|beregn.*|a03)$", re.I),
    re.compile(
        r"^(a|r|w|v|act(?!ive).*|real|val|bill(able|ed)|gemess.*|mesur.*|medid.*|misur.*|meas.*|valid|wahr.*|m[åa]lt|gemeten"
        r"|uppm[äa]tt|r[ée]el(le)?s?|effettiv[oa]|effektiv|rzeczywist[ya]|uitgelezen|nam[eě][rř].*|a04|good|ok|normal)$",
        re.I,
    ),
)
_UNIT_COLUMN = re.compile(
    r"^(\S*[._])?([a-z]+(?=Unit$))?"
    r"(units?( of measure| type|\.name)?|uom|einheit|m(å|aa)leenhed|eenheid|unidade?|unit[eé]"
    r"|unit[àa]( di misura)?|jednotka|jednostka|(m[eé]rt[eé]k)?egys[eé]g|yksikk[öo]|enhe[td]|[üu]hik|vienetas"
    r"|m[eē]rvien[iī]ba|birim|enota"
    r"|(mjerna )?jedinica|unitate|μονάδα|единица|ед\. ?изм\.?|одиниця|単位|单位|단위)$",
    re.I,
)
# Words that are a unit, whatever the name of their column.
_CERTAIN_UNITS = {"kWh", "MWh", "kW", "MW", "kvarh", "kvar"}
_KIND = re.compile(
    r"business ?type|direction|richtung|(?<![a-z])(flow|kind|energy ?type|meter ?type|reading ?type)(?![a-z])"
    r"|sentido",
    re.I,
)
_VOLUMES = ("ft3", "m3", "l", "therm", "gal_us", "gal_imp")
# A unit in the words of a row.
UNIT_IN_BRACKETS = re.compile(r"\((k?W|k?Wh)\)", re.I)


def find_date_formats(sample: Sample, place: int) -> list[str]:
    """Return the formats that match the dates of a column, none if it is not a column of dates."""
    texts = sample.take_texts(place)
    # Totals and notes below the table are not dates.
    known = [text for text in texts if re.search(r"[0-9]", text) and not TOTAL.match(text)]
    totals = sum(TOTAL.match(text) is not None for text in texts)
    if not known or len(known) < 0.9 * (len(sample.rows) - totals) or re.fullmatch(r"[0-9.,]{1,7}", known[0]):
        return []
    if EPOCH_NAME.search(sample.names[place]) or _count_seconds(known):
        for form, epoch in EPOCHS.items():
            if all(map(epoch.fullmatch, known)):
                return [form]
    # A few notes may follow the table.
    cuts = range(min(MAX_NOTES, len(known) - 1) + 1)
    of_all = (found for cut in cuts if (found := find_formats(known[: len(known) - cut], dates=True)))
    return next(of_all, []) or _find_format_of_most(known)


def _count_seconds(texts: list[str]) -> bool:
    """Whether long numbers follow each other as times do: most of them by the same step."""
    if len(texts) < MIN_CHANGES or not all(map(_SECONDS.fullmatch, texts)):
        return False
    numbers = [int(text.split(".")[0]) for text in texts]
    per_second = 10 ** (len(str(numbers[0])) - 10)
    steps = Counter(abs(after - before) for before, after in itertools.pairwise(numbers))
    step, count = steps.most_common(1)[0]
    seconds, rest = divmod(step, per_second)
    return 2 * count >= len(texts) and step > 0 and not rest and not (seconds % 60 and 60 % seconds)


def _find_format_of_most(texts: list[str]) -> list[str]:
    """Return the formats of the first text that match nine of ten: other rows may be totals of days."""
    distinct = list(dict.fromkeys(texts))[:2000]
    return [
        form
        for form in find_formats(texts[:1], dates=True)
        if form not in OFFSET_FORMATS
        and 10 * sum(map(TimeFormat(form).matches, distinct)) >= 9 * len(distinct)
    ]


def find_meter_column(sample: Sample, dated: dict[int, list[str]]) -> int | None:
    """Find the column of the meter: by values, by name, or without a header by a constant long text."""
    others = [n for n in range(len(sample.names)) if n not in dated and _may_identify(sample, n, dated)]
    header = sample.header or sample.names
    by_key = (n for n in others if header[n].endswith(f".{MEMBER_KEY}"))
    by_point = (n for n in others if _POINT_NAME.match(sample.names[n]))
    by_number = (
        n for n in others if sample.take_texts(n) and all(map(_POINT.fullmatch, sample.take_texts(n)))
    )
    by_name = (
        n
        for n in others
        if re.search(r"mpan|mprn?|nmi|cups|meter(?! ?type)", sample.names[n], re.I)
        and not VALUE.search(sample.names[n])
    )
    by_words = (n for n in others if are_meters(sample.take_texts(n)))
    by_any_name = (n for n in others if METER.search(sample.names[n]) and not UNIT.search(sample.names[n]))
    by_blocks = (n for n in others if _numbers_blocks(sample, n, dated))
    without_header = (n for n in others if not any(sample.names) and _may_name_meter(sample, n))
    return next(
        itertools.chain(
            by_key, by_point, by_number, by_name, by_words, by_any_name, by_blocks, without_header
        ),
        None,
    )


def _may_identify(sample: Sample, place: int, dated: Iterable[int]) -> bool:
    """Whether a column may name the meter of each row: not if it is empty, or changes with each row."""
    texts = sample.take_texts(place)
    if 2 * len(texts) <= len(sample.rows) or any(map(_DECIMAL.fullmatch, texts)):
        return False
    if DIAL_NAME.search(sample.names[place]) and has_numbers(sample, place):
        return False
    if all(map(is_quality, texts)):
        # Of a meter's reading, as its name says.
        return False
    distinct = len(set(texts))
    if distinct > 1 and _counts_up(sample, place, dated):
        return False
    instants = max((len(set(sample.take_texts(n))) for n in dated), default=1)
    return distinct < MIN_CHANGES or 2 * distinct <= len(texts) or instants == 1


def _numbers_blocks(sample: Sample, place: int, dated: Iterable[int]) -> bool:
    """Whether whole numbers stand in blocks, one block each, that have the same times: they number homes."""
    name = sample.describe(place)
    texts = [row[place].strip() for row in sample.rows]
    is_named = any(kind.search(name) for kind in (VALUE, UNIT, _NO_HOME))
    if is_named or not all(re.fullmatch("[0-9]+", text) for text in texts):
        return False
    blocks = [text for text, _ in itertools.groupby(texts)]
    if len(blocks) < 2 or len({*blocks}) < len(blocks) or 2 * MIN_CHANGES * len(blocks) > len(texts):
        return False
    times = {(tuple(row[n] for n in dated), text) for row, text in zip(sample.rows, texts, strict=True)}
    return len({at for at, _ in times}) <= 0.9 * len(times)


def _counts_up(sample: Sample, place: int, dated: Iterable[int]) -> bool:
    """Whether the numbers of a column are those of a dial: they go one way with the time.

    Meters one below the other have the same dates, or a name that is none of energy.
    """
    texts = [(row, text) for row in sample.rows if not sample.is_missing(text := row[place].strip()) and text]
    if not all(re.fullmatch("[0-9]+", text) for _, text in texts):
        return False
    numbers = [int(text) for _, text in texts]
    if numbers not in (sorted(numbers), sorted(numbers)[::-1]):
        return False
    name = sample.describe(place)
    is_energy = (VALUE.search(name) or UNIT.search(name)) and not METER.search(name)
    first, last = ([row for row, text in texts if text == texts[end][1]] for end in (0, -1))
    is_apart = not any({row[n] for row in first} & {row[n] for row in last} for n in dated)
    return bool(is_energy) or (is_apart and len(set(numbers)) >= MIN_CHANGES)


def find_meter_name(sample: Sample, dated: dict[int, list[str]]) -> tuple[str, str] | None:
    """Find (the name of the only meter, where it stands): in a column with gaps, or above the table."""
    for n, name in enumerate(sample.names):
        texts = set(sample.take_texts(n)) if n not in dated else set()
        is_meter = METER.search(name) and not UNIT.search(name) and not DIAL_NAME.search(name)
        if len(texts) == 1 and is_meter and not _is_decimal(texts):
            return texts.pop(), f"the column {name!r}, which is empty in other rows"
    above = sample.above
    for label, cell in itertools.pairwise(above):
        if METER_NAME.search(label) and not METER_NAME.search(cell) and _NAME.fullmatch(cell):
            return cell, f"above the table, {label!r}"
    labelled = dict.fromkeys(name for name, _ in list_labelled(sample))
    if len(labelled) == 1:
        return labelled.popitem()[0], "above the table"
    points = {cell for cell in above if _POINT.fullmatch(cell) or _LONG_POINT.fullmatch(cell)}
    # The device of all columns.
    points = points or {name for name in map(find_device, sample.groups[1:]) if name}
    return (points.pop(), "above the table") if len(points) == 1 else None


def list_labelled(sample: Sample) -> list[tuple[str, str]]:
    """Return the names of meters above the table that stand behind a label, each with its text."""
    found = ((match["name"], text) for text in sample.above if (match := _LABELLED.search(text)))
    return [(name, text) for name, text in found if not find_formats([name], dates=True)]


def _is_decimal(texts: set[str]) -> bool:
    return any(map(_DECIMAL.fullmatch, texts))


def _may_name_meter(sample: Sample, place: int) -> bool:
    texts = sample.take_texts(place)
    return bool(texts) and len(set(texts)) * 5 <= len(texts) + 4 and all(len(text) > 5 for text in texts)


def is_quality(word: str) -> bool:
    """Whether a word is that of a quality."""
    word = word.strip("{}[]()")
    return bool(ESTIMATED.match(word) or ACTUAL.match(word))


def find_quality_column(sample: Sample, taken: set[int | None]) -> int | None:
    """Find the column with the quality of each row."""
    free = [n for n in range(len(sample.names)) if n not in taken]
    # The path of a document names what contains the column too.
    named = (n for n in free if _QUALITY.search(sample.names[n].rpartition(".")[2]))
    worded = (n for n in free if _holds_qualities(sample, n))
    return next(
        (
            n
            for n in itertools.chain(named, worded)
            if sample.take_texts(n)
            and max(map(len, sample.take_texts(n))) <= MAX_WORD_CHARS
            and not has_numbers(sample, n)
            and not _names_values(sample, n)
            and not _is_one_method(sample, n)
            and not {text.lower() for text in sample.take_texts(n)} <= _NOTHING
            and not _stands_around(sample, n)
        ),
        None,
    )


def _holds_qualities(sample: Sample, place: int) -> bool:
    """Whether the words of a column are qualities, two of them or more than a letter."""
    words = set(sample.take_texts(place))
    return all(map(is_quality, words)) and (len(words) > 1 or any(len(word) > 1 for word in words))


def _is_one_method(sample: Sample, place: int) -> bool:
    """Whether all rows have one unknown word of a method: it tells no row from another."""
    words = set(sample.take_texts(place))
    is_weak = _METHOD.search(sample.names[place].rpartition(".")[2]) is not None
    return is_weak and len(words) == 1 and not all(map(is_quality, words))


def _stands_around(sample: Sample, place: int) -> bool:
    """Whether a word stands around the rows of a document: of an answer, not of rows."""
    header = sample.header or sample.names
    words = set(sample.take_texts(place))
    return header[place].startswith("$.") and len(words) == 1 and not all(map(is_quality, words))


def _names_values(sample: Sample, place: int) -> bool:
    """Whether the words of a column describe the values with their unit, so that they are not a quality."""
    return any(map(UNIT_IN_BRACKETS.search, set(sample.take_texts(place))))


def find_unit_column(sample: Sample, taken: set[int | None]) -> int | None:
    """Find the column with the unit of each row."""
    for n, name in enumerate(sample.names):
        units = {UNITS.get(text.lower()) for text in sample.take_texts(n)} if n not in taken else set()
        # Each block of columns may have its own: the unit stands in each row of the values that are read.
        if 10 * len(sample.take_texts(n)) < 9 * len(sample.rows):
            continue
        # A column of "A" without a name may also hold the flag of actual values.
        is_named = _UNIT_COLUMN.match(name) or (not name and units <= {*AMOUNTS})
        # Rows of other units, such as degrees, are not read: better than to take them for energy.
        is_known = None not in units
        if units and (
            (is_named and (is_known or units & {*AMOUNTS})) or (is_known and units <= _CERTAIN_UNITS)
        ):
            return n
    return None


def note_foreign_units(sample: Sample, numeric: Sequence[int], unit: int | None) -> None:
    """Note the only word of a column of units that is no unit that is read, for the values before it."""
    for n, name in enumerate(sample.names if unit is None else []):
        words = set(sample.take_texts(n)) if _UNIT_COLUMN.match(name) else set()
        before = [place for place in numeric if place < n]
        if before and len(words) == 1 and OTHER_UNIT.fullmatch(word := words.pop()):
            sample.units.setdefault(before[-1], word)


def find_register_column(
    sample: Sample,
    meter: int | None,
    times: Sequence[object],
    taken: set[int | None],
    tells: Callable[[str], bool] = bool,
) -> int | None:
    """Find the column that distinguishes series of one meter, if a time occurs once for each of them.

    Of equal ones it is the one with most words that tell a direction.
    """
    keys = _pair_keys(sample, meter, times)
    is_often = repeats_times(sample, meter, times)
    if not (is_often or _repeats_on_days(keys)):
        return None
    # In a short file the repeated hour is a large share; a few reads of a dial are told apart completely.
    least = 0.95 * len(keys) if is_often else len(keys) - 1
    found: list[tuple[int, int, int]] = []
    for n in range(len(sample.names)):
        words = {row[n].strip() for row in sample.rows} if n not in taken else set()
        whole = (
            {(key, row[n].strip()) for key, row in zip(keys, sample.rows, strict=True)} if words else set()
        )
        if words and all(map(is_quality, words)):
            # Actual values and estimates of one register.
            continue
        if are_registers(words) and len(whole) > least:
            found.append((len(words), -sum(map(tells, words)), n))
    return min(found)[2] if found else None


def are_registers(words: set[str]) -> bool:
    """Whether the words of a column may tell the series of a meter apart."""
    return 2 <= len(words) <= MAX_REGISTERS and "" not in words and max(map(len, words)) <= MAX_WORD_CHARS


def find_medium_column(sample: Sample, taken: set[int | None]) -> int | None:
    """Find the column that says which rows are of electricity, and which of gas, water or heat."""
    for n in range(len(sample.names)):
        words = {row[n].strip() for row in sample.rows} if n not in taken else set()
        if are_registers(words):
            of_other = {word for word in words if OTHER_MEDIUM.search(word)}
            if of_other and of_other != words:
                return n
    return None


def find_foreign_words(sample: Sample, register: int | None, unit: int | None) -> dict[str, str]:
    """Return the registers whose rows have a unit of no energy, such as that of money, with that unit."""
    if register is None or unit is None or unit == register:
        return {}
    found: dict[str, set[str]] = {}
    for row in sample.rows:
        found.setdefault(row[register].strip(), set()).add(row[unit].strip())
    foreign = {
        word: " ".join(sorted(units))
        for word, units in found.items()
        if all(text and text.lower() not in UNITS for text in units)
    }
    return foreign if len(foreign) < len(found) else {}


def find_kind_column(sample: Sample, meter: int | None, taken: set[int | None]) -> int | None:
    """Find the column that says of what kind a meter is, if meters are of several kinds."""
    for n, name in enumerate(sample.names if meter is not None else []):
        pairs = (
            {(row[meter or 0].strip(), row[n].strip()) for row in sample.rows} if n not in taken else set()
        )
        words = {word for _, word in pairs}
        # Each meter has one.
        if (
            _KIND.search(name.rpartition(".")[2])
            and are_registers(words)
            and len(pairs) == len({m for m, _ in pairs})
        ):
            return n
    return None


def find_medium_unit(sample: Sample, unit: int | None) -> int | None:
    """Return the column of units if some rows are of electricity and others of a volume."""
    words = set(sample.take_texts(unit)) if unit is not None else set()
    is_volume = {UNITS.get(word.lower()) in _VOLUMES for word in words}
    return unit if is_volume == {True, False} else None


def _pair_keys(sample: Sample, meter: int | None, times: Sequence[object]) -> list[tuple[str, object]]:
    names = [row[meter] if meter is not None else "" for row in sample.rows]
    return list(zip(names, times, strict=True))


def _repeats_on_days(keys: Sequence[tuple[str, object]]) -> bool:
    """Whether times come again on more than one day: the clocks are put back on one."""
    seen = Counter(keys)
    days = {at // DAY_US for (_, at), count in seen.items() if count > 1 and isinstance(at, int)}
    return len(days) > 1


def repeats_times(sample: Sample, meter: int | None, times: Sequence[object]) -> bool:
    """Whether a meter has the same time in several rows, more often than a clock change explains."""
    keys = _pair_keys(sample, meter, times)
    return len(set(keys)) <= 0.9 * len(keys)
