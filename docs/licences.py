"""The page of licences: each pin of `requirements.lock` and of the engines' locks, as its package states it.

Superset and the emulator run in environments of their own, which not every machine has: `python -m
docs.licences`, which `make lock` calls, makes them and records what their packages state.
"""

import json
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from myproperty.engines.emulator import installation as emulator
from myproperty.engines.environment import find_emulator, find_superset
from myproperty.engines.superset import server as superset
from myproperty.engines.venvs import find_installed
from myproperty.settings import CHECKOUT, get_settings
from oltp_schema.pages import markdown_table as table

LOCK = CHECKOUT / "requirements.lock"
RECORD = Path(__file__).with_name("licences-of-engines.json")
ENGINES = {
    "superset": ("Apache Superset", superset.LOCK),
    "emulator": ("the BigQuery emulator", emulator.LOCK),
}
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)
_LONGEST = 60
NOT_STATED = "not stated"
# Name, version and licence of a package.
Row = tuple[str, str, str]


def licences_page() -> str:
    """Return the page."""
    heads = ("Package", "Version", "Licence")
    parts = [
        "# Licences of what runs\n",
        "Every package that `requirements.lock` pins and Linux installs, with the licence that the package "
        "states. `make sbom` writes the lists for programs (CycloneDX). The tools of the tests are in "
        "`requirements-dev.lock`; where the platform only runs, they are not installed.\n",
        table(heads, [(f"`{name}`", *rest) for name, *rest in list_licences(LOCK, metadata.distributions())]),
    ]
    for engine, rows in json.loads(RECORD.read_text()).items():
        name, lock = ENGINES[engine]
        parts += [
            f"## What {name} brings\n",
            f"Installed where it is started, in an environment of its own, from "
            f"`{lock.relative_to(CHECKOUT)}`.\n",
            table(heads, [(f"`{name}`", *rest) for name, *rest in rows]),
        ]
    return "\n".join(parts)


def list_licences(lock: Path, distributions: Iterable[metadata.Distribution]) -> list[Row]:
    """Return the pins of a lock that are installed, by name, with their licences."""
    # A lock may pin two versions of a package, each for some machines.
    pins = {(_normalise(name), version) for name, version in _PIN.findall(lock.read_text())}
    installed = [(_normalise(each.name), each) for each in distributions]
    return sorted(
        (name, each.version, read_licence(each)) for name, each in installed if (name, each.version) in pins
    )


def list_licences_of(engine: str) -> list[Row] | None:
    """Return the licences of an engine's environment; None if it is not installed."""
    settings, lock = get_settings(), ENGINES[engine][1]
    base = find_superset(settings).venv if engine == "superset" else find_emulator(settings).venv
    found = find_installed(base, lock)
    if found is None:
        return None
    (packages,) = found.glob("lib/python3.*/site-packages")
    return list_licences(lock, metadata.distributions(path=[str(packages)]))


def read_licence(package: metadata.Distribution) -> str:
    """Return the SPDX expression, the classifiers or the short name that a package states."""
    stated = package.metadata.json
    if expression := stated.get("license_expression"):
        return str(expression)
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in stated.get("classifier", [])
        if line.startswith("License ::") and not line.endswith("OSI Approved")
    ]
    if classifiers:
        return ", ".join(sorted(classifiers))
    text = str(stated.get("license", "")).strip().splitlines()
    return text[0][:_LONGEST] if text else NOT_STATED


def _normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Install the engines of the locks, and record the licences of their packages."""
    settings = get_settings()
    find_superset(settings).install()
    server = find_emulator(settings)
    emulator.ensure_installed(server.venv, server.python, server.logs / "emulator-install.log")
    recorded = {engine: list_licences_of(engine) for engine in ENGINES}
    RECORD.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
