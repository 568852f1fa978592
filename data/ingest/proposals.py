"""A proposed mapping, tried on its own file: what `inspect --suggest-mapping` prints.

Here: reading a file by its proposal, and what speaks against it. Not here: the proposal (`formats.suggest`),
or what a person must decide. The result stands below the proposal in comments, so the whole is a mapping.
"""

import contextlib
import datetime
import math
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from data.ingest.formats.columns import UNITS
from data.ingest.formats.container import TextForm
from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.formats.mapped_layout import split_fields
from data.ingest.formats.mapped_times import SKIPPED
from data.ingest.formats.suggest.date_formats import is_dated
from data.ingest.formats.suggest.number_marks import has_decimal_comma
from data.ingest.formats.suggest.proposal import read_heads, suggest_mapping
from data.ingest.formats.suggest.sample import TOTAL_WORDS
from data.ingest.formats.wallclock import LEAP_YEAR
from data.ingest.inspect import inspect
from data.ingest.proposed_cuts import find_cuts
from data.ingest.schema import KWH_PER_UNIT_POWER_OF_TEN

# Stands in a proposal that gives no readings to rely on.
NOT_USABLE = "NOT USABLE"
# A meter has more than a reading or two, or a row was taken for its meter.
_MANY_METERS, _FEW_READINGS = 20, 2
_MAX_REJECTED_SHARE = 0.1
_MAX_SHOWN = 20
# Printed totals are rounded.
_TOTAL_TOLERANCE = Decimal("0.005")
_TOTAL_LINE = re.compile(rf"(?<![^\W\d_])(grand |sub)?({TOTAL_WORDS}|gesamt[a-zäöüß]*)(?![^\W\d_])", re.I)
_ENERGY_UNIT = re.compile(r"(?<![a-z])[kM]?Wh(?![a-z])", re.I)
_NO_ENERGY = re.compile(
    r"[$€£]|cost|amount|price|kosten|betrag|importe|rows|records|count|anzahl|days|tage", re.I
)
# What stands in open fields while the proposal is tried. A value of unknown meaning is no import.
_WORDS: dict[str, Any] = {
    "identifier": "METER",
    "timezone": "UTC",
    "year": LEAP_YEAR,
    "unit": "kWh",
    "channel": "other",
    "brackets": "below_zero",
}
_WORDS_OF_VALUES = {"channel": "other", "unit": "kWh", "factor": 1}
# A format of dates that nothing decides; the first one that may be right is tried.
_OPEN_FORMAT = re.compile(r'^((?:date|timestamp)_format):  # the dates .*?("[^"]*").*$', re.M)
_EVENTS = (
    "The rows begin at no regular time, as charging sessions or other events do. A file does not say when "
    "within a session the energy flowed, and energy is shared interval by interval: ask for the "
    "quarter-hours of the charger's meter, or for the reads of its dial (cumulative: true)"
)
_NUMBER = re.compile(
    r"(?<![0-9A-Za-z./:-])([1-9][0-9]{0,2}(?:[ \u00a0\u202f][0-9]{3})+(?:[.,][0-9]+)?|[0-9][0-9.,']*)"
    r"(?![0-9A-Za-z/:-])"
)
# A number with points or commas between thousands, and one with a mark before decimals.
_GROUPED = {
    mark: re.compile(rf"[0-9]{{1,3}}(\{mark}[0-9]{{2,3}})*\{mark}[0-9]{{3}}([^0-9{mark}][0-9]+)?")
    for mark in ".,"
}


def propose_mapping(path: Path | str, timezone: str | None = None, sheet: str | None = None) -> str:
    """Propose a mapping in YAML for a file, with what it reads below it.

    Raises `RefusedFile` if the file cannot be read, `MappingError` if it holds no table or needs no mapping.
    """
    proposal = suggest_mapping(path, timezone, sheet)
    tried = _try_proposal(Path(path), proposal)
    for change in _CLOCKS:
        changed = change(proposal) if tried.rejected else proposal
        if changed != proposal:
            again = _try_proposal(Path(path), changed)
            if again.rejected < tried.rejected:
                proposal, tried = changed, again
    return proposal + "".join(f"# {line}".rstrip() + "\n" for line in tried.lines)


def _end_on_wall(proposal: str) -> str:
    return proposal.replace("label: end  #", "label: wall_end  #")


def _count_elapsed(proposal: str) -> str:
    return proposal.replace("clock_change: wall_clock  #", "clock_change: elapsed  #")


def _write_hours(proposal: str) -> str:
    """Return a proposal whose hours of a day are those of the clock: with 24 of them on each day."""
    if "interval_minutes: 60\n" not in proposal or "\ntime_format:" in proposal:
        return proposal
    hours = 'time_format: "%H"\nlabel: wall_end  # check: the hours of the clock\n'
    changed, count = re.subn(r"(?m)^(?=date_format:)", hours, proposal)
    changed, others = re.subn(r"(?m)^  period: ", "  time: ", changed)
    return changed if count == others == 1 else proposal


# On the days of a clock change a file decides between these: the one that rejects fewer rows is right.
_CLOCKS = (_end_on_wall, _count_elapsed, _write_hours)


@dataclass(frozen=True)
class _Trial:
    """Lines on what a proposal reads and why it is not usable, and how many rows it rejects."""

    lines: list[str]
    rejected: float


def _try_proposal(path: Path, proposal: str) -> _Trial:
    open_formats = [match[1] for match in _OPEN_FORMAT.finditer(proposal)]
    content, open_fields = _fill_open_fields(yaml.safe_load(_OPEN_FORMAT.sub(r"\1: \2", proposal)))
    open_fields += open_formats
    try:
        document = inspect(path, mapping=parse_mapping(content, path.name))
    except MappingError as error:
        return _Trial(["", f"{NOT_USABLE}: {error}"], math.inf)
    lines = ["", "Read by this proposal:", *_describe_channels(document)]
    if open_fields:
        lines[1] = f"Read by this proposal, with a word for the trial in {', '.join(open_fields)}:"
    for entry in document["rejected"]:
        lines.append(f"  rejected: {entry['count']} rows, from line {entry['first_line']}: {entry['reason']}")
    for entry in document["skipped"]:
        lines.append(f"  skipped: {entry['count']} rows: {entry['reason']}")
    # What the totals lack stands beside them too.
    lines += [
        f"  {line.removeprefix('# ')}" for line in proposal.split("\n") if line.startswith("# not read")
    ]
    faults = _find_faults(document)
    if document["status"] == "ok":
        faults += _compare_totals(path, content, document)
        faults += find_cuts(path, content, document)
    rejected = sum(entry["count"] for entry in document["rejected"])
    lines += [f"{NOT_USABLE}: {fault}" for fault in faults]
    return _Trial(lines, rejected if document["status"] == "ok" else math.inf)


def _fill_open_fields(content: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return (the mapping with a word in each open field, the names of these fields)."""
    if not content["format"].startswith("mapped"):
        filled = {name: value for name, value in content.items() if value is not None}
        return filled, [name for name in content if name not in filled]
    filled = dict(content)
    open_fields = [name for name in _WORDS if name in content and content[name] is None]
    filled |= {name: _WORDS[name] for name in open_fields}
    if "decimal" in content and content["decimal"] is None:
        # 1.234 is then 1234, and 1,234 is 1.234.
        filled |= {"decimal": ",", "thousands": content.get("thousands") or "."}
        open_fields.append("decimal")
    for field in ("values", "day"):
        entries = content.get(field) or []
        filled[field] = [dict(entry) for entry in ([entries] if isinstance(entries, dict) else entries)]
        for entry in filled[field]:
            for name in [name for name in _WORDS_OF_VALUES if name in entry and entry[name] is None]:
                is_power = name == "unit" and entry.get("average_power")
                entry[name] = "kW" if is_power else _WORDS_OF_VALUES[name]
                if name == "channel":
                    # Values of no channel have no opposite one.
                    entry.pop("negative", None)
                open_fields.append(f"{name} of {entry.get('column') or entry.get('register') or field}")
    for field in ("channels", "sections"):
        words = content.get(field) or {}
        open_fields += [f"channel of {word}" for word, channel in words.items() if channel == ""]
        filled[field] = {word: "other" if channel == "" else channel for word, channel in words.items()}
    words = content.get("qualities") or {}
    open_fields += [f"quality {word!r}" for word, kind in words.items() if kind is None]
    filled["qualities"] = {word: kind or "actual" for word, kind in words.items()}
    return filled, open_fields


def _describe_channels(document: dict[str, Any]) -> list[str]:
    lines = []
    for channel in document["channels"][:_MAX_SHOWN]:
        nulls = channel["quality"].get("null", 0)
        lines += [
            f"  {channel['meter']} {channel['register']}: {channel['channel']} {channel['total']} "
            f"{channel['unit']}, {channel['intervals']} intervals of {channel['interval_seconds']} s",
            f"    from {channel['first']} to {channel['last']}, {_count_gaps(channel)} missing, "
            f"{nulls} without a value",
        ]
    hidden = len(document["channels"]) - _MAX_SHOWN
    return [*lines, f"  and {hidden} more registers"] if hidden > 0 else lines


def _count_gaps(channel: dict[str, Any]) -> int:
    """Return how many intervals are missing between the first and the last one."""
    first, last = (datetime.datetime.fromisoformat(channel[name]) for name in ("first", "last"))
    due = round((last - first) / datetime.timedelta(seconds=channel["interval_seconds"])) + 1
    return max(due - int(channel["intervals"]), 0)


def _find_faults(document: dict[str, Any]) -> list[str]:
    if document["status"] != "ok":
        refusal = document["refusal"]
        return [_explain(f"{refusal['rule']}: {refusal['reason']}", f". {refusal['remedy']}")]
    faults = []
    channels = document["channels"]
    meters = {channel["meter"] for channel in channels}
    few = sum(channel["intervals"] <= _FEW_READINGS for channel in channels)
    if len(meters) > _MANY_METERS and 2 * few > len(channels):
        faults.append(f"{len(meters)} meters have a reading or two: the column of the meter is wrong")
    if any(SKIPPED in entry["reason"] for entry in document["rejected"]):
        faults.append(
            "rows have values in the hour that the clocks of the zone skip: their times are those of another "
            "clock, so give its zone, such as Etc/GMT-1 for a clock an hour ahead of UTC all year"
        )
    faults += _find_total_meters(channels)
    read = sum(channel["intervals"] for channel in channels)
    rejected = sum(entry["count"] for entry in document["rejected"])
    if rejected > _MAX_REJECTED_SHARE * read:
        most = max(document["rejected"], key=lambda entry: int(entry["count"]))
        faults.append(f"{rejected} rows are rejected, {read} are read: {_explain(most['reason'])}")
    return faults


def _explain(reason: str, remedy: str = "") -> str:
    """Return a reason with its remedy; rows at any time are events."""
    return f"{reason}. {_EVENTS}" if reason.startswith("VEE-ALIGNMENT") else reason + remedy


def _find_total_meters(channels: list[dict[str, Any]]) -> list[str]:
    """Return a fault for each meter whose total is that of all other meters."""
    faults = []
    for key in sorted({(channel["channel"], channel["unit"]) for channel in channels}):
        totals: defaultdict[str, Decimal] = defaultdict(Decimal)
        for channel in channels:
            if (channel["channel"], channel["unit"]) == key and channel["intervals"] > _FEW_READINGS:
                totals[channel["meter"]] += Decimal(channel["total"])
        whole = sum(totals.values(), Decimal(0))
        faults += [
            f"the meter {meter!r} has the total of all others: name it in ignore_rows, or declare its channel"
            for meter, total in totals.items()
            if total
            and 2 * total == whole
            and (len(totals) > 2 or (len(totals) == 2 and _TOTAL_LINE.search(meter)))
        ]
    return faults


def _compare_totals(path: Path, content: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """Return the fault if the file prints totals and none is a sum of its readings."""
    stated = _find_stated_totals(path, content)
    sums = _list_sums(document)
    # Of average power a file may print the plain sum, but not as energy.
    plain = [one * 3600 / channel["interval_seconds"] for channel in document["channels"][:1] for one in sums]
    powers = [total for total in stated if not total.unit]
    if not stated or any(
        _is_near(total, one)
        for found, own in ((stated, sums), (powers, plain))
        for total in found
        for one in own
    ):
        return []
    shown = ", ".join(f"{total.text}{total.unit and f' {total.unit}'}" for total in stated[:3] if total.text)
    is_scaled = any(_is_near(replace(total, unit=""), one) for total in stated for one in sums)
    hint = ": their unit is another one, or needs a factor" if is_scaled else ""
    return [f"the file states a total of {shown}, and no sum of its values is that{hint}"]


@dataclass(frozen=True)
class _Total:
    """A number in a line that speaks of a total: its text, the numbers that it may be, and their unit.

    The unit is the one of energy in this line, "" without one.
    """

    text: str
    ways: tuple[Decimal, ...]
    unit: str


def _find_stated_totals(path: Path, content: dict[str, Any]) -> list[_Total]:
    """Return the numbers in the lines of the file's head that speak of a total, and their sum."""
    if content["format"] != "mapped_csv":
        return []
    delimiter, decimal = content.get("delimiter", ","), content.get("decimal", ".")
    sheets = tuple(content.get("sheets", ()))
    form = TextForm(content.get("encoding"), delimiter, decimal, sheets, any_sheets=True)
    lines = [line for _, text in read_heads(path, form) for line in text.split("\n")]
    mark = _find_mark(lines, delimiter, decimal)
    if mark is None and has_decimal_comma(content.get("timezone")) is False:
        mark = "."
    found: list[_Total] = []
    for line in lines:
        fields = split_fields(line, delimiter) if _TOTAL_LINE.search(line) else []
        # A row of data may name a total as its register.
        if _NO_ENERGY.search(line) or any(map(is_dated, fields)):
            continue
        if any(field.strip() in content["columns"].values() for field in fields):
            # The header: its numbers are labels.
            continue
        units = {unit.lower() for unit in _ENERGY_UNIT.findall(line)}
        unit = UNITS[units.pop()] if len(units) == 1 else ""
        printed = ((text, _list_ways(text, mark)) for field in fields for text in _NUMBER.findall(field))
        found += [_Total(text, tuple(ways), unit) for text, ways in printed if any(ways)]
    wholes = {sum((total.ways[end] for total in found), Decimal(0)) for end in (0, -1)}
    return [*found, _Total("", tuple(wholes), "")] if len(found) > 1 else found


def _find_mark(lines: list[str], delimiter: str, decimal: str) -> str | None:
    """Return the mark before decimals, None if no number of the rows has it."""
    number = re.compile(rf"[+-]?[0-9]+{re.escape(decimal)}[0-9]+")
    for line in lines:
        if decimal in line and not _TOTAL_LINE.search(line):
            fields = [field.strip() for field in split_fields(line, delimiter)]
            if any(map(is_dated, fields)) and any(map(number.fullmatch, fields)):
                return decimal
    return None


def _list_ways(text: str, decimal: str | None) -> list[Decimal]:
    """Return the numbers that a printed one may be: 19,876 is one of thousands or one with decimals.

    It is one of them where the rows show which mark stands before decimals.
    """
    plain = re.sub("['\u00a0\u202f ]", "", text).rstrip(".,")
    texts = [
        plain.replace(mark, "").replace(",", ".")
        for mark in ",."
        if mark != decimal and _GROUPED[mark].fullmatch(plain)
    ]
    if len(re.findall("[.,]", plain)) < 2 and not texts * (decimal is not None):
        texts.append(plain.replace(",", "."))
    found = []
    for one in texts:
        with contextlib.suppress(InvalidOperation):
            found.append(Decimal(one))
    return list(dict.fromkeys(found))


def _list_sums(document: dict[str, Any]) -> list[Decimal]:
    """Return the totals of registers, channels and units, the net, and the count of intervals."""
    channels = document["channels"]
    sums = [Decimal(channel["total"]) for channel in channels]
    for field in ("channel", "unit", "meter"):
        for word in {channel[field] for channel in channels}:
            sums.append(sum((Decimal(c["total"]) for c in channels if c[field] == word), Decimal(0)))
    ways = {
        way: sum((Decimal(c["total"]) for c in channels if c["channel"] == way), Decimal(0))
        for way in ("import", "export", "generation")
    }
    sums += [ways["import"] - ways[way] for way in ("export", "generation")]
    sums.append(Decimal(sum(channel["intervals"] for channel in channels)))
    return sums


def _is_near(total: _Total, one: Decimal) -> bool:
    """Whether a printed number is a total in kWh: in its unit, or without one in kWh, Wh or MWh."""
    power = KWH_PER_UNIT_POWER_OF_TEN.get(total.unit)
    scaled = (one, one * 1000, one / 1000) if power is None else (one.scaleb(-power),)
    return any(
        abs(abs(value) - number) <= max(_TOTAL_TOLERANCE * number, Decimal("0.01"))
        for value in scaled
        for number in total.ways
    )
