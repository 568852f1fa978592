"""The platform as a Dagster resource: settings, connections, and what a caller in the same process is told.

dbt's own resource is in `dagster_project.resources.dbt`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from expectations.verdicts import Verdict
from myproperty.settings import Settings

if TYPE_CHECKING:
    from data.ingest.readings.load import IngestResult
    from data.ingest.validation.run import Validation
    from data.raw.warehouse import Warehouse


def _silent(line: str) -> None:
    """The progress of a run that nobody watches; Dagster's event log has it all."""


@dataclass
class Platform:
    """One environment. `verdicts`, `ingested` and `validated` collect what the runs of this process found."""

    settings: Settings
    progress: Callable[[str], None] = _silent
    verdicts: list[Verdict] = field(default_factory=list)
    ingested: list["IngestResult"] = field(default_factory=list)
    validated: list["Validation"] = field(default_factory=list)

    @property
    def oltp_dsn(self) -> str:
        """The operational database. Raises EngineError where the embedded engine does not run."""
        from myproperty import engines

        return engines.dsn(self.settings)

    @property
    def dataset_prefix(self) -> str:
        """What the names of the warehouse's schemas or datasets begin with."""
        return self.settings.dataset_prefix

    @contextmanager
    def warehouse(self) -> Iterator["Warehouse"]:
        """The warehouse, closed at the end."""
        from data.raw.warehouse import open_warehouse

        warehouse = open_warehouse(self.settings)
        try:
            yield warehouse
        finally:
            warehouse.close()
