"""Build Data Docs from verdicts of real gates, and follow the links of the site. No engine is needed."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import pytest

from expectations.data_docs import build_data_docs
from expectations.gate import run_gate
from expectations.suites import load_suite
from expectations.suites.oltp import meter_readings as readings
from expectations.verdicts import Verdict
from tests.gates.test_gate import DAY, copied, readings_profile


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    return [
        run_gate(readings.SUITE, readings_profile(negative_rows=3), run_id="run-1", **DAY),
        run_gate(readings.SUITE, readings_profile().iloc[:0], rows_expected=True, run_id="run-2", **DAY),
        run_gate(load_suite("C", "meters"), copied("meters"), run_id="run-3"),
        Verdict("D", "a_table_of_last_year", True, [], 3, 5),
    ]


@pytest.fixture(scope="module")
def index(verdicts: list[Verdict], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site twice at once, beside what a killed build left."""
    folder = tmp_path_factory.mktemp("home") / "quality"
    (folder.with_name("quality.new") / "gx").mkdir(parents=True)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(build_data_docs, [verdicts] * 2, [folder] * 2)
    assert first == second
    assert {path.name for path in folder.parent.iterdir()} == {"quality", "quality.lock"}
    return second


def pages_of(index: Path) -> list[str]:
    """Return the pages that the first page links to, in its order."""
    links = re.findall("href='([^']+)'", index.read_text())
    return [(index.parent / unquote(link)).read_text() for link in links]


def test_the_first_page_leads_to_each_verdict_with_the_failed_ones_first(index: Path) -> None:
    broken, empty, copy = pages_of(index)
    assert "A-READINGS-004: 1 of 2 groups break it. Expected that" in broken
    assert "Next: " in broken and "meter_id m2" in broken
    assert "A-READINGS-001: 0 of 2 groups break it" in broken
    assert "A-ROWS-000: 0 rows" in empty
    assert "C-METERS-001: 0 of" in copy
    assert "A-READINGS-004" in index.read_text() and "a_table_of_last_year" not in index.read_text()


def test_no_page_loads_anything_from_another_server(index: Path) -> None:
    pages = [index.read_text(), *(page.read_text() for page in index.parent.rglob("*.html"))]
    assert len(pages) == 2 + 3 + 2, "the first page twice, three verdicts, two suites"
    loaded = re.compile(r"<(?:script|img|iframe)[^>]*src=.https?:|<link[^>]*href=.https?:|url\(.?https?:")
    assert [found for page in pages for found in loaded.findall(page)] == []


def test_the_project_has_a_checkpoint_for_each_gate_and_its_results(index: Path) -> None:
    import great_expectations as gx  # takes seconds, and each worker imports each test module

    context = gx.get_context(mode="file", project_root_dir=index.parents[4])
    checkpoints = {
        each.name: [v.suite.name for v in each.validation_definitions] for each in context.checkpoints.all()
    }
    assert checkpoints == {"gate-A": ["A-meter_readings"], "gate-C": ["C-meters"]}
    assert len(context.validation_results_store.list_keys()) == 3


def test_the_history_has_counts_of_passed_rules_too(verdicts: list[Verdict]) -> None:
    seen = {result["rule"]: result for result in verdicts[0].results}
    assert len(seen) == 13
    assert seen["A-READINGS-001"] == {
        "rule": "A-READINGS-001", "passed": True, "observed": "0 of 2 groups break it",
        "element_count": 2, "unexpected_count": 0,
    }  # fmt: skip
    assert (seen["A-READINGS-004"]["passed"], seen["A-READINGS-004"]["unexpected_count"]) == (False, 1)
    assert 0 < verdicts[0].seconds < 60
