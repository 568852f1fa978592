"""Transfer: landed rows copied to the raw layer: a whole table, reading dates, or rows landed since.

Here: which rows are copied. Not here: how a warehouse loads them (`postgres`, `bigquery`), or whether both
sides agree afterwards (gate C).
"""

import datetime
from collections.abc import Callable, Iterator, Sequence

from data.landing.entities import LOADED
from data.landing.read import LandedRows, count_landing, fingerprint_landing
from data.raw.warehouse import Warehouse
from myproperty.database.roles import ETL_ROLE

# Rows that one load replaces: on BigQuery it holds them in memory as one compressed file.
ROWS_OF_LOAD = 1_000_000


def transfer(
    warehouse: Warehouse,
    entity: str,
    dsn: str,
    run_id: str,
    dates: Sequence[datetime.date] | None = None,
    *,
    is_whole: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> int:
    """Load an entity, all or its reading dates `dates`; returns the number of these rows in raw.

    Of a growing table only the rows landed since the last load are merged, unless `is_whole`. `progress` is
    told of columns that a new release added.

    The load key names the run and the partition: a step that is retried finds its own load job. Raises the
    errors of the warehouse.
    """
    described = LOADED[entity]
    if added := warehouse.ensure_table(described):
        progress(f"raw.{entity} has new columns: {', '.join(added)}; NULL in rows that were loaded before")
    if described.is_growing and not is_whole:
        return _transfer_changed(warehouse, entity, dsn, run_id)
    loaded = 0
    for part in [None] if dates is None else _split_dates(entity, dsn, dates):
        rows = LandedRows(entity, dsn, part)
        loaded += warehouse.load_partitions(described, rows, part, load_key(run_id, entity, part))
    warehouse.settle(described)
    return loaded


def load_key(run_id: str, entity: str, dates: Sequence[datetime.date] | None) -> str:
    """Return the key of a run, table and partitions."""
    return f"{run_id}-{entity}-{f'{dates[0]}-{dates[-1]}' if dates else 'all'}"


def _split_dates(entity: str, dsn: str, dates: Sequence[datetime.date]) -> Iterator[list[datetime.date]]:
    """Yield dates that are loaded together: as many as hold ROWS_OF_LOAD rows, at least one."""
    counts = count_landing(entity, dsn, dates)
    part: list[datetime.date] = []
    rows = 0
    for day in dates:
        rows += counts.get(day, 0)
        if part and rows > ROWS_OF_LOAD:
            yield part
            part, rows = [], counts.get(day, 0)
        part.append(day)
    if part:
        yield part


def _transfer_changed(warehouse: Warehouse, entity: str, dsn: str, run_id: str) -> int:
    """Merge the rows landed since the newest row of raw; if both sides then differ, load the whole table.

    They differ if rows were deleted, which the rows of landing do not show. Deletions are rare in a growing
    table, and other tables are loaded whole every time.
    """
    described = LOADED[entity]
    latest = warehouse.latest_landing(described)
    if latest is not None:
        changed = LandedRows(entity, dsn, since=latest)
        warehouse.merge(described, changed, load_key(run_id, entity, None))
    landed, loaded = fingerprint_landing(entity, dsn, role=ETL_ROLE), warehouse.fingerprint(described)
    if not landed.equals(loaded):
        whole = LandedRows(entity, dsn)
        warehouse.load_partitions(described, whole, None, load_key(run_id, entity, None))
    return int(landed["rows"].sum())
