"""The raw tables as BigQuery has them, where dbt's sources begin: columns, partitions and clusters."""

from .engine import Column, Relation, Row
from .in_memory import Stored

PROJECT = "local"
CARRIED = {"created_at": "TIMESTAMP", "updated_at": "TIMESTAMP", "version": "INT64", "landed_at": "TIMESTAMP"}
COLUMNS: dict[str, dict[str, str]] = {
    "tenants": {
        "id": "STRING",
        "tenant_id": "STRING",
        "name": "STRING",
        "region": "STRING",
        "status": "STRING",
    }
    | {"metadata": "STRING"},
    "properties": {"id": "STRING", "tenant_id": "STRING", "name": "STRING", "address": "STRING"}
    | {"timezone": "STRING", "utility_account_number": "STRING", "solar_capacity_kw": "NUMERIC"}
    | {"status": "STRING", "metadata": "STRING"},
    "units": {"id": "STRING", "tenant_id": "STRING", "property_id": "STRING", "label": "STRING"}
    | {"floor": "STRING", "sq_ft": "NUMERIC", "active": "BOOL"},
    "meters": {"id": "STRING", "tenant_id": "STRING", "property_id": "STRING", "type": "STRING"}
    | {"make_model": "STRING", "serial_number": "STRING", "timezone": "STRING", "status": "STRING"},
    "meter_registers": {"id": "STRING", "tenant_id": "STRING", "meter_id": "STRING", "identifier": "STRING"}
    | {"register": "STRING", "channel": "STRING", "unit": "STRING", "interval_seconds": "INT64"},
    "meter_assignments": {"id": "STRING", "tenant_id": "STRING", "meter_id": "STRING", "unit_id": "STRING"}
    | {"assigned_from": "DATE", "assigned_to": "DATE"},
    "meter_readings": {"id": "STRING", "tenant_id": "STRING", "meter_id": "STRING", "channel": "STRING"}
    | {"reading_ts": "TIMESTAMP", "reading_date": "DATE", "interval_seconds": "INT64"}
    | {"value_native": "NUMERIC", "unit": "STRING", "value_kwh": "NUMERIC", "quality": "STRING"}
    | {"quality_method": "STRING", "reason_code": "STRING", "is_estimated": "BOOL", "source": "STRING"}
    | {"source_version": "TIMESTAMP", "ingestion_job_id": "STRING"},
}
PARTITIONS = {"meter_readings": "reading_date"}


def raw_tables(rows: dict[str, list[Row]] | None = None) -> list[Stored]:
    """Every raw table, with the rows given for it and none otherwise."""
    found = []
    for name, own in COLUMNS.items():
        columns = tuple(Column(column, type_) for column, type_ in (own | CARRIED).items())
        relation = Relation((PROJECT, "raw", name), columns)
        partition = PARTITIONS.get(name)
        cluster = ["tenant_id"] if partition else None
        found.append(Stored(relation, (rows or {}).get(name, []), None, partition, cluster))
    return found
