"""Write Markdown for the pages of Dagster: tables, verdicts, and links to the project's documents.

Dagster shows Markdown without raw HTML, so text of files and rows is escaped here.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from expectations.data_docs import row_anchor
from expectations.verdicts import Verdict

_MARKUP = re.compile(r"([\\`*_\[\]<>|~&])")


def escape_text(value: object) -> str:
    """Return a value as Markdown text on one line; None becomes an empty text."""
    text = "" if value is None else str(value)
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def write_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; the cells of `rows` are Markdown, see `escape_text`."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def write_verdict(verdict: Verdict, docs_url: str | None) -> str:
    """Return the broken rules of a verdict as a table, with what to do, and where to read more; or nothing.

    Pages are links below `docs_url`, or named by their path if it is None.
    """
    if not verdict.failed:
        return ""
    rows = [
        [
            _link(broken["rule"], f"gates.md#{gate_anchor(verdict.gate, verdict.table)}", docs_url),
            "blocks" if broken["severity"] == "block" else "warns",
            escape_text(broken["what"]),
            escape_text(broken["observed"]),
            "; ".join(escape_text(_describe_example(example)) for example in broken["sample"][:3]),
            escape_text(broken["remedy"]),
        ]
        for broken in verdict.failed
    ]
    table = write_table(("rule", "effect", "expected", "observed", "for example", "next"), rows)
    return f"{table}\n\nWhat to do, step by step: {_link('runbook', 'on-call.md#a-gate-failed', docs_url)}."


def link_history(verdict: Verdict, quality_url: str | None) -> str:
    """Return a link to the newest verdicts of the same gate and table on the site of the gates; or nothing.

    The site is built after the run, so this verdict is there some minutes later.
    """
    if quality_url is None:
        return ""
    page = f"{quality_url.rstrip('/')}/index.html#{row_anchor(verdict.gate, verdict.table)}"
    return f"Every rule and the verdicts before: [site of the gates]({page})."


def gate_anchor(gate: str, table: str) -> str:
    """Return the anchor of a suite on the page `docs/gates.md`."""
    return f"gate-{gate.lower()}-copied-tables" if gate in "BC" else f"gate-{gate.lower()}-{table}"


def _link(text: str, page: str, docs_url: str | None) -> str:
    if docs_url is None:
        return f"{text} (`docs/{page}`)"
    return f"[{text}]({docs_url.rstrip('/')}/{page})"


def _describe_example(example: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in example.items())
