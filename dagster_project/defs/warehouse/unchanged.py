"""Which nodes of a dbt step need not be built again: files, rows in raw and relation are the same.

A night changes a few tables of the company: without this the step of the dimensions would build all others
too, and ask their tests of rows that passed them. What a step was built from is kept beside dbt's parse, for
this home alone; without it everything is built.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

# Rows carry the instant of their last landing; a table that compares it with a due date changes by itself.
_CLOCK = "landed_at"
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


def find_unchanged(manifest: Mapping[str, Any], before: Built | None, now: Built) -> list[str]:
    """Return the ids of dbt's nodes that would be built as they stand, each after those it is built from.

    A node with rows of a table without a digest, such as the readings, always counts as changed.
    """
    if before is None or before.project != now.project:
        return []
    unchanged = {
        source: None
        for source, described in manifest["sources"].items()
        if before.tables.get(name := described["name"]) and before.tables[name] == now.tables.get(name)
    }
    for unique_id in TopologicalSorter(manifest["parent_map"]).static_order():
        node = manifest["nodes"].get(unique_id)
        if node is None or node["resource_type"] not in _BUILT_TYPES or _reads_clock(node):
            continue
        relation = f"{node['schema']}.{node['alias']}"
        is_same = before.relations.get(relation, "") == now.relations.get(relation)
        if is_same and unchanged.keys() >= set(manifest["parent_map"][unique_id]):
            unchanged[unique_id] = None
    return [unique_id for unique_id in unchanged if unique_id in manifest["nodes"]]


def _reads_clock(node: Mapping[str, Any]) -> bool:
    return node["config"].get("materialized") != "view" and _CLOCK in (node.get("raw_code") or "")
