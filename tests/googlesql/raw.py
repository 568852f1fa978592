"""The raw tables as BigQuery has them, where dbt's sources begin: columns, partitions and clusters."""

from data.landing.entities import LOADED
from data.raw.bigquery import table_schema

from .engine import Column, Relation, Row
from .in_memory import Stored

PROJECT = "local"
COLUMNS: dict[str, tuple[Column, ...]] = {
    name: tuple(Column(field.name, field.field_type) for field in table_schema(entity))
    for name, entity in LOADED.items()
}


def raw_tables(rows: dict[str, list[Row]] | None = None) -> list[Stored]:
    """Every raw table, with the rows given for it and none otherwise."""
    found = []
    for name, entity in LOADED.items():
        relation = Relation((PROJECT, "raw", name), COLUMNS[name])
        cluster = list(entity.cluster) if entity.partition_column else None
        found.append(Stored(relation, (rows or {}).get(name, []), None, entity.partition_column, cluster))
    return found
