"""The pages for people: the index is complete, guides name their tests, decisions name their files."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
GUIDES = sorted((DOCS / "guides").glob("*.md"))
DOORS = [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
DECISION = re.compile(r"^## (?P<title>\d+\. .+)\n(?P<facts>.*)\n\n(?P<text>.+)$", re.MULTILINE)
FACTS = re.compile(
    r"\d{4}-\d{2}-\d{2} · (accepted|superseded by \[\d+\]\(#(?P<next>[\w-]+)\))"
    r" · (?P<files>`[^`]+`(, `[^`]+`)*)"
)
FOLDERS = "data|docs|tests|expectations|oltp_schema|dagster_project|commands|myproperty"


def find_links(page: Path) -> set[Path]:
    """Return the files that a page links to."""
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    return {(page.parent / target).resolve() for target in targets}


def make_anchor(title: str) -> str:
    """Return the anchor that a heading gets on a hosted page."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_every_page_is_in_the_index() -> None:
    pages = {*DOCS.glob("*.md"), *GUIDES, DOCS / "schema" / "README.md"} - {DOCS / "README.md"}
    assert pages - find_links(DOCS / "README.md") == set()


def test_the_readme_leads_to_index_and_contributing() -> None:
    assert {DOCS / "README.md", ROOT / "CONTRIBUTING.md"} <= find_links(ROOT / "README.md")


@pytest.mark.parametrize("page", DOORS, ids=lambda page: page.name)
def test_links_of_the_doors_lead_to_files(page: Path) -> None:
    assert [str(path) for path in find_links(page) if not path.exists()] == []


def test_links_to_headings_lead_to_headings() -> None:
    missing = []
    for page in (*DOORS, ROOT / "README.md", ROOT / "CONTEXT.md", *DOCS.glob("*.md"), *GUIDES):
        for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", page.read_text()):
            text = ((page.parent / target) if target else page).read_text()
            headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
            if anchor not in {make_anchor(heading) for heading in headings}:
                missing.append(f"{page.name}: {target}#{anchor}")
    assert missing == []


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_a_guide_names_the_test_that_fails_when_a_step_is_forgotten(guide: Path) -> None:
    _, heading, ending = guide.read_text().rpartition("\n## The test that fails when a step is forgotten\n")
    assert heading
    tests = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", ending)
    assert tests
    for path, name in tests:
        assert (ROOT / path).exists(), path
        assert not name or f"def {name}(" in (ROOT / path).read_text(), f"{path} has no test {name}"


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_existing_files_of_a_guide_exist(guide: Path) -> None:
    """A guide writes `path` (new) behind a file that the reader creates."""
    named = re.findall(rf"`((?:{FOLDERS})/[\w./-]+)`( \(new\))?", guide.read_text())
    created = {path for path, is_new in named if is_new}
    assert named
    assert [path for path, _ in named if path not in created and not (ROOT / path).exists()] == []


def test_every_decision_has_date_status_and_files() -> None:
    text = (DOCS / "decisions.md").read_text()
    decisions = list(DECISION.finditer(text))
    titles = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert [decision["title"] for decision in decisions] == titles
    assert [int(title.split(".")[0]) for title in titles] == list(range(1, len(titles) + 1))
    anchors = {make_anchor(title) for title in titles}
    for decision in decisions:
        facts = FACTS.fullmatch(decision["facts"])
        assert facts, f"{decision['title']}: {decision['facts']}"
        assert facts["next"] is None or facts["next"] in anchors, decision["title"]
        for path in re.findall(r"`([^`]+)`", facts["files"]):
            assert (ROOT / path).exists(), f"{decision['title']}: {path}"


def test_the_words_are_defined_once() -> None:
    text = (ROOT / "CONTEXT.md").read_text()
    rows = re.findall(r"^\| ([^|]+?) (?:\(`\w+`\) )?\|", text, flags=re.MULTILINE)
    words = [word for word in rows if word not in ("Word", "---")]
    assert len(words) == len(set(words)) > 50


def test_the_changelog_ends_at_the_version_of_the_package() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## (\d+\.\d+\.\d+) - \d{4}-\d{2}-\d{2}$", text, flags=re.MULTILINE)
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{versions[0]}"' in project


def test_each_promise_names_tests_that_exist() -> None:
    """Only what is said not to hold has none."""
    rows = [line for line in (DOCS / "promises.md").read_text().splitlines() if line.startswith("| ")]
    named = {row: re.findall(r"`([a-z_/]+\.py)`", row) for row in rows if "| ---" not in row}
    missing = [path for paths in named.values() for path in paths if not (ROOT / "tests" / path).is_file()]
    assert missing == []
    without = [row for row, paths in named.items() if not paths and "**not**" not in row]
    assert [row.split(" | ")[0] for row in without] == ["| Promise", "| With"]
