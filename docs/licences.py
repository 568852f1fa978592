"""The page of the licences of what runs: each pin of `requirements.lock`, as its package states it."""

import re
from importlib import metadata

from myproperty.settings import CHECKOUT
from oltp_schema.pages import markdown_table as table

LOCK = CHECKOUT / "requirements.lock"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)
_LONGEST = 60
NOT_STATED = "not stated"


def licences_page() -> str:
    """Return the page."""
    rows = [(f"`{name}`", version, read_licence(name)) for name, version in list_pins()]
    return (
        "# Licences of what runs\n\n"
        "Every package that `requirements.lock` pins and Linux installs, with the licence that the package "
        "states. `make sbom` writes the list for programs (CycloneDX). The tools of the tests are in "
        "`requirements-dev.lock`; where the platform only runs, they are not installed.\n\n"
        + table(("Package", "Version", "Licence"), rows)
    )


def list_pins() -> list[tuple[str, str]]:
    """Return name and version of each pin that is installed here, by name."""
    pins = dict(_PIN.findall(LOCK.read_text()))
    installed = {found.name.lower().replace("_", "-").replace(".", "-") for found in metadata.distributions()}
    return sorted((name, version) for name, version in pins.items() if name.replace(".", "-") in installed)


def read_licence(name: str) -> str:
    """Return the SPDX expression, the classifiers or the short name that a package states."""
    stated = metadata.metadata(name).json
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
