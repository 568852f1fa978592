"""Partitions of raw tables: the checks and filters that both engines share."""

import datetime
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from data.landing.entities import Entity


def check_partitions(
    entity: Entity, rows: Iterable[pa.Table], partitions: Sequence[datetime.date] | None
) -> Iterator[pa.Table]:
    """Yield the rows; raise ValueError unless they have the entity's schema and are of these partitions."""
    if (partitions is None) != (entity.partition_column is None):
        raise ValueError(f"{entity.name} is loaded {'by date' if entity.partition_column else 'whole'}")
    for table in rows:
        if table.schema.names != entity.schema.names:
            raise ValueError(f"rows of {entity.name} have the columns {table.schema.names}")
        if entity.partition_column is not None:
            others = {*table[entity.partition_column].unique().to_pylist()} - {*(partitions or ())}
            if others:
                raise ValueError(f"rows of {entity.name} hold other dates than their load: {sorted(others)}")
        yield table


def range_filter(entity: Entity, start: datetime.date | None, end: datetime.date | None) -> str:
    """Return SQL that keeps reading dates in [start, end), as constants; `true` for a table without dates."""
    if entity.partition_column is None:
        return "true"
    column = entity.partition_column
    return f"{column} >= date '{start:%Y-%m-%d}' and {column} < date '{end:%Y-%m-%d}'"
