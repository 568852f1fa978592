"""Estimates as readings: the filled gaps become a file, which is loaded like any other.

Not here: how an estimate is computed (`data.ingest.rules.gaps`).
"""

import datetime
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.errors import IngestError
from data.ingest.formats.parts import wrap_in_part
from data.ingest.readings.ledger import find_loaded_job, start_job
from data.ingest.readings.load import load
from data.ingest.readings.results import IngestResult
from data.ingest.rules.day_frames import SERIES
from data.ingest.rules.gaps import DECIMALS, LIKE_DAY, LINEAR
from data.ingest.schema import DECIMAL, PARSED, REJECTED, TIMESTAMP, ParsedFile
from data.ingest.validation.inputs import SOURCE
from myproperty.database.session import Session
from myproperty.tenants import Tenant

_REASONS = {LINEAR: "VEE-GAP-SHORT", LIKE_DAY: "VEE-GAP-LONG"}


def find_units(readings: pd.DataFrame) -> pd.DataFrame:
    """Return the unit in which each series was read."""
    return readings.dropna(subset=["unit"]).drop_duplicates(SERIES)[[*SERIES, "unit"]]


def load_estimates(
    session: Session,
    tenant: Tenant,
    gaps: pd.DataFrame,
    units: pd.DataFrame,
    series: pd.DataFrame,
    *,
    now: datetime.datetime,
) -> IngestResult | None:
    """Load the estimates of `gaps` that differ from the current readings; returns None if there are none.

    A series without a configured unit takes the one of `find_units`. Raises `IngestError` if an estimate
    breaks a rule.
    """
    rows = _as_parsed(gaps, units, series)
    if rows.num_rows == 0:
        return None
    content = hashlib.sha256(rows.to_pandas().to_csv(index=False).encode()).hexdigest()
    if find_loaded_job(session, tenant, content) is not None:
        return None
    version = pc.max(rows["source_version"]).as_py()
    parsed = ParsedFile(Path(SOURCE), SOURCE, content, rows, REJECTED.empty_table(), version)
    result = load(session, wrap_in_part(parsed), start_job(tenant, SOURCE), now=now)
    if result.quarantined:
        raise IngestError(
            f"estimates of {tenant.name} break the rules {sorted(result.rules)}, so nothing was written: "
            "compare unit and interval of the meter's registers with its readings"
        )
    return result


def _as_parsed(gaps: pd.DataFrame, units: pd.DataFrame, series: pd.DataFrame) -> pa.Table:
    """Return the estimates that differ from the current readings, with the schema `PARSED`.

    The source version is the end of the interval, so that any value of the sender is newer, plus one
    microsecond for each version of the reading.
    """
    rows = gaps[gaps["method"] != ""]
    is_current = rows["is_own"] & (rows["value"] - rows["estimate"]).abs().lt(0.5 * 10.0**-DECIMALS)
    if is_current.all():
        return PARSED.empty_table()
    rows = rows[~is_current].drop(columns=["unit", "identifier", "register"], errors="ignore")
    rows = rows.merge(units.rename(columns={"unit": "seen"}), how="left", on=SERIES)
    rows = rows.merge(series[[*SERIES, "identifier", "register", "unit"]], on=SERIES)
    rows = rows.sort_values([*SERIES, "reading_ts"], ignore_index=True)
    end = rows["reading_ts"] + pd.to_timedelta(rows["interval_seconds"], unit="s")
    counted = pd.to_timedelta(rows["version"].fillna(0), unit="us")
    count = len(rows)
    six = pc.cast(pa.array(rows["estimate"], pa.float64()), pa.decimal128(20, DECIMALS))
    columns = {
        "line": pa.array(np.arange(1, count + 1)),
        "serial_number": pa.nulls(count, pa.string()),
        "unit": pa.array(rows["unit"].fillna(rows["seen"]), pa.string()),
        "interval_seconds": pa.array(rows["interval_seconds"].astype("int32")),
        "value": six.cast(DECIMAL),
        "quality": pa.array(["estimated"] * count, pa.string()),
        "quality_method": pa.array(rows["method"], pa.string()),
        "reason_code": pa.array(rows["method"].map(_REASONS), pa.string()),
        "source_version": pa.array((end + counted).astype("datetime64[us, UTC]"), TIMESTAMP),
        **{name: pa.array(rows[name], pa.string()) for name in ("identifier", "register", "channel")},
        "reading_ts": pa.array(rows["reading_ts"].astype("datetime64[us, UTC]"), TIMESTAMP),
    }
    return pa.table([columns[name] for name in PARSED.names], schema=PARSED)
