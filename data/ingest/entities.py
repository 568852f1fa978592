"""The entities that flow from the OLTP to the warehouse: their columns, keys and partitions.

Here: the one description that landing, the raw layer and the gates share. Not here: how rows are moved
(`landing`, `warehouse`, `bigquery`), or what a reading is before it is stored (`schema`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from data.ingest.schema import DECIMAL, TIMESTAMP

LANDED_AT = pa.field("landed_at", TIMESTAMP)
READING_DATE = "reading_date"


@dataclass(frozen=True)
class Entity:
    """One table of the OLTP as it travels.

    `columns` are the columns that source, landing and raw share; ids and documents are text on the way.
    `key` identifies a row. `partition_column` is the date column whose days are moved one by one, or None
    for a table that is moved whole. `cluster` orders rows inside a partition. `uuids` and `documents` name
    the columns that are uuid and jsonb in PostgreSQL. `source_columns` gives the SQL of those columns that
    the source has under another form.
    """

    name: str
    columns: pa.Schema
    key: tuple[str, ...] = ("tenant_id", "id")
    partition_column: str | None = None
    cluster: tuple[str, ...] = ("tenant_id",)
    uuids: frozenset[str] = frozenset()
    documents: frozenset[str] = frozenset()
    source_columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def schema(self) -> pa.Schema:
        """The columns of landing and raw: `columns` and the instant of landing."""
        return self.columns.append(LANDED_AT)


_UUID, _DOCUMENT = "uuid", "document"
_TYPES = {
    _UUID: pa.string(),
    _DOCUMENT: pa.string(),
    "text": pa.string(),
    "integer": pa.int32(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": TIMESTAMP,
    "reading": DECIMAL,
    "kw": pa.decimal128(12, 3),
    "area": pa.decimal128(10, 2),
}


def _entity(
    name: str,
    columns: str,
    *,
    key: tuple[str, ...] = ("tenant_id", "id"),
    partition_column: str | None = None,
    cluster: tuple[str, ...] = ("tenant_id",),
    source_columns: Mapping[str, str] | None = None,
) -> Entity:
    """Build an entity from `column type` pairs, one a comma; ids come first, the row's history last."""
    listed = (
        f"id uuid, tenant_id uuid, {columns}, version integer, created_at timestamp, updated_at timestamp"
    )
    pairs = [pair.split() for pair in listed.split(",")]
    return Entity(
        name=name,
        columns=pa.schema([pa.field(column, _TYPES[kind]) for column, kind in pairs]),
        key=key,
        partition_column=partition_column,
        cluster=cluster,
        uuids=frozenset(column for column, kind in pairs if kind == _UUID),
        documents=frozenset(column for column, kind in pairs if kind == _DOCUMENT),
        source_columns=source_columns or {},
    )


_ALL = (
    _entity("tenants", "name text, region text, status text, metadata document"),
    _entity(
        "properties",
        "name text, address document, timezone text, utility_account_number text, solar_capacity_kw kw, "
        "status text, metadata document",
    ),
    _entity("units", "property_id uuid, label text, floor text, sq_ft area, active boolean"),
    _entity(
        "meters",
        "property_id uuid, type text, make_model text, serial_number text, timezone text, status text",
    ),
    _entity(
        "meter_registers",
        "meter_id uuid, identifier text, register text, channel text, unit text, interval_seconds integer",
    ),
    _entity(
        "meter_assignments",
        "meter_id uuid, unit_id uuid, assigned_from date, assigned_to date",
        source_columns={"assigned_from": "lower(assigned_during)", "assigned_to": "upper(assigned_during)"},
    ),
    _entity(
        "meter_readings",
        "meter_id uuid, channel text, reading_ts timestamp, reading_date date, interval_seconds integer, "
        "value_native reading, unit text, value_kwh reading, quality text, quality_method text, "
        "reason_code text, is_estimated boolean, source text, source_version timestamp, "
        "ingestion_job_id uuid",
        key=("tenant_id", "meter_id", "channel", "reading_ts", READING_DATE),
        partition_column=READING_DATE,
    ),
)

ENTITIES: dict[str, Entity] = {entity.name: entity for entity in _ALL}
