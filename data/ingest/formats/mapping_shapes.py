"""The formats of times that a mapping declares: what a time of each has.

Not here: reading times (`wallclock`), or which column has them (`mapping`).
"""

import re
from typing import Annotated

from pydantic import Field

from data.ingest.formats.wallclock import TimeFormats

OFFSET_FORMATS = ("iso8601", "unix", "unix_ms", "unix_us", "unix_ns")
# A format, or several: the times of a file may have more than one shape.
TimeShapes = str | Annotated[tuple[str, ...], Field(min_length=2, max_length=5)]


def carries_offset(shapes: TimeShapes | None) -> bool:
    """Whether times of this format are instants, which need no zone."""
    return shapes in OFFSET_FORMATS or (shapes is not None and TimeFormats(shapes).has_offset)


def names_day(shapes: TimeShapes | None) -> bool:
    """Whether a format has the day of a month alone."""
    letters = {*re.findall("%.", shapes)} if isinstance(shapes, str) else set()
    return "%d" in letters and not letters & {"%m", "%b", "%B", "%Y", "%y", "%T", "%N"}


def has_years(shapes: TimeShapes | None) -> bool:
    """Whether dates of this format have a year."""
    return shapes is None or shapes in OFFSET_FORMATS or TimeFormats(shapes).has_year


def holds(shapes: TimeShapes, *, date: bool, time: bool) -> bool:
    """Whether times of this format have a date, or not, and a time of day, or not."""
    if shapes in OFFSET_FORMATS:
        return date and time
    parsed = TimeFormats(shapes)
    return parsed.has_date == date and parsed.has_time == time
