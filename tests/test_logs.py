"""A JSON line is one bounded line of ASCII, whatever is logged; without the setting nothing changes."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from myproperty import logs
from myproperty.logs import LONGEST_ERROR, LONGEST_MESSAGE, JsonFormatter, LineWriter, log_fields
from myproperty.settings import CHECKOUT

HOSTILE = 'a\nb\r\x1b[31m\x00\x7f\u202egnp.exe\u2028"}{"level": "INFO"\ud800'


def format_line(message: str, error: BaseException | None = None) -> str:
    exc_info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "%s", (message,), exc_info)
    return JsonFormatter().format(record)


def test_a_hostile_message_stays_one_line_and_comes_back() -> None:
    line = format_line(HOSTILE)
    assert line.isprintable() and line.isascii()
    found = json.loads(line)
    assert found["message"] == HOSTILE
    assert (found["level"], found["logger"]) == ("ERROR", "x")
    assert found["time"].endswith("+00:00")


def test_a_line_is_bounded_and_keeps_the_end_of_a_traceback() -> None:
    try:
        raise ValueError("y" * 20_000 + " the cause")
    except ValueError as error:
        found = json.loads(format_line("x" * 100_000, error))
    assert len(found["message"]) < LONGEST_MESSAGE + 50 and found["message"].endswith("96000 characters more")
    assert len(found["error"]) < LONGEST_ERROR + 50 and found["error"].endswith("the cause")


def test_fields_hold_in_their_block_alone() -> None:
    with log_fields(run_id="r", step=None), log_fields(tenant="t" * 1000):
        inner = json.loads(format_line("m"))
    assert (inner["run_id"], len(inner["tenant"]), "step" in inner) == ("r", logs.LONGEST_FIELD, False)
    assert "run_id" not in json.loads(format_line("m"))


class Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def kept() -> Iterator[tuple[logging.Logger, Kept]]:
    logger, handler = logging.Logger("printed", logging.INFO), Kept()
    logger.addHandler(handler)
    yield logger, handler


def test_what_is_printed_becomes_lines_without_colours(kept: tuple[logging.Logger, Kept]) -> None:
    logger, handler = kept
    with LineWriter(logger) as writer:
        writer.write("12:00  1 of 2 \x1b[32mOK\x1b[0m\n\nhalf")
        writer.write(" a line\nlast")
        assert handler.lines == ["12:00  1 of 2 OK", "half a line"]
        writer.write("z" * (LONGEST_MESSAGE + 1))
        assert len(handler.lines) == 3, "a line without an end does not grow for ever"
        writer.write("end")
    assert handler.lines[-1] == "end"


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_error_of_the_command_has_the_form_of_the_setting(form: str, tmp_path: Path) -> None:
    """The home has no engine."""
    variables = {
        "PYTHONPATH": str(CHECKOUT),
        "PATH": os.environ["PATH"],
        "MYPROPERTY_HOME": str(tmp_path),
        "MYPROPERTY_LOG_FORMAT": form,
    }
    words = [sys.executable, "-m", "commands.main", "gates"]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    if form == "text":
        assert done.stderr.startswith("error: ")
        return
    (found,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (found["level"], found["logger"]) == ("ERROR", "myproperty")
    assert "myproperty up" in found["message"]
