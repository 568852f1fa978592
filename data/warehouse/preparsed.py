"""Run dbt on a project that is already parsed: `myproperty-dbt ARGUMENT...`, with the arguments of `dbt`.

dbt parses a whole project again whenever a var or the connection differs from the last time, so each step of
each run would parse it. No part of this project's parse depends on them: the dates of a run are rendered when
a model is compiled. The caller keeps the parse current (`dagster_project.resources.dbt.manifest`).
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from myproperty.children import end_with_parent

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

PARSED = "MYPROPERTY_DBT_PARSED"


def read_manifest(folder: Path) -> "Manifest":
    """Return the manifest that `dbt parse` left in `folder`. Raises OSError if there is none."""
    from dbt.constants import PARTIAL_PARSE_FILE_NAME
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder

    parsed = (folder / PARTIAL_PARSE_FILE_NAME).read_bytes()
    manifest = Manifest.from_msgpack(parsed, decoder=extended_mashumuro_decoder)
    manifest.build_flat_graph()  # type: ignore[no-untyped-call]
    return manifest


def main() -> None:
    """Run dbt on the parse in the folder MYPROPERTY_DBT_PARSED; exit with dbt's codes 0, 1 or 2.

    A run that is killed takes its dbt with it: nothing is built behind a gate that nobody asks any more.
    """
    end_with_parent()
    from dbt.cli.main import dbtRunner  # takes seconds, in which the run may be killed

    outcome = dbtRunner(manifest=read_manifest(Path(os.environ[PARSED]))).invoke(sys.argv[1:])
    if outcome.exception is not None:
        sys.stderr.write(f"{outcome.exception}\n")
        sys.exit(2)
    sys.exit(0 if outcome.success else 1)
