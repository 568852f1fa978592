"""Why a table holds no readings: its values are totals of months, bills or weeks, or nothing has a date.

Not here: rows at no regular time, which a trial of the proposal shows (`data.ingest.proposals`).
"""

import itertools
import re
from collections.abc import Iterable, Sequence

from data.ingest.formats.wallclock import DAY_US, TimeFormat

_MONTH = re.compile(
    r"20\d\d[-/. ]?(0?[1-9]|1[0-2])|(0?[1-9]|1[0-2])[-/. ]20\d\d"
    r"|(?P<before>(20)?\d\d[ -])?(?P<name>[^\W\d_]{3,12})\.?(?(before)|[ .-]{0,2}('?\d\d|20\d\d)?)"
)
_HOUR_US = DAY_US // 24
_TWELVE_US = DAY_US // 2
HALF_DAYS = (
    "the times count from 1 to 12 twice a day, and nothing says AM or PM, so each of them may be one of two. "
    "Ask the sender for AM and PM, or for hours from 0 to 23"
)
# Years of the Buddhist and the Persian calendar, and of Japanese eras.
_OTHER_CALENDAR = re.compile(
    r"([0-3]?[0-9][-/. ]){2}25[5-9][0-9](?![0-9])|25[5-9][0-9]([-/.][0-3]?[0-9]){2}(?![0-9])"
    r"|1[34][0-9]{2}([-/.][0-3]?[0-9]){2}(?![0-9])"
    r"|(R|令和|H|平成) ?[0-9]{1,2}[./年][0-9]{1,2}[./月][0-9]{1,2}"
)
_PARTS: tuple[set[str], ...] = (
    *({"year", "month", "day"}, {"year", "doy"}, {"jahr", "monat", "tag"}, {"año", "mes", "día"}),
    *({"año", "mes", "dia"}, {"ano", "mes", "dia"}, {"ano", "mês", "dia"}, {"année", "mois", "jour"}),
)
_WHOLE = re.compile(r'"[^"]*[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}[^"]*[;,\t][^"]*"')
_WEEK = re.compile(
    r"20[0-9]{2}[-/ ]?(?:w|kw)[0-9]{1,2}"
    r"|(?:(?:w|kw|week|woche|semaine|semana|viikko|vecka|uke|uge) ?)?(1[3-9]|[2-5][0-9])[/-]20[0-9]{2}",
    re.I,
)
_MIN_MONTHS = 3
# So many days from one total to the next one.
_SPANS = ((300, "years"), (80, "quarters of a year"), (26, "months or bills"), (6, "weeks"))
_NEXT_STEP = (
    "A reading belongs to one date, so totals of more than a day are not loaded. Ask the sender for "
    "quarter-hours, hours or days; reads of the dial itself can be declared as cumulative: true"
)


def are_quoted(lines: Iterable[str]) -> bool:
    """Whether lines with a date stand in quotes as a whole, so that each is one field."""
    known = [line.strip().rstrip(";,") for line in lines if line.strip()]
    return 2 * sum(_WHOLE.fullmatch(line) is not None for line in known) > len(known)


def explain_missing_dates(lines: Iterable[Sequence[str]]) -> str:
    """Return why no row of a table has a date, and what to do; `lines` are the fields of each line."""
    rows = [[cell.strip() for cell in line] for line in lines]
    cells = {cell for row in rows for cell in row}
    names = {cell.lower() for cell in cells}
    if any(map(names.issuperset, _PARTS)):
        return (
            "the date stands in several columns, such as year, month and day: join them in a spreadsheet to "
            "one date, such as 2025-06-01"
        )
    other = next((found.group() for cell in cells if (found := _OTHER_CALENDAR.match(cell))), None)
    if other is not None:
        return (
            f"the dates are of another calendar, see {other!r}: ask the sender for years such as 2025, or "
            "change the dates in a spreadsheet"
        )
    if sum(_WEEK.fullmatch(cell) is not None for cell in cells) >= _MIN_MONTHS:
        return f"the file names weeks instead of days, so its values are totals of weeks. {_NEXT_STEP}"
    if sum(map(_is_month, cells)) >= _MIN_MONTHS:
        return f"the file names months instead of days, so its values are totals of months. {_NEXT_STEP}"
    return (
        "the file has no rows with a date. If it has dates, write the mapping by hand, see docs/formats.md; "
        "if not, ask the sender for a date in each row"
    )


def explain_days(days_us: Iterable[int]) -> str:
    """Return why dates without a time of day are no days that follow each other; they are microseconds."""
    days = sorted({at // DAY_US for at in days_us})
    steps = sorted(after - before for before, after in itertools.pairwise(days))
    middle = steps[len(steps) // 2] if steps else 0
    span = next((name for least, name in _SPANS if middle >= least), None)
    if span is not None:
        return f"the dates are some {middle} days apart, so the values are totals of {span}. {_NEXT_STEP}"
    return (
        "the dates have no time of day and do not follow day by day, so the values are not totals of days. "
        "If a column says which part of the day a row is, name it in columns.time or columns.period, see "
        "docs/formats.md; if none does, ask the sender for the times"
    )


def count_half_days(days_us: Sequence[int]) -> bool:
    """Whether times of day count from 1 to 12 twice a day, as clocks without AM and PM do."""
    of_day = [at % DAY_US for at in days_us]
    pairs = list(itertools.pairwise(of_day))
    turns = sum(before >= _TWELVE_US > after for before, after in pairs)
    return (
        turns > 1
        and max(of_day) < _TWELVE_US + _HOUR_US
        and min(of_day) >= _HOUR_US
        and all(before < after or before >= _TWELVE_US for before, after in pairs if before != after)
    )


def _is_month(cell: str) -> bool:
    match = _MONTH.fullmatch(cell)
    if match is None or match["name"] is None:
        return match is not None
    return any(TimeFormat(form).matches(f"1 {match['name']} 2024") for form in ("%d %b %Y", "%d %B %Y"))
