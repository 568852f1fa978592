"""Generate the demo's meter files: which readings each file holds and what ingestion must make of them.

File names start with a date, so alphabetical order is the order of arrival. Three files arrive after the
first ones: one late day, one revision of a day with substituted values, and one file with bad rows.
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

from data.demo.company import DemoMeter, DemoProperty, Scale, list_tenants
from data.demo.physics import Instants, SimulatedEnergy, simulate_energy
from data.demo.scope import DemoFile, DemoScope, FileKind
from data.demo.writers import Stream, build_canonical_rows, format_canonical_csv, format_nem12, write_file

LocalDates = npt.NDArray[np.datetime64]

# 14 days include the clock changes of Berlin (26 October) and Los Angeles (2 November), 30 days Sydney's.
END = date(2025, 11, 4)
DEFAULT_DAYS: dict[Scale, int] = {"small": 14, "medium": 30}
MINIMUM_DAYS = 5
REVISED_DAY = END - timedelta(days=4)
LATE_DAY = END - timedelta(days=3)
BAD_ROWS_DAY = END - timedelta(days=2)
SILENT_DAY = END - timedelta(days=2)

_FIRST_VERSION = datetime(2025, 11, 5, 2, tzinfo=UTC)
_LATER_VERSION = datetime(2025, 11, 7, 2, tzinfo=UTC)
# Daylight in every season, so each substitute differs from the value that replaces it.
_SUBSTITUTED_HOURS = (9, 15)
_SUBSTITUTE_FACTOR = 1.05
_SILENT_HOUR = 12

# Column, its invalid value, and the reason why the row is quarantined.
FAULTS = (
    ("value", "-120", "negative energy"),
    ("identifier", "USP-DEMO-9999", "unknown meter"),
    ("value", "n/a", "value is not a number"),
    ("reading_ts", "2099-01-01T00:00:00Z", "timestamp in the future"),
    ("reading_ts", "2025-11-31T00:00:00Z", "no such date"),
    ("interval_seconds", "300", "interval length is not the meter's"),
    ("unit", "m3", "unit is not the meter's"),
    ("register", "99", "unknown register"),
)
_FAULT_EVERY = 9


def generate_files(out: Path, scale: Scale = "small", days: int | None = None) -> DemoScope:
    """Write all demo files into `out`/<tenant name>/ and return what they hold.

    The last day is always 3 November 2025. More `days` start earlier and keep the values of the shorter
    demo. Raises `ValueError` for fewer than `MINIMUM_DAYS` days.
    """
    days = DEFAULT_DAYS[scale] if days is None else days
    if days < MINIMUM_DAYS:
        raise ValueError(f"{days} days: the demo's late and revised files need at least {MINIMUM_DAYS}")
    start = END - timedelta(days=days)
    files: list[DemoFile] = []
    expected: list[pd.DataFrame] = []
    for tenant in list_tenants(scale):
        for site in tenant.sites:
            writer = SiteFiles(out, site, start)
            files.extend(_WRITERS[site.timezone](writer))
            expected.append(writer.sum_expected(str(tenant.id)))
    return DemoScope(
        inbox=out,
        scale=scale,
        start=start,
        end=END,
        files=tuple(sorted(files, key=lambda file: file.path.as_posix())),
        expected=pd.concat(expected, ignore_index=True),
    )


class SiteFiles:
    """Write the meter files of one property, each from a part of its readings."""

    def __init__(self, out: Path, site: DemoProperty, start: date) -> None:
        self.out, self.site = out, site
        zone = ZoneInfo(site.timezone)
        standard = timedelta(hours=site.standard_offset_hours)
        opening = datetime.combine(start, datetime.min.time(), zone).astimezone(UTC)
        closing = datetime.combine(END, datetime.min.time(), zone).astimezone(UTC)
        self.first_day = find_first_day(site, start)
        series = simulate_energy(site, self.first_day, (closing + standard - timedelta(seconds=1)).date())
        if site.file_format != "nem12":
            series = _cut_series(series, opening, closing)
        self.starts = series.starts
        self.local_dates = get_local_dates(site, series.starts)
        self.streams = build_streams(site, series)
        # Intervals that a meter never sends, by role and channel.
        self.silent: dict[tuple[str, str], npt.NDArray[np.bool_]] = {}

    def select_day(self, day: date) -> npt.NDArray[np.bool_]:
        return np.asarray(self.local_dates == np.datetime64(day))

    def build_rows(
        self, streams: list[Stream], mask: npt.NDArray[np.bool_], version: datetime
    ) -> pd.DataFrame:
        chosen = [replace(s, values=s.values[mask], estimated=s.estimated[mask]) for s in streams]
        site = self.site
        return build_canonical_rows(chosen, self.starts[mask], site.interval_seconds, site.file_unit, version)

    def write_file(
        self,
        name: str,
        text: str,
        kind: FileKind,
        readings: int,
        *,
        changes: int | None = None,
        faults: tuple[str, ...] = (),
    ) -> DemoFile:
        path = self.out / self.site.tenant / name
        write_file(path, text)
        return DemoFile(
            path=path,
            tenant=self.site.tenant,
            format=self.site.file_format,
            kind=kind,
            readings=readings,
            changes=readings if changes is None else changes,
            quarantined=len(faults),
            faults=faults,
        )

    def sum_expected(self, tenant_id: str) -> pd.DataFrame:
        return pd.concat(
            (
                self._sum_meter(tenant_id, meter, register.channel)
                for meter in self.site.meters
                for register in meter.registers
            ),
            ignore_index=True,
        )

    def _sum_meter(self, tenant_id: str, meter: DemoMeter, channel: str) -> pd.DataFrame:
        stream, dates = self.streams[meter.role, channel], self.local_dates
        if (silent := self.silent.get((meter.role, channel))) is not None:
            stream, dates = replace(stream, values=stream.values[~silent]), dates[~silent]
        return sum_by_day(self.site, tenant_id, meter, stream, dates)


def sum_by_day(
    site: DemoProperty, tenant_id: str, meter: DemoMeter, stream: Stream, dates: LocalDates
) -> pd.DataFrame:
    """Sum a stream of n values by its ascending local `dates` (n,): rows of `DemoScope.expected`."""
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


def get_local_dates(site: DemoProperty, starts: Instants) -> LocalDates:
    """Return the local dates (n,) of UTC instants (n,)."""
    local = pd.DatetimeIndex(starts).tz_localize("UTC").tz_convert(site.timezone)
    return np.asarray(local.tz_localize(None).to_numpy().astype("datetime64[D]"))


def get_local_hours(site: DemoProperty, starts: Instants) -> npt.NDArray[np.int32]:
    """Return the hours of the local clock (n,) at UTC instants (n,)."""
    local = pd.DatetimeIndex(starts).tz_localize("UTC").tz_convert(site.timezone)
    return np.asarray(local.hour)


def find_first_day(site: DemoProperty, day: date) -> date:
    """Return the date in the property's standard time at local midnight of `day`."""
    opening = datetime.combine(day, datetime.min.time(), ZoneInfo(site.timezone)).astimezone(UTC)
    return (opening + timedelta(hours=site.standard_offset_hours)).date()


def _cut_series(series: SimulatedEnergy, opening: datetime, closing: datetime) -> SimulatedEnergy:
    """Cut a series to [opening, closing), both UTC."""
    bounds = [np.datetime64(instant.replace(tzinfo=None), "s") for instant in (opening, closing)]
    part = slice(*np.searchsorted(series.starts, np.array(bounds)).tolist())
    return SimulatedEnergy(
        starts=series.starts[part],
        generation=series.generation[part],
        loads=series.loads[:, part],
        imported=series.imported[part],
        exported=series.exported[part],
    )


def build_streams(site: DemoProperty, series: SimulatedEnergy) -> dict[tuple[str, str], Stream]:
    """Build one stream for each (meter role, channel), in the order of the meters."""
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


def _write_nem12_files(files: SiteFiles) -> list[DemoFile]:
    """Write grid and solar with one substituted day, sub-meters as zip, then that solar day as measured."""
    site, solar = files.site, files.streams["solar", "generation"]
    per_day = 86_400 // site.interval_seconds
    first_interval = (REVISED_DAY - files.first_day).days * per_day
    opening, closing = (first_interval + hour * per_day // 24 for hour in _SUBSTITUTED_HOURS)
    estimated = solar.estimated.copy()
    estimated[opening:closing] = True
    substitutes = np.where(
        estimated, np.rint(solar.values * _SUBSTITUTE_FACTOR).astype(np.int64), solar.values
    )
    first = {
        **files.streams,
        ("solar", "generation"): replace(solar, values=substitutes, estimated=estimated),
    }
    site_streams = [stream for (role, _), stream in first.items() if role in ("grid", "solar")]
    sub_meters = [stream for (_, channel), stream in first.items() if channel == "consumption"]
    revised_day = slice(first_interval, first_interval + per_day)
    revised = replace(solar, values=solar.values[revised_day], estimated=solar.estimated[revised_day])
    changes = int((substitutes != solar.values).sum())

    def text(streams: list[Stream], day: date, version: datetime) -> str:
        return format_nem12(streams, day, site.interval_seconds, version)

    key, day, count = site.key, files.first_day, files.starts.size
    return [
        files.write_file(
            f"20251105-{key}-grid-and-solar.csv",
            text(site_streams, day, _FIRST_VERSION),
            "first",
            count * len(site_streams),
        ),
        files.write_file(
            f"20251105-{key}-sub-meters.zip",
            text(sub_meters, day, _FIRST_VERSION),
            "first",
            count * len(sub_meters),
        ),
        files.write_file(
            f"20251107-{key}-solar-revised.csv",
            text([revised], REVISED_DAY, _LATER_VERSION),
            "revised",
            per_day,
            changes=changes,
        ),
    ]


def _write_files_with_bad_rows(files: SiteFiles) -> list[DemoFile]:
    """Write everything as gzip, then one day of a sub-meter again with some invalid rows."""
    streams = list(files.streams.values())
    everything = files.build_rows(streams, np.ones(files.starts.size, dtype=bool), _FIRST_VERSION)
    again = files.build_rows(streams[-1:], files.select_day(BAD_ROWS_DAY), _LATER_VERSION)
    good = len(again) - len(FAULTS)
    for row, (column, value, _) in enumerate(FAULTS):
        again.loc[_FAULT_EVERY * row, column] = value
    faults = tuple(reason for _, _, reason in FAULTS)
    return [
        files.write_file(
            f"20251105-{files.site.key}.csv.gz", format_canonical_csv(everything), "first", len(everything)
        ),
        files.write_file(
            f"20251108-{files.site.key}-bad-rows.csv",
            format_canonical_csv(again),
            "bad_rows",
            good,
            changes=0,
            faults=faults,
        ),
    ]


def _write_files_with_a_late_day(files: SiteFiles) -> list[DemoFile]:
    """Write all but one day of the grid meter, then that day. One hour of generation is never sent."""
    grid = [stream for (role, _), stream in files.streams.items() if role == "grid"]
    solar = [stream for (role, _), stream in files.streams.items() if role == "solar"]
    others = [stream for (role, _), stream in files.streams.items() if role not in ("grid", "solar")]
    late = files.select_day(LATE_DAY)
    silent = files.select_day(SILENT_DAY) & (get_local_hours(files.site, files.starts) == _SILENT_HOUR)
    files.silent["solar", "generation"] = silent
    first = pd.concat(
        [
            files.build_rows(grid, ~late, _FIRST_VERSION),
            files.build_rows(solar, ~silent, _FIRST_VERSION),
            files.build_rows(others, np.ones(late.size, dtype=bool), _FIRST_VERSION),
        ]
    )
    missing = files.build_rows(grid, late, _LATER_VERSION)
    return [
        files.write_file(f"20251105-{files.site.key}.csv", format_canonical_csv(first), "first", len(first)),
        files.write_file(
            f"20251107-{files.site.key}-grid-late.csv", format_canonical_csv(missing), "late", len(missing)
        ),
    ]


_WRITERS: dict[str, Callable[[SiteFiles], list[DemoFile]]] = {
    "Australia/Sydney": _write_nem12_files,
    "America/Los_Angeles": _write_files_with_bad_rows,
    "Europe/Berlin": _write_files_with_a_late_day,
}
