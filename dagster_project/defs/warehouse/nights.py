"""Which reading dates a night takes to the marts, by the local time of each property."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from myproperty.dates import Window, contiguous

# No zone changes its clocks at this hour, so each local date has it once.
NIGHT_HOUR = 4
# A date that failed in its night is tried in the next two nights; `pending_dates` takes later files.
NIGHTS = 3


@dataclass(frozen=True)
class Night:
    """The time zones in which it is night, and their local date."""

    zones: list[str]
    today: date


def find_night(zones: Iterable[str], now: datetime) -> Night | None:
    """Return the night of the zones whose local time is in NIGHT_HOUR; None if it is in no zone.

    An hourly tick finds each zone once a day, also when its clocks change.
    """
    here = sorted(zone for zone in set(zones) if now.astimezone(ZoneInfo(zone)).hour == NIGHT_HOUR)
    return Night(here, now.astimezone(ZoneInfo(here[0])).date()) if here else None


def find_night_dates(night: Night, published: Iterable[date]) -> list[Window]:
    """Return the local date that has ended, and the dates of the two nights before that are not published."""
    known = set(published)
    ended = [night.today - timedelta(days=back) for back in range(1, NIGHTS + 1)]
    return contiguous([day for day in ended if day == ended[0] or day not in known])
