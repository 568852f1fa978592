"""The shape of a meter's readings for a person's eye: energy by hour of day, and what of each date is there.

Here: what is counted, in a zone. Not here: how it is drawn (`commands.drawing`).
"""

import datetime
from collections import defaultdict
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

HOUR_S = 3600
_DAY = datetime.timedelta(days=1)


class Profile:
    """Sums of one series by local hour and by local date; an interval counts where it starts."""

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._hours: defaultdict[int, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
        self._days: defaultdict[datetime.date, int] = defaultdict(int)

    def add(self, readings: pa.Table) -> None:
        """Add readings of the series (columns of `READING`); one without a value does not count."""
        valued = readings.filter(pc.is_valid(readings["value"]))
        kind = pa.timestamp("us", self._zone)
        local = pc.local_timestamp(valued["reading_ts"].cast(pa.timestamp("us", "UTC")).cast(kind))
        table = pa.table(
            {
                "hour": pc.hour(local),
                "day": local.cast(pa.timestamp("us")).cast(pa.date32(), safe=False),
                "value": valued["value"],
                "seconds": valued["interval_seconds"].cast(pa.int64()),
            }
        )
        sums = [("value", "sum"), ("seconds", "sum")]
        for row in table.group_by("hour", use_threads=False).aggregate(sums).to_pylist():
            hour = self._hours[row["hour"]]
            hour[0] += row["value_sum"]
            hour[1] += row["seconds_sum"]
        for row in table.group_by("day", use_threads=False).aggregate(sums[1:]).to_pylist():
            self._days[row["day"]] += row["seconds_sum"]

    def as_json(self, interval_seconds: int, power_of_ten: int) -> dict[str, Any]:
        """Return zone, mean value of an hour by hour of the day, and the share of each day that has values.

        `hours` is None for intervals longer than an hour; its values are times 10 ** `power_of_ten`, of
        energy in kWh the mean power in kW. `days` goes from the first to the last date; an interval that
        ends on a later date counts where it starts, so a share may exceed 1.
        """
        return {
            "timezone": self._zone,
            "hours": self._mean_hours(power_of_ten) if interval_seconds <= HOUR_S else None,
            "days": {day.isoformat(): share for day, share in self._list_shares()},
        }

    def _mean_hours(self, power_of_ten: int) -> list[str | None]:
        means: list[str | None] = []
        for hour in range(24):
            total, seconds = self._hours.get(hour, (Decimal(0), Decimal(0)))
            mean = (total.scaleb(power_of_ten) * HOUR_S / seconds) if seconds else None
            means.append(None if mean is None else format(round(mean, 6), "f"))
        return means

    def _list_shares(self) -> list[tuple[datetime.date, float]]:
        if not self._days:
            return []
        first, last = min(self._days), max(self._days)
        dates = [first + number * _DAY for number in range((last - first).days + 1)]
        return [(day, round(self._days.get(day, 0) / _day_seconds(day, self._zone), 4)) for day in dates]


def _day_seconds(day: datetime.date, zone: str) -> int:
    """Return the length of a local day: 23, 24 or 25 hours."""
    start, end = (
        datetime.datetime.combine(date, datetime.time(), ZoneInfo(zone)) for date in (day, day + _DAY)
    )
    return int((end.astimezone(datetime.UTC) - start.astimezone(datetime.UTC)).total_seconds())
