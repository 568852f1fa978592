"""Describe the content of a meter file without writing anything: the document of `myproperty inspect`.

Here: sums and counts for each register of a file. Not here: whether its meters are configured
(`data.ingest.rules.judge`).
"""

import datetime
from collections import Counter
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.errors import Refusal, RefusedFile
from data.ingest.formats.file_mappings import list_undeclared
from data.ingest.formats.fitting import complete_for_trial, find_fitting
from data.ingest.formats.mapping import FileMapping
from data.ingest.formats.reading import read_parts
from data.ingest.profiles import Profile
from data.ingest.rules.judge import screen
from data.ingest.rules.table import RULES
from data.ingest.schema import KVARH_PER_UNIT_POWER_OF_TEN, KWH_PER_UNIT_POWER_OF_TEN, FileInParts

_BASE_UNITS = {
    **{unit: ("kWh", power) for unit, power in KWH_PER_UNIT_POWER_OF_TEN.items()},
    **{unit: ("kvarh", power) for unit, power in KVARH_PER_UNIT_POWER_OF_TEN.items()},
}
# A file of many meters is not drawn whole.
MOST_PROFILES = 8
_SERIES = ["identifier", "channel", "register", "unit"]
_Series = tuple[str, ...]


def inspect(
    path: Path | str,
    format: str | None = None,
    *,
    mapping: FileMapping | None = None,
    now: datetime.datetime | None = None,
    profile_zone: str | None = None,
) -> dict[str, Any]:
    """Return the JSON document on a file: status, format, channels and rejected rows.

    Totals are decimal strings over the intervals that would be loaded, energy in kWh and reactive energy in
    kvarh. Rows that a later row of the same file replaced count as rejected only if they contradict it.
    `mapping` declares what the file does not state. `now` (default: the clock) decides which times are in the
    future. `skipped` counts the rows that are no readings by declaration, such as repeated headers.
    `undeclared` lists the mapping fields that ingestion requires and does not have; times without a zone are
    shown as UTC. A refused file has a `refusal`: its rule, reason and remedy, and its line, None if the fault
    is not in one line. With `profile_zone`, an IANA zone, each of the first MOST_PROFILES channels has a
    `profile`: see `Profile`.

    If no format and no mapping is given and the content has none, the shipped mappings are tried. If one
    fits, the file is read by it and `reads_as` names it, with its sender and country; if several fit, `fits`
    lists them and none is chosen.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    try:
        return _describe(read_parts(path, format, mapping), mapping, now, profile_zone)
    except RefusedFile as refusal:
        document = _describe_refusal(refusal)
        if mapping is None and format is None and refusal.rule == "FILE-FORMAT":
            return _read_by_shipped(path, document, now, profile_zone)
        return document


def _describe_refusal(refusal: RefusedFile) -> dict[str, Any]:
    return {
        "status": "refused",
        "format": refusal.format,
        "channels": [],
        "rejected": _list_rejected(refusal),
        "skipped": [],
        "refusal": asdict(refusal.refusal),
    }


def _read_by_shipped(
    path: Path | str, refused: dict[str, Any], now: datetime.datetime, profile_zone: str | None
) -> dict[str, Any]:
    """Describe a file by the shipped mapping that fits it; return `refused` if there is not just one."""
    fitting = find_fitting(path)
    if len(fitting) != 1:
        return refused | ({"fits": [shipped.name for shipped in fitting]} if fitting else {})
    shipped = fitting[0]
    zone = profile_zone and (shipped.content.get("timezone") or profile_zone)
    document = inspect(path, mapping=complete_for_trial(shipped), now=now, profile_zone=zone)
    document["reads_as"] = {"name": shipped.name, "sender": shipped.sender, "country": shipped.country}
    return document | ({"undeclared": shipped.open_fields} if shipped.open_fields else {})


def _describe(
    parsed: FileInParts, mapping: FileMapping | None, now: datetime.datetime, zone: str | None
) -> dict[str, Any]:
    channels: dict[_Series, _ChannelSummary] = {}
    rejected = _RejectedSummary()
    skipped: Counter[str] = Counter()
    for part in parsed.parts():
        skipped += part.skipped
        readings, screened = screen(part.readings, now=now)
        for series in readings.group_by(_SERIES, use_threads=False).aggregate([]).to_pylist():
            profile = Profile(zone) if zone and len(channels) < MOST_PROFILES else None
            channel = channels.setdefault(tuple(series.values()), _ChannelSummary(profile))
            channel.add(_select_series(readings, series))
        for rows in (part.rejected, screened):
            rejected.add(rows.filter(pc.not_equal(rows["severity"], "info")))
    # In file order: the parts of a large file have a different order.
    place = {series: number for number, series in enumerate(parsed.spans)}
    in_order = sorted(channels.items(), key=lambda item: place[item[0][0], item[0][2]])
    document: dict[str, Any] = {
        "status": "ok" if channels else "refused",
        "format": parsed.format,
        "channels": [channel.as_json(series) for series, channel in in_order],
        "rejected": rejected.as_json(),
        "skipped": [{"reason": reason, "count": count} for reason, count in sorted(skipped.items()) if count],
    }
    if not channels:
        document["refusal"] = asdict(rejected.refuse())
    missing = list_undeclared(parsed, mapping)
    return document | ({"undeclared": missing} if missing else {})


def _select_series(readings: pa.Table, series: dict[str, str]) -> pa.Table:
    for name, value in series.items():
        readings = readings.filter(pc.equal(readings[name], value))
    return readings


class _ChannelSummary:
    """Sums and counts of one series."""

    def __init__(self, profile: Profile | None) -> None:
        self._profile = profile
        self._total = Decimal(0)
        self._starts: set[datetime.datetime] = set()
        self._lengths: Counter[int] = Counter()
        self._quality: Counter[str] = Counter()

    def add(self, readings: pa.Table) -> None:
        self._total += pc.sum(readings["value"]).as_py() or Decimal(0)
        self._starts |= set(pc.min_max(readings["reading_ts"]).as_py().values())
        self._lengths.update(_count_values(readings["interval_seconds"]))
        # By flag and method in the file, else by quality.
        self._quality.update(_count_values(pc.coalesce(readings["quality_method"], readings["quality"])))
        if self._profile is not None:
            self._profile.add(readings)

    def as_json(self, series: _Series) -> dict[str, Any]:
        identifier, channel, register, given = series
        unit, power = _BASE_UNITS.get(given, (given, 0))
        # The most frequent length, of equal ones the longest: days and months vary in length.
        length = max(self._lengths, key=lambda length: (self._lengths[length], length))
        profile = {"profile": self._profile.as_json(length, power)} if self._profile is not None else {}
        return {
            "meter": identifier,
            "channel": channel,
            "register": register,
            "unit": unit,
            "interval_seconds": length,
            "intervals": self._lengths.total(),
            "total": decimal_text(self._total.scaleb(power)),
            "first": _format_instant(min(self._starts)),
            "last": _format_instant(max(self._starts)),
            "quality": dict(self._quality),
            **profile,
        }


def _count_values(column: pa.ChunkedArray) -> dict[Any, int]:
    return {row["values"]: row["counts"] for row in pc.value_counts(column).to_pylist()}


def decimal_text(value: Decimal) -> str:
    """Format a decimal without exponent and without trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _format_instant(instant: datetime.datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _list_rejected(refusal: RefusedFile) -> list[dict[str, Any]]:
    if not refusal.rejected.num_rows:
        return [{"reason": f"{refusal.rule}: {refusal.reason}", "count": 1, "first_line": refusal.line}]
    rejected = _RejectedSummary()
    rejected.add(refusal.rejected)
    return rejected.as_json()


class _RejectedSummary:
    """One entry for each rule, with the reason of its first row."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, Any]] = {}

    def add(self, rejected: pa.Table) -> None:
        columns = (rejected[name].to_pylist() for name in ("rule", "reason", "line"))
        for rule, reason, line in zip(*columns, strict=True):
            new = {"reason": f"{rule}: {reason}", "count": 0, "first_line": line}
            entry = self._entries.setdefault(rule, new)
            entry["count"] += 1
            entry["first_line"] = min(entry["first_line"], line)

    def refuse(self) -> Refusal:
        """Return why nothing of the file can be loaded: the rule that most of its rows break."""
        rule, entry = max(self._entries.items(), key=lambda item: int(item[1]["count"]))
        reason = entry["reason"].removeprefix(f"{rule}: ")
        return Refusal(entry["first_line"], rule, reason, RULES[rule].remedy)

    def as_json(self) -> list[dict[str, Any]]:
        return list(self._entries.values())
