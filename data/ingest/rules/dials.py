"""Registers: the energy between two reads of a dial, and whether the intervals add up to it.

Here: differences with rollover and meter exchange, and the sum check, on columns. Not here: reads in files
(`formats`), or single intervals (`days`).
"""

import numpy as np
import pandas as pd

from data.ingest.rules.days import SERIES, Frame, Thresholds, issues, together

_ORDER = {"final": 0, "periodic": 1, "initial": 2}


def differences(reads: Frame, of_range: pd.Series | float = 0.5) -> Frame:
    """The energy between consecutive reads of a series: `energy`, `method`, `start`, `end`.

    `reads` has meter_id, channel, read_at, kind, serial_number, value, digits, multiplier, unit. A register
    that goes down has rolled over (+ 10^digits), if what it counted is then less than `of_range` of its range
    and the device is the same; otherwise `energy` is NaN and the method `implausible`. Between the final read
    of one device and the initial read of the next nothing was measured, so there is no row, nor between two
    devices that were read at one instant. A device that changes otherwise is implausible too.
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
    # Without leading zeros a read does not tell how many digits the dial has.
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


def rollover_issues(found: Frame) -> Frame:
    """VEE-ROLLOVER: differences that no rollover explains."""
    rows = found[found["method"] == "implausible"]
    rows = rows.assign(first_reading_ts=rows["start"], last_reading_ts=rows["end"])
    rows = rows.drop_duplicates([*SERIES, "reading_date"], keep="last")
    return issues("VEE-ROLLOVER", rows, ["last_value", "value"])


def sum_check(found: Frame, sums: Frame, thresholds: Thresholds) -> Frame:
    """VEE-SUM: abs(sum of intervals - register difference) <= max(share of it, register units).

    `sums` has meter_id, channel, start, end, `sum` and `seconds`, of the intervals with a value between two
    reads; only a span that they cover whole is compared.
    """
    rows = found.dropna(subset=["energy"]).merge(sums, on=[*SERIES, "start", "end"])
    rows = rows[rows["seconds"] == (rows["end"] - rows["start"]).dt.total_seconds()]
    share = thresholds("VEE-SUM", "share", rows) * rows["energy"]
    units = thresholds("VEE-SUM", "register_units", rows) * rows["multiplier"]
    rows["off"] = (rows["sum"] - rows["energy"]).abs()
    # Floats: a billionth is no difference.
    rows = rows[rows["off"] > np.maximum(share, units) + 1e-9]
    rows = rows.assign(first_reading_ts=rows["start"], last_reading_ts=rows["end"])
    rows = rows.drop_duplicates([*SERIES, "reading_date"], keep="last")
    return together([issues("VEE-SUM", rows, ["sum", "energy", "method"])])
