"""The result of ingesting one file."""

import datetime
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from data.ingest.errors import Refusal
from data.ingest.rules.energy import EnergyBalance

Status = Literal["loaded", "unchanged", "refused", "failed"]


@dataclass(frozen=True)
class IngestResult:
    """The result of one file.

    Each reading is in one of five counts: `accepted` (no reading existed), `unchanged` (the same value
    existed), `new_versions` (it replaced an older reading), `superseded` (a better reading existed, so it is
    kept in the history) and `quarantined`. `skipped` counts the rows of the file that are no readings by
    declaration, by reason. `dates_touched` are the reading dates that changed, in order.
    `status` is `unchanged` if the content was loaded before. `refusal` is set for `refused` and for `failed`;
    a failed file writes nothing and stays where it is. `register_reads` counts new or changed register reads.
    `adjustment_tasks` are the ids of tasks, one for each allocated billing period whose readings changed.
    """

    path: str
    tenant: str
    tenant_id: str
    status: Status
    job_id: str | None = None
    format: str | None = None
    content_hash: str | None = None
    accepted: int = 0
    unchanged: int = 0
    new_versions: int = 0
    superseded: int = 0
    quarantined: int = 0
    register_reads: int = 0
    rules: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    dates_touched: list[datetime.date] = field(default_factory=list)
    adjustment_tasks: list[str] = field(default_factory=list)
    energy: EnergyBalance | None = None
    refusal: Refusal | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the result as a JSON document: dates and decimals as text."""
        document = asdict(self)
        document["dates_touched"] = [date.isoformat() for date in self.dates_touched]
        if self.energy is not None:
            document["energy"] = {name: format(value, "f") for name, value in asdict(self.energy).items()}
        return document
