"""Errors of ingestion that a person must see: each names the file, the line, the rule and the remedy.

Wrong rows are not errors: they are rows of the schema `REJECTED`.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from data.ingest.schema import REJECTED
from myproperty.errors import PlatformError


@dataclass(frozen=True)
class Refusal:
    """Why a whole file was refused, where, and what to do. `line` is None if the fault is not in one line."""

    line: int | None
    rule: str
    reason: str
    remedy: str

    def describe(self, path: Path | str) -> str:
        """Return the message for a person, beginning with the place in the file."""
        place = f"{path}, line {self.line}" if self.line is not None else str(path)
        return f"{place}: {self.rule}: {self.reason}. {self.remedy}"


class IngestError(PlatformError):
    """Base of all errors that ingestion raises on purpose."""


class QueryRefused(IngestError):
    """The warehouse refused a person's query, because it is invalid or would write."""

    def __init__(self, reason: object) -> None:
        super().__init__(
            f"the warehouse refused the query: {str(reason).strip()}\n"
            "Write a query that only reads, with tables named like marts.mart_solar_performance: "
            "docs/warehouse.md lists them, and `myproperty run` builds them."
        )


class RefusedFile(IngestError):
    """The whole file is refused, and nothing of it may be written.

    `line` counts from 1; it is None if the fault is not in one line. `rule` is an id of
    `data.ingest.rules.table.RULES`. `rejected` (schema `REJECTED`) lists the rows if the file is refused
    because all of them are rejected, else it is empty. `format` is the name of the format, None if it was not
    recognized.
    """

    def __init__(self, path: Path | str, line: int | None, rule: str, reason: str, remedy: str) -> None:
        self.path = Path(path)
        self.line = line
        self.rule = rule
        self.reason = reason
        self.remedy = remedy
        self.format: str | None = None
        self.rejected: pa.Table = REJECTED.empty_table()
        super().__init__(path, line, rule, reason, remedy)

    @property
    def refusal(self) -> Refusal:
        """The refusal without the file."""
        return Refusal(self.line, self.rule, self.reason, self.remedy)

    def __str__(self) -> str:
        return self.refusal.describe(self.path)
