"""Which raw columns each column of the warehouse comes from, as its compiled SQL says.

Here: reading the SQL that dbt compiled, model by model, and following columns up to the raw tables. Not here:
how dbt is called, and the page that shows it (`docs/generate.py`). A column comes from what its value is made
of; what only decides which rows there are, in a join or a filter, is not its source.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlglot import exp
from sqlglot.lineage import Node, lineage

from data.landing.entities import ENTITIES

Column = tuple[str, str]
_TIMES = ("dbt_valid_from", "dbt_valid_to")


class Lineage:
    """The lineage of a project that dbt compiled for PostgreSQL into the folder `target`."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._traced: dict[str, dict[str, set[Column]]] = {}

    @cached_property
    def models(self) -> dict[str, dict[str, Any]]:
        """The manifest's models, snapshots and seeds by the name of their relation."""
        nodes = json.loads((self._target / "manifest.json").read_text())["nodes"].values()
        kinds = ("model", "snapshot", "seed")
        return {node["alias"]: node for node in nodes if node["resource_type"] in kinds}

    def sources(self, model: str) -> dict[str, list[str]]:
        """Column to the raw columns and seeds that it is made of, as `table.column`, sorted.

        Empty for what is made of none, such as a constant. Raises KeyError for an unknown model.
        """
        return {
            column: sorted(f"{table}.{name}" for table, name in found)
            for column, found in self._trace(model).items()
        }

    def _trace(self, model: str) -> dict[str, set[Column]]:
        if model not in self._traced:
            node = self.models[model]
            self._traced[model] = _HOW[node["resource_type"]](self, node)
        return self._traced[model]

    def _of_seed(self, node: Mapping[str, Any]) -> dict[str, set[Column]]:
        return {name: {(node["alias"], name)} for name in node["columns"]}

    def _of_snapshot(self, node: Mapping[str, Any]) -> dict[str, set[Column]]:
        """Of the model that it keeps the states of, and the time of a state."""
        kept = self._trace(_read_by(node))
        changed = kept[node["config"]["updated_at"]]
        return {**kept, **dict.fromkeys(_TIMES, changed)}

    def _of_model(self, node: Mapping[str, Any]) -> dict[str, set[Column]]:
        path = self._target / "compiled" / node["package_name"] / node["original_file_path"]
        nodes = lineage(None, path.read_text(), self._schema, dialect="postgres")
        return {name: self._of(found) for name, found in nodes.items()}

    def _of(self, found: Node) -> set[Column]:
        """The raw columns of the leaves of a column; those of a model are followed further."""
        columns: set[Column] = set()
        for leaf in found.walk():
            # A series of days or hours is made, and has no table.
            if leaf.downstream or not isinstance(leaf.expression, exp.Table) or not leaf.expression.name:
                continue
            table, name = leaf.expression.name, exp.to_column(leaf.name).name
            columns |= self._trace(table).get(name, set()) if table in self.models else {(table, name)}
        return columns

    @cached_property
    def _schema(self) -> dict[str, Any]:
        """Every relation with its columns, under the database and schema that compiled SQL gives it."""
        found: dict[str, Any] = {}
        for name, node in self.models.items():
            columns = dict.fromkeys(node["columns"], "text")
            if node["resource_type"] == "snapshot":
                columns = dict.fromkeys([*self.models[_read_by(node)]["columns"], *_TIMES], "text")
            found.setdefault(node["database"], {}).setdefault(node["schema"], {})[name] = columns
        database = next(iter(found))
        found[database]["raw"] = {
            name: dict.fromkeys(entity.schema.names, "text") for name, entity in ENTITIES.items()
        }
        return found


def _read_by(snapshot: Mapping[str, Any]) -> str:
    """The model that a snapshot keeps the states of."""
    (read,) = snapshot["depends_on"]["nodes"]
    return str(read).rsplit(".", maxsplit=1)[-1]


_HOW = {"model": Lineage._of_model, "snapshot": Lineage._of_snapshot, "seed": Lineage._of_seed}
