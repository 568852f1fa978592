"""Every command that the documents, rules and alerts name is one that the program takes."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from commands.main import app
from data.ingest.rules.table import RULES
from expectations.suites import warehouse_suites
from expectations.suites.copies import copy_suite
from expectations.suites.oltp import meter_readings

ROOT = Path(__file__).parents[1]
# In a sentence between backquotes, or a line of a shell block; a comment ends it.
_QUOTED = re.compile(r"`((?:\.venv/bin/)?myproperty [^`]+)`")
_LINE = re.compile(r"^\s*(?:\.venv/bin/)?(myproperty [^#\n]+)", re.MULTILINE)
# Words that a reader replaces, with a value of the type that the option takes.
PLACEHOLDERS = {
    "ID": "0197b3a0-0000-7000-8000-000000000000",
    **dict.fromkeys(("DATE", "D", "{first}", "{last}", "%s"), "2026-03-01"),
}
# These pass their arguments to another program.
OTHERS = {"dbt", "metrics"}


def commands_in(text: str) -> Iterator[str]:
    for found in (*_QUOTED.findall(text), *_LINE.findall(text)):
        yield " ".join(found.replace(".venv/bin/", "").replace("\\\n", " ").partition(" > ")[0].split())


def documents() -> dict[str, str]:
    pages = {
        page.relative_to(ROOT).as_posix(): page.read_text()
        for page in [ROOT / "README.md", *(ROOT / "docs").rglob("[!c]*.md")]
    }
    suites = [
        meter_readings.SUITE,
        *warehouse_suites(),
        copy_suite("B", "invoices"),
        copy_suite("C", "meter_readings"),
    ]
    remedies = {rule.id: rule.remedy for rule in RULES.values()}
    remedies |= {rule.id: rule.remedy for suite in suites for rule in suite.rules}
    return pages | remedies


def check(command: str) -> str | None:
    """Return why the program refuses the command, None if it takes it."""
    words = [PLACEHOLDERS.get(word, word) for word in shlex.split(command)[1:]]
    if words[0] in OTHERS:
        return None
    found = typer.main.get_command(app)
    context = found.make_context("myproperty", ["--help"], resilient_parsing=True)
    while isinstance(found, TyperGroup) and words:
        named = found.get_command(context, words[0])
        if named is None:
            return f"no command {words[0]!r}"
        found, words = named, words[1:]
    # A command that is named alone, in a sentence.
    if isinstance(found, TyperGroup) or not words:
        return None
    try:
        found.make_context(found.name, words, parent=context)
    except typer.Exit:
        return None
    except Exception as error:  # noqa: BLE001  typer has its own copy of click, whose errors have no public name
        return str(error) or type(error).__name__
    return None


def test_every_command_of_documents_and_remedies_is_taken() -> None:
    named = {(place, command) for place, text in documents().items() for command in commands_in(text)}
    assert len(named) > 80
    refused = sorted(f"{place}: `{command}`: {why}" for place, command in named if (why := check(command)))
    assert refused == []


@pytest.mark.parametrize("command", ["myproperty nothing", "myproperty run --form 2026-01-01"])
def test_a_wrong_command_is_found(command: str) -> None:
    assert check(command)
