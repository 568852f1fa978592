"""Serve the project's documents to a browser on this machine, as long as `myproperty dev` runs.

Dagster's pages link to rules and runbooks, and it serves no documents itself.
"""

import html
import itertools
import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

from myproperty.settings import CHECKOUT

_PAGE = """<!doctype html><meta charset="utf-8"><title>{title}</title>
<style>body {{font: 16px/1.5 sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em}}
table {{border-collapse: collapse}} td, th {{border: 1px solid #ccc; padding: .3em .6em; text-align: left}}
</style>{body}"""


def serve_docs() -> str:
    """Serve the documents on a free port until this process ends; return the URL of the folder `docs`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Documents)
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/docs"


def find_document(address: str) -> Path | None:
    """Return the Markdown file of the checkout that an address names: in `docs`, or beside it."""
    path = (CHECKOUT / unquote(urlsplit(address).path).lstrip("/")).resolve()
    if path == CHECKOUT / "docs":
        path /= "README.md"
    is_public = path.is_relative_to(CHECKOUT / "docs") or path.parent == CHECKOUT
    return path if is_public and path.suffix == ".md" and path.is_file() else None


def render_page(text: str, title: str) -> str:
    """Return a Markdown text as an HTML page, its headings with the anchors that GitHub gives them."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL))
    for opening, content in itertools.pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", make_anchor(content.content))
    body = parser.renderer.render(tokens, parser.options, {})
    return _PAGE.format(title=html.escape(title), body=body)


def make_anchor(heading: str) -> str:
    """Return GitHub's anchor of a heading: lower case, without punctuation, with hyphens for blanks."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


class _Documents(BaseHTTPRequestHandler):
    """One request of a browser."""

    def do_GET(self) -> None:
        """Answer with the page, or with 404."""
        path = find_document(self.path)
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        page = render_page(path.read_text(), path.stem).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Write no line for a request: the terminal is Dagster's."""
