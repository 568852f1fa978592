"""Pages with hostile names in a real browser: no script of a name runs, and the name shows letter by letter.

A name that a page wrote as HTML would mark the page. Where no Chromium is installed, only Python's parser
looks at the pages, and the tests of the browser say that they were skipped.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest

from commands.docs_server import render_page
from dagster_project.markdown import write_verdict
from expectations.data_docs import build_data_docs
from expectations.verdicts import Verdict
from tests.hostile import ALL, MARK, make_verdict

PATIENCE_S = 120


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    return make_verdict()


@pytest.fixture(scope="module")
def pages(verdict: Verdict, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages, and one that does write a name as HTML: what the tests look for is found there."""
    folder = tmp_path_factory.mktemp("pages")
    site = build_data_docs([verdict], folder / "quality")
    (shown,) = (site.parent / "validations").rglob("*.html")
    written = {
        "a document": render_page(f"# {ALL}\n\n{ALL}\n\n| a |\n| --- |\n| {ALL} |\n", ALL),
        "dagster": render_page(write_verdict(verdict, None), "Dagster"),
        "careless": f"<!doctype html><body><p>{ALL}</p></body>",
    }
    for name, text in written.items():
        (folder / f"{name}.html").write_text(text)
    return {"gates": site, "verdict": shown, **{name: folder / f"{name}.html" for name in written}}


class _Found(HTMLParser):
    """Collects the text of a page and what a browser would run."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.runs: list[str] = []
        self._tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.runs += [
            f"{tag} {name}"
            for name, value in attrs
            if MARK in (value or "") and (name.startswith("on") or (value or "").startswith("javascript:"))
        ]

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""

    def handle_data(self, data: str) -> None:
        if self._tag == "script" and MARK in data:
            self.runs.append("script")
        self.text.append(data)


def read(page: str) -> _Found:
    found = _Found()
    found.feed(page)
    return found


def squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text)


SHOWN = pytest.mark.parametrize("page", ["gates", "verdict", "a document", "dagster"])


@SHOWN
def test_no_page_has_a_script_of_a_name(pages: dict[str, Path], page: str) -> None:
    assert read(pages[page].read_text()).runs == []


def test_a_verdict_shows_names_letter_by_letter(pages: dict[str, Path]) -> None:
    text = squeeze("".join(read(pages["verdict"].read_text()).text))
    assert f"meter_id m2 {squeeze(ALL)}, channel" in text
    assert f"{squeeze(ALL)}. Expected that" in text


def test_a_page_that_writes_names_as_html_is_found(pages: dict[str, Path]) -> None:
    assert len(read(pages["careless"].read_text()).runs) >= 4


@pytest.fixture(scope="module")
def browse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], str]]:
    """Opens a page in Chromium and returns what it has become after its scripts ran."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here, so no page was opened: apt-get install chromium")
    profile = tmp_path_factory.mktemp("profile")
    words = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]

    @cache
    def open_page(page: Path) -> str:
        done = subprocess.run(
            [*words, "--virtual-time-budget=3000", "--dump-dom", page.as_uri()],
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        return done.stdout

    yield open_page


def is_owned(dom: str) -> bool:
    return bool(re.match(r"(?:<!doctype html>\s*)?<html[^>]*\bdata-owned\b", dom, re.IGNORECASE))


@SHOWN
def test_no_script_of_a_name_runs_in_a_browser(
    browse: Callable[[Path], str], pages: dict[str, Path], page: str
) -> None:
    dom = browse(pages[page])
    assert not is_owned(dom)
    assert read(dom).runs == []


def test_a_browser_shows_names_letter_by_letter(
    browse: Callable[[Path], str], pages: dict[str, Path]
) -> None:
    text = squeeze("".join(read(browse(pages["verdict"])).text))
    assert f"meter_id m2 {squeeze(ALL)}, channel" in text


def test_a_browser_runs_the_script_of_a_careless_page(
    browse: Callable[[Path], str], pages: dict[str, Path]
) -> None:
    assert is_owned(browse(pages["careless"]))
