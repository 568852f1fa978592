"""The energy balance of a file: the energy read equals the energy accepted plus the energy quarantined."""

from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.rules.sentinels import clear_sentinels
from data.ingest.schema import KWH_PER_UNIT_POWER_OF_TEN, Judged, ParsedFile

_REPLACED_IN_FILE = ("VEE-SUPERSEDED", "VEE-CONFLICT", "VEE-OVERLAP")


@dataclass(frozen=True)
class EnergyBalance:
    """Energy of one file in kWh: read, accepted and quarantined.

    `energy_in_kwh` counts every value that could be read; `superseded_kwh` is the part of the quarantined
    energy that a later row of the same file replaced (for information, never replayed).
    """

    energy_in_kwh: Decimal = Decimal(0)
    accepted_kwh: Decimal = Decimal(0)
    quarantined_kwh: Decimal = Decimal(0)
    superseded_kwh: Decimal = Decimal(0)

    def __add__(self, other: "EnergyBalance") -> "EnergyBalance":
        return EnergyBalance(
            self.energy_in_kwh + other.energy_in_kwh,
            self.accepted_kwh + other.accepted_kwh,
            self.quarantined_kwh + other.quarantined_kwh,
            self.superseded_kwh + other.superseded_kwh,
        )

    @property
    def is_balanced(self) -> bool:
        """Whether no energy appeared or vanished, to the last decimal."""
        return self.energy_in_kwh == self.accepted_kwh + self.quarantined_kwh


def energy_balance(parsed: ParsedFile, judged: Judged) -> EnergyBalance:
    """Return the exact balance of one file; sentinels and units other than energy count as zero."""
    cleaned = clear_sentinels(parsed.readings)
    into = _energy(cleaned["value"], cleaned["unit"]) + _energy(
        parsed.rejected["value"], parsed.rejected["unit"]
    )
    quarantined = judged.quarantined
    replaced = quarantined.filter(pc.is_in(quarantined["rule"], pa.array(_REPLACED_IN_FILE)))
    return EnergyBalance(
        energy_in_kwh=into,
        accepted_kwh=pc.sum(judged.readings["value_kwh"]).as_py() or Decimal(0),
        quarantined_kwh=_energy(quarantined["value"], quarantined["unit"]),
        superseded_kwh=_energy(replaced["value"], replaced["unit"]),
    )


def _energy(values: pa.ChunkedArray, units: pa.ChunkedArray) -> Decimal:
    """Return the sum in kWh. Native units are summed first: a single value may not be exact in kWh."""
    total = Decimal(0)
    for unit, power in KWH_PER_UNIT_POWER_OF_TEN.items():
        native = pc.sum(values.filter(pc.fill_null(pc.equal(units, unit), False))).as_py()
        total += (native or Decimal(0)).scaleb(power)
    return total
