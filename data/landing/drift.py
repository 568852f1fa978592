"""Drift: the columns of the OLTP compared with the entities, before anything is landed.

Here: which columns are missing, of another type, or new. Not here: the rows (`land`), or the description of
the columns (`entities`).
"""

from collections.abc import Iterable, Sequence

import pyarrow as pa
from psycopg import sql

from data.ingest.errors import IngestError
from data.ingest.schema import TIMESTAMP
from data.landing.entities import ENTITIES, Entity
from myproperty.database.roles import ETL_ROLE
from myproperty.database.session import transaction

_COLUMNS = """
select c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
from pg_catalog.pg_attribute as a
inner join pg_catalog.pg_class as c on c.oid = a.attrelid
where c.relnamespace = 'myproperty'::regnamespace and c.relname = any({}::name[])
    and a.attnum > 0 and not a.attisdropped
"""
_TEXT = ("text", "public.citext", "citext")
# Source types of columns that are copied in another form, by their type in the copy.
_FORMS = {
    pa.date32(): "daterange",
    pa.int32(): "int4range",
    TIMESTAMP: "tstzrange",
    pa.string(): "numeric(9,8)[]",
}


def check_sources(entities: Iterable[str], dsn: str) -> list[str]:
    """Compare the source tables of these entities with their descriptions.

    Returns a warning for each column that is neither copied nor listed as withheld. Raises `IngestError` that
    names every column that is missing or of another type.
    """
    names = list(entities)
    with transaction(dsn, ETL_ROLE) as session:
        rows = session.rows(sql.SQL(_COLUMNS).format(sql.Literal(names)))
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for table, column, kind in rows:
        found[table][column] = kind
    broken = [fault for name in names for fault in _find_faults(ENTITIES[name], found[name])]
    if broken:
        raise IngestError(
            "the operational database differs from the description of the entities: "
            + "; ".join(broken)
            + ". Nothing was landed: correct the table, or change the entity in data/landing/entities.py, "
            "its landing table and its staging model together"
        )
    return [warning for name in names for warning in _warn_of_new_columns(ENTITIES[name], found[name])]


def _find_faults(entity: Entity, found: dict[str, str]) -> list[str]:
    faults = []
    for column, kinds in _copied_columns(entity).items():
        name = f"myproperty.{entity.name}.{column}"
        if column not in found:
            faults.append(f"{name} is missing")
        elif found[column] not in kinds:
            faults.append(f"{name} is {found[column]}, not {kinds[0]}")
    return faults


def _warn_of_new_columns(entity: Entity, found: dict[str, str]) -> list[str]:
    known = {*_copied_columns(entity), *entity.withheld}
    return [
        f"myproperty.{entity.name}.{column} is new and is not copied to the warehouse: copy it, or list it "
        "as withheld, in data/landing/entities.py"
        for column in found
        if column not in known
    ]


def _copied_columns(entity: Entity) -> dict[str, Sequence[str]]:
    """Return the copied columns of the source, each with the types it may have."""
    wanted: dict[str, Sequence[str]] = {}
    for field in entity.columns:
        form = entity.source_columns.get(field.name)
        if form is None:
            wanted[field.name] = _types(entity, field)
        else:
            column = form[form.index("(") + 1 : -1].split(",")[0]
            wanted[column] = (_FORMS[field.type],)
    return wanted


def _types(entity: Entity, field: pa.Field) -> Sequence[str]:
    if field.name in entity.uuids:
        return ("uuid",)
    if pa.types.is_timestamp(field.type):
        return ("timestamp with time zone",)
    if pa.types.is_decimal(field.type):
        return (f"numeric({field.type.precision},{field.type.scale})",)
    if pa.types.is_string(field.type):
        return _TEXT
    plain = {pa.int32(): "integer", pa.bool_(): "boolean", pa.date32(): "date"}
    return (plain[field.type],)
