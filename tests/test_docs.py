"""The documents match the program: generated pages are current, links lead to files, settings are listed."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.generate import pages
from docs.settings import INSTANCE, OTHERS
from myproperty.engines.settings import EngineSettings
from myproperty.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent
PACKAGES = ("benchmarks", "commands", "dagster_project", "data", "expectations", "myproperty", "oltp_schema")
PAGES = [ROOT / "README.md", ROOT / "CONTEXT.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_generated_pages_are_current() -> None:
    stale = [path.name for path, text in pages().items() if not path.exists() or path.read_text() != text]
    assert not stale, "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


def test_the_readme_names_make_targets_that_exist() -> None:
    named = set(re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(), flags=re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def variables_in_use() -> Iterator[str]:
    """Every variable of the platform that a source file names."""
    files = [ROOT / "Makefile", *(ROOT / ".ci").iterdir()]
    for folder in (*PACKAGES, "tests"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".yml", ".yaml", ".sql", ".sh"} and "target" not in path.parts:
                files.append(path)
    for path in files:
        # Not a bare prefix, as in f"MYPROPERTY_DBT_{name}".
        yield from re.findall(rf"\b{PREFIX}[A-Z0-9_]*[A-Z0-9]\b", path.read_text())


def test_every_variable_is_on_the_page_of_settings() -> None:
    of_classes = {PREFIX + name.upper() for each in (Settings, EngineSettings) for name in each.model_fields}
    in_use, others = set(variables_in_use()), {*OTHERS, *INSTANCE} - {"DAGSTER_HOME"}
    assert in_use - of_classes - others == set()
    assert others - in_use == set()
    assert others & of_classes == set()


def test_every_setting_has_a_description() -> None:
    for each in (Settings, EngineSettings):
        assert [name for name, field in each.model_fields.items() if not field.description] == []


def test_every_picture_is_shown_and_taken_by_the_script() -> None:
    pictures = {path.stem for path in (ROOT / "docs" / "pictures").glob("*.png")}
    shown = set(re.findall(r"\(pictures/([a-z-]+)\.png\)", (ROOT / "docs" / "dagster.md").read_text()))
    script = (ROOT / "docs" / "screenshots.py").read_text()
    assert pictures == shown != set()
    assert {name for name in pictures if f'"{name}": ' not in script} == set()
