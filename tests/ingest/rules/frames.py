"""Frames for tests of the rules of whole days: one meter `m`, hourly in UTC unless said otherwise."""

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from data.ingest.rules.day_frames import Days
from data.ingest.rules.due_intervals import list_due_intervals
from data.ingest.rules.thresholds import OwnThreshold, make_threshold_lookup

DAY = datetime.date(2025, 6, 18)
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
SERIES: dict[str, Any] = {
    "meter_id": "m",
    "channel": "import",
    "meter_type": "grid",
    "timezone": "UTC",
    "unit": None,
    "interval_seconds": np.nan,
    "property_id": "p",
    "property_timezone": "UTC",
    "latitude": np.nan,
    "longitude": np.nan,
    "capacity_kw": np.nan,
    "rated_kw": np.nan,
    "has_battery": False,
    "connections": 1.0,
    "first_date": pd.Timestamp(2025, 1, 1),
    "measured_from": pd.NaT,
    "measured_until": pd.NaT,
}


def series_of(*changes: dict[str, Any]) -> pd.DataFrame:
    frame = pd.DataFrame([SERIES | change for change in changes or ({},)])
    for name in ("measured_from", "measured_until"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame


def readings_of(
    values: Sequence[float], *, start: str = "2025-06-18", seconds: int = 3600, unit: str = "kWh", **key: str
) -> pd.DataFrame:
    """Return consecutive readings from `start` in UTC; NaN is a reading of quality null."""
    first = pd.Timestamp(start, tz="UTC").as_unit("us")
    at = pd.Series(first + pd.to_timedelta(np.arange(len(values)) * seconds, unit="s"))
    return pd.DataFrame(
        {
            "meter_id": "m",
            "channel": "import",
            "reading_ts": at.astype("datetime64[us, UTC]"),
            "reading_date": at.dt.tz_localize(None).dt.normalize().astype("datetime64[us]"),
            "interval_seconds": float(seconds),
            "value": np.asarray(values, dtype=float),
            "unit": unit,
            "version": 1,
            "is_own": False,
            "is_withdrawn": False,
        }
        | key
    )


def totals_of(values: Sequence[float], *, before: datetime.date = DAY) -> pd.DataFrame:
    """Return totals of whole days before a date; the last is of the previous day."""
    dates = pd.date_range(end=before - datetime.timedelta(days=1), periods=len(values)).as_unit("us")
    return pd.DataFrame(
        {
            "meter_id": "m",
            "channel": "import",
            "reading_date": dates,
            "total": np.asarray(values, dtype=float),
            "count": 24,
            "seconds": 3600.0,
            "kwh": np.asarray(values, dtype=float),
            "peak_kw": np.asarray(values, dtype=float) / 12,
        }
    )


def days_of(
    readings: pd.DataFrame,
    *series: dict[str, Any],
    totals: pd.DataFrame | None = None,
    own: Sequence[OwnThreshold] = (),
    dates: Sequence[datetime.date] = (DAY,),
    now: datetime.datetime = NOW,
) -> Days:
    frame = series_of(*series)
    around = sorted({date + datetime.timedelta(days=step) for date in dates for step in (-1, 0, 1)})
    grid = list_due_intervals(readings, frame.drop(columns="unit"), around, now)
    return Days(
        list(dates), grid, frame, totals_of([]) if totals is None else totals, make_threshold_lookup(own)
    )
