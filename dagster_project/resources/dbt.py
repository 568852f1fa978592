"""dbt as resources of a run: dagster-dbt's calls, and a process that has loaded dbt before the first one.

What is asked of dbt without Dagster is in `data.warehouse.project`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource
from packaging.version import Version

from data.warehouse.project import PROJECT_DIR, digest_folder, executable, names_of_relations, with_parse
from data.warehouse.warm import ADDRESS, READY
from myproperty.files import remove_left_folders, temporary_folder
from myproperty.settings import CHECKOUT, Settings

_PATIENCE_S = 10
# The temporary folder of a process that has loaded dbt.
WARM_FOLDER = "dbt"


class Dbt(DbtCliResource):
    """dbt with its version read from the installed package.

    dagster-dbt would start another dbt in each step for that, and dbt would ask the package index for the
    newest version.
    """

    @cached_property
    def _cli_version(self) -> Version:
        return Version(metadata.version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        """Return None: dagster-dbt would load dbt into this process, to read columns that nobody asks for."""


@dataclass(frozen=True)
class WarmDbt:
    """A process that has loaded dbt and the parse with the digest `parsed`: see `data.warehouse.warm`."""

    process: "subprocess.Popen[str]"
    address: str
    parsed: str

    def variables(self, target: Path) -> dict[str, str]:
        """Return the variable by which a dbt that runs on the parse in `target` finds this process.

        Empty if a file of the project has changed since this process began: dbt then loads the new parse.
        """
        return {ADDRESS: self.address} if digest_folder(target) == self.parsed else {}

    def stop(self) -> None:
        """End the process and the dbt that it may run."""
        self.process.terminate()
        try:
            self.process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def warm_resource(settings: Settings) -> dg.ResourceDefinition:
    """Return the resource that begins to load dbt at the start of a run with a dbt step, and ends with it."""

    @dg.resource
    def warm_dbt() -> Iterator[WarmDbt]:
        with temporary_folder(WARM_FOLDER) as folder:
            warm = start_warm(settings, folder)
            try:
                yield warm
            finally:
                warm.stop()
        # At the end: those of a run that was killed a moment ago are old enough by now.
        remove_left_folders(WARM_FOLDER)

    return warm_dbt


def start_warm(settings: Settings, folder: Path) -> WarmDbt:
    """Start a process that loads dbt and the project of these settings; it ends with this process.

    Only this account may enter the folder, and its path is short: the address of a socket has at most 107
    characters. Raises RuntimeError with dbt's output if the project cannot be parsed.
    """
    address = str(folder / "calls")
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "data.warehouse.preparsed", address],
        env={
            **os.environ,
            "MYPROPERTY_DBT_TARGET": settings.warehouse,
            **names_of_relations(settings),
            **with_parse(settings, folder),
        },
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    if process.stdout.readline().strip() != READY:
        raise RuntimeError(f"dbt's process ended with {process.wait()} before it could load the project")
    return WarmDbt(process, address, digest_folder(folder))


def resource(settings: Settings) -> Dbt:
    """Return the dbt resource of this environment: it runs on a project that is already parsed.

    The environment of its calls names the folder of the parse: see `with_parse`.
    """
    return Dbt(
        project_dir=str(PROJECT_DIR),
        profiles_dir=str(PROJECT_DIR),
        target=settings.warehouse,
        dbt_executable=executable("myproperty-dbt"),
    )
