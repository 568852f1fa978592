"""What a meter file holds, without writing anything: the answer of `myproperty inspect`.

Here: sums and counts per register of a file. Not here: whether its meters are configured (`vee.judge`).
"""

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.errors import RefusedFile
from data.ingest.formats import read_file
from data.ingest.formats.mapping import Mapping, undeclared
from data.ingest.schema import KVARH_PER_UNIT_POWER_OF_TEN, KWH_PER_UNIT_POWER_OF_TEN
from data.ingest.vee import screen

_BASE_UNITS = {
    **{unit: ("kWh", power) for unit, power in KWH_PER_UNIT_POWER_OF_TEN.items()},
    **{unit: ("kvarh", power) for unit, power in KVARH_PER_UNIT_POWER_OF_TEN.items()},
}
_SERIES = ["identifier", "channel", "register", "unit"]


def inspect(
    path: Path | str,
    format: str | None = None,
    *,
    mapping: Mapping | None = None,
    now: datetime.datetime | None = None,
) -> dict[str, Any]:
    """The fixed JSON document on one file: status, format, channels and what was rejected.

    Totals are decimal strings, energy in kWh and reactive energy in kvarh, over the intervals that would
    be loaded; rows that a later one of the same file replaced are not told as rejected unless they
    contradict it. `mapping` declares what the file does not say. `now` (default: the clock) decides what
    lies in the future. Where ingestion would demand more of a mapping, `undeclared` lists the fields; times
    without a zone are shown as if they were UTC.
    """
    try:
        parsed = read_file(path, format, mapping)
    except RefusedFile as refusal:
        return {"status": "refused", "format": refusal.format, "channels": [], "rejected": _refusal(refusal)}
    readings, screened = screen(parsed.readings, now=now or datetime.datetime.now(datetime.UTC))
    rejected = pa.concat_tables([parsed.rejected, screened])
    document: dict[str, Any] = {
        "status": "ok" if readings.num_rows else "refused",
        "format": parsed.format,
        "channels": [_channel(readings, series) for series in _series(readings)],
        "rejected": _rejected(rejected.filter(pc.not_equal(rejected["severity"], "info"))),
    }
    missing = undeclared(parsed, mapping)
    return document | ({"undeclared": missing} if missing else {})


def _series(readings: pa.Table) -> list[dict[str, Any]]:
    """Distinct series in file order."""
    rows: list[dict[str, Any]] = readings.group_by(_SERIES, use_threads=False).aggregate([]).to_pylist()
    return rows


def _channel(readings: pa.Table, series: dict[str, Any]) -> dict[str, Any]:
    own = readings
    for name in _SERIES:
        own = own.filter(pc.equal(own[name], series[name]))
    unit, power = _BASE_UNITS.get(series["unit"], (series["unit"], 0))
    extent = pc.min_max(own["reading_ts"]).as_py()
    return {
        "meter": series["identifier"],
        "channel": series["channel"],
        "register": series["register"],
        "unit": unit,
        "interval_seconds": _usual_length(own["interval_seconds"]),
        "intervals": own.num_rows,
        "total": decimal_text((pc.sum(own["value"]).as_py() or Decimal(0)).scaleb(power)),
        "first": _instant_text(extent["min"]),
        "last": _instant_text(extent["max"]),
        "quality": _quality(own),
    }


def _usual_length(seconds: pa.ChunkedArray) -> int:
    """The length most intervals have, of equals the longest: days and months differ among themselves."""
    counts = pc.value_counts(seconds).to_pylist()
    return int(max(counts, key=lambda row: (row["counts"], row["values"]))["values"])


def _quality(readings: pa.Table) -> dict[str, int]:
    """Intervals by the flag and method that the file gave, by our quality where it gave none."""
    flags = pc.coalesce(readings["quality_method"], readings["quality"])
    return {row["values"]: row["counts"] for row in pc.value_counts(flags).to_pylist()}


def decimal_text(value: Decimal) -> str:
    """A decimal without exponent and without trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _instant_text(instant: datetime.datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _refusal(refusal: RefusedFile) -> list[dict[str, Any]]:
    if refusal.rejected.num_rows:
        return _rejected(refusal.rejected)
    return [{"reason": f"{refusal.rule}: {refusal.reason}", "count": 1, "first_line": refusal.line}]


def _rejected(rejected: pa.Table) -> list[dict[str, Any]]:
    """One entry a rule, with the reason of its first row."""
    entries: dict[str, dict[str, Any]] = {}
    columns = (rejected[name].to_pylist() for name in ("rule", "reason", "line"))
    for rule, reason, line in zip(*columns, strict=True):
        entry = entries.setdefault(rule, {"reason": f"{rule}: {reason}", "count": 0, "first_line": line})
        entry["count"] += 1
        entry["first_line"] = min(entry["first_line"], line)
    return list(entries.values())
