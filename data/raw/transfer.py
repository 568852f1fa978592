"""Transfer: landed rows into the raw layer of the warehouse, whole, by date, or what was landed since.

Here: which rows go. Not here: how a warehouse takes them (`warehouse`, `bigquery`), or whether both sides
agree in the end (gate C).
"""

import datetime
from collections.abc import Sequence

from data.landing.entities import ENTITIES
from data.landing.landing import fingerprint, read_landing
from data.raw.warehouse import Warehouse


def transfer(
    warehouse: Warehouse, entity: str, dsn: str, run_id: str, dates: Sequence[datetime.date] | None = None
) -> int:
    """Load an entity: its reading dates `dates`, or all of it; returns the rows that raw has of that.

    The load key is the run's and the partition's: a step that is tried again finds its own load job. Raises
    what the warehouse raises.
    """
    described = ENTITIES[entity]
    warehouse.ensure_table(described)
    if described.is_growing:
        return _transfer_changed(warehouse, entity, dsn, run_id)
    partitions: Sequence[datetime.date | None] = [None] if dates is None else dates
    loaded = sum(
        warehouse.load_partition(
            described, read_landing(entity, dsn, day), day, load_key(run_id, entity, day)
        )
        for day in partitions
    )
    warehouse.settle(described)
    return loaded


def load_key(run_id: str, entity: str, day: datetime.date | None) -> str:
    """One key a run, table and partition."""
    return f"{run_id}-{entity}-{day or 'all'}"


def _transfer_changed(warehouse: Warehouse, entity: str, dsn: str, run_id: str) -> int:
    """Merge what was landed since the newest row of raw; if both differ after that, load the whole.

    They differ when rows were deleted, which the rows of landing cannot tell: that is rare in a table that
    grows, and loading it whole is what the others do every time.
    """
    described = ENTITIES[entity]
    latest = warehouse.latest_landing(described)
    if latest is not None:
        warehouse.merge(described, read_landing(entity, dsn, since=latest), load_key(run_id, entity, None))
    landed, loaded = fingerprint(entity, dsn), warehouse.fingerprint(described)
    if not landed.equals(loaded):
        whole = read_landing(entity, dsn)
        warehouse.load_partition(described, whole, None, load_key(run_id, entity, None))
    return int(landed["rows"].sum())
