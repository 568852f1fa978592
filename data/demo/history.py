"""Generate the year before the ordinary files for Sydney: one file, as a retailer sends it at the start."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.demo.company import DemoMeter, DemoProperty, DemoTenant, Scale, list_tenants
from data.demo.generate import DEFAULT_DAYS, END, build_streams, find_first_day, get_local_dates, sum_by_day
from data.demo.physics import simulate_energy
from data.demo.scope import DemoFile, DemoScope
from data.demo.writers import Stream, format_nem12, write_file

START = date(2024, 11, 1)
_VERSION = datetime(2025, 11, 4, 2, tzinfo=UTC)


def generate_history(
    out: Path, scale: Scale = "small", start: date = START, end: date | None = None
) -> DemoScope:
    """Write Sydney's readings from `start` to before `end` and return what the file holds.

    One zipped NEM12 file in `out`/<tenant name>/, whose name sorts before the ordinary files. `end` is by
    default the first day of the ordinary files. The file has whole days of UTC+10, as those do: from the day
    that contains local midnight of `start` to before the day that contains local midnight of `end`. So there
    is no gap and no overlap, and the first and last local day of `expected` are partial. An exchanged meter
    measures until its exchange. Raises `ValueError` for `medium`, which has no history, and for no day.
    """
    if scale != "small":
        raise ValueError(f"the demo has no history at scale {scale}: only small is billed for a year")
    end = END - timedelta(days=DEFAULT_DAYS[scale]) if end is None else end
    if start >= end:
        raise ValueError(f"a history from {start} to before {end} holds no day")
    tenant, site = _find_sydney(scale)
    first, last = find_first_day(site, start), find_first_day(site, end) - timedelta(days=1)
    series = simulate_energy(site, first, last)
    days = np.repeat(
        np.arange(np.datetime64(first), np.datetime64(last) + 1), 86_400 // site.interval_seconds
    )
    dates = get_local_dates(site, series.starts)
    current = build_streams(site, series)
    written, expected = [], []
    for meter in (*site.former_meters, *site.meters):
        # The exchange falls in standard time, so local midnight is also midnight in the file.
        measured = _mark_measured(meter, days)
        if not measured.any():
            continue
        for register in meter.registers:
            stream = _cut_stream(
                current[meter.role.removesuffix("-former"), register.channel], meter, days, measured
            )
            written.append(stream)
            expected.append(sum_by_day(site, str(tenant.id), meter, stream, dates[measured]))
    path = out / site.tenant / f"20251104-{site.key}-history.zip"
    write_file(path, format_nem12(written, first, site.interval_seconds, _VERSION))
    readings = sum(stream.values.size for stream in written)
    return DemoScope(
        inbox=out,
        scale=scale,
        start=start,
        end=end,
        files=(DemoFile(path, site.tenant, "nem12", "history", readings, readings),),
        expected=pd.concat(expected, ignore_index=True),
    )


def _find_sydney(scale: Scale) -> tuple[DemoTenant, DemoProperty]:
    return next((t, site) for t in list_tenants(scale) for site in t.sites if site.place == "sydney")


def _mark_measured(meter: DemoMeter, days: npt.NDArray[np.datetime64]) -> npt.NDArray[np.bool_]:
    installed = meter.installed or date.min
    removed = meter.removed or date.max
    return np.asarray((days >= np.datetime64(installed)) & (days < np.datetime64(removed)))


def _cut_stream(
    stream: Stream, meter: DemoMeter, days: npt.NDArray[np.datetime64], measured: npt.NDArray[np.bool_]
) -> Stream:
    return replace(
        stream,
        identifier=meter.identifier,
        serial_number=meter.serial_number,
        values=stream.values[measured],
        estimated=stream.estimated[measured],
        first_day=days[measured][0].astype(object),
    )
