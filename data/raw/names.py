"""Names for the ids of an answer, where a person looks at it: the current ones, from the dimensions.

Not here: the answers that programs read, which stay as they were asked. A reader of `bi` alone has the names
in its views.
"""

import uuid
from collections.abc import Mapping, Sequence

import pyarrow as pa

from data.ingest.errors import QueryRefused
from data.raw.warehouse import Warehouse

# By the column of the id: the dimension, and its column with the name.
NAMED_BY = {
    "tenant_id": ("dim_tenant", "tenant_name"),
    "property_id": ("dim_property", "property_name"),
    "unit_id": ("dim_unit", "unit_label"),
    "meter_id": ("dim_meter", "serial_number"),
    "provider_id": ("dim_provider", "provider_name"),
    "rate_plan_id": ("dim_rate_plan", "rate_plan_name"),
}
# A longer list of ids would be a larger statement than a person's table is worth.
MOST_IDS = 2_000


def name_ids(warehouse: Warehouse, answer: pa.Table, prefix: str = "") -> pa.Table:
    """Return the answer with a column of names behind each id that has none there yet.

    An answer whose names cannot be read, as in a warehouse without dimensions, is returned as it is.
    """
    wanted = {
        column: ids
        for column, (_, name) in NAMED_BY.items()
        if column in answer.column_names and name not in answer.column_names
        if (ids := _find_ids(answer[column]))
    }
    if not wanted or sum(map(len, wanted.values())) > MOST_IDS:
        return answer
    try:
        rows = warehouse.ask(write_sql(wanted, prefix), MOST_IDS)
    except QueryRefused:
        return answer
    names = {(row["id_of"], row["id"]): row["name"] for row in rows.to_pylist()}
    for column in wanted:
        given = [names.get((column, str(value))) for value in answer[column].to_pylist()]
        if any(given):
            place = answer.column_names.index(column) + 1
            answer = answer.add_column(place, NAMED_BY[column][1], pa.array(given, pa.string()))
    return answer


def write_sql(wanted: Mapping[str, Sequence[str]], prefix: str = "") -> str:
    """Return one statement for all ids. Two tenants cannot have one id; if they had, it would get no name."""
    # The texts are names of our own, the prefix of the settings, and ids.
    parts = [
        f"select '{column}' as id_of, {column} as id, min({name}) as name from {prefix}core.{dimension} "  # noqa: S608
        f"where is_current and {column} in ({', '.join(map(repr, ids))}) "
        f"group by {column} having min({name}) = max({name})"
        for column, ids in wanted.items()
        for dimension, name in [NAMED_BY[column]]
    ]
    return " union all ".join(parts)


def _find_ids(values: pa.ChunkedArray) -> list[str]:
    """Return the ids of a column; another text under the name of an id gets into no statement."""
    return sorted({str(value) for value in values.unique().to_pylist() if _is_id(value)})


def _is_id(value: object) -> bool:
    try:
        return str(uuid.UUID(str(value))) == str(value)
    except ValueError:
        return False
