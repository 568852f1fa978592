"""Which nodes of a dbt step need not be built again: files, rows in raw and relation are the same.

A night changes a few tables of the company: without this each step would build all others too, and ask their
tests of rows that passed them. A view stays whatever its rows, and its tests are asked. What a step was built
from is kept beside dbt's parse, for this home alone; without it everything is built.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

# Rows carry the instant of their last landing; a table that compares it with a due date changes by itself.
_CLOCK = "landed_at"
# In a model that takes rows of the run's dates.
_RANGE = ("in_range", "range_bound")
_BUILT_TYPES = ("model", "seed", "snapshot")


@dataclass(frozen=True)
class Built:
    """What a step was built from, and what it built.

    `project` stands for the files of the project and the names of relations. `tables` has a digest of the
    rows of each raw table, `relations` what tells whether a relation has changed since.
    """

    project: str
    tables: dict[str, str]
    relations: dict[str, str]


@dataclass(frozen=True)
class Unchanged:
    """The ids of dbt's nodes that stay, each after those it is built from.

    The rows of `nodes` are the same. `views` are the same statements over other rows; nothing is built from
    them.
    """

    nodes: Sequence[str] = ()
    views: Sequence[str] = ()


def read_built(kept: Path) -> Built | None:
    """Return what `keep_built` wrote; None before the first time."""
    return Built(**json.loads(kept.read_text())) if kept.is_file() else None


def keep_built(kept: Path, built: Built) -> None:
    """Write what a step was built from, after it and its tests succeeded."""
    kept.write_text(json.dumps(asdict(built)))


def adopt_built(kept: Path, of_run: Path) -> None:
    """Keep what a run wrote, after it was published; a run that built chosen assets alone wrote nothing."""
    if of_run.is_file():
        of_run.replace(kept)


def find_unchanged(manifest: Mapping[str, Any], before: Built | None, now: Built) -> Unchanged:
    """Find the nodes that would come out as they stand.

    A node with rows of a table without a digest, such as the readings, always counts as changed.
    """
    if before is None or before.project != now.project:
        return Unchanged()
    same_rows = {
        source
        for source, described in manifest["sources"].items()
        if before.tables.get(name := described["name"]) and before.tables[name] == now.tables.get(name)
    }
    nodes, views = [], []
    for unique_id in TopologicalSorter(manifest["parent_map"]).static_order():
        node = manifest["nodes"].get(unique_id)
        if node is None or node["resource_type"] not in _BUILT_TYPES or _reads_dates(node):
            continue
        relation = f"{node['schema']}.{node['alias']}"
        if before.relations.get(relation, "") != now.relations.get(relation):
            continue
        if same_rows >= set(manifest["parent_map"][unique_id]) and not _reads_clock(node):
            same_rows.add(unique_id)
            nodes.append(unique_id)
        elif _is_view(node) and not _is_read(unique_id, manifest):
            views.append(unique_id)
    return Unchanged(nodes, views)


def _reads_dates(node: Mapping[str, Any]) -> bool:
    """Return whether what is built depends on the dates of the run."""
    code = node.get("raw_code") or ""
    return node["config"].get("materialized") == "incremental" or any(word in code for word in _RANGE)


def _reads_clock(node: Mapping[str, Any]) -> bool:
    return not _is_view(node) and _CLOCK in (node.get("raw_code") or "")


def _is_view(node: Mapping[str, Any]) -> bool:
    return bool(node["config"].get("materialized") == "view")


def _is_read(unique_id: str, manifest: Mapping[str, Any]) -> bool:
    """Return whether another node is built from this one."""
    return any(child.split(".", 1)[0] in _BUILT_TYPES for child in manifest["child_map"][unique_id])
