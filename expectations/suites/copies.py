"""Gates B and C: a copied table equals its source, for each tenant and date, in rows, sums and checksum.

Landing keeps what the source was when it was copied. Both copies are compared with that.

The rules of a table follow from the description of its entity in `data.landing.entities`.
"""

from collections.abc import Sequence

from data.landing.entities import ENTITIES
from expectations.rules import GateRule, GateSuite, equals_source, is_true

# No warehouse can be built without these, so an empty table means that the copy is wrong.
_NEVER_EMPTY = ("tenants", "properties", "meters", "meter_registers")
# The column that names the table in a frame of many.
TABLE = "table_name"
_IF_AGAIN = {
    "B": "If it fails again, something else writes to this table of `warehouse_staging`: find who may.",
    "C": "If it fails again, the load of this table is at fault: look at its load job in the warehouse.",
}


def copy_suite(gate: str, table: str) -> GateSuite:
    """Return the suite of an entity at gate B or C. Raises KeyError for an unknown entity."""
    entity = ENTITIES[table]
    measures = ("rows", *(f"sum_{name}" for name in entity.measures), "checksum")
    return GateSuite(
        gate=gate,
        table=table,
        id_columns=("tenant_id", *([entity.partition_column] if entity.partition_column else [])),
        measures=measures,
        rules=copy_rules(gate, table, measures),
        rows_required=table in _NEVER_EMPTY,
    )


def all_copies_suite(gate: str, measures: Sequence[str]) -> GateSuite:
    """Return the suite that asks of all copied tables at once what `copy_suite` asks of each."""
    conditions = (is_true("on_both_sides"), *map(equals_source, measures))
    return GateSuite(
        gate=gate,
        table="copies",
        id_columns=(TABLE, "tenant_id"),
        measures=tuple(measures),
        rules=tuple(
            GateRule(
                f"{gate}-COPIES-{number:03d}", condition, "every copy equals its source", "See each table."
            )
            for number, condition in enumerate(conditions, start=1)
        ),
    )


def copy_rules(gate: str, table: str, measures: Sequence[str]) -> tuple[GateRule, ...]:
    """Return the rules of a copied table: 001 for its keys, then one for each measure, in order."""
    name = table.upper().replace("_", "-")
    dates = " --from {first} --to {last}" if ENTITIES[table].is_dated else ""
    remedy = (
        f"`myproperty reload {table}{dates}` copies it again and checks both copies; then `myproperty run`. "
        f"{_IF_AGAIN[gate]}"
    )
    keys = GateRule(
        f"{gate}-{name}-001",
        is_true("on_both_sides"),
        "the copy has every tenant and date of the source, and no other",
        remedy,
    )
    equal = (
        GateRule(
            f"{gate}-{name}-{number:03d}",
            equals_source(measure),
            f"{measure} of the copy equals the source",
            remedy,
        )
        for number, measure in enumerate(measures, start=2)
    )
    return (keys, *equal)
