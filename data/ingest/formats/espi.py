"""The series of a Green Button file: usage point, unit, channel and register by ReadingTypes.

Here: connecting blocks of readings with the resources of the same file, and the code lists of ESPI (NAESB
REQ.21). Not here: XML, or values (`green_button`).
"""

import re
from dataclasses import dataclass, field

from data.ingest.formats.assemble import AMOUNTS
from data.ingest.formats.columns import UNITS, Fault
from data.ingest.formats.mapping_formats import GreenButtonMapping

# A year and an hour: water is billed every quarter or year.
MAX_INTERVAL_SECONDS = 366 * 86_400 + 3_600
LONGEST_DAY_SECONDS = 90_000

_HOST = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
_OWNER = r"(?:(?:RetailCustomer|Customer|Subscription|User)/[^/]+/)?"
_RESOURCE = re.compile(rf"{_OWNER}(?:UsagePoint|ReadingType)/.+")
_USAGE_POINT = re.compile(rf"{_OWNER}UsagePoint/[^/]+")
_SENDER = re.compile(r"^https?://([^/:@\s]+)(?::[0-9]+)?/", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

# UnitSymbol of ESPI, from IEC 61968-9 as the type UomType of espi.xsd documents it (42 m3, 119 ft3): the unit
# for each power of ten. Any other power scales the value, in the unit of power 0.
_UNITS: dict[str, dict[int, str]] = {
    "5": {0: "A", 3: "kA"},
    "29": {0: "V", 3: "kV"},
    "38": {0: "W", 3: "kW", 6: "MW"},
    "42": {0: "m3"},
    "61": {0: "VA", 3: "kVA", 6: "MVA"},
    "63": {0: "var", 3: "kvar", 6: "Mvar"},
    "71": {0: "VAh", 3: "kVAh", 6: "MVAh"},
    "72": {0: "Wh", 3: "kWh", 6: "MWh"},
    "73": {0: "varh", 3: "kvarh", 6: "Mvarh"},
    "119": {0: "ft3"},
    "120": {0: "ft3"},
    "121": {0: "ft3"},
    "128": {0: "gal_us"},
    "130": {0: "gal_imp"},
    "132": {0: "Btu"},
    "134": {0: "l"},
    "166": {0: "m3"},
    "167": {0: "m3"},
    "169": {0: "therm"},
}
# Volumes that are compensated for temperature and pressure or not, if the sender distinguishes them.
_BASES = {"120": "compensated", "121": "uncompensated", "166": "uncompensated", "167": "compensated"}
_VOLUME_OR_HEAT = ("42", "119", "128", "130", "132", "134", "169", *_BASES)
_QUANTITIES = ("71", "72", "73", *_VOLUME_OR_HEAT)
_ELECTRICITY_COMMODITIES = ("", "0", "1", "2")
_ELECTRICITY_SERVICE = "0"
# FlowDirection: absent counts as forward, to the customer.
_FORWARD = ("", "0", "1")
_REVERSE = "19"
# AccumulationKind: not applicable and delta; momentary: indicating and instantaneous.
_DELTA = ("", "0", "4")
_MOMENTARY = ("6", "12")
# The fields that distinguish two series of one usage point and direction.
_DISTINCTIONS = (
    "kind",
    "phase",
    "tou",
    "consumptionTier",
    "cpp",
    "timeAttribute",
    "dataQualifier",
    "measuringPeriod",
    "intervalLength",
)
TYPE_FIELDS = (
    "accumulationBehaviour",
    "commodity",
    "defaultQuality",
    "flowDirection",
    "powerOfTenMultiplier",
    "uom",
    *_DISTINCTIONS,
)


# Fields in the interval of a block, in the files of some utilities that have no ReadingType.
STATED_FIELDS = ("servicePointId", "serviceType", "unitOfMeasure", "secondsPerInterval")


@dataclass
class Links:
    """The links of an entry to others; hrefs without scheme, host and outer slashes."""

    id: str = ""
    own: str = ""
    up: str = ""
    related: list[str] = field(default_factory=list)
    updated_us: int | None = None


@dataclass
class Resource:
    """A UsagePoint, MeterReading or ReadingType; `position` counts resources in document order."""

    position: int
    links: Links
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Owner:
    """How a block names its meter reading: by links, and by the number of resources before it.

    `stated` are the `STATED_FIELDS` of its interval. `own` is empty if the address of the block already lies
    below its meter reading, so that there are few owners.
    """

    own: str
    up: str
    stem: str
    related: tuple[str, ...]
    usage_points: int
    meter_readings: int
    reading_types: int
    stated: tuple[tuple[str, str], ...] = ()

    @property
    def is_linked(self) -> bool:
        """Whether links name the owner of the block, so that its place in the file does not."""
        return bool(self.up or self.stem)


@dataclass
class ResolvedSeries:
    """The meaning of the readings of a block. `fault` is (rule, reason) why they cannot be used."""

    identifier: str | None = None
    register: str | None = None
    channel: str = "other"
    unit: str | None = None
    exponent: int = 0
    interval_seconds: int = 0
    default_quality: str | None = None
    fault: tuple[str, str] | None = None


@dataclass
class EspiResources:
    """The resources of a text in document order, and the distinct owners of blocks with their codes.

    `host` is that of the first absolute address that the text gives itself or one of its entries.
    """

    host: str = ""
    usage_points: list[Resource] = field(default_factory=list)
    meter_readings: list[Resource] = field(default_factory=list)
    reading_types: list[Resource] = field(default_factory=list)
    owners: dict[Owner, int] = field(default_factory=dict)


def normalize_href(href: str) -> str:
    """Remove what differs between absolute and relative hrefs of the same resource."""
    path = re.split(r"[?#]", _HOST.sub("", href.strip()))[0].strip("/")
    found = _RESOURCE.search(path)
    return found.group() if found else path


def find_host(href: str) -> str:
    """Return the host of an absolute href, in lower case; empty for a relative one."""
    found = _SENDER.match(href.strip())
    return found.group(1).lower() if found else ""


class Resolver:
    """Connects blocks with their usage point and ReadingType: by links, or by order if there are none."""

    def __init__(self, catalogue: EspiResources, mapping: GreenButtonMapping | None = None) -> None:
        self._catalogue = catalogue
        self._identifier = mapping.identifier if mapping else None
        self._sender = (mapping.sender if mapping else None) or catalogue.host
        self._usage_points: dict[str, Resource] = {}
        self._meter_readings: dict[str, Resource] = {}
        self._reading_types: dict[str, Resource] = {}
        self._types_of_meters: dict[str, Resource] = {}
        self._contradicted: set[str] = set()
        self._claimed: set[str] = set()
        self._index()

    def _index(self) -> None:
        for usage_point in self._catalogue.usage_points:
            readings = [href for href in usage_point.links.related if "MeterReading" in href]
            for href in _drop_empty(usage_point.links.own, *readings):
                self._usage_points.setdefault(href, usage_point)
        for kind in self._catalogue.reading_types:
            own = kind.links.own
            if own and self._reading_types.setdefault(own, kind).fields != kind.fields:
                self._contradicted.add(own)
            # Some utilities put a ReadingType below its meter reading instead of linking to it.
            for href in _drop_empty(own.rpartition("/ReadingType/")[0], *kind.links.related):
                self._types_of_meters.setdefault(href, kind)
        for meter in self._catalogue.meter_readings:
            own = meter.links.own
            blocks = [href for href in meter.links.related if "IntervalBlock" in href]
            for href in _drop_empty(own, own and f"{own}/IntervalBlock", *blocks):
                self._meter_readings.setdefault(href, meter)
        linking = [meter.links.related for meter in self._catalogue.meter_readings]
        for related in (*linking, *(owner.related for owner in self._catalogue.owners)):
            self._claimed.update(related)

    def resolve(self) -> list[ResolvedSeries]:
        """Return the series of each owner of the catalogue, in order."""
        found: list[tuple[ResolvedSeries, dict[str, str]]] = []
        for owner in self._catalogue.owners:
            series, fields = ResolvedSeries(), dict[str, str]()
            stated = dict(owner.stated)
            try:
                meter = self._meter_reading(owner)
                usage_point, path = self._usage_point(owner, meter)
                series.identifier = self._name(stated.get("servicePointId") or path, usage_point)
                if "unitOfMeasure" in stated:
                    _describe_stated(series, stated)
                else:
                    fields = self._reading_type(owner, meter).fields
                    _describe(series, fields, usage_point.fields if usage_point else {})
            except Fault as fault:
                series.fault = (fault.rule, fault.reason)
            found.append((series, fields))
        _distinguish_registers(found)
        return [series for series, _ in found]

    def _meter_reading(self, owner: Owner) -> Resource | None:
        for href in _drop_empty(owner.own, owner.up, owner.stem, *owner.related):
            if href in self._meter_readings:
                return self._meter_readings[href]
        near = _find_nearest(self._catalogue.meter_readings, owner.meter_readings)
        return near if near is not None and (not owner.is_linked or not near.links.own) else None

    def _usage_point(self, owner: Owner, meter: Resource | None) -> tuple[Resource | None, str]:
        links = meter.links if meter is not None else Links()
        hrefs = _drop_empty(links.own, links.up, *links.related, owner.up, owner.stem)
        parents = [href.removesuffix("/MeterReading") for href in (links.up, *links.related) if href]
        for href in (*parents, *hrefs):
            if href in self._usage_points:
                return self._usage_points[href], _identify(self._usage_points[href])
        for href in hrefs:
            named = _USAGE_POINT.search(href)
            if named is not None:
                return self._usage_points.get(named.group()), named.group()
        before = owner.usage_points
        if meter is not None:
            before = sum(point.position < meter.position for point in self._catalogue.usage_points)
        near = _find_nearest(self._catalogue.usage_points, before)
        if near is not None:
            return near, _identify(near)
        if self._catalogue.usage_points or hrefs:
            raise Fault("ROW-CHANNEL", "the readings do not belong to a UsagePoint")
        # Downloads of some utilities hold the readings of one meter without links and without a name.
        return None, ""

    def _name(self, path: str, usage_point: Resource | None) -> str:
        """Return the identifier: sender and path, since utilities count their customers from 1.

        A path with a UUID is unique. Without a sender it starts with a slash, unless the entry has a UUID; it
        is empty for the only usage point of a file if that has no name.
        """
        if self._identifier is not None:
            return self._identifier
        if not path:
            points = self._catalogue.usage_points
            if not self._sender and len(points) < 2:
                return ""
            path = f"UsagePoint/{points.index(usage_point) + 1 if usage_point in points else 1}"
        if _UUID.search(path):
            return path
        if self._sender:
            return f"{self._sender}/{path}"
        uuid = _UUID.search(usage_point.links.id) if usage_point is not None else None
        return f"{path}#{uuid.group().lower()}" if uuid else f"/{path}"

    def _reading_type(self, owner: Owner, meter: Resource | None) -> Resource:
        links = meter.links if meter is not None else Links()
        for href in (*links.related, *owner.related):
            if href in self._contradicted:
                raise Fault("GB-READING-TYPE", f"{href!r} stands twice in the file, with different content")
            if href in self._reading_types:
                return self._reading_types[href]
        for href in _drop_empty(links.own, owner.stem):
            if href in self._types_of_meters:
                return self._types_of_meters[href]
        for href in (*links.related, *owner.related):
            if "ReadingType/" in href:
                raise Fault("GB-READING-TYPE", f"{href!r} is linked, but not in the file")
        kinds = self._catalogue.reading_types
        if meter is None and owner.is_linked and len({tuple(kind.fields.items()) for kind in kinds}) > 1:
            raise Fault(
                "GB-READING-TYPE", "the links of the block do not lead to one of the several ReadingTypes"
            )
        near = self._type_by_order(owner, meter)
        if near is None:
            raise Fault(
                "GB-READING-TYPE",
                "the block has no link to a ReadingType, and there is none next to its readings",
            )
        return near

    def _type_by_order(self, owner: Owner, meter: Resource | None) -> Resource | None:
        kinds = self._catalogue.reading_types
        if len(kinds) == 1:
            return kinds[0]
        free = [kind for kind in kinds if not kind.links.own or kind.links.own not in self._claimed]
        if meter is not None:
            others = (*self._catalogue.meter_readings, *self._catalogue.usage_points)
            end = min((o.position for o in others if o.position > meter.position), default=None)
            own = [k for k in free if k.position > meter.position and (end is None or k.position < end)]
            if len(own) == 1:
                return own[0]
        before = [kind for kind in kinds[: owner.reading_types] if kind in free]
        return before[-1] if before else None


def _drop_empty(*hrefs: str) -> list[str]:
    return [href for href in hrefs if href]


def _find_nearest(resources: list[Resource], before: int) -> Resource | None:
    """Return the last of the first `before` resources, else the only one."""
    if before:
        return resources[before - 1]
    return resources[0] if len(resources) == 1 else None


def _identify(usage_point: Resource) -> str:
    """Return the path or the id of a usage point, empty if it has neither."""
    named = _USAGE_POINT.search(usage_point.links.own)
    return named.group() if named is not None else usage_point.links.own or usage_point.links.id


def _describe(series: ResolvedSeries, fields: dict[str, str], service: dict[str, str]) -> None:
    """Set unit, channel and register of a series by its ReadingType. Raises `Fault`."""
    uom, flow = fields.get("uom", ""), fields.get("flowDirection", "")
    if uom not in _UNITS:
        reason = f"the unit (uom) {uom!r} is unknown" if uom else "the ReadingType does not name a unit"
        raise Fault("ROW-UNIT", reason)
    power = fields.get("powerOfTenMultiplier", "") or "0"
    if not re.fullmatch(r"[+-]?[0-9]{1,2}", power):
        raise Fault("ROW-UNIT", f"the powerOfTenMultiplier {power!r} is not a power of ten")
    names = _UNITS[uom]
    accumulation = fields.get("accumulationBehaviour", "")
    allowed = _DELTA if uom in _QUANTITIES else _DELTA + _MOMENTARY
    if accumulation not in allowed:
        raise Fault(
            "ROW-CUMULATIVE", f"accumulationBehaviour {accumulation} is not a quantity of an interval"
        )
    series.unit, series.exponent = names.get(int(power), names[0]), 0 if int(power) in names else int(power)
    series.channel = _find_channel(uom, flow, _is_electric(fields, service))
    series.register = flow or "0"
    if uom != "72" and uom not in _VOLUME_OR_HEAT:
        series.register += f":{names[0]}"
    length = fields.get("intervalLength", "")
    if re.fullmatch(r"[0-9]{1,8}", length) and int(length) <= MAX_INTERVAL_SECONDS:
        series.interval_seconds = int(length)
    series.default_quality = fields.get("defaultQuality") or None


def _describe_stated(series: ResolvedSeries, stated: dict[str, str]) -> None:
    """Set them by the fields in the interval of the block, which state no direction. Raises `Fault`."""
    series.unit = UNITS.get(stated["unitOfMeasure"].lower())
    if series.unit is None:
        raise Fault("ROW-UNIT", f"the unitOfMeasure {stated['unitOfMeasure']!r} is unknown")
    is_electric = stated.get("serviceType", "electric").lower().startswith("electric")
    if series.unit in AMOUNTS:
        series.channel = "import" if is_electric else "consumption"
    series.register = "0"
    length = stated.get("secondsPerInterval", "")
    if re.fullmatch(r"[0-9]{1,8}", length) and int(length) <= MAX_INTERVAL_SECONDS:
        series.interval_seconds = int(length)


def _is_electric(fields: dict[str, str], service: dict[str, str]) -> bool:
    kind = service.get("kind")
    return kind == _ELECTRICITY_SERVICE if kind else fields.get("commodity", "") in _ELECTRICITY_COMMODITIES


def _find_channel(uom: str, flow: str, is_electric: bool) -> str:
    channels = {
        "72": ("import", "export") if is_electric else ("consumption", "other"),
        "73": ("reactive_import", "reactive_export"),
        "29": ("voltage", "other"),
    }
    volume = ("consumption", "other") if uom in _VOLUME_OR_HEAT else ("other", "other")
    forward, reverse = channels.get(uom, volume)
    return forward if flow in _FORWARD else reverse if flow == _REVERSE else "other"


def _distinguish_registers(found: list[tuple[ResolvedSeries, dict[str, str]]]) -> None:
    """Give different registers to different series of one usage point and direction."""
    groups: dict[tuple[str | None, str | None], list[tuple[ResolvedSeries, dict[str, str]]]] = {}
    for series, fields in found:
        if series.fault is None:
            traits = {name: fields.get(name, "") for name in _DISTINCTIONS} | {"uom": series.unit or ""}
            traits["volume"] = _BASES.get(fields.get("uom", ""), "")
            traits["intervalLength"] = _classify_length(series.interval_seconds)
            groups.setdefault((series.identifier, series.register), []).append((series, traits))
    for members in groups.values():
        differing = [name for name in members[0][1] if len({traits[name] for _, traits in members}) > 1]
        for series, traits in members:
            if any(_is_finer(other, others, series, traits) for other, others in members):
                # The same energy in longer intervals: it would count twice.
                series.channel = "other"
            series.register = ":".join([series.register or "", *(f"{n}={traits[n]}" for n in differing)])


def _is_finer(
    other: ResolvedSeries, others: dict[str, str], series: ResolvedSeries, traits: dict[str, str]
) -> bool:
    """Whether another series differs by its shorter intervals alone."""
    differing = {name for name in traits if traits[name] != others[name]}
    return differing == {"intervalLength"} and 0 < other.interval_seconds < series.interval_seconds


def _classify_length(seconds: int) -> str:
    """Name a length; days and billing periods vary in length."""
    if seconds > LONGEST_DAY_SECONDS:
        return "period"
    return "86400" if seconds >= 82_800 else str(seconds)
