"""The documents that Dagster's pages link to: each link leads to a heading of a page."""

import re

import pytest

from commands.docs_server import find_document, render_page
from dagster_project.markdown import escape_text, gate_anchor, write_table
from data.landing.entities import ENTITIES
from expectations.suites import warehouse_suites


def anchors(page: str) -> set[str]:
    path = find_document(f"/docs/{page}")
    assert path is not None
    return set(re.findall(r'id="([^"]+)"', render_page(path.read_text(), page)))


def test_each_suite_has_its_heading_on_the_page_of_the_gates() -> None:
    wanted = {gate_anchor("A", "meter_readings")}
    wanted |= {gate_anchor("D", suite.table) for suite in warehouse_suites()}
    wanted |= {gate_anchor(gate, entity) for gate in "BC" for entity in ENTITIES}
    assert wanted <= anchors("gates.md")


def test_the_runbook_has_the_heading_that_verdicts_link_to() -> None:
    assert "a-gate-failed" in anchors("on-call.md")


@pytest.mark.parametrize(
    "address", ["/docs/../../etc/passwd", "/etc/passwd", "/docs/settings.py", "/docs/none.md", "/.git/config"]
)
def test_only_documents_are_served(address: str) -> None:
    assert find_document(address) is None


def test_text_of_rows_cannot_become_markup() -> None:
    table = write_table(("a", "b"), [[escape_text("x|y\n<b>[link](u)</b>"), escape_text(None)]])
    assert table.splitlines()[2] == r"| x\|y \<b\>\[link\](u)\</b\> |  |"
    assert "<b>" not in render_page(table, "t").split("</style>")[1]
