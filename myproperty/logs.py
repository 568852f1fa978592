"""Logs as JSON, one object a line, for systems that collect logs (`MYPROPERTY_LOG_FORMAT=json`).

Here: the form of a line, the fields that a block gives to its lines, and what programs print as lines. Not
here: Dagster's records (`dagster_project.logs`). A line is bounded and ASCII: control characters and
directions of text are escaped, so a message cannot add a line or change how a terminal shows it.
"""

import io
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from datetime import UTC, datetime

LONGEST_MESSAGE = 4_000
LONGEST_ERROR = 8_000
LONGEST_FIELD = 200
LOGGER = logging.getLogger("myproperty")
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_fields: ContextVar[Mapping[str, str]] = ContextVar("fields", default={})  # noqa: B039  never changed in place
_state = {"is_json": False}


class JsonFormatter(logging.Formatter):
    """Writes a record as one line: time, level, logger, message, fields, and the error if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = {name: value[:LONGEST_FIELD] for name, value in self.find_fields(record).items()}
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": self.find_level(record),
            "logger": record.name,
            "message": _cut_end(self.find_message(record), LONGEST_MESSAGE),
            **fields,
        }
        if error := self.find_error(record):
            line["error"] = _cut_start(error, LONGEST_ERROR)
        # JSON leaves this one control character as it is.
        return json.dumps(line).replace("\x7f", "\\u007f")

    def find_level(self, record: logging.LogRecord) -> str:
        """Return the name of the level of a record."""
        return record.levelname

    def find_message(self, record: logging.LogRecord) -> str:
        """Return the message of a record."""
        return record.getMessage()

    def find_fields(self, record: logging.LogRecord) -> Mapping[str, str]:
        """Return the fields of a record: those of the blocks around it."""
        return _fields.get()

    def find_error(self, record: logging.LogRecord) -> str | None:
        """Return the traceback of a record, None without an error."""
        return self.formatException(record.exc_info) if record.exc_info else None


class LineWriter(io.TextIOBase):
    """A stream that logs each line written to it."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger, self._rest = logger, ""

    def write(self, text: str) -> int:
        """Log the lines that end in `text`; a line without an end waits until it is longer than a message."""
        *lines, self._rest = (self._rest + text).split("\n")
        if len(self._rest) > LONGEST_MESSAGE:
            lines, self._rest = [*lines, self._rest], ""
        for line in lines:
            self._log(line)
        return len(text)

    def close(self) -> None:
        """Log a line without an end."""
        self._log(self._rest)
        self._rest = ""
        super().close()

    def _log(self, line: str) -> None:
        if text := _COLOURS.sub("", line).strip():
            self._logger.info("%s", text)


def is_json() -> bool:
    """Return whether this process writes its log as JSON lines."""
    return _state["is_json"]


def use_json_lines(formatter: JsonFormatter | None = None) -> None:
    """Write the log of this process, warnings too, to standard error as JSON lines from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter or JsonFormatter())
    logging.getLogger().handlers = [handler]
    LOGGER.setLevel(logging.INFO)
    logging.captureWarnings(True)
    _state["is_json"] = True


@contextmanager
def log_fields(**fields: str | None) -> Iterator[None]:
    """Give fields to each line that this thread logs in the block; None is left out."""
    before = _fields.get()
    _fields.set({**before, **{name: value for name, value in fields.items() if value is not None}})
    try:
        yield
    finally:
        _fields.set(before)


@contextmanager
def output_as_lines(name: str) -> Iterator[None]:
    """Log what the block prints, by the logger `name` below `myproperty`."""
    with LineWriter(LOGGER.getChild(name)) as writer, redirect_stdout(writer):
        yield


def _cut_end(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} ... {len(text) - most} characters more"


def _cut_start(text: str, most: int) -> str:
    """Keep the end: there a traceback names its error."""
    return text if len(text) <= most else f"{len(text) - most} characters before ... {text[-most:]}"
