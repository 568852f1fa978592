"""Run dbt on a project that is already parsed: `myproperty-dbt ARGUMENT...`, with the arguments of `dbt`.

dbt parses a whole project again whenever a var or the connection differs from the last time, so each step of
each run would parse it. No part of this project's parse depends on them: the dates of a run are rendered when
a model is compiled. The caller keeps the parse current (`data.warehouse.project.manifest`).
"""

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from data.warehouse.warm import ADDRESS, ask, serve
from myproperty.children import end_with_parent

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

PARSED = "MYPROPERTY_DBT_PARSED"
# Names a file with the ids of nodes that stay as they are.
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


def leave_out(manifest: "Manifest", unique_ids: Iterable[str]) -> None:
    """Take the tags from these nodes, by which the steps of a run select what they build.

    Their tests run as soon as another node of the test is built: dbt's own way to leave a node out would
    leave out these tests too.
    """
    for unique_id in unique_ids:
        node = manifest.nodes[unique_id]
        node.tags = []
        node.config.tags = []


def load() -> Callable[[list[str]], int]:
    """Load dbt and the parse in MYPROPERTY_DBT_PARSED; return what runs dbt and gives its exit code.

    The codes are dbt's: 0 if it succeeded, 1 if a node failed, 2 if dbt itself could not go on.
    """
    from dbt.cli.main import dbtRunner  # takes seconds, in which the run may be killed

    manifest = read_manifest(Path(os.environ[PARSED]))

    def run(words: list[str]) -> int:
        if unchanged := os.environ.get(UNCHANGED):
            leave_out(manifest, json.loads(Path(unchanged).read_text()))
        outcome = dbtRunner(manifest=manifest).invoke(words)
        if outcome.exception is not None:
            sys.stderr.write(f"{outcome.exception}\n")
            return 2
        return 0 if outcome.success else 1

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
    serve(sys.argv[1], load)
