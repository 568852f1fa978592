"""The year of Sydney before the ordinary files: one file, as a retailer hands over when a property joins."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.demo.company import Meter, Scale, Site, Tenant, company
from data.demo.generate import DEFAULT_DAYS, END, daily_totals, first_day, local_dates, streams_of
from data.demo.physics import simulate
from data.demo.plan import DemoPlan, PlannedFile
from data.demo.writers import Stream, nem12, write

START = date(2024, 11, 1)
_VERSION = datetime(2025, 11, 4, 2, tzinfo=UTC)


def history(out: Path, scale: Scale = "small", start: date = START, end: date | None = None) -> DemoPlan:
    """Write Sydney's readings from `start` up to the ordinary files, which begin on `end`; say what they are.

    One zipped NEM12 file in `out`/<tenant name>/, which by its name comes before the ordinary ones. It has
    whole days of UTC+10, as those have: from the day that holds the local midnight of `start` to before the
    one that holds that of `end` (by default of the ordinary demo). So there is neither gap nor overlap, and
    the local days at both ends of `expected` are there in part. Where a meter was exchanged, the former one
    measured until then. Raises `ValueError` for `medium`, which has no history, or if there is no day.
    """
    if scale != "small":
        raise ValueError(f"there is no history of the demo at scale {scale}: only small is billed for a year")
    end = END - timedelta(days=DEFAULT_DAYS[scale]) if end is None else end
    if start >= end:
        raise ValueError(f"a history from {start} to before {end} holds no day")
    tenant, site = _sydney(scale)
    first, last = first_day(site, start), first_day(site, end) - timedelta(days=1)
    series = simulate(site, first, last)
    days = np.repeat(
        np.arange(np.datetime64(first), np.datetime64(last) + 1), 86_400 // site.interval_seconds
    )
    dates = local_dates(site, series.starts)
    current = streams_of(site, series)
    written, expected = [], []
    for meter in (*site.former_meters, *site.meters):
        # At the property's exchange the clock is at standard time: local midnight is that of the file.
        measured = _measured(meter, days)
        if not measured.any():
            continue
        for register in meter.registers:
            stream = _part(
                current[meter.role.removesuffix("-former"), register.channel], meter, days, measured
            )
            written.append(stream)
            expected.append(daily_totals(site, str(tenant.id), meter, stream, dates[measured]))
    path = out / site.tenant / f"20251104-{site.key}-history.zip"
    write(path, nem12(written, first, site.interval_seconds, _VERSION))
    readings = sum(stream.values.size for stream in written)
    return DemoPlan(
        inbox=out,
        scale=scale,
        start=start,
        end=end,
        files=(PlannedFile(path, site.tenant, "nem12", "history", readings, readings),),
        expected=pd.concat(expected, ignore_index=True),
    )


def _sydney(scale: Scale) -> tuple[Tenant, Site]:
    return next((t, site) for t in company(scale) for site in t.sites if site.place == "sydney")


def _measured(meter: Meter, days: npt.NDArray[np.datetime64]) -> npt.NDArray[np.bool_]:
    installed = meter.installed or date.min
    removed = meter.removed or date.max
    return np.asarray((days >= np.datetime64(installed)) & (days < np.datetime64(removed)))


def _part(
    stream: Stream, meter: Meter, days: npt.NDArray[np.datetime64], measured: npt.NDArray[np.bool_]
) -> Stream:
    return replace(
        stream,
        identifier=meter.identifier,
        serial_number=meter.serial_number,
        values=stream.values[measured],
        estimated=stream.estimated[measured],
        first_day=days[measured][0].astype(object),
    )
