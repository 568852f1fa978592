"""Column-level lineage of the public views: the columns of operational tables behind each of theirs.

Here: following the compiled SQL from model to model, and the page of it. Not here: compiling (dbt).
A column comes from those that its expression names; what joins and filters ask for is not followed.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlglot import exp
from sqlglot.lineage import Node, lineage

from oltp_schema.pages import markdown_table

Relation = tuple[str, str]
Column = tuple[Relation, str]
DIALECT = "postgres"


class Lineage:
    """The columns behind a model's: `manifest` is dbt's, `compiled` its folder of compiled models."""

    def __init__(self, manifest: Mapping[str, Any], compiled: Path) -> None:
        self._compiled = compiled
        self._nodes = {
            _relation(node): node
            for node in manifest["nodes"].values()
            if node["resource_type"] in ("model", "snapshot")
        }
        self._parents: dict[Relation, dict[str, frozenset[Column]]] = {}

    def origins(self, column: Column) -> frozenset[Column]:
        """The columns of sources and seeds that a column comes from; none for a constant."""
        relation, name = column
        if relation not in self._nodes:
            return frozenset({column})
        if relation not in self._parents:
            self._parents[relation] = self._columns(relation)
        found = self._parents[relation].get(name, frozenset())
        return frozenset(origin for parent in found for origin in self.origins(parent))

    def _columns(self, relation: Relation) -> dict[str, frozenset[Column]]:
        node = self._nodes[relation]
        path = self._compiled / node["path"]
        if node["resource_type"] == "snapshot":
            # Made from a relation that it takes as it is: there is no SQL to read.
            taken = node["depends_on"]["nodes"]
            (parent,) = (name for name, other in self._nodes.items() if other["unique_id"] in taken)
            return {name: frozenset({(parent, name)}) for name in self._nodes[parent]["columns"]}
        schema: dict[str, dict[str, dict[str, str]]] = {}
        for (dataset, table), other in self._nodes.items():
            if other["columns"]:
                schema.setdefault(dataset, {})[table] = dict.fromkeys(other["columns"], "text")
        # The name of the database is the machine's; relations are told apart without it.
        sql = path.read_text().replace(f'"{node["database"]}".', "")
        found = lineage(None, sql, schema, dialect=DIALECT)
        return {name: frozenset(_leaves(tree)) for name, tree in found.items()}


def page(manifest: Mapping[str, Any], compiled: Path) -> str:
    """The page of the lineage of all public models."""
    lines = Lineage(manifest, compiled)
    parts = [
        "# Where the columns of the public views come from\n",
        "Columns of the operational tables (and of seeds) that a column is computed from. Which rows are "
        "taken, by joins and filters, is not said here: the SQL of the models does.\n",
    ]
    public = (n for n in manifest["nodes"].values() if n.get("access") == "public")
    for node in sorted(public, key=lambda node: str(node["alias"])):
        relation = _relation(node)
        rows = [(f"`{name}`", _listed(lines.origins((relation, name)))) for name in node["columns"]]
        parts.append(f"## `{'.'.join(relation)}`\n\n{markdown_table(('Column', 'Comes from'), rows)}")
    return "\n".join(parts)


def _leaves(tree: Node) -> Iterable[Column]:
    for node in tree.walk():
        if not node.downstream and isinstance(node.source, exp.Table) and node.source.db:
            yield (node.source.db, node.source.name), node.name.rsplit(".", 1)[-1]


def _listed(columns: Iterable[Column]) -> str:
    return (
        ", ".join(sorted({f"`{table}.{name}`" for (_, table), name in columns}))
        or "a constant, or the calendar"
    )


def _relation(node: Mapping[str, Any]) -> Relation:
    return str(node["schema"]), str(node["alias"])
