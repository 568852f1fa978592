"""The raw layer of the warehouse: its interface, and the engine that the settings choose.

Not here: the engines (`postgres`, `bigquery`), which rows are loaded (`transfer`), or anything downstream of
raw (dbt).
"""

import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import pandas as pd
import pyarrow as pa

from data.ingest.errors import IngestError
from data.landing.entities import Entity
from data.raw.postgres import PostgresWarehouse
from myproperty import engines
from myproperty.database.roles import WAREHOUSE_GATES, WAREHOUSE_RAW, WAREHOUSE_READER
from myproperty.settings import Settings


class Warehouse(Protocol):
    """A warehouse as the pipeline uses it. Ids are text in it."""

    @property
    def kind(self) -> str:
        """`postgres`, `bigquery` or `emulator`."""

    def ensure_table(self, entity: Entity) -> list[str]:
        """Create raw.<entity> if it does not exist; add its new columns, and return their names.

        Rows that are there already have NULL in a new column until they are loaded again. A column that is no
        longer copied stays. Raises `RawTableDiffers` for a column of another type.
        """

    def load_partitions(
        self,
        entity: Entity,
        rows: Iterable[pa.Table],
        partitions: Sequence[datetime.date] | None,
        load_key: str,
    ) -> int:
        """Replace partitions at once, or the whole table, by `rows` of its schema; returns their number.

        The same `load_key` with the same rows is loaded once. Raises ValueError for rows of another date.
        """

    def merge(self, entity: Entity, rows: Iterable[pa.Table], load_key: str) -> None:
        """Replace the rows that have the keys of `rows` (schema of the entity), and add the other rows."""

    def latest_landing(self, entity: Entity) -> datetime.datetime | None:
        """Return the newest `landed_at` of raw.<entity>, or None if it is empty."""

    def settle(self, entity: Entity) -> None:
        """Do once what a table needs after all of its loads."""

    def fingerprint(
        self, entity: Entity, start: datetime.date | None = None, end: datetime.date | None = None
    ) -> pd.DataFrame:
        """Return the columns of `fingerprint_schema` over dates in [start, end), or the whole table."""

    def query(self, statement: str) -> pa.Table:
        """Run one statement that only reads, and return its rows; decimals stay decimals."""

    def ask(self, statement: str, most: int, reader: str | None = None) -> pa.Table:
        """Return at most `most` rows of a person's query, which reads the published layers only.

        It is asked by a reader of the seed `tenant_readers`, or by the platform's own, who sees every tenant.

        Raises `QueryRefused` if it writes, reads anything else, takes too long or costs too much.
        """

    def cancel_jobs(self, has_ended: Callable[[str], bool]) -> list[str]:
        """Cancel what still runs in the warehouse for an ended run (an id); return the ids of these jobs."""

    def stamp_relations(self) -> dict[str, str]:
        """Return, by `schema.name`, a text that changes with every change of a relation; none if unknown."""

    def close(self) -> None:
        """Close all connections."""


def open_warehouse(settings: Settings, run_id: str | None = None) -> Warehouse:
    """Open the warehouse of the settings; its jobs carry the id of the run, where it has jobs.

    Raises `IngestError` for an unknown kind, or if it is down.
    """
    if settings.warehouse == "postgres":
        return PostgresWarehouse(
            engines.login_dsn(settings, WAREHOUSE_RAW),
            settings.dataset_prefix,
            gates=engines.login_dsn(settings, WAREHOUSE_GATES),
            find_reader=lambda name: (
                engines.reader_dsn(settings, name) if name else engines.login_dsn(settings, WAREHOUSE_READER)
            ),
        )
    if settings.warehouse in ("bigquery", "emulator"):
        # Google's libraries take seconds to import.
        from data.raw.bigquery import open_bigquery

        return open_bigquery(settings, run_id)
    raise IngestError(
        f"unknown warehouse {settings.warehouse!r}: "
        "set MYPROPERTY_WAREHOUSE to postgres, bigquery or emulator"
    )
