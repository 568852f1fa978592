"""What a generated demo holds, as the arrays behind the files say it: the oracle of the pipeline's tests."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import pandas as pd

from data.demo.company import FileFormat, Scale

FileKind = Literal["history", "first", "late", "revised", "bad_rows"]


@dataclass(frozen=True)
class PlannedFile:
    """One file of the inbox.

    `readings` good readings in it, `changes` those of them that are new or differ from what the files
    before it said, `quarantined` rows that must be turned away; `faults` says why, in order of the file.
    """

    path: Path
    tenant: str
    format: FileFormat
    kind: FileKind
    readings: int
    changes: int
    quarantined: int = 0
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class DemoPlan:
    """All files, in the order of ingestion, and the totals once all are in.

    Local days `start` (inclusive) to `end` (exclusive) are whole for every property, but for an hour of a
    roof that is never sent. NEM12 days are days
    of UTC+10, so Sydney also has a part of the day before `start` and of `end` while summer time runs.
    `expected` has one row a meter, channel and local day: tenant, tenant_id, property_id, meter_id,
    serial_number, identifier, channel, reading_date, readings, energy_kwh (Decimal, exact).
    """

    inbox: Path
    scale: Scale
    start: date
    end: date
    files: tuple[PlannedFile, ...]
    expected: pd.DataFrame

    @property
    def readings(self) -> int:
        """Distinct readings stored once every file is in."""
        return int(self.expected["readings"].sum())

    @property
    def quarantined(self) -> int:
        """Rows that must be turned away, over all files."""
        return sum(file.quarantined for file in self.files)

    def of_kind(self, kind: FileKind) -> list[PlannedFile]:
        """The files of that kind, in order."""
        return [file for file in self.files if file.kind == kind]
