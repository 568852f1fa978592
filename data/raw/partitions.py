"""Partitions of raw tables: the checks and filters that both engines share."""

import datetime
from collections.abc import Sequence

import pyarrow as pa

from data.landing.entities import Entity


def check_partitions(entity: Entity, rows: pa.Table, partitions: Sequence[datetime.date] | None) -> None:
    """Raise ValueError unless the rows have the schema of the entity and belong to these partitions only."""
    if rows.schema.names != entity.schema.names:
        raise ValueError(f"rows of {entity.name} have the columns {rows.schema.names}")
    if (partitions is None) != (entity.partition_column is None):
        raise ValueError(f"{entity.name} is loaded {'by date' if entity.partition_column else 'whole'}")
    if entity.partition_column is not None:
        others = {*rows[entity.partition_column].unique().to_pylist()} - {*(partitions or ())}
        if others:
            raise ValueError(f"rows of {entity.name} hold other dates than their load: {sorted(others)}")


def range_filter(entity: Entity, start: datetime.date | None, end: datetime.date | None) -> str:
    """Return SQL that keeps reading dates in [start, end), as constants; `true` for a table without dates."""
    if entity.partition_column is None:
        return "true"
    column = entity.partition_column
    return f"{column} >= date '{start:%Y-%m-%d}' and {column} < date '{end:%Y-%m-%d}'"
