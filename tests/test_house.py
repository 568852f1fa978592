"""Rules of the house that no linter knows: names with one meaning, short files, no circle of files."""

import ast
import graphlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from tests.conftest import FEW_TESTS, FOLDERS, TOGETHER

ROOT = Path(__file__).parent.parent
PACKAGES = ("commands", "dagster_project", "data", "expectations", "myproperty", "oltp_schema")
LIMIT = 500
# Readers of one format: split by subject, a reader would be harder to hold against its standard.
LONG_READERS = {f"data/ingest/formats/{name}.py" for name in ("nem12", "mscons", "green_button")}


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in (ROOT / folder).rglob("*.py") if "target" not in path.parts)


def test_a_public_class_name_stands_in_one_module() -> None:
    modules = defaultdict(list)
    for path in python_files(*PACKAGES):
        text = path.read_text()
        for node in ast.parse(text).body if "class " in text else []:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules[node.name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in modules.items() if len(found) > 1} == {}


def test_a_python_file_is_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in python_files(*PACKAGES, "benchmarks", "docs", "tests")
    }
    assert {path: n for path, n in lengths.items() if n > LIMIT and path not in LONG_READERS} == {}
    assert lengths.keys() >= LONG_READERS


def test_the_scopes_that_the_order_of_the_tests_names_exist() -> None:
    assert [scope for scope in (*FOLDERS, *TOGETHER, *FEW_TESTS) if not (ROOT / scope).exists()] == []


def test_what_is_skipped_for_a_missing_program_says_what_to_install() -> None:
    """A skip is the only trace of a test that a machine cannot run; pytest prints each (`-ra`)."""
    skipped = {}
    for path in python_files("tests/deploy"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("pytest.skip", "pytest.mark.skipif"):
                skipped[f"{path.relative_to(ROOT)}:{node.lineno}"] = ast.unparse(node)
    assert len(skipped) > 4
    assert [where for where, said in skipped.items() if "install" not in said] == []
    assert '"-ra ' in (ROOT / "pyproject.toml").read_text()


def test_no_files_import_each_other_in_a_circle() -> None:
    """Imports inside functions and for type checking count too.

    import-linter checks this between packages; only this test sees a circle through a package's `__init__`.
    """
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
