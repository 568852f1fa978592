"""Register reads: the energy between two reads of a dial, and whether the intervals add up to it.

Here: differences with rollover and meter exchange, and the sum check, on columns. Not here: reads in files
(`formats`), or single intervals (`judge`).
"""

import numpy as np
import pandas as pd

from data.ingest.rules.day_frames import SERIES, Thresholds, make_issues

_ORDER = {"final": 0, "periodic": 1, "initial": 2}


def compute_differences(reads: pd.DataFrame, of_range: pd.Series | float = 0.5) -> pd.DataFrame:
    """Compute the energy between consecutive reads of a series: `energy`, `method`, `start`, `end`.

    `reads` has meter_id, channel, read_at, kind, serial_number, value, digits, multiplier, unit. A register
    that goes down has rolled over (+ 10^digits) if the counted value is then below `of_range` of its range
    and the device is the same; otherwise `energy` is NaN and the method `implausible`. A change of device
    without a final and an initial read is implausible too. There is no row between the final read of one
    device and the initial read of the next, nor between two devices that were read at one instant.
    """
    rows = reads.assign(order=reads["kind"].map(_ORDER), of_range=of_range)
    rows["since"] = rows.groupby([*SERIES, "serial_number"])["read_at"].transform("min")
    rows = rows.sort_values([*SERIES, "read_at", "order", "since"])
    of_series = rows.groupby(SERIES, sort=False)
    for name in ("read_at", "value", "serial_number", "kind", "digits"):
        rows[f"last_{name}"] = of_series[name].shift()
    is_apart = (rows["last_kind"] == "final") | (rows["kind"] == "initial")
    is_apart |= rows["last_read_at"].isna() | (rows["last_read_at"] == rows["read_at"])
    rows = rows[~is_apart]
    span = 10.0 ** rows["digits"].astype(float)
    raw = rows["value"] - rows["last_value"]
    is_same = rows["serial_number"] == rows["last_serial_number"]
    # A read without leading zeros does not say how many digits the dial has.
    is_dial = is_same & (rows["digits"] == rows["last_digits"])
    is_rollover = (raw < 0) & is_dial & (raw + span < rows["of_range"] * span)
    counted = pd.Series(np.where(is_rollover, raw + span, raw), index=rows.index)
    is_plausible = is_same & (counted >= 0)
    method = pd.Series("difference", index=rows.index).mask(is_rollover, "rollover")
    return rows.assign(
        energy=(counted * rows["multiplier"]).where(is_plausible),
        method=method.where(is_plausible, "implausible"),
        start=rows["last_read_at"],
        end=rows["read_at"],
    ).reset_index(drop=True)


def check_rollover(differences: pd.DataFrame) -> pd.DataFrame:
    """VEE-ROLLOVER: differences that no rollover explains."""
    rows = differences[differences["method"] == "implausible"]
    rows = rows.assign(first_reading_ts=rows["start"], last_reading_ts=rows["end"])
    rows = rows.drop_duplicates([*SERIES, "reading_date"], keep="last")
    return make_issues("VEE-ROLLOVER", rows, ["last_value", "value"])


def check_sum(differences: pd.DataFrame, sums: pd.DataFrame, thresholds: Thresholds) -> pd.DataFrame:
    """VEE-SUM: abs(sum of intervals - register difference) <= max(share of it, register units).

    `sums` has meter_id, channel, start, end, `sum` and `seconds` of the intervals with a value between two
    reads. A span is compared only if its intervals cover it completely.
    """
    rows = differences.dropna(subset=["energy"]).merge(sums, on=[*SERIES, "start", "end"])
    rows = rows[rows["seconds"] == (rows["end"] - rows["start"]).dt.total_seconds()]
    share = thresholds("VEE-SUM", "share", rows) * rows["energy"]
    units = thresholds("VEE-SUM", "register_units", rows) * rows["multiplier"]
    rows["off"] = (rows["sum"] - rows["energy"]).abs()
    # 1e-9 is the error of floats.
    rows = rows[rows["off"] > np.maximum(share, units) + 1e-9]
    rows = rows.assign(first_reading_ts=rows["start"], last_reading_ts=rows["end"])
    rows = rows.drop_duplicates([*SERIES, "reading_date"], keep="last")
    return make_issues("VEE-SUM", rows, ["sum", "energy", "method"])
