"""Green Button, the energy usage XML of North America (ESPI, NAESB REQ.21), as Atom feed or bare.

Here: XML to readings. Not here: the meaning of the code lists of ESPI (`espi`), whether a meter is known, or
whether a value is plausible (`data.ingest.rules`).

Unit, direction and power of ten of a value are in a ReadingType, often after the readings. So the text is
read once: resources are kept, readings wait as text columns in a temporary file and are converted at the end.
A document type declaration refuses the file: without one there are no entities, external or exploding.
"""

import datetime
import itertools
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.errors import RefusedFile
from data.ingest.formats.columns import (
    Batch,
    Mask,
    Rejections,
    Violation,
    null_where,
    parse_decimals,
    spread,
    to_mask,
)
from data.ingest.formats.container import Member, refuse
from data.ingest.formats.espi import (
    MAX_INTERVAL_SECONDS,
    STATED_FIELDS,
    TYPE_FIELDS,
    EspiResources,
    Links,
    Owner,
    ResolvedSeries,
    Resolver,
    Resource,
    find_host,
    normalize_href,
)
from data.ingest.formats.format import FileFormat, MappingUse
from data.ingest.formats.mapping_formats import GreenButtonMapping
from data.ingest.formats.xml_parser import XmlParser
from data.ingest.schema import PARSED, TIMESTAMP

BATCH_ROWS = 65_536
# A block of up to this length stays in one batch, so that its readings can be compared.
MAX_BLOCK_ROWS = 8 * BATCH_ROWS
MEMORY_BYTES = 64 << 20
# ESPI inside Atom is 8 levels deep.
MAX_DEPTH = 64
MAX_TOKEN_BYTES = 4 << 20

_ESPI = ("http://naesb.org/espi ", "")
_ATOM = ("http://www.w3.org/2005/Atom ", "")
_Handler = TypeVar("_Handler")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_SECONDS = re.compile(r"^-?[0-9]{1,10}$")

# QualityOfReading, the worst first; values that failed a check or were calculated do not count as measured.
_QUALITIES = {
    **dict.fromkeys(("12", "15", "16", "13", "11", "10", "9", "8", "ESTIMATED"), "estimated"),
    "7": "edited",
    **dict.fromkeys(("14", "18", "17", "19", "0", "ACTUAL"), "actual"),
}
_WORST_FIRST = {code: rank for rank, code in enumerate(_QUALITIES)}
_PARTS = {space + name: name for space in _ESPI for name in ("start", "duration", "value")}
_RAW = pa.schema(
    [
        pa.field("line", pa.int64()),
        pa.field("block", pa.int64()),
        pa.field("ordinal", pa.int64()),
        pa.field("start", pa.string()),
        pa.field("duration", pa.string()),
        pa.field("value", pa.string()),
        pa.field("quality", pa.string()),
    ]
)

Ints = npt.NDArray[np.int64]


def iter_batches(
    path: Path, member: Member, part: int, mapping: GreenButtonMapping | None = None
) -> Iterator[Batch]:
    """Yield the readings of one text in batches of about 64 k rows. Raises `RefusedFile`."""
    with tempfile.SpooledTemporaryFile(MEMORY_BYTES) as spool:
        scanner = _Scanner(path, pa.ipc.new_stream(spool, _RAW))
        scanner.read(member)
        if mapping and mapping.identifier and len(scanner.catalogue.usage_points) > 1:
            count = len(scanner.catalogue.usage_points)
            reason = f"the mapping names one meter, but the file has {count} usage points: give the sender"
            raise refuse(path, None, "FILE-MAPPING", reason)
        series = Resolver(scanner.catalogue, mapping).resolve()
        blocks = _Blocks.from_scanner(scanner)
        yield Batch(PARSED.empty_table(), scanner.rejections.take(), part)
        spool.seek(0)
        for raw in pa.ipc.open_stream(spool):
            rejections = Rejections()
            readings = _build_readings(raw, blocks, series, rejections)
            yield Batch(readings, rejections.take(), part)


def _recognizes(text: str) -> bool:
    return (
        text.startswith("<") and re.search(r"naesb\.org/espi|<(UsagePoint|IntervalBlock)\b", text) is not None
    )


FORMAT = FileFormat(
    name="green_button",
    summary="Green Button XML of North America (ESPI)",
    read=iter_batches,
    recognizes=_recognizes,
    mapping=MappingUse(model=GreenButtonMapping, names_sender=True, is_seldom=True),
)


class _Scanner:
    """Reads the text once: resources into lists, readings as text into `writer`."""

    def __init__(self, path: Path, writer: pa.ipc.RecordBatchStreamWriter) -> None:
        self.catalogue = EspiResources()
        self.block_owner: list[int] = []
        self.block_start: list[str | None] = []
        self.block_version_us: list[int | None] = []
        self.rejections = Rejections()
        self._path = path
        self._writer = writer
        self._rows: list[tuple[Any, ...]] = []
        self._text: list[str] = []
        self._is_leaf = False
        self._depth = 0
        self._position = 0
        self._feed_us: int | None = None
        self._entry: Links | None = None
        self._entry_line = 0
        self._entry_first_block = 0
        self._orders: list[tuple[int, int, int]] = []
        self._stated: list[dict[str, str]] = []
        self._in_block = False
        self._in_interval = False
        self._ordinal = 0
        self._reading: dict[str, Any] | None = None
        self._fields: dict[str, str] | None = None
        self._begins = self._map_start_handlers()
        self._ends = self._map_end_handlers()
        self._parser = self._new_parser(b"")

    def read(self, member: Member) -> None:
        """Read up to the last end tag. Raises `RefusedFile`."""
        given = 0
        first = next(member.blocks, b"")
        self._parser = self._new_parser(first)
        for block in itertools.chain([first], member.blocks):
            self._parser.parse(block)
            given += len(block)
            waiting = given - max(self._parser.expat.CurrentByteIndex, 0)
            if waiting > MAX_TOKEN_BYTES or sum(map(len, self._text)) > MAX_TOKEN_BYTES:
                raise self._refuse("XML-SYNTAX", f"a text is longer than {MAX_TOKEN_BYTES >> 20} MiB")
        self._parser.parse(b"", is_last=True)
        self._flush()
        self._writer.close()

    def _new_parser(self, head: bytes) -> XmlParser:
        parser = XmlParser(self._path, head)
        parser.expat.StartElementHandler = self._start
        parser.expat.EndElementHandler = self._end
        parser.expat.CharacterDataHandler = self._text.append
        return parser

    def _refuse(self, rule: str, reason: str) -> RefusedFile:
        return self._parser.refuse(rule, reason)

    def _map_start_handlers(self) -> dict[str, Callable[[dict[str, str]], object]]:
        atom: dict[str, Callable[[dict[str, str]], object]] = {
            "entry": self._open_entry,
            "link": self._take_link,
        }
        espi: dict[str, Callable[[dict[str, str]], object]] = {
            "UsagePoint": lambda _: self._open(self.catalogue.usage_points),
            "MeterReading": lambda _: self._open(self.catalogue.meter_readings),
            "ReadingType": lambda _: self._open_type(),
            "ServiceCategory": lambda _: self._open_service(),
            "IntervalBlock": lambda _: self._open_block(),
            "interval": lambda _: self._set_interval(True),
            "IntervalReading": lambda _: self._open_reading(),
        }
        return _add_namespaces(_ATOM, atom) | _add_namespaces(_ESPI, espi)

    def _map_end_handlers(self) -> dict[str, Callable[[], None]]:
        atom = {
            "entry": self._close_entry,
            "id": self._take_id,
            "updated": self._take_updated,
        }
        espi: dict[str, Callable[[], None]] = {
            "ReadingType": self._close_fields,
            "ServiceCategory": self._close_fields,
            "IntervalBlock": self._close_block,
            "interval": lambda: self._set_interval(False),
            "IntervalReading": self._close_reading,
            "start": self._take_block_start,
            "quality": self._take_quality,
            "readingQuality": self._take_quality,
        }
        for name in STATED_FIELDS:
            espi[name] = self._make_stated_taker(name)
        for name in TYPE_FIELDS:
            espi[name] = self._make_field_taker(name)
        return _add_namespaces(_ATOM, atom) | _add_namespaces(_ESPI, espi)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._text.clear()
        self._is_leaf = True
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._refuse("XML-SYNTAX", f"elements are nested deeper than {MAX_DEPTH} levels")
        begin = self._begins.get(name)
        if begin is not None:
            begin(attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        part = _PARTS.get(name) if self._reading is not None else None
        if part is not None and self._reading is not None:
            # Most elements are these, so they have no handler of their own.
            self._reading[part] = self._take_text() or None
        else:
            end = self._ends.get(name)
            if end is not None:
                end()
        self._is_leaf = False

    def _take_text(self) -> str:
        """Return the text of the closing element; an element with child elements has no reliable text."""
        return "".join(self._text).strip() if self._is_leaf else "<...>"

    def _check_not_inside(self, is_inside: bool, name: str) -> None:
        if is_inside:
            raise self._refuse("XML-SYNTAX", f"an element {name} stands inside another one")

    def _open_entry(self, _: dict[str, str]) -> None:
        self._check_not_inside(self._entry is not None, "entry")
        self._entry = Links()
        self._entry_line = self._parser.line
        self._entry_first_block = len(self.block_owner)

    def _take_link(self, attributes: dict[str, str]) -> None:
        links, href = self._entry, normalize_href(attributes.get("href", ""))
        kind = attributes.get("rel", "").lower()
        if kind == "self" and not self.catalogue.host:
            self.catalogue.host = find_host(attributes.get("href", ""))
        if links is None or not href:
            return
        match kind:
            case "self":
                links.own = href
            case "up":
                links.up = href
            case "related":
                links.related.append(href)

    def _take_id(self) -> None:
        if self._entry is not None and not self._entry.id:
            self._entry.id = self._take_text()

    def _take_updated(self) -> None:
        instant_us = _parse_instant_us(self._take_text())
        if self._entry is not None:
            self._entry.updated_us = instant_us
        elif self._feed_us is None:
            self._feed_us = instant_us

    def _close_entry(self) -> None:
        links, self._entry = self._entry, None
        if links is None:
            return
        first = self._entry_first_block
        if "/IntervalBlock/" in links.own and first == len(self.block_owner):
            self.rejections.add(
                self._entry_line, "GB-ENTRY", "the entry of an IntervalBlock does not contain one", links.own
            )
        related = tuple(links.related)
        for block, (order, stated) in enumerate(zip(self._orders, self._stated, strict=True), first):
            self.block_owner[block] = self._register_owner(links, related, order, stated)
            self.block_version_us[block] = links.updated_us
        self._orders.clear()
        self._stated.clear()

    def _register_owner(
        self, links: Links, related: tuple[str, ...], order: tuple[int, int, int], stated: dict[str, str]
    ) -> int:
        stem = links.own.rpartition("/IntervalBlock")[0]
        own = "" if "MeterReading/" in stem else links.own
        owner = Owner(own, links.up, stem, related, *order, tuple(sorted(stated.items())))
        return self.catalogue.owners.setdefault(owner, len(self.catalogue.owners))

    def _open(self, resources: list[Resource]) -> Resource:
        self._position += 1
        resource = Resource(self._position, self._entry or Links())
        resources.append(resource)
        return resource

    def _open_type(self) -> None:
        self._fields = self._open(self.catalogue.reading_types).fields

    def _open_service(self) -> None:
        self._fields = self.catalogue.usage_points[-1].fields if self.catalogue.usage_points else None

    def _close_fields(self) -> None:
        self._fields = None

    def _make_field_taker(self, name: str) -> Callable[[], None]:
        def take() -> None:
            if self._fields is not None:
                self._fields[name] = self._take_text()

        return take

    def _make_stated_taker(self, name: str) -> Callable[[], None]:
        def take() -> None:
            if self._in_block and self._in_interval and self._stated:
                self._stated[-1][name] = self._take_text()

        return take

    def _open_block(self) -> None:
        self._check_not_inside(self._in_block, "IntervalBlock")
        order = (
            len(self.catalogue.usage_points),
            len(self.catalogue.meter_readings),
            len(self.catalogue.reading_types),
        )
        self._in_block = True
        self._ordinal = 0
        self.block_start.append(None)
        self.block_version_us.append(None)
        if self._entry is None:
            self.block_owner.append(self._register_owner(Links(), (), order, {}))
        else:
            self.block_owner.append(-1)
            self._orders.append(order)
            self._stated.append({})

    def _close_block(self) -> None:
        self._in_block = False
        if len(self._rows) >= BATCH_ROWS:
            self._flush()

    def _set_interval(self, is_open: bool) -> None:
        self._in_interval = is_open

    def _open_reading(self) -> None:
        self._check_not_inside(self._reading is not None, "IntervalReading")
        line = self._parser.line
        if self._in_block:
            self._reading = {"line": line}
        else:
            self.rejections.add(line, "GB-ENTRY", "an IntervalReading stands outside an IntervalBlock", "")

    def _take_block_start(self) -> None:
        if self._in_block and self._in_interval:
            self.block_start[-1] = self._take_text()

    def _take_quality(self) -> None:
        reading = self._reading
        if reading is not None:
            previous, code = reading.get("quality"), self._take_text().upper()
            reading["quality"] = f"{previous} {code}" if previous else code

    def _close_reading(self) -> None:
        reading, self._reading = self._reading, None
        if reading is None:
            return
        take = reading.get
        self._rows.append(
            (
                reading["line"],
                len(self.block_owner) - 1,
                self._ordinal,
                take("start"),
                take("duration"),
                take("value"),
                take("quality"),
            )
        )
        self._ordinal += 1
        if len(self._rows) >= MAX_BLOCK_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            rows = zip(*self._rows, strict=True)
            columns = [pa.array(column, kind.type) for column, kind in zip(rows, _RAW, strict=True)]
            self._writer.write_batch(pa.record_batch(columns, schema=_RAW))
            self._rows.clear()

    def find_version_us(self, block: int) -> int | None:
        """Return when the sender made a block (microseconds since 1970 UTC), None if the file omits it."""
        own = self.block_version_us[block]
        return own if own is not None else self._feed_us


def _add_namespaces(namespaces: tuple[str, ...], handlers: dict[str, _Handler]) -> dict[str, _Handler]:
    return {space + name: handler for space in namespaces for name, handler in handlers.items()}


def _parse_instant_us(text: str) -> int | None:
    """Convert an Atom date to microseconds since 1970 UTC; None if it is invalid or lacks its offset."""
    try:
        instant = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if instant.tzinfo is None or not 1990 <= instant.year < 2100:
        return None
    return (instant - _EPOCH) // datetime.timedelta(microseconds=1)


@dataclass(frozen=True)
class _Blocks:
    """For each block: its owner, the version (microseconds, or -1), the start (seconds, or -1)."""

    owner: Ints
    version_us: Ints
    start: Ints

    @classmethod
    def from_scanner(cls, scanner: _Scanner) -> "_Blocks":
        versions = (scanner.find_version_us(block) for block in range(len(scanner.block_owner)))
        starts = (int(s) if s and _SECONDS.fullmatch(s) else -1 for s in scanner.block_start)
        return cls(
            np.array(scanner.block_owner, dtype=np.int64),
            np.array([-1 if version is None else version for version in versions], dtype=np.int64),
            np.array(list(starts), dtype=np.int64),
        )


def _build_readings(
    raw: pa.RecordBatch, blocks: _Blocks, series: list[ResolvedSeries], rejections: Rejections
) -> pa.Table:
    """Return raw readings as a table of the schema `PARSED`; add the invalid ones to `rejections`."""
    block = raw["block"].to_numpy()
    codes = blocks.owner[block]
    length = np.array([entry.interval_seconds for entry in series], dtype=np.int64)[codes]
    start, bad_start = _find_starts(raw, blocks.start[block], length)
    seconds, bad_seconds = _find_seconds(raw["duration"], length)
    texts = _apply_exponents(raw["value"], [entry.exponent for entry in series], codes)
    values, not_number, too_long = parse_decimals(texts)
    quality, method, bad_quality = _resolve_qualities(
        raw["quality"], [s.default_quality for s in series], codes, texts
    )
    version_us = blocks.version_us[block]
    table = pa.table(
        {
            "line": raw["line"],
            "identifier": spread([entry.identifier for entry in series], codes.astype(np.int32)),
            "register": spread([entry.register for entry in series], codes.astype(np.int32)),
            "serial_number": pa.nulls(raw.num_rows, pa.string()),
            "channel": spread([entry.channel for entry in series], codes.astype(np.int32)),
            "unit": spread([entry.unit for entry in series], codes.astype(np.int32)),
            "reading_ts": pa.array(start * 1_000_000).cast(TIMESTAMP),
            "interval_seconds": pa.array(seconds.astype(np.int32)),
            "value": values,
            "quality": quality,
            "quality_method": method,
            "reason_code": pa.nulls(raw.num_rows, pa.string()),
            # A block without a time cannot be older than the end of its intervals.
            "source_version": pa.array(
                np.where(version_us >= 0, version_us, (start + seconds) * 1_000_000)
            ).cast(TIMESTAMP),
        }
    )
    faulty = np.array([entry.fault is not None for entry in series], dtype=np.bool_)[codes]
    violations: list[Violation] = [
        ("", "", faulty),
        ("ROW-TIMESTAMP", "the start is not a whole number of epoch seconds", bad_start),
        ("ROW-INTERVAL", "the duration is not a valid length", bad_seconds),
        (
            "GB-SHARED-START",
            "another reading of the same IntervalBlock has this start and differs",
            _find_shared_starts(block, start, raw),
        ),
        ("ROW-QUALITY", "the quality is unknown", bad_quality),
        ("ROW-VALUE", "the value is not a number", not_number),
        ("ROW-PRECISION", "the value has more than 11 digits before or 9 after the point", too_long),
    ]
    bad = np.logical_or.reduce([mask for _, _, mask in violations])
    if bad.any():
        _reject(raw, table, violations, [series[code] for code in codes[bad]], rejections)
        table = table.filter(pa.array(~bad))
    return table.cast(PARSED)


def _find_starts(raw: pa.RecordBatch, block_start: Ints, length: Ints) -> tuple[Ints, Mask]:
    """Return (epoch seconds, bad); a reading without a time gets the time of its place in the block."""
    start, bad = _parse_whole_seconds(raw["start"])
    missing = to_mask(pc.and_(pc.is_null(raw["start"]), pc.is_null(raw["duration"])))
    if missing.any():
        placed = missing & (block_start >= 0) & (length > 0)
        start = np.where(placed, block_start + raw["ordinal"].to_numpy() * length, start)
        bad &= ~placed
    return start, bad


def _find_seconds(texts: pa.Array, length: Ints) -> tuple[Ints, Mask]:
    seconds, bad = _parse_whole_seconds(texts)
    by_type = to_mask(pc.is_null(texts)) & (length > 0)
    seconds = np.where(by_type, length, seconds)
    wrong = (bad & ~by_type) | (seconds <= 0) | (seconds > MAX_INTERVAL_SECONDS)
    return np.where(wrong, 0, seconds), wrong


def _parse_whole_seconds(texts: pa.Array) -> tuple[Ints, Mask]:
    """Return (seconds, bad): whole numbers of at most 10 digits; null is bad, and bad ones are 0."""
    try:
        numbers = pc.cast(texts, pa.int64())
    except pa.ArrowInvalid:
        whole = pc.replace_substring_regex(texts, r"\.0+$", "")
        fits = to_mask(pc.match_substring_regex(whole, _SECONDS.pattern))
        numbers = pc.cast(null_where(whole, ~fits), pa.int64())
    bad = to_mask(pc.is_null(numbers))
    seconds = np.asarray(pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False), dtype=np.int64)
    beyond = np.abs(seconds) >= 10**10
    return np.where(beyond, 0, seconds), bad | beyond


def _apply_exponents(texts: pa.Array, exponents: list[int], codes: Ints) -> pa.Array:
    """Multiply values by the power of ten of their series, as text: nothing is rounded."""
    if not any(exponents):
        return texts
    suffixes = spread([f"E{power}" if power else "" for power in exponents], codes.astype(np.int32))
    return pc.binary_join_element_wise(texts, suffixes, "")


def _resolve_qualities(
    texts: pa.Array, defaults: list[str | None], codes: Ints, values: pa.Array
) -> tuple[pa.Array, pa.Array, Mask]:
    """Return (quality, its code in the file, is unknown); of several codes the worst counts."""
    if any(defaults):
        texts = pc.coalesce(texts, spread(defaults, codes.astype(np.int32)))
    encoded = pc.dictionary_encode(texts)
    qualities: list[str | None] = []
    methods: list[str | None] = []
    for text in encoded.dictionary.to_pylist():
        given = text.split()
        is_known = bool(given) and all(code in _QUALITIES for code in given)
        worst = min(given, key=_WORST_FIRST.__getitem__) if is_known else None
        qualities.append(_QUALITIES[worst] if worst else None)
        methods.append(worst or text)
    named = pa.array(qualities, pa.string()).take(encoded.indices)
    is_unknown = to_mask(pc.and_(pc.is_valid(texts), pc.is_null(named)))
    quality = pc.if_else(pc.is_null(values), "null", pc.fill_null(named, "actual"))
    return quality, pa.array(methods, pa.string()).take(encoded.indices), is_unknown


def _find_shared_starts(block: Ints, start: Ints, raw: pa.RecordBatch) -> Mask:
    """Find readings that share their start with another one in the block, but not value and duration."""
    shared = np.zeros(len(block), dtype=np.bool_)
    if not len(block) or ((block[1:] != block[:-1]) | (start[1:] > start[:-1])).all():
        return shared
    order = np.lexsort((start, block))
    changes = (np.diff(block[order]) != 0) | (np.diff(start[order]) != 0)
    group = np.empty(len(block), dtype=np.int64)
    group[order] = np.concatenate([[0], np.cumsum(changes)])
    for name in ("value", "duration"):
        codes = pc.dictionary_encode(raw[name]).indices.fill_null(-1).to_numpy(zero_copy_only=False)
        least = np.full(group.max() + 1, np.iinfo(np.int64).max)
        most = np.full(group.max() + 1, -2, dtype=np.int64)
        np.minimum.at(least, group, codes)
        np.maximum.at(most, group, codes)
        shared |= (least != most)[group]
    return shared


def _reject(
    raw: pa.RecordBatch,
    table: pa.Table,
    violations: list[Violation],
    series: list[ResolvedSeries],
    rejections: Rejections,
) -> None:
    """Reject each bad row by the first rule that it violates; a faulty series gives its value no unit.

    `series` has the series of each bad row.
    """
    bad = np.logical_or.reduce([mask for _, _, mask in violations])
    first = np.argmax(np.stack([mask for _, _, mask in violations]), axis=0)[bad]
    keep = pa.array(bad)
    bad_start = violations[1][2][bad]
    rows = table.filter(keep).to_pylist()
    texts = raw.filter(keep).to_pylist()
    for row, text, entry, violation, no_time in zip(rows, texts, series, first, bad_start, strict=True):
        rule, reason = entry.fault or violations[violation][:2]
        rejections.add(
            row["line"],
            rule,
            reason,
            f"start {text['start']}, duration {text['duration']}, value {text['value']}",
            identifier=row["identifier"],
            register=row["register"],
            reading_ts=None if no_time else row["reading_ts"],
            value=row["value"],
            unit=None if entry.fault else row["unit"],
        )
