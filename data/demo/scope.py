"""The contents of a generated demo, from the arrays behind its files: the oracle of the pipeline's tests."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import pandas as pd

from data.demo.company import DemoFormat, Scale

FileKind = Literal["history", "first", "late", "revised", "bad_rows"]


@dataclass(frozen=True)
class DemoFile:
    """One file of the inbox.

    `readings` is the number of valid readings, `changes` the number of these that are new or differ from
    earlier files, `quarantined` the number of rows to be quarantined, `faults` their reasons in file order.
    """

    path: Path
    tenant: str
    format: DemoFormat
    kind: FileKind
    readings: int
    changes: int
    quarantined: int = 0
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class DemoScope:
    """All files in the order of ingestion, and the totals after all are ingested.

    Local days `start` (inclusive) to `end` (exclusive) are complete for every property, except one hour of
    generation that is never sent. NEM12 days are days of UTC+10, so in summer time Sydney also has part of
    the day before `start` and part of `end`. `expected` has one row for each meter, channel and local day:
    tenant, tenant_id, property_id, meter_id, serial_number, identifier, channel, reading_date, readings,
    energy_kwh (Decimal, exact).
    """

    inbox: Path
    scale: Scale
    start: date
    end: date
    files: tuple[DemoFile, ...]
    expected: pd.DataFrame

    @property
    def readings(self) -> int:
        """Number of distinct readings after all files are ingested."""
        return int(self.expected["readings"].sum())

    @property
    def quarantined(self) -> int:
        """Number of rows to be quarantined, over all files."""
        return sum(file.quarantined for file in self.files)

    def list_files(self, kind: FileKind) -> list[DemoFile]:
        """Return the files of one kind, in order."""
        return [file for file in self.files if file.kind == kind]
