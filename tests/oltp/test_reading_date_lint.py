"""Every statement on the readings carries `reading_date`: without it the planner opens every day there is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = ("benchmarks", "dagster_project", "data", "expectations", "myproperty", "oltp_schema")
BUILT = {"target", "dbt_packages", "logs", "__pycache__"}
# DDL and the partition functions name the table without reading rows.
STATEMENT = re.compile(
    r"\b(from|join|update|delete\s+from|merge\s+into|insert\s+into|copy)\s+(\{?\w+\}?\.)?meter_readings\b",
    re.IGNORECASE,
)


def statements(path: Path) -> Iterator[tuple[int, str]]:
    """Return (line, text) of possible SQL in a file: statements of .sql, string literals of .py."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".sql":
        line = 1
        for part in text.split(";"):
            yield line, re.sub(r"--.*", "", part)
            line += part.count("\n")
        return
    if "meter_readings" not in text.lower():
        return
    tree = ast.parse(text)
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in inside | documents:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            yield node.lineno, ast.unparse(node)


def without_reading_date(root: Path) -> list[str]:
    """`file:line` of each statement on meter_readings that does not name reading_date."""
    files = (p for s in SOURCES for p in sorted((root / s).rglob("*")) if p.suffix in {".sql", ".py"})
    return [
        f"{path.relative_to(root)}:{line}"
        for path in files
        if not BUILT & set(path.parts)
        for line, text in statements(path)
        if STATEMENT.search(text) and "reading_date" not in text
    ]


def test_every_statement_on_readings_names_reading_date() -> None:
    assert without_reading_date(REPOSITORY) == []


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.sql", "select 1;\nselect * from myproperty.meter_readings;", ["data/a.sql:1"]),
        ("a.sql", "-- reading_date\nselect * from meter_readings", ["data/a.sql:1"]),
        ("a.py", 'def f():\n    """select from meter_readings"""\n    return "x"\n', []),
        ("a.py", 'Q = """\ndelete from meter_readings\n"""\n', ["data/a.py:1"]),
        ("a.py", 'Q = f"select {1} from {2}.meter_readings"\n', ["data/a.py:1"]),
        ("a.py", 'Q = "select * from meter_readings where reading_date = %s"\n', []),
        ("a.py", 'Q = "select * from meter_readings_versions_of_mine"\n', []),
    ],
)
def test_a_planted_statement_is_found(tmp_path: Path, name: str, text: str, found: list[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_text(text)
    assert without_reading_date(tmp_path) == found
