"""The direction of energy by a name: that of a column, or the word of a register, alone or beside others.

Here: words in the languages of the senders. Not here: what the values say (`meaning`).
"""

import re
from collections.abc import Sequence

from data.ingest.formats.columns import UNITS
from data.ingest.formats.suggest.columns import OTHER_MEDIUM, OTHER_UNIT, UNIT, VALUE
from data.ingest.formats.suggest.meter_columns import COUNTED
from data.ingest.schema import KWH_PER_UNIT_POWER_OF_TEN

_EXPORT = re.compile(
    r"export|receiv|einspeis|eingespeis|ins netz|invoed|abgabe|vertid|feed|inje[cçt]|inyec|return|surplus"
    r"|kwh rec\b|salient|върнат|отдаден|изнес"
    r"|terug|(?<![a-z])gelvr(?![a-z])|outflow|\bventa|\bvenda|\bvendit|\bmyyn|prodej|\bsold\b|\bsell"
    r"|recibid|livrat[aăe]?\b|veri[sş]|bet[aá]pl[aá]l|(?<!\w)(-[AP]|E?[AP] ?-)(?!\w)|売電|(active|kwh) ?\(E\)"
    r"|excedent|vendu|cedut|immess|immissione|inmatning|s[åa]ld\b|\bsalg|solgt|oddan|wprowadz|sprzed|(^|_)as(_|$)|#b[0-9]$"
    r"|(?<![a-z])exp(?![a-z])|energy_?out(?![a-z])|(to|til) (the )?(grid|net)\b|r(ü|ue)ck(lief|speis)|反向"
    # What the grid receives, and what returns: the end of a name, or a part between signs.
    r"|(?<![a-z])rec(?![a-z])(?! ?\w)|(?<![a-z])ret(?![a-z])|out of the load"
    r"|[0-9]-[0-9]+:2\.|(?<![0-9])(?<![0-9]\.)2\.[89]\."
    # Of a meter at the grid, and of a point that supplies in Czechia.
    r"|IN-[0-9]{18}-D"
    r"|grid ?ms\. ?tot ?wh ?out|εξαγ|出力|逆潮"
    r"|visszat[aá]pl|preda[nt]|isporu[cč]|atiduot|nodot[aā]|έγχυ|εγχ[εέύ]|отдач|отдан|відда[нч]|ekspor|역송|הזרמה",
    re.I,
)
IMPORT = re.compile(
    r"import|(?<![a-z])imp(?![a-z])"
    r"|bezug|bezogen|from (the )?grid|deliver|afname|preliev|prelev|soutir|purchas|inflow"
    r"|entregad|retirad|primljen"
    r"|entrante|[cç]eki[sş]|odb[eě]r|prejet|preuzet|(?<!\w)(\+ ?[AP]|E?[AP] ?\+)(?!\w)|買電"
    r"|(active|kwh) ?\(I\)|\bativa c\b"
    r"|pob[oó]r|pobran|uttag|k[öo]pt|k[øo]bt|\bgrid\b|grid_(?:cons|usage)|netz|[0-9]-[0-9]+:1\.|(?<![0-9])(?<![0-9]\.)1\.[89]\."
    r"|\bcompra|acquist|\bosto|n[aá]kup|zakup|\bbought|\bbuy|^AI$|正向|into the load|수전|при[её]м|прийн"
    r"|(IN|OUT)-[0-9]{18}-O|grid ?ms\. ?tot ?wh ?in(?![a-z])|εισαγ|закупен|\bimpor\b|kwh del\b"
    r"|(?<![a-z])del(?![a-z])(?! ?\w)",
    re.I,
)
CONSUMPTION = re.compile(
    r"\bused?\b|verbr(?![a-z])|(?<![a-z])(home|loadpoint|wallbox|charger|ladepunkt)(?![a-z])|pemakaian|consum|consom|zu[zż]y|verbrauch|usage|verbruik|(?<![a-z])loads?(?![a-z])|demand|kulutus|forbru|f(ö|o)rbruk|tarbi|fogyaszt"
    r"|t[uü]ketim|spot[rř]eb|suvarto|patēr|potro[sš]n|κατανάλ|使用|用电|사용량"
    r"|消費|用電|耗電|耗电|소비|потребл|консум|спожив|צריכ|استهلاك|tiêu thụ|ใช้|notkun|potroš",
    re.I,
)
# Parts of one direction: tariffs, phases, rates, meters.
_PART = re.compile(
    r"(?:hoch|nieder|spitzen|schwach|nacht|tag|haupt|neben)?tarif|(?:off|mid|on)[ -]?peak|peak|shoulder"
    r"|valle|punta|llano|\bdag|\bdal\b|nacht|nuit|jour|\bday|night|\blow|\bhigh|norma+l|laag|hoog"
    r"|\b(ht|nt|hc|hp)\b|\b[tfpl][1-6]\b|phase|fase|rate|vazio|fora (?:de )?ponta|ponta|intermedi[aá]ri\w*"
    r"|\b[abc]_(?=total|act|fund)|cheias?\b|pleine|creuse|[0-9]\.8\.[0-9]|[0-9]-[0-9]:|\be[0-9]+\b|meter"
    r"|z(ä|ae)hler|unit|wohnung|controlled load|general"
    r"|^[0-9]{6,}\b|compteur|contador|contatore|licznik|m(å|aa)ler|m(ä|ae)tar",
    re.I,
)
_GENERATION = re.compile(
    r"genera[tc]|gera[cç]|solar|pv ?[0-9]{0,2}\b|(?<![a-z])pv(?![a-z])|produ|erzeug|opwek|wytw|yield|ertrag"
    r"|inverter|wechselrichter|onduleur|inversor|tuotanto|tootm|termel|[uü]retim|παραγωγ|výrob|発電|发电|발전량"
    r"|gamyb|pagamin|ražo|proizv|framlei|termel|gyárt|tootu|tuotto|генерац|выработ|произв|вироб|ייצור|إنتاج|توليد|ผลิต"
    r"|metering\.totwhout"
    r"|\b[ep]ac(today|total)?\b|\be[-_ ]?(today|total|day)\b|\bsymo\b|\bprimo\b|gesamtanlage",
    re.I,
)
_OTHER_WAY = re.compile(f"{_EXPORT.pattern}|{_GENERATION.pattern}|ele[ck]tr|strom|stroom|\\bel\\b", re.I)
_ELECTRICITY = re.compile(r"[eé]l[eé][ck]tri|strom(?![a-z])|stroom", re.I)
# Before and behind an inverter: the same energy twice.
_BEFORE_INVERTER, _BEHIND_INVERTER = (
    re.compile(r"\bpv\b|\bdc\b|solar|panel|string|mppt", re.I),
    re.compile(r"inverter|wechselrichter|onduleur|inversor|\bac\b|(?<![a-z])system(?![a-z])", re.I),
)
_AT_GRID = re.compile(r"(?<![a-z])(grid|netz?|réseau|rete)(?![a-z])", re.I)
# From a storage or the sun to the grid, and from the grid to whatever it is.
_INTO_GRID, _OUT_OF_GRID = (
    re.compile(r"(?<![a-z])(to|-+>|→) ?(the )?(grid|net|netz)(?![a-z])", re.I),
    re.compile(r"(?<![a-z])(grid|netz) ?( to |-+>|→)", re.I),
)
# Energy that stays behind the meter: stored, or generated and used there.
_STRING = re.compile(r"(?<![a-z])(string|mppt)s?(?![a-z])", re.I)
STORED = re.compile(
    r"batter|(?<![a-z])storage|akku|speicher(?!h)|(?<![^\W\d_])(be|ent)?ladung(?![^\W\d_])|charge", re.I
)
_INSIDE = re.compile(
    r"(?<![^\W\d_])ladung(?![^\W\d_])|batter|akku|powerwall|stored|(?<![a-z])storage|speicher(?!h)"
    r"|beladung|entladung|charg(ed|ing)\b|geladen|ontladen|autocons|self.?cons"
    r"|eigenverbrauch|direktverbrauch|direct[ _]?(?:consum|use)|eigennutz"
    r"|(consum|verbrauch|usage|load).*(pv\b|solar)"
    r"|(pv|solar).*( to |-+> ?|→ ?)(home|house|load|consum|batter)|(?<![a-z])batt?(?![a-z])"
    # What is left behind the sharing of energy.
    r"|OUT-[0-9]{18}-[DO]"
    r"|eigendeckung|gemeinschafts(?:ü|ue)berschuss|egenforbrug|egenf[öo]rbruk|autoverbruik",
    re.I,
)
# A utility delivers to its customer and receives from him; where another one is named, he speaks himself.
_CUSTOMER = r"(?!(the |your )?(customer|consumer|you\b|client|member|home|house|load|solar|pv\b|generat))"
_OF_CUSTOMER = re.compile(rf"receiv\w* from {_CUSTOMER}|deliver\w* to {_CUSTOMER}", re.I)
_FROM_GRID, _TO_GRID = (
    re.compile(rf"{way} (the |your )?(grid|utility|network|supplier)", re.I) for way in ("from", "to")
)
# To the customer or by the customer.
MULTIPLES = {"ccf": ("ft3", 100), "hcf": ("ft3", 100), "mcf": ("ft3", 1000), "dth": ("therm", 10)}
NO_ELECTRICITY = ("ft3", "m3", "l", "therm", "GJ", "MJ")
# Words of other scripts that say nothing of a direction.
_NEUTRAL = re.compile(
    r"数值|值|値|값|有功|总|電力|电量|电能|电力|전력|전기|에너지|ενέργεια|ενεργ\w*|энерги\w*|активн\w*|енерги\w*|значени\w*|"
    r"стойност|חשמל|ערך|אנרגיה|بقوط|طاقة|قيمة|ค่า|พลังงาน|ไฟฟ้า",
    re.I,
)
# Value, amount, reading, sum, meter, active, measured: they say of what, and not which way.
_NEUTRAL_LATIN = re.compile(
    r"val(ue|or|eur|ore|oare)|wert|v[äæa]rd(e|i)|waarde|wart|arvo|hodnot|vrijedn|vrednost|[eé]rt[eé]k|de[gğ]er|reik[sš]m"
    r"|v[äa][äa]rtus|v[eē]rt[iī]b|gildi|bal[ií]o|amount|quantit|menge|m[äa][äa]r[äa]|koli[cč]|ilo[sś][cć]|mennyis|miktar"
    r"|read(ing)?|misur|medi[cdt]|mes(s|ur)|m[äåa]l|meas|pomiar|m[eě][rř]en|m[eé]r[eé]s|mittau|data|dato|total|sum|aktiv|activ"
    r"|(?<![a-z])act(?![a-z])|leistung|arbeit|puissance|poten[cz]|mo[cč]\b|effekt|v[ýy]kon|teho|watt|[pn]ul[sz]|avg|averag|mittel|mean|\bP\b"
    r"|\b[kM]?VA(rh?|h)?\b|\btime|zeit|\bdat[aeou]m?\b|\bmin(uten?|utes?)?\b|hour|stund|hora|heure|quarter|viertel"
    # The rest of a house of flats generates nothing.
    r"|(?<![a-z])(common|communal|landlord|allgemein|parties communes|comunes)(?![a-z])"
    r"|attiv|czynn|[cč]inn|power|energ|kwh|interval|channel|kanal|meter|z(ä|ae)hl|profil|last(gang)?\b|curva|courbe",
    re.I,
)
# Codes of registers that are no active energy of a meter or of one of its phases.
OBIS_OTHER = re.compile(
    r"[0-9]-[0-9]+:(?!(?:1|2|21|22|41|42|61|62|16)\.)[0-9]+\.[0-9]|(?<![0-9.:])[3-9]\.(?:8|9|29|5)\.[0-9](?![0-9])"
)
_REACTIVE = re.compile(
    r"(?<![a-z])react(?![a-z])|rea[ck]?t[iy]v|r[eé]activ|blind(?!s)|[άα]εργ|реактивн"
    r"|biern|jalov|j[aá]lov|meddő|reaktiiv|loistehoe|kapacit|indukt|capacitiv|inductiv|無効|무효|无功|ריאקטיב|ρεακτ"
    r"|(?<![^\W_])[RQ] ?[+-](?![^\W_])|(?<![^\W_])[+-] ?[RQ](?![^\W_])|^[RQ][1-4]$",
    re.I,
)
_REACTIVE_UNIT = re.compile(r"(?<![a-z])[km]?var(h?)(?![a-z])", re.I)
_OF_POWER = re.compile(r"(?<![a-z])[kM]?W(?![a-z])", re.I)
REACTIVE_WITHOUT_UNIT = "reactive power, or reactive energy without its unit"
# Codes that stand together: active import and export in Britain, extraction and injection in New Zealand.
# And the consumption and production of European market documents. The first that fits counts.
_CODES: tuple[dict[str, str], ...] = (
    {"AI": "import", "AE": "export"},
    {"X": "import", "I": "export"},
    {"A04": "import", "A01": "export"},
    # Of homes whose sun has a meter of its own: all that is used, and all that is generated.
    {"GC": "consumption", "GG": "generation", "CL": "consumption"},
    {"GC": "consumption", "GG": "generation"},
)
# The flows of a site with a battery: from sun, grid and battery to each other and to what is used.
_FLOWS = {"Pg": "export", "Bg": "export", "Gc": "import", "Gb": "import", "Pc": "other", "Pb": "other"}
_FLOWS |= {"Bc": "other"}
_LEAST_FLOWS = 3
# The registers of an Australian meter: energy to the customer, from him, reactive energy.
_NEM_SUFFIX = re.compile(r"[EBQKJLV][1-9A-D]")
# What comes back: ret_energy beside energy, teruglevering beside levering.
_RETURNS = re.compile(
    r"(?<![a-z])ret[_ ]|[_ ]ret(?![a-z])|(?<![a-z])terug(?=le)|(?<![a-z])r(?:ü|ue)ck(?=lief)", re.I
)
_TARIFF = re.compile(r"(?<![0-9.])([1-9]\.[89])\.([0-9])(?![0-9])")
_HEAT = re.compile(r"(?<![a-z])(heat(?! ?pump)|v?w?(ä|ae|a)rme(?!pump)|warmte(?!pomp)|chaleur|calor)", re.I)
_FLOW = re.compile(r"volum|flow|\bV[12]\b|durchfluss|gennemstr|circul|kreis", re.I)
_USED_WATER = re.compile(
    r"cold|domestic|drink|kalt|trink|brauch|koldt|brugs|froide|fr[ií]a|fredda|gas|gaz", re.I
)
_METER = re.compile(r"(?<![a-z])(smart ?)?meter(?![a-z])", re.I)
# The supply of a building, of which other columns are circuits.
_MAINS = re.compile(r"(?<![a-z])(mains|main[ _]?[0-9])(?![a-z])", re.I)
# Letters and digits by which names of one kind are counted, and words for a unit.
_COUNTED = re.compile(r"\(.*?\)|\[.*?\]|[kM]?Wh|[0-9]+|(?<![^\W\d_])[^\W\d_](?![^\W\d_])|[^\w]|_", re.I)


def guess_channel(name: str) -> str:
    """Guess the channel by the name of a column or the word of a register."""
    found = UNIT.search(name)
    is_reactive = found is not None and found.group(1).lower().endswith("varh")
    channel = _guess_channel(name, is_reactive)
    is_other = found is not None and UNITS[found.group(1).lower()] in NO_ELECTRICITY
    stated = None if found else OTHER_UNIT.search(name)
    is_other |= stated is not None and stated.group().lower() != "kvah"
    # Electricity that heats water is no water.
    is_other |= OTHER_MEDIUM.search(name) is not None and _ELECTRICITY.search(name) is None
    return "consumption" if channel == "import" and is_other else channel


def resolve_channels(names: Sequence[str], *, are_registers: bool = False) -> list[str]:
    """Guess the channels of names that stand beside each other, empty where the names do not tell.

    Two names without a direction may be parts of the import; beside a name with the direction they may be
    anything, and the consumption of a site is more than its import.
    """
    guessed = [guess_channel(name) for name in names]
    codes = _find_codes(names)
    guessed = [codes.get(name, channel) for name, channel in zip(names, guessed, strict=True)]
    units = [UNITS.get(name.lower()) if are_registers else None for name in names]
    if any(unit in NO_ELECTRICITY for unit in units):
        # The energy of gas stands beside its volume.
        guessed = [
            "" if unit in KWH_PER_UNIT_POWER_OF_TEN else c for unit, c in zip(units, guessed, strict=True)
        ]
    if not are_registers and any(map(_is_volume_of_any, names)):
        guessed = ["" if _is_energy_of_any(n) else c for n, c in zip(names, guessed, strict=True)]
    guessed = _set_sum_of_tariffs_aside(names, guessed) if are_registers else guessed
    guessed = _set_flow_of_heat_aside(names, guessed)
    guessed = _open_generation(names, _pair_signs(names, guessed))
    if {"generation", "export"} <= {*guessed}:
        # Beside what is generated and what is sent out, the consumption is that of the site.
        is_own = [bool(CONSUMPTION.search(name) and not IMPORT.search(name)) for name in names]
        guessed = [
            "consumption" if own and channel == "import" else channel
            for own, channel in zip(is_own, guessed, strict=True)
        ]
    imports = [name for name, channel in zip(names, guessed, strict=True) if channel == "import"]
    explicit = {name for name in imports if name in codes or IMPORT.search(name)} | _find_counterparts(
        names, guessed
    )
    if len(imports) < 2:
        return guessed if are_registers else _open_unknown(names, guessed)
    mains = {name for name in imports if _MAINS.search(name)}
    if mains and explicit <= mains and {*guessed} == {"import"}:
        return ["import" if name in mains else "other" for name in names]
    metered = {name for name in imports if _METER.search(name) and not CONSUMPTION.search(name)}
    if not explicit and len(metered) == 1 and "generation" in guessed:
        # Beside an inverter the meter stands at the grid.
        explicit = metered
    others = [name for name in imports if name not in explicit and not _PART.search(name)]
    parts = {name for name in imports if _PART.search(name)} - explicit
    if len({_COUNTED.sub("", _PART.sub("", name)).lower() for name in parts}) > 1:
        # Their names differ by more than a tariff or a number.
        others, parts = [name for name in imports if name not in explicit], set()
    if not explicit and not are_registers and not parts:
        consumed = [name for name in others if CONSUMPTION.search(name)]
        explicit = {*consumed} if len(consumed) == 1 else {*others} if len(others) == 1 else set()
    return [
        channel
        if channel != "import" or name in explicit or name in parts
        else "consumption"
        if explicit
        and (explicit == metered or any(map(IMPORT.search, explicit)))
        and CONSUMPTION.search(name)
        else ""
        for name, channel in zip(names, guessed, strict=True)
    ]


def is_reactive_without_unit(name: str) -> bool:
    """Whether a name says reactive, and not that it is counted in kvarh: nothing tells its unit."""
    unit = _REACTIVE_UNIT.search(name)
    return unit.group(1) == "" if unit else bool(_REACTIVE.search(name))


def are_tariffs(names: Sequence[str]) -> bool:
    """Whether all names have the word of a tariff, a phase or a rate.

    P1 and P2 of power are its directions: what comes in and what goes out take turns too.
    """
    return all(map(_PART.search, names)) and not any(map(_OF_POWER.search, names))


def _open_unknown(names: Sequence[str], guessed: Sequence[str]) -> list[str]:
    """Leave the channel of a name open that has an unknown word of another script: it may be generation."""
    has_ways = {"generation", "export"} & {*guessed}
    pairs = _find_counterparts(names, guessed)
    return [
        ""
        if channel == "import"
        and (_has_unknown_word(name) or (has_ways and name not in pairs and _has_other_word(name)))
        else channel
        for name, channel in zip(names, guessed, strict=True)
    ]


def _has_other_word(name: str) -> bool:
    """Whether a name has a word beside those that are known: beside generation it may be anything."""
    rest = _drop_known_words(name)
    return rest is not None and re.search(r"[^\W\d_]{3,}", rest) is not None


def _has_unknown_word(name: str) -> bool:
    rest = _drop_known_words(name)
    return rest is not None and re.search("[\u0370-\u1cff\u2e80-\ud7af]{2,}", rest) is not None


def _find_codes(names: Sequence[str]) -> dict[str, str]:
    """Return the channels of names that are codes which stand together, none of others."""
    # The path of rows of a document ends with their name.
    bare = [re.sub(r"^\$\.(?:.*\.)?([^.\[]+)\[\*\]$", r"\1", name) for name in names]
    if _are_flows(bare):
        return {name: _FLOWS.get(code, "") for name, code in zip(names, bare, strict=True)}
    if all(map(_NEM_SUFFIX.fullmatch, names)) and {"E", "B"} <= {name[0] for name in names}:
        return {name: {"E": "import", "B": "export"}.get(name[0], "other") for name in names}
    return next((of_codes for of_codes in _CODES if of_codes.keys() <= {*names}), {})


def _are_flows(names: Sequence[str]) -> bool:
    """Whether names are codes of the flows of a site, from the sun, the grid and a battery to each other."""
    return len({*names} & _FLOWS.keys()) >= _LEAST_FLOWS


def tells_direction(name: str) -> bool:
    """Whether a name has a word that tells a direction."""
    return guess_channel(name) != "import" or IMPORT.search(name) is not None


def is_unknown(name: str) -> bool:
    """Whether a name has words of which none is known: they may speak of generation or export."""
    rest = _drop_known_words(name)
    words = [] if rest is None else re.findall(r"[^\W\d_]{3,}", rest)
    return bool(words) and rest == name


def _drop_known_words(name: str) -> str | None:
    """Return what is left of a name without words that say no direction, None if one says it."""
    if any(kind.search(name) for kind in (IMPORT, CONSUMPTION, OTHER_MEDIUM)):
        return None
    rest = name
    for kind in (VALUE, UNIT, COUNTED, _PART, _NEUTRAL, _NEUTRAL_LATIN):
        rest = kind.sub("", rest)
    return rest


def _set_sum_of_tariffs_aside(names: Sequence[str], guessed: Sequence[str]) -> list[str]:
    """Return the channels with the register 1.8.0 as other, if 1.8.1 and others are its parts."""
    codes = [found.groups() if (found := _TARIFF.search(name)) else ("", "") for name in names]
    split = {kind for kind, tariff in codes if tariff not in ("", "0")}
    return [
        "other" if tariff == "0" and kind in split else channel
        for (kind, tariff), channel in zip(codes, guessed, strict=True)
    ]


def _pair_signs(names: Sequence[str], guessed: Sequence[str]) -> list[str]:
    """Return the channels of names that differ by + and - alone: what comes in, and what goes out."""
    bare = [re.sub(r"[+-]", "", name) for name in names]
    signs = [set(re.findall(r"[+-]", name)) for name in names]
    return [
        ("import" if signs[n] == {"+"} else "export")
        if channel == "import"
        and signs[n] in ({"+"}, {"-"})
        and any(one == bare[n] and signs[m] == {"+", "-"} - signs[n] for m, one in enumerate(bare))
        else channel
        for n, channel in enumerate(guessed)
    ]


def _find_counterparts(names: Sequence[str], guessed: Sequence[str]) -> set[str]:
    """Return the names that are those of an export without its word."""
    exports = (name for name, channel in zip(names, guessed, strict=True) if channel == "export")
    bare = {_RETURNS.sub("", name, count=1).lower() for name in exports}
    return {name for name in names if name.lower() in bare}


def _set_flow_of_heat_aside(names: Sequence[str], guessed: Sequence[str]) -> list[str]:
    """Return the channels with that of the water beside the energy of heat as other, or open.

    Water carries the heat of a meter, or a building uses it.
    """
    units = [UNITS[found.group(1).lower()] if (found := UNIT.search(name)) else None for name in names]
    pairs = list(zip(names, units, strict=True))
    is_heat = any(unit in ("GJ", "MJ") or (unit != "m3" and _HEAT.search(name)) for name, unit in pairs)
    return [
        channel
        if not is_heat or unit != "m3" or _USED_WATER.search(name)
        else "other"
        if _FLOW.search(name)
        else ""
        for (name, unit), channel in zip(pairs, guessed, strict=True)
    ]


def _is_volume_of_any(name: str) -> bool:
    """Whether a name has a unit of volume, and does not say of what."""
    unit = UNIT.search(name)
    return unit is not None and UNITS[unit.group(1).lower()] == "m3" and not OTHER_MEDIUM.search(name)


def _is_energy_of_any(name: str) -> bool:
    """Whether a name has a unit of energy, and says neither the direction nor that it is electricity."""
    unit = UNIT.search(name)
    is_energy = unit is not None and UNITS[unit.group(1).lower()] in KWH_PER_UNIT_POWER_OF_TEN
    return is_energy and not (IMPORT.search(name) or _OTHER_WAY.search(name) or OTHER_MEDIUM.search(name))


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
    if any(is_behind):
        # A string is a part of what its inverter yields.
        pairs = [(name, "other" if _STRING.search(name) else channel) for name, channel in pairs]
    sent = [name for name, channel in pairs if channel == "export" and not _PART.search(name)]
    at_grid = {name for name in sent if _AT_GRID.search(name)}
    is_sun = {name for name in sent if at_grid and name not in at_grid and _GENERATION.search(name)}
    if has_both and any(map(STORED.search, names)):
        # What comes out of an inverter with a battery is no generation.
        behind = {name for name, one in zip(generated, is_behind, strict=True) if one}
        return ["other" if name in behind else "" if name in is_sun else c for name, c in pairs]
    return [
        "" if (channel == "generation" and has_both) or name in is_sun else channel for name, channel in pairs
    ]


def _guess_channel(name: str, is_reactive: bool = False) -> str:
    if is_reactive:
        return "reactive_export" if _EXPORT.search(name) else "reactive_import"
    if OBIS_OTHER.search(name):
        return "other"
    if _INTO_GRID.search(name) or _OUT_OF_GRID.search(name):
        return "export" if _INTO_GRID.search(name) else "import"
    if _INSIDE.search(name):
        return "other"
    if _OF_CUSTOMER.search(name):
        return "import" if _FROM_GRID.search(name) else "export" if _TO_GRID.search(name) else ""
    return "export" if _EXPORT.search(name) else "generation" if _is_generation(name) else "import"


def _is_generation(name: str) -> bool:
    """Whether a name says generation; one of consumption may speak of it in brackets."""
    bare = re.sub(r"\([^()]*\)", " ", name)
    return _GENERATION.search(bare if CONSUMPTION.search(bare) else name) is not None
