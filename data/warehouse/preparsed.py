"""Run dbt on a project that is already parsed: `myproperty-dbt ARGUMENT...`, with the arguments of `dbt`.

dbt parses a whole project again whenever a var or the connection differs from the last time, so each step of
each run would parse it. No part of this project's parse depends on them: the dates of a run are rendered when
a model is compiled. The caller keeps the parse current (`data.warehouse.project.manifest`).
"""

import gc
import json
import os
import sys
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from data.warehouse.warm import ADDRESS, ask, serve
from myproperty.children import end_with_parent

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

PARSED = "MYPROPERTY_DBT_PARSED"
_ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000
# Names a file with the ids of nodes and views that stay as they are.
UNCHANGED = "MYPROPERTY_DBT_UNCHANGED"


def read_manifest(folder: Path) -> "Manifest":
    """Return the manifest that `dbt parse` left in `folder`. Raises OSError if there is none."""
    from dbt.constants import PARTIAL_PARSE_FILE_NAME
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder

    parsed = (folder / PARTIAL_PARSE_FILE_NAME).read_bytes()
    manifest = Manifest.from_msgpack(parsed, decoder=extended_mashumuro_decoder)
    manifest.build_flat_graph()  # type: ignore[no-untyped-call]
    return manifest


def leave_out(manifest: "Manifest", nodes: Iterable[str], views: Iterable[str]) -> None:
    """Take the tags from these nodes (ids), by which the steps of a run select what they build.

    Their tests get the tags, and so are asked, but for those whose nodes all have the rows of the last run:
    dbt's own way to leave a node out would leave out all of its tests.
    """
    same_rows = set(nodes)
    stays = same_rows.union(views)
    for test in manifest.nodes.values():
        if test.unique_id.startswith("test.") and not same_rows.issuperset(test.depends_on_nodes):
            of_nodes = (manifest.nodes[each].tags for each in stays.intersection(test.depends_on_nodes))
            test.tags = [*test.tags, *chain.from_iterable(of_nodes)]
    for unique_id in stays:
        node = manifest.nodes[unique_id]
        node.tags = []
        node.config.tags = []


def load() -> Callable[[list[str]], int]:
    """Load dbt and the parse in MYPROPERTY_DBT_PARSED; return what runs dbt and gives its exit code.

    The codes are dbt's: 0 if it succeeded, 1 if a node failed, 2 if dbt itself could not go on.
    """
    from dbt.cli.main import dbtRunner  # takes seconds, in which the run may be killed

    from data.warehouse.connections import keep_connections

    keep_connections()
    manifest = read_manifest(Path(os.environ[PARSED]))
    # The parse is not garbage: looking through it again and again takes a sixth of a step.
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)

    def run(words: list[str]) -> int:
        if unchanged := os.environ.get(UNCHANGED):
            leave_out(manifest, **json.loads(Path(unchanged).read_text()))
        outcome = dbtRunner(manifest=manifest).invoke(words)
        if outcome.exception is not None:
            sys.stderr.write(f"{outcome.exception}\n")
            return 2
        return 0 if outcome.success else 1

    return run


def load_and_warm_up() -> Callable[[list[str]], int]:
    """Load as `load`, and let dbt list no node: what it derives from its classes and files is kept."""
    run = load()
    here = str(Path(__file__).parent)
    words = ["list", "--quiet", "--select", "tag:none", "--project-dir", here, "--profiles-dir", here]
    run([*words, "--target-path", os.environ[PARSED], "--log-level-file", "none", "--no-write-json"])
    gc.freeze()
    return run


def main() -> None:
    """Run dbt on the parse in the folder MYPROPERTY_DBT_PARSED; exit with dbt's codes 0, 1 or 2.

    The process at MYPROPERTY_DBT_WARM runs it, if there is one. A run that is killed takes its dbt with it:
    nothing is built behind a gate that nobody asks any more.
    """
    end_with_parent()
    address = os.environ.get(ADDRESS)
    code = ask(address, sys.argv[1:]) if address else None
    sys.exit(load()(sys.argv[1:]) if code is None else code)


if __name__ == "__main__":
    serve(sys.argv[1], load_and_warm_up)
