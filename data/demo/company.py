"""The tenants, properties, units and meters of the demo.

No reading and no database row belongs here. The two scales have different tenants, so both fit in one
database.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property, lru_cache
from typing import Literal
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

Scale = Literal["small", "medium"]
DemoFormat = Literal["nem12", "canonical_csv"]

_NAMESPACE = UUID("3d5b2f4e-6c1a-5d0e-9a77-0c5e1f7a9b42")
_ONBOARDED = date(2025, 10, 21)


def make_id(*parts: str) -> UUID:
    """Make the id of a demo object; the same parts give the same id on every run."""
    return uuid5(_NAMESPACE, "/".join(parts))


@dataclass(frozen=True)
class DemoRegister:
    """A series of a meter: its name in files (`register`) and its `channel`."""

    register: str
    channel: str


@dataclass(frozen=True)
class DemoMeter:
    """A device; `unit_label` is None for meters of the whole property.

    It measures from local midnight of `installed` to local midnight of `removed`; None means no limit.
    """

    property_key: str
    role: str
    type: str
    identifier: str
    registers: tuple[DemoRegister, ...]
    unit_label: str | None = None
    installed: date | None = None
    removed: date | None = None

    @property
    def serial_number(self) -> str:
        return f"DEMO-{self.property_key}-{self.role}".upper()

    @property
    def id(self) -> UUID:
        return make_id("meter", self.property_key, self.role)


@dataclass(frozen=True)
class DemoProperty:
    """A property, its location (degrees north and east) and the format of its meter files.

    A variable of this class is called `site`, since `property` is a Python builtin. `opened` is the first
    local day that is billed; `exchanged` names the unit whose meter was replaced, and the local date. The
    roof makes nothing from the first date of `outage` to before the second, in standard time.
    """

    key: str
    number: int
    tenant: str
    name: str
    address: dict[str, str]
    timezone: str
    standard_offset_hours: int
    latitude: float
    longitude: float
    file_format: DemoFormat
    file_unit: Literal["kWh", "Wh"]
    interval_seconds: int
    unit_count: int
    identifier_pattern: str
    registers: dict[str, str]
    opened: date
    exchanged: tuple[str, date] | None = None
    outage: tuple[date, date] | None = None

    @property
    def id(self) -> UUID:
        return make_id("property", self.key)

    @property
    def place(self) -> str:
        """The key without the scale."""
        return self.key.removesuffix("-medium")

    def at(self, local: str) -> datetime:
        """Return the instant of an ISO wall-clock time at the property."""
        return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(self.timezone))

    @property
    def solar_kw(self) -> float:
        return 3.0 * self.unit_count

    @cached_property
    def unit_labels(self) -> tuple[str, ...]:
        return tuple(f"{1 + index // 10}{1 + index % 10:02d}" for index in range(self.unit_count))

    @cached_property
    def meters(self) -> tuple[DemoMeter, ...]:
        """Current meters: grid, solar and common area, then one sub-meter for each unit."""
        roles = [
            ("grid", "grid", ("import", "export"), None),
            ("solar", "solar", ("generation",), None),
            ("common", "grid", ("consumption",), None),
            *((f"unit-{label}", "grid", ("consumption",), label) for label in self.unit_labels),
        ]
        return tuple(
            DemoMeter(
                self.key,
                role,
                kind,
                self.identifier_pattern.format(number),
                tuple(DemoRegister(self.registers[channel], channel) for channel in channels),
                label,
                installed=self._exchanged_on(label),
            )
            for number, (role, kind, channels, label) in enumerate(roles, start=1)
        )

    @cached_property
    def former_meters(self) -> tuple[DemoMeter, ...]:
        """Replaced meters: other devices with other identifiers at the same unit."""
        return tuple(
            replace(
                meter,
                role=f"{meter.role}-former",
                identifier=self.identifier_pattern.format(900 + number),
                installed=None,
                removed=meter.installed,
            )
            for number, meter in enumerate(self.meters, start=1)
            if meter.installed is not None
        )

    def _exchanged_on(self, label: str | None) -> date | None:
        return self.exchanged[1] if self.exchanged is not None and self.exchanged[0] == label else None

    def meter(self, role: str) -> DemoMeter:
        """Return the meter of a role. Grid, solar and common always exist."""
        return next(meter for meter in self.meters if meter.role == role)

    def unit_id(self, label: str) -> UUID:
        return make_id("unit", self.key, label)


@dataclass(frozen=True)
class DemoTenant:
    """A customer of the platform; its name is also its folder in the inbox."""

    name: str
    region: str
    title: str
    sites: tuple[DemoProperty, ...]

    @property
    def domain(self) -> str:
        """The domain of its e-mail addresses, reserved by RFC 2606."""
        return f"{self.name.split('-')[1]}.example"

    @property
    def id(self) -> UUID:
        return make_id("tenant", self.name)


@lru_cache
def list_tenants(scale: Scale) -> tuple[DemoTenant, ...]:
    """List all tenants of a scale. `medium` has 66 units per property and 5-minute intervals in Sydney."""
    suffix, medium = {"small": ("", False), "medium": ("-medium", True)}[scale]
    wattlebird, sonnenhof = f"demo-wattlebird{suffix}", f"demo-sonnenhof{suffix}"
    sydney = DemoProperty(
        key=f"sydney{suffix}",
        number=1,
        tenant=wattlebird,
        name="Wattlebird Terraces (demo)",
        address={"city": "Sydney", "state": "NSW", "country": "AU"},
        timezone="Australia/Sydney",
        standard_offset_hours=10,
        latitude=-33.87,
        longitude=151.21,
        file_format="nem12",
        file_unit="kWh",
        interval_seconds=300 if medium else 1800,
        unit_count=66 if medium else 4,
        identifier_pattern="6DEM{:06d}",
        registers={"import": "E1", "export": "B1", "generation": "E1", "consumption": "E1"},
        opened=date(2024, 11, 1),
        exchanged=None if medium else ("102", date(2025, 6, 16)),
        outage=None if medium else (date(2025, 2, 11), date(2025, 2, 14)),
    )
    los_angeles = DemoProperty(
        key=f"los-angeles{suffix}",
        number=2,
        tenant=wattlebird,
        name="Cedar Canyon Lofts (demo)",
        address={"city": "Los Angeles", "state": "CA", "country": "US"},
        timezone="America/Los_Angeles",
        standard_offset_hours=-8,
        latitude=34.05,
        longitude=-118.24,
        file_format="canonical_csv",
        file_unit="Wh",
        interval_seconds=900,
        unit_count=66 if medium else 5,
        identifier_pattern="USP-DEMO-{:04d}",
        registers={"import": "1", "export": "19", "generation": "1", "consumption": "1"},
        opened=_ONBOARDED,
    )
    berlin = DemoProperty(
        key=f"berlin{suffix}",
        number=3,
        tenant=sonnenhof,
        name="Sonnenhof 7 (demo)",
        address={"city": "Berlin", "country": "DE"},
        timezone="Europe/Berlin",
        standard_offset_hours=1,
        latitude=52.52,
        longitude=13.40,
        file_format="canonical_csv",
        file_unit="kWh",
        interval_seconds=900,
        unit_count=66 if medium else 3,
        identifier_pattern="DE0000000000000000000000DEMO{:05d}",
        registers={
            "import": "1-1:1.29.0",
            "export": "1-1:2.29.0",
            "generation": "1-1:2.29.0",
            "consumption": "1-1:1.29.0",
        },
        opened=_ONBOARDED,
    )
    return (
        DemoTenant(sonnenhof, "DE", "Sonnenhof Wohnen (demo)", (berlin,)),
        DemoTenant(wattlebird, "AU", "Wattlebird Homes (demo)", (sydney, los_angeles)),
    )
