"""SQL of an entity: its tables, its columns and its reading dates."""

import datetime
from collections.abc import Sequence

from psycopg import sql

from data.landing.entities import Entity


def landing_table(entity: Entity) -> sql.Identifier:
    """Return the landing table of the entity."""
    return sql.Identifier("warehouse_staging", entity.name)


def source_table(entity: Entity) -> sql.Identifier:
    """Return the source table of the entity."""
    return sql.Identifier("myproperty", entity.name)


def source_column(entity: Entity, name: str) -> sql.Composable:
    """Return a column in the source: one end of a range, or the column itself."""
    if name in entity.source_columns:
        return sql.SQL(entity.source_columns[name])
    return sql.Identifier(name)


def arrow_column(entity: Entity, name: str) -> sql.Composable:
    """Return a landed column in a form that Arrow reads: uuids as text."""
    column = sql.Identifier(entity.name, name)
    if name in entity.uuids:
        return sql.SQL("{}::text as {}").format(column, sql.Identifier(name))
    return column


def filter_dates(entity: Entity, dates: Sequence[datetime.date] | None) -> sql.Composable:
    """Return the filter for reading dates, as constants, so that partitions are pruned; `true` for None."""
    if dates is None or entity.partition_column is None:
        return sql.SQL("true")
    return sql.SQL("{} = any({}::date[])").format(
        sql.Identifier(entity.partition_column), sql.Literal([*dates])
    )
