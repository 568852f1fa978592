"""Helpers: the files of a deployment, and the variables that they set."""

import copy
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import make_secrets
from myproperty.settings import CHECKOUT, PREFIX

DEPLOY = CHECKOUT / "deploy"
COMPOSE = DEPLOY / "compose"
TERRAFORM = DEPLOY / "terraform"
# The one that docs/production.md installs.
(CHART_VERSION,) = re.findall(
    r"dagster/dagster --version (\S+)", (CHECKOUT / "docs" / "production.md").read_text()
)
# A line of the output `settings` of Terraform.
_OUTPUT = re.compile(rf"^\s+({PREFIX}\w+)\s+= (.+)$", re.MULTILINE)


def read_variables(path: Path) -> dict[str, str]:
    """Return the variables of a file of lines NAME=VALUE."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the one document of a YAML file."""
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def secrets_of(folder: Path, *words: str) -> Path:
    """Make the secrets of a deployment in a folder, as a person does, and return the folder."""
    assert make_secrets.main(["--folder", str(folder), *words]) == 0
    return folder


def variables_of_compose(folder: Path) -> dict[str, str]:
    """Return the variables of the code location in the compose file, with the secrets of a folder."""
    service = read_yaml(COMPOSE / "compose.yaml")["services"]["code-location"]
    found: dict[str, str] = {"MYPROPERTY_HOME": "/var/lib/myproperty"}
    for name in service["env_file"]:
        own = name.removeprefix("secrets/")
        found |= read_variables(folder / own if own != name else COMPOSE / name)
    given: dict[str, str] = service["environment"]
    return found | given


def settings_of_terraform() -> dict[str, str]:
    """Return the output `settings` of Terraform, with something in the place of what only Google knows."""
    text = (TERRAFORM / "outputs.tf").read_text()
    found = {name: _evaluate(name, value) for name, value in _OUTPUT.findall(text)}
    grants = json.loads((TERRAFORM / "grants.json").read_text())
    for account, granted in grants["accounts"].items():
        if granted["setting"]:
            found[granted["setting"]] = f"{account}@a-project.iam.gserviceaccount.com"
    return found


def _evaluate(name: str, value: str) -> str:
    literal = re.fullmatch(r'"([^"$]*)"', value)
    known = {
        "var.environment": "production",
        "var.project": "a-project",
        "var.region": "australia-southeast1",
        "var.dataset_prefix": "",
    }
    if literal:
        return literal[1]
    return known[value] if value in known else f"gs://a-bucket/{name.lower()}"


@contextmanager
def environment_of(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give this process the variables of a container, and none of its own of the platform."""
    with monkeypatch.context() as patch:
        for name in [name for name in _own_variables() if name.startswith((PREFIX, "DAGSTER_", "PGSSL"))]:
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


def _own_variables() -> list[str]:
    import os

    return list(os.environ)


def instance_of_chart(host: str) -> dict[str, Any]:
    """Return the sections of `dagster.yaml` that our values add to the chart's, for this database host."""
    given: dict[str, Any] = read_yaml(DEPLOY / "helm" / "values.yaml")["additionalInstanceConfig"]
    found: dict[str, Any] = copy.deepcopy(given)
    for section in ("run_storage", "event_log_storage"):
        found[section]["config"]["postgres_db"]["hostname"] = host
    return found
