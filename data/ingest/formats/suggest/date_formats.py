"""Date and time formats that read a text, as `suggest` tries them.

Here: texts alone. Not here: columns or tables (`sample`, `columns`).
"""

import functools
import re
import time

import numpy as np
import pyarrow as pa

from data.ingest.formats.mapping_shapes import OFFSET_FORMATS, carries_offset
from data.ingest.formats.wallclock import DAY_US, US, Ints, TimeFormat

_DATES = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d")
_MORE_DATES = ("%d.%m.%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y", "%m-%d-%Y", "%Y%m%d")
_SHORT_DATES = ("%d-%m-%y", "%y-%m-%d", "%y/%m/%d", "%y.%m.%d")
_DATES_IN_WORDS = (
    *("%d/%b/%Y", "%b %d %Y", "%d %b %y", "%a %d %b %Y"),
    *(
        "%d.%m.%Y.",
        "%d. %m. %Y.",
        "%d. %b %Y",
        "%d.%b.%Y",
        "%d de %B de %Y",
        "%Y年%m月%d日",
        "%Y. %m. %d.",
        "%Y. %b %d.",
        "%Y.%m.%d",
        "%Y.%m.%d.",
    ),
)
# Years of Thailand and of the Republic of China.
_OTHER_YEARS = (
    *("%d/%m/%T", "%d-%m-%T", "%T-%m-%d", "%T/%m/%d", "%d.%m.%T"),
    *("%N/%m/%d", "%N-%m-%d", "%N.%m.%d", "%N年%m月%d日"),
)
_TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M%p", "%I:%M:%S %p", "%H%M", "%H:%M:%S.%f", "%I:%M:%S.%f %p")
_TIMES_IN_WORDS = ("%H時%M分", "%H時", "%H시%M분", "%H시", "%H点", "%Hh")
# Only behind a date: alone they are numbers.
_MORE_TIMES = (
    "%I.%M.%S.%f %p",
    "%I.%M.%S %p",
    "%I.%M %p",
    "%H.%M",
    "%H.%M.%S",
    "%Hh%M",
    "%H h %M",
    *_TIMES_IN_WORDS,
)
# As Java and C print a date.
_OF_PROGRAMS = ("%a %b %d %H:%M:%S %Z %Y", "%a %b %d %H:%M:%S %Y")
# Words around a time: English, German, French, Spanish, Dutch, Italian, Danish, Norwegian, Swedish, Polish,
# Portuguese, Czech, Finnish, Chinese, Japanese, Korean.
_WEEKDAYS = (
    "monday mon tuesday tue tues wednesday wed thursday thu thur thurs friday fri saturday sat sunday sun",
    "montag mo dienstag di mittwoch mi donnerstag do freitag fr samstag sa sonnabend sonntag so",
    "lundi lun mardi mar mercredi mer jeudi jeu vendredi ven samedi sam dimanche dim",
    "lunes martes miércoles mié mie jueves jue viernes vie sábado sáb sab domingo dom",
    "maandag ma dinsdag woensdag wo donderdag vrijdag vr zaterdag za zondag zo",
    "lunedì lunedi martedì martedi mercoledì mercoledi giovedì giovedi gio venerdì venerdi sabato domenica",
    "mandag man tirsdag tir onsdag ons torsdag tor fredag fre lørdag lør søndag søn",
    "måndag mån tisdag tis torsdag tors lördag lör söndag sön",
    "poniedziałek pon wtorek wt środa śr czwartek czw piątek pt pią sobota sob niedziela ndz niedz",
    "segunda-feira seg terça-feira ter quarta-feira qua quinta-feira qui sexta-feira sex",
    "pondělí po úterý út středa st čtvrtek čt pátek pá neděle ne",
    "maanantai ma tiistai ti keskiviikko ke torstai to perjantai pe lauantai la sunnuntai su",
    "月 火 水 木 金 土 日 월 화 수 목 금 토 일 一 二 三 四 五 六",
)
_WEEKDAY = (
    "(?:" + "|".join(sorted({w for names in _WEEKDAYS for w in names.split()}, key=len)[::-1]) + r")\.?"
)
# A weekday before the date, or behind it; a word before the time; a word behind it.
_LED = re.compile(rf"({_WEEKDAY})(,?\s+|(?=\d))(\S.*\d.*)", re.IGNORECASE)
_MIDDLE = re.compile(
    rf"(.*\S)(\s*\(|,?\s+)({_WEEKDAY}|kl\.?|klo|um|at|om|às|à|a las|o)(\)\s*|,?\s+)(\d.*)", re.IGNORECASE
)
_FOLLOWED = re.compile(rf"(.*\d)(\s*\(|,?\s+)({_WEEKDAY})(\)?)|(.*\d)(\s*)(Uhr|uur|h|hrs)", re.IGNORECASE)
# One day of so many months may be totals of months.
MIN_MONTHS = 3
# Other days of one order are at least so far apart, if they are days of months.
MIN_JUMP_DAYS = 27
# So many texts are read in each format.
MAX_TEXTS = 2000
# A longer text is no time.
MAX_CHARS = 100
# Seconds and milliseconds since 1970, in this century; only a column name distinguishes other long numbers.
EPOCHS = {"unix": re.compile(r"1[0-9]{9}(\.0*)?"), "unix_ms": re.compile(r"1[0-9]{12}(\.0*)?")}
EPOCHS |= {"unix_us": re.compile(r"1[0-9]{15}"), "unix_ns": re.compile(r"1[0-9]{15}000")}
# A range of times: the second time is the end of the interval, and is ignored.
_RANGE = re.compile(
    r"^(.*[0-9M])(\s+(?:to|until|bis|tot|til|till|do|a|à|-|–)\s+)(?:.*[0-9].*)$"
    r"|^([^-–～〜~]*(?::[0-9]{2}(?: ?[AP]M)?|[時时시点hH]))([-–～〜~])(?:[0-9].*)$"
    # Hours alone, behind a date or a word.
    r"|^(.*[0-9].*[ T][0-9]{1,2})([-–])(?:[0-9]{1,2})$"
)
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d.*\d ?(Z|UTC|GMT|([A-Z]{2,5})?[+-]\d\d:?\d\d|[+-]\d\d)(\[[A-Za-z_/]+\])?"
)
_ZONED = re.compile(r"(.*[0-9](?: ?[AP]M)?)( ?)((?:[A-Z]{1,5})?[+-]\d\d:?(?:\d\d)?|[A-Z]{1,4})")
_NAMED_ZONE = re.compile(r"(?<=\d) \([^()]+\)$")
_QUOTED = re.compile(r"'[^']+'")
_SUMMER = re.compile(r"(?<=[0-9]) ?(DST|\(DST\)|\*)$")
_JOINS = (" ", "T", "", ":", ", ")


def is_dated(text: str) -> bool:
    """Whether a text is a date, with or without a time."""
    if any(epoch.fullmatch(text.strip()) for epoch in EPOCHS.values()):
        return True
    return bool(re.search(r"[0-9]", text)) and bool(find_formats([text.strip()], dates=True))


@functools.cache
def _list_candidates(dates: bool) -> tuple[TimeFormat, ...]:
    if not dates:
        return tuple(map(TimeFormat, (*_TIMES, *_TIMES_IN_WORDS)))
    every = (*_DATES, *_MORE_DATES, *_SHORT_DATES, *_DATES_IN_WORDS, *_OTHER_YEARS)
    joined = (
        f"{date}{join}{clock}" for date in every for join in _JOINS for clock in (*_TIMES, *_MORE_TIMES)
    )
    hours = (f"{date}{join}%H" for date in every for join in (" ", "T"))
    # The keys of nested objects, joined: a day, and below it a time.
    keys = (f"%Y-%m-%d.{clock}" for clock in ("%H:%M", "%H:%M:%S", "%H"))
    return tuple(map(TimeFormat, (*every, *joined, *hours, *keys, *_OF_PROGRAMS)))


@functools.lru_cache(maxsize=10_000)
def _list_fitting(shape: str, dates: bool) -> tuple[TimeFormat, ...]:
    """Return the known formats of texts that are this one but for their digits: few of some thousand."""
    return tuple(form for form in _list_candidates(dates) if form.fits(shape))


def find_formats(texts: list[str], *, dates: bool) -> list[str]:
    """Return the known formats that match every text: those with a date, or those without."""
    if not texts:
        return []
    sample = _spread(texts)
    if any(len(text) > MAX_CHARS for text in sample):
        return []
    fitting = _list_fitting(re.sub("[0-9]", "0", sample[0]), dates)
    found = [form.text for form in fitting if all(map(form.matches, sample))]
    if not found and all(map(_QUOTED.fullmatch, sample)):
        return [f"'{form}'" for form in find_formats([text[1:-1] for text in sample], dates=dates)]
    found = found or _find_in_words(sample, dates=dates) or _find_marked(sample, dates=dates)
    ranges = [_RANGE.match(text) for text in sample] if not found else []
    if ranges and all(ranges):
        to = {" ".join((match[2] or match[4] or match[6]).split()) for match in ranges if match}
        starts = find_formats([match[1] or match[3] or match[5] for match in ranges if match], dates=dates)
        blank = " " if any(match[2] for match in ranges if match) else ""
        join = to.pop()
        return [] if to else [f"{form}{blank}{join}{blank}%*" for form in starts]
    if dates and not found and all(map(_ISO.fullmatch, sample)):
        return ["iso8601"]
    return _find_zoned(sample) if dates and not found else found


def _find_marked(texts: list[str], *, dates: bool) -> list[str]:
    """Return the formats of times of which those of summer time are marked as such."""
    if not any(map(_SUMMER.search, texts)):
        return []
    return [f"{form}%*" for form in find_formats([_SUMMER.sub("", text) for text in texts], dates=dates)]


def _find_zoned(texts: list[str]) -> list[str]:
    """Return the formats of times with an offset or the name of a zone behind them."""
    if all(map(_NAMED_ZONE.search, texts)):
        # A browser writes the name of the zone behind its offset.
        return [f"{form} %*" for form in _find_zoned([_NAMED_ZONE.sub("", text) for text in texts])]
    cut = [_ZONED.match(text) for text in texts]
    if not all(cut):
        return []
    local = find_formats([match[1] for match in cut if match], dates=True)
    joins = {match[2] for match in cut if match}
    tokens = {
        "%Z" if match[3].isalpha() and match[3] not in ("UTC", "GMT", "Z") else "%z" for match in cut if match
    }
    forms = [
        f"{form}{' ' * bool(joins - {''})}{token}"
        for form in local
        for token in sorted(tokens)
        if "*" not in form and not carries_offset(form) and TimeFormat(form).has_time
    ]
    return [form for form in forms if all(map(TimeFormat(form).matches, texts))]


def _find_in_words(texts: list[str], *, dates: bool) -> list[str]:
    """Return the formats of times with a weekday or another word before, in or behind them."""
    for pattern in (_LED, _MIDDLE, _FOLLOWED):
        cut = [found.groups("") for text in texts if (found := pattern.fullmatch(text))]
        if len(cut) < len(texts) or not (dates or pattern is _FOLLOWED):
            continue
        rests, words, shapes = zip(*(_cut_word(pattern, groups) for groups in cut), strict=True)
        if len(set(shapes)) > 1:
            return []
        is_weekday = all(re.fullmatch(_WEEKDAY, word, re.IGNORECASE) for word in words)
        if not is_weekday and len(set(words)) > 1:
            return []
        shape = shapes[0].format("%a" if is_weekday else words[0])
        forms = [_put_in(pattern, form, shape) for form in find_formats(list(rests), dates=dates)]
        return [form for form in forms if form and all(map(TimeFormat(form).matches, texts))]
    return []


def _cut_word(pattern: re.Pattern[str], groups: tuple[str, ...]) -> tuple[str, str, str]:
    """Return (the text without its word, the word, what stands around it: {} is the word)."""
    if pattern is _LED:
        word, join, rest = groups
        return rest, word, f"{{}}{join}"
    if pattern is _MIDDLE:
        date, before, word, behind, clock = groups
        return f"{date} {clock}", word, f"{before}{{}}{behind}"
    rest, before, word, behind = groups[:4] if groups[0] else (*groups[4:], "")
    return rest, word, f"{before}{{}}{behind}"


def _put_in(pattern: re.Pattern[str], form: str, shape: str) -> str:
    """Return the format with the word in its place, "" if it has no such place."""
    if pattern is _LED:
        return shape + form
    if pattern is _FOLLOWED:
        return form + shape
    halves = re.fullmatch(r"(.*%[dmyYbB]\S*) (%[HI].*)", form)
    return halves[1] + shape + halves[2] if halves else ""


def rank_formats(texts: list[str], forms: list[str], timezone: str | None) -> tuple[list[str], list[str]]:
    """Return (the formats, the best one first; those among which neither content nor zone decides).

    Dates of the right format have the fewest days between them, and none is in the future. Day and month of
    one day alone follow the custom of the zone, unless the last number may be the day of a later year.
    """
    if len(forms) < 2 or forms[0] in OFFSET_FORMATS:
        return forms, []
    distinct = pa.array(_spread(texts))
    tomorrow = time.time() * US + DAY_US
    spans: dict[str, int] = {}
    starts: dict[str, int] = {}
    monthly: set[str] = set()
    for form in forms:
        parsed, bad = TimeFormat(form).parse(distinct)
        # A total below the table has no date.
        found = parsed[~bad] if not bad.all() else parsed
        if found.max() < tomorrow:
            spans[form], starts[form] = int(found.max() // DAY_US - found.min() // DAY_US), int(found.min())
            days = np.unique(found // DAY_US).astype("datetime64[D]")
            of_month = days - days.astype("datetime64[M]")
            # Totals of months have a row for each of them.
            if MIN_MONTHS <= len(days) == len(texts) and len(np.unique(of_month)) == 1:
                monthly.add(form)
    known = [form for form in forms if form in spans] or forms
    is_american = timezone is not None and timezone.startswith(("America/", "US/"))

    def rank(form: str) -> tuple[int, bool]:
        return spans.get(form, 0), is_american and not form.startswith("%m")

    ranked = sorted(known, key=rank)
    equal = [form for form in ranked if rank(form)[0] == rank(ranked[0])[0]]
    # Two formats may be one for these texts.
    equal = [form for n, form in enumerate(equal) if starts.get(form) not in map(starts.get, equal[:n])]
    newer = [form for form in equal if form.startswith("%y") and starts[form] > starts[equal[0]]]
    has_custom = timezone is not None and timezone != "UTC" and not newer
    other = re.sub("%[dm]", lambda found: "%m" if found[0] == "%d" else "%d", ranked[0])
    if has_custom and other in monthly and other.startswith("%m" if is_american else "%d"):
        # Twelve days of one month, or one day of twelve months as people of the zone write it.
        return ranked, [ranked[0], other]
    return ranked, equal if len(equal) > 1 and not has_custom else []


def mixes_orders(texts: list[str], form: str) -> bool:
    """Whether dates that jump by months follow each other if some of them have the other order."""
    if form in OFFSET_FORMATS or not {"%d", "%m"} <= {*re.findall("%.", form)}:
        return False
    other = re.sub("%[dm]", lambda found: "%m" if found[0] == "%d" else "%d", form)
    distinct = pa.array(_spread(texts))
    (days, bad), (swapped, unfit) = (TimeFormat(one).parse(distinct) for one in (form, other))
    days, swapped, fits = days // DAY_US, swapped // DAY_US, ~unfit & ~bad
    if not fits.any() or fits.all() or _measure_gap(days[~bad]) < MIN_JUMP_DAYS:
        return False
    return _measure_gap(np.where(fits, swapped, days)[~bad]) == 1


def _measure_gap(days: Ints) -> int:
    """Return the most days between one day and the next one."""
    return int(np.diff(np.unique(days)).max(initial=0))


def _spread(texts: list[str]) -> list[str]:
    """Return the distinct texts, of many some at regular distances."""
    distinct = list(dict.fromkeys(texts))
    return distinct[:: -(-len(distinct) // MAX_TEXTS)] if len(distinct) > MAX_TEXTS else distinct


@functools.lru_cache(maxsize=100)
def _know_format(form: str) -> TimeFormat:
    return TimeFormat(form)


def lacks_date(text: str, form: str) -> bool:
    """Whether a text is not a date of the format."""
    if form in OFFSET_FORMATS:
        return not (EPOCHS[form].fullmatch if form in EPOCHS else re.compile(r"\d{4}-").match)(text.strip())
    return not _know_format(form).matches(text.strip())


def cut_time(form: str) -> str:
    """Return the date format of a text that contains the midnight at which the day begins."""
    times = [form.find(token) for token in ("%H", "%I") if token in form]
    return form[: min(times)].rstrip("T ") + "%*" if times else form
