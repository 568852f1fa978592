"""Find the raw columns behind each column of the warehouse, from compiled SQL.

Here: reading the SQL that dbt compiled, model by model, and following columns up to the raw tables. Not here:
calling dbt, and the page of lineage (`docs/generate.py`). The sources of a column are the columns of its
value. Columns that only decide which rows there are, in a join or a filter, are not sources.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlglot import exp
from sqlglot.lineage import Node, lineage

from data.landing.entities import LOADED

Column = tuple[str, str]
_TIMES = ("dbt_valid_from", "dbt_valid_to")


class Lineage:
    """Lineage of a project that dbt compiled for PostgreSQL into the folder `target`."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._traced: dict[str, dict[str, set[Column]]] = {}

    @cached_property
    def models(self) -> dict[str, dict[str, Any]]:
        """Return the manifest's models, snapshots and seeds by the name of their relation."""
        nodes = json.loads((self._target / "manifest.json").read_text())["nodes"].values()
        kinds = ("model", "snapshot", "seed")
        return {node["alias"]: node for node in nodes if node["resource_type"] in kinds}

    def sources(self, model: str) -> dict[str, list[str]]:
        """Return for each column its raw columns and seed columns as `table.column`, sorted.

        A constant has none. Raises KeyError for an unknown model.
        """
        return {
            column: sorted(f"{table}.{name}" for table, name in found)
            for column, found in self._trace(model).items()
        }

    def _trace(self, model: str) -> dict[str, set[Column]]:
        if model not in self._traced:
            node = self.models[model]
            self._traced[model] = _TRACERS[node["resource_type"]](self, node)
        return self._traced[model]

    def _trace_seed(self, node: Mapping[str, Any]) -> dict[str, set[Column]]:
        return {name: {(node["alias"], name)} for name in node["columns"]}

    def _trace_snapshot(self, node: Mapping[str, Any]) -> dict[str, set[Column]]:
        """Return the lineage of the model that the snapshot reads, with the times of a state."""
        kept = self._trace(_snapshot_source(node))
        changed = kept[node["config"]["updated_at"]]
        return {**kept, **dict.fromkeys(_TIMES, changed)}

    def _trace_model(self, node: Mapping[str, Any]) -> dict[str, set[Column]]:
        path = self._target / "compiled" / node["package_name"] / node["original_file_path"]
        nodes = lineage(None, path.read_text(), self._schema, dialect="postgres")
        return {name: self._raw_columns(found) for name, found in nodes.items()}

    def _raw_columns(self, found: Node) -> set[Column]:
        """Return the raw columns of a column's leaves; follow leaves that are models further."""
        columns: set[Column] = set()
        for leaf in found.walk():
            # A generated series of days or hours has no table.
            if leaf.downstream or not isinstance(leaf.expression, exp.Table) or not leaf.expression.name:
                continue
            table, name = leaf.expression.name, exp.to_column(leaf.name).name
            columns |= self._trace(table).get(name, set()) if table in self.models else {(table, name)}
        return columns

    @cached_property
    def _schema(self) -> dict[str, Any]:
        """Return every relation with its columns, under the database and schema of compiled SQL."""
        found: dict[str, Any] = {}
        for name, node in self.models.items():
            columns = dict.fromkeys(node["columns"], "text")
            if node["resource_type"] == "snapshot":
                columns = dict.fromkeys([*self.models[_snapshot_source(node)]["columns"], *_TIMES], "text")
            found.setdefault(node["database"], {}).setdefault(node["schema"], {})[name] = columns
        database = next(iter(found))
        found[database]["raw"] = {
            name: dict.fromkeys(entity.schema.names, "text") for name, entity in LOADED.items()
        }
        return found


def _snapshot_source(snapshot: Mapping[str, Any]) -> str:
    """Return the name of the model that a snapshot reads."""
    (read,) = snapshot["depends_on"]["nodes"]
    return str(read).rsplit(".", maxsplit=1)[-1]


_TRACERS = {"model": Lineage._trace_model, "snapshot": Lineage._trace_snapshot, "seed": Lineage._trace_seed}
