"""Write Markdown for the pages of Dagster: tables, and links to the project's documents.

Dagster shows Markdown without raw HTML, so text of files and rows is escaped here.
"""

import re
from collections.abc import Sequence

# Where the documents of this repository can be read in a browser.
DOCS_URL = "https://github.com/Property-Projects/myproperty/blob/main/docs"
_MARKUP = re.compile(r"([\\`*_\[\]<>|~])")


def escape_text(value: object) -> str:
    """Return a value as Markdown text on one line; None becomes an empty text."""
    text = "" if value is None else str(value)
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def write_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; the cells of `rows` are Markdown, see `escape_text`."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
