"""Open dashboards in a real browser as a person does, for the pictures of docs/dashboards.md and for tests.

It needs Debian's Chromium (`apt-get install chromium`), which Playwright drives; no browser is downloaded.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request, Response

# High enough that every chart is in the window: Superset draws no other.
WIDTH, HEIGHT = 1600, 3200
PATIENCE_MS = 60_000
_QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--hide-scrollbars",
)  # fmt: skip
_DRAWN = """
() => {
    const charts = [...document.querySelectorAll('.dashboard-component-chart-holder')];
    return charts.length > 0 && !document.querySelector('[data-test="loading-indicator"], .loading')
        && charts.every(chart => chart.querySelector(
            'canvas, table, .header-line, .ant-empty, .ant-alert'));
}
"""
# A chart moves for a second after its data came: it stands still when two looks see the same.
_STILL = """
() => {
    const before = window.chartsBefore;
    window.chartsBefore = [...document.querySelectorAll('canvas')].map(canvas => canvas.toDataURL()).join();
    return window.chartsBefore === before;
}
"""
_LOOK_EVERY_MS = 500
_BOTTOM = """
() => Math.max(...[...document.querySelectorAll('.dashboard-component-chart-holder')].map(
    chart => chart.getBoundingClientRect().bottom))
"""
MARGIN = 30
_ERRORS = '[data-test="error-alert"], .ant-alert-error, .error-container'


def find_browser() -> str | None:
    """Return the path of an installed Chromium."""
    return shutil.which("chromium") or shutil.which("google-chrome")


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Run Chromium inside the block, with no traffic of its own."""
    from playwright.sync_api import sync_playwright  # a tool of the tests, which not everybody has

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(_QUIET))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Seen:
    """What a dashboard showed: its text, its queries and their answers, errors, and who else was asked."""

    text: str = ""
    charts: int = 0
    answers: list[Any] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    abroad: list[str] = field(default_factory=list)

    def values(self, column: str) -> set[Any]:
        """Return what the answers have in a column."""
        rows = [row for answer in self.answers for result in answer["result"] for row in result["data"] or []]
        return {row[column] for row in rows if column in row}


class Visitor:
    """A person who is logged in to Superset in a browser."""

    def __init__(self, browser: Browser, url: str, name: str, password: str) -> None:
        self._url = url
        self.page: Page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.goto(f"{url}/login/")
        self.page.fill('[data-test="username-input"]', name)
        self.page.fill('[data-test="password-input"]', password)
        self.page.click('[data-test="login-button"]')
        self.page.wait_for_url("**/superset/welcome/**")

    def open(self, slug: str, picture: Path | None = None) -> Seen:
        """Open a dashboard and wait until every chart is drawn; take its picture if a file is named."""
        seen = Seen()
        answers: list[Response] = []
        listeners = {
            "response": lambda response: answers.extend([response]),
            "requestfinished": lambda request: self._note_request(seen, request),
            "pageerror": lambda error: self._note_error(seen, str(error)),
        }
        for event, note in listeners.items():
            self.page.on(event, note)  # type: ignore[call-overload]
        try:
            self.page.goto(f"{self._url}/superset/dashboard/{slug}/")
            self.page.wait_for_function(_DRAWN)
            self.page.wait_for_load_state("networkidle")
            self.page.wait_for_function(_DRAWN)
            self.page.wait_for_function(_STILL, polling=_LOOK_EVERY_MS)
        finally:
            for event, note in listeners.items():
                self.page.remove_listener(event, note)
        for answer in answers:
            self._note_answer(seen, answer)
        seen.errors += [error.inner_text() for error in self.page.query_selector_all(_ERRORS)]
        seen.charts = len(self.page.query_selector_all(".dashboard-component-chart-holder"))
        seen.text = self.page.inner_text("body")
        if picture is not None:
            height = self.page.evaluate(_BOTTOM) + MARGIN
            self.page.screenshot(path=picture, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
        return seen

    def _note_error(self, seen: Seen, error: str) -> None:
        # Superset wants to keep the colours of a dashboard's labels, which it refuses to a reader.
        if error != "Response":
            seen.errors.append(error)

    def _note_answer(self, seen: Seen, response: Response) -> None:
        if "/api/v1/chart/data" not in response.url:
            return
        seen.queries.append(response.request.post_data or "")
        if response.ok:
            seen.answers.append(response.json())
        else:
            seen.errors.append(f"{response.status} {response.text()}")

    def _note_request(self, seen: Seen, request: Request) -> None:
        host = urlsplit(request.url).hostname
        if host not in (None, urlsplit(self._url).hostname):
            seen.abroad.append(request.url)

    def ask(self, dataset: int, **query: Any) -> Any:
        """Ask the API as this person, as a chart of their own would; return status and answer."""
        token = self.page.request.get(f"{self._url}/api/v1/security/csrf_token/").json()["result"]
        body = {"datasource": {"id": dataset, "type": "table"}, "queries": [query], "result_type": "full"}
        answer = self.page.request.post(
            f"{self._url}/api/v1/chart/data",
            data=json.dumps(body),
            headers={"Content-Type": "application/json", "X-CSRFToken": token, "Referer": self._url},
        )
        return answer.status, answer.json()
