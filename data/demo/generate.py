"""The deliveries of the demo: which readings go into which file, and what must come of them.

Deliveries are dated by name, so alphabetical order is the order of arrival. Beside the first files there
are one late day, one day first sent with substitutes and then revised, and one file with bad rows.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.demo.company import Meter, Scale, Site, company
from data.demo.physics import Instants, Series, simulate
from data.demo.plan import DemoPlan, FileKind, PlannedFile
from data.demo.writers import Stream, canonical_csv, canonical_rows, nem12, write

LocalDates = npt.NDArray[np.datetime64]

# 14 days hold the clock changes of Berlin (26 October) and Los Angeles (2 November), 30 that of Sydney.
END = date(2025, 11, 4)
DEFAULT_DAYS: dict[Scale, int] = {"small": 14, "medium": 30}
MINIMUM_DAYS = 5
REVISED_DAY = END - timedelta(days=4)
LATE_DAY = END - timedelta(days=3)
BAD_ROWS_DAY = END - timedelta(days=2)
SILENT_DAY = END - timedelta(days=2)

_FIRST_VERSION = datetime(2025, 11, 5, 2, tzinfo=UTC)
_LATER_VERSION = datetime(2025, 11, 7, 2, tzinfo=UTC)
# Daylight whatever the season, so that every substitute differs from the value that replaces it.
_SUBSTITUTED_HOURS = (9, 15)
_SUBSTITUTE_FACTOR = 1.05
_SILENT_HOUR = 12

# Column, what stands in it, and why the row cannot be taken.
FAULTS = (
    ("value", "-120", "negative energy"),
    ("identifier", "USP-DEMO-9999", "unknown meter"),
    ("value", "n/a", "value is no number"),
    ("reading_ts", "2099-01-01T00:00:00Z", "timestamp in the future"),
    ("reading_ts", "2025-11-31T00:00:00Z", "no such date"),
    ("interval_seconds", "300", "interval length is not the meter's"),
    ("unit", "m3", "unit is not the meter's"),
    ("register", "99", "unknown register"),
)
_FAULT_EVERY = 9


def generate(out: Path, scale: Scale = "small", days: int | None = None) -> DemoPlan:
    """Write all demo files into `out`/<tenant name>/ and say what they hold.

    The last day is always 3 November 2025: more `days` reach further back and change no value of a
    shorter demo. Raises `ValueError` for fewer than `MINIMUM_DAYS` days.
    """
    days = DEFAULT_DAYS[scale] if days is None else days
    if days < MINIMUM_DAYS:
        raise ValueError(f"{days} days: the demo's late and revised files need at least {MINIMUM_DAYS}")
    start = END - timedelta(days=days)
    files: list[PlannedFile] = []
    expected: list[pd.DataFrame] = []
    for tenant in company(scale):
        for site in tenant.sites:
            delivery = Delivery(out, site, start)
            files.extend(_DELIVERIES[site.timezone](delivery))
            expected.append(delivery.expected(str(tenant.id)))
    return DemoPlan(
        inbox=out,
        scale=scale,
        start=start,
        end=END,
        files=tuple(sorted(files, key=lambda file: file.path.as_posix())),
        expected=pd.concat(expected, ignore_index=True),
    )


class Delivery:
    """The readings of one property and the means to send parts of them."""

    def __init__(self, out: Path, site: Site, start: date) -> None:
        self.out, self.site = out, site
        zone = ZoneInfo(site.timezone)
        standard = timedelta(hours=site.standard_offset_hours)
        opening = datetime.combine(start, datetime.min.time(), zone).astimezone(UTC)
        closing = datetime.combine(END, datetime.min.time(), zone).astimezone(UTC)
        self.first_day = first_day(site, start)
        series = simulate(site, self.first_day, (closing + standard - timedelta(seconds=1)).date())
        if site.file_format != "nem12":
            series = _between(series, opening, closing)
        self.starts = series.starts
        self.local_dates = local_dates(site, series.starts)
        self.streams = streams_of(site, series)
        # What a meter never sends, by role and channel.
        self.silent: dict[tuple[str, str], npt.NDArray[np.bool_]] = {}

    def on(self, day: date) -> npt.NDArray[np.bool_]:
        return np.asarray(self.local_dates == np.datetime64(day))

    def rows(self, streams: list[Stream], mask: npt.NDArray[np.bool_], version: datetime) -> pd.DataFrame:
        chosen = [replace(s, values=s.values[mask], estimated=s.estimated[mask]) for s in streams]
        site = self.site
        return canonical_rows(chosen, self.starts[mask], site.interval_seconds, site.file_unit, version)

    def send(
        self,
        name: str,
        text: str,
        kind: FileKind,
        readings: int,
        *,
        changes: int | None = None,
        faults: tuple[str, ...] = (),
    ) -> PlannedFile:
        path = self.out / self.site.tenant / name
        write(path, text)
        return PlannedFile(
            path=path,
            tenant=self.site.tenant,
            format=self.site.file_format,
            kind=kind,
            readings=readings,
            changes=readings if changes is None else changes,
            quarantined=len(faults),
            faults=faults,
        )

    def expected(self, tenant_id: str) -> pd.DataFrame:
        return pd.concat(
            (
                self._totals(tenant_id, meter, register.channel)
                for meter in self.site.meters
                for register in meter.registers
            ),
            ignore_index=True,
        )

    def _totals(self, tenant_id: str, meter: Meter, channel: str) -> pd.DataFrame:
        stream, dates = self.streams[meter.role, channel], self.local_dates
        if (silent := self.silent.get((meter.role, channel))) is not None:
            stream, dates = replace(stream, values=stream.values[~silent]), dates[~silent]
        return daily_totals(self.site, tenant_id, meter, stream, dates)


def daily_totals(site: Site, tenant_id: str, meter: Meter, stream: Stream, dates: LocalDates) -> pd.DataFrame:
    """Rows of `DemoPlan.expected`, from a stream of n values and their ascending local `dates` (n,)."""
    days, first, counts = np.unique(dates, return_index=True, return_counts=True)
    return pd.DataFrame(
        {
            "tenant": site.tenant,
            "tenant_id": tenant_id,
            "property_id": str(site.id),
            "meter_id": str(meter.id),
            "serial_number": meter.serial_number,
            "identifier": meter.identifier,
            "channel": stream.channel,
            "reading_date": days.astype(object),
            "readings": counts,
            "energy_kwh": [Decimal(int(wh)) / 1000 for wh in np.add.reduceat(stream.values, first)],
        }
    )


def local_dates(site: Site, starts: Instants) -> LocalDates:
    """The local dates (n,) of UTC instants (n,)."""
    local = pd.DatetimeIndex(starts).tz_localize("UTC").tz_convert(site.timezone)
    return np.asarray(local.tz_localize(None).to_numpy().astype("datetime64[D]"))


def local_hours(site: Site, starts: Instants) -> npt.NDArray[np.int32]:
    """The hours on the local clock (n,) of UTC instants (n,)."""
    local = pd.DatetimeIndex(starts).tz_localize("UTC").tz_convert(site.timezone)
    return np.asarray(local.hour)


def first_day(site: Site, day: date) -> date:
    """The day of the site's standard time that holds the local midnight with which `day` begins."""
    opening = datetime.combine(day, datetime.min.time(), ZoneInfo(site.timezone)).astimezone(UTC)
    return (opening + timedelta(hours=site.standard_offset_hours)).date()


def _between(series: Series, opening: datetime, closing: datetime) -> Series:
    """The part of a series in [opening, closing), both UTC."""
    bounds = [np.datetime64(instant.replace(tzinfo=None), "s") for instant in (opening, closing)]
    part = slice(*np.searchsorted(series.starts, np.array(bounds)).tolist())
    return Series(
        starts=series.starts[part],
        generation=series.generation[part],
        loads=series.loads[:, part],
        imported=series.imported[part],
        exported=series.exported[part],
    )


def streams_of(site: Site, series: Series) -> dict[tuple[str, str], Stream]:
    """One stream for each (meter role, channel), in the order of the meters."""
    loads = iter(series.loads)
    metered = {"import": series.imported, "export": series.exported, "generation": series.generation}
    return {
        (meter.role, register.channel): Stream(
            identifier=meter.identifier,
            register=register.register,
            serial_number=meter.serial_number,
            channel=register.channel,
            configuration="".join(each.register for each in meter.registers),
            values=next(loads) if register.channel == "consumption" else metered[register.channel],
            estimated=np.zeros(series.starts.size, dtype=bool),
        )
        for meter in site.meters
        for register in meter.registers
    }


def _nem12_files(delivery: Delivery) -> list[PlannedFile]:
    """Grid and solar with one substituted day, sub-meters zipped, then the solar day again as measured."""
    site, solar = delivery.site, delivery.streams["solar", "generation"]
    per_day = 86_400 // site.interval_seconds
    first_interval = (REVISED_DAY - delivery.first_day).days * per_day
    opening, closing = (first_interval + hour * per_day // 24 for hour in _SUBSTITUTED_HOURS)
    estimated = solar.estimated.copy()
    estimated[opening:closing] = True
    substitutes = np.where(
        estimated, np.rint(solar.values * _SUBSTITUTE_FACTOR).astype(np.int64), solar.values
    )
    first = {
        **delivery.streams,
        ("solar", "generation"): replace(solar, values=substitutes, estimated=estimated),
    }
    site_streams = [stream for (role, _), stream in first.items() if role in ("grid", "solar")]
    sub_meters = [stream for (_, channel), stream in first.items() if channel == "consumption"]
    revised_day = slice(first_interval, first_interval + per_day)
    revised = replace(solar, values=solar.values[revised_day], estimated=solar.estimated[revised_day])
    changes = int((substitutes != solar.values).sum())

    def text(streams: list[Stream], day: date, version: datetime) -> str:
        return nem12(streams, day, site.interval_seconds, version)

    key, day, count = site.key, delivery.first_day, delivery.starts.size
    return [
        delivery.send(
            f"20251105-{key}-grid-and-solar.csv",
            text(site_streams, day, _FIRST_VERSION),
            "first",
            count * len(site_streams),
        ),
        delivery.send(
            f"20251105-{key}-sub-meters.zip",
            text(sub_meters, day, _FIRST_VERSION),
            "first",
            count * len(sub_meters),
        ),
        delivery.send(
            f"20251107-{key}-solar-revised.csv",
            text([revised], REVISED_DAY, _LATER_VERSION),
            "revised",
            per_day,
            changes=changes,
        ),
    ]


def _files_with_bad_rows(delivery: Delivery) -> list[PlannedFile]:
    """Everything gzipped, then one day of a sub-meter again, with some rows spoilt."""
    streams = list(delivery.streams.values())
    everything = delivery.rows(streams, np.ones(delivery.starts.size, dtype=bool), _FIRST_VERSION)
    again = delivery.rows(streams[-1:], delivery.on(BAD_ROWS_DAY), _LATER_VERSION)
    good = len(again) - len(FAULTS)
    for row, (column, value, _) in enumerate(FAULTS):
        again.loc[_FAULT_EVERY * row, column] = value
    faults = tuple(reason for _, _, reason in FAULTS)
    return [
        delivery.send(
            f"20251105-{delivery.site.key}.csv.gz", canonical_csv(everything), "first", len(everything)
        ),
        delivery.send(
            f"20251108-{delivery.site.key}-bad-rows.csv",
            canonical_csv(again),
            "bad_rows",
            good,
            changes=0,
            faults=faults,
        ),
    ]


def _files_with_a_late_day(delivery: Delivery) -> list[PlannedFile]:
    """Everything but one day of the grid meter, then that day; an hour of the roof never comes."""
    grid = [stream for (role, _), stream in delivery.streams.items() if role == "grid"]
    solar = [stream for (role, _), stream in delivery.streams.items() if role == "solar"]
    others = [stream for (role, _), stream in delivery.streams.items() if role not in ("grid", "solar")]
    late = delivery.on(LATE_DAY)
    silent = delivery.on(SILENT_DAY) & (local_hours(delivery.site, delivery.starts) == _SILENT_HOUR)
    delivery.silent["solar", "generation"] = silent
    first = pd.concat(
        [
            delivery.rows(grid, ~late, _FIRST_VERSION),
            delivery.rows(solar, ~silent, _FIRST_VERSION),
            delivery.rows(others, np.ones(late.size, dtype=bool), _FIRST_VERSION),
        ]
    )
    missing = delivery.rows(grid, late, _LATER_VERSION)
    return [
        delivery.send(f"20251105-{delivery.site.key}.csv", canonical_csv(first), "first", len(first)),
        delivery.send(
            f"20251107-{delivery.site.key}-grid-late.csv", canonical_csv(missing), "late", len(missing)
        ),
    ]


_DELIVERIES: dict[str, Callable[[Delivery], list[PlannedFile]]] = {
    "Australia/Sydney": _nem12_files,
    "America/Los_Angeles": _files_with_bad_rows,
    "Europe/Berlin": _files_with_a_late_day,
}
