"""Dagster's log as JSON lines: each line names its run, job, step and reading dates.

Dagster's own JSON logger writes a whole event, with all tags and metadata of a run, in each line, and a run
uses it only if its configuration says so.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg
import dagster._loggers

from myproperty.logs import JsonFormatter, is_json, log_fields, output_as_lines, use_json_lines
from myproperty.settings import Settings

# The function of `dagster._loggers` that makes the logger of a run.
CONSOLE = "create_console_logger"
# Dagster logs them as DEBUG; they say when a run and its steps began and ended.
_MILESTONES = {
    dg.DagsterEventType.RUN_START.value,
    dg.DagsterEventType.RUN_SUCCESS.value,
    dg.DagsterEventType.RUN_FAILURE.value,
    dg.DagsterEventType.RUN_CANCELED.value,
    dg.DagsterEventType.STEP_START.value,
    dg.DagsterEventType.STEP_SUCCESS.value,
    dg.DagsterEventType.STEP_UP_FOR_RETRY.value,
    dg.DagsterEventType.STEP_FAILURE.value,
}


class DagsterFormatter(JsonFormatter):
    """Writes a record of Dagster with the fields of its run."""

    def find_message(self, record: logging.LogRecord) -> str:
        """Return what was logged, without the text that Dagster adds for a console."""
        meta = getattr(record, "dagster_meta", None)
        return str(meta["orig_message"]) if meta else super().find_message(record)

    def find_fields(self, record: logging.LogRecord) -> Mapping[str, str]:
        """Return run_id, job, step, reading_dates and event; those that are not known are left out."""
        meta = getattr(record, "dagster_meta", None)
        if not meta:
            return super().find_fields(record)
        event = meta["dagster_event"]
        name = event.event_type_value.replace("PIPELINE_", "RUN_") if event else None
        found = {
            "run_id": meta["run_id"],
            "job": meta["job_name"],
            "step": meta["step_key"] or (event.step_key if event else None),
            "reading_dates": meta["job_tags"].get("reading_dates"),
            "event": name,
        }
        return {**super().find_fields(record), **{name: str(value) for name, value in found.items() if value}}

    def find_level(self, record: logging.LogRecord) -> str:
        """Return INFO for a milestone, which Dagster logs as DEBUG."""
        return super().find_level(record) if record.levelno > logging.DEBUG else "INFO"

    def find_error(self, record: logging.LogRecord) -> str | None:
        """Return the traceback of a record or of the event of a failure."""
        event = getattr(record, "dagster_event", None)
        error = getattr(event.event_specific_data, "error", None) if event else None
        return error.to_string() if error else super().find_error(record)


def configure_logs(settings: Settings) -> None:
    """Write the log of this process, and of the runs in it, as JSON lines if the settings say so."""
    if settings.log_format != "json":
        return
    formatter = DagsterFormatter()
    use_json_lines(formatter)
    programs = logging.getLogger("dagster")
    for handler in programs.handlers:
        handler.setFormatter(formatter)
    programs.propagate = not programs.handlers
    # What a step logs by it reaches the log through the run, with its fields.
    logging.getLogger("dagster.builtin").propagate = False
    # A run whose configuration names no logger, as that of a sensor, gets this one: Dagster has no setting.
    setattr(dagster._loggers, CONSOLE, _create_json_logger)


def _create_json_logger(name: str, level: str | int) -> logging.Logger:
    least = level if isinstance(level, int) else logging.getLevelNamesMapping()[level.upper()]
    # A run has thousands of other events below INFO.
    least = max(least, logging.INFO)
    # Not known to `logging`: a logger of the same name would log the lines of each run once more.
    logger = logging.Logger(name, logging.DEBUG)
    handler = logging.StreamHandler()
    handler.setFormatter(DagsterFormatter())
    handler.addFilter(lambda record: record.levelno >= least or _is_milestone(record))
    logger.addHandler(handler)
    return logger


def _is_milestone(record: logging.LogRecord) -> bool:
    event = getattr(record, "dagster_event", None)
    return event is not None and event.event_type_value in _MILESTONES


@contextmanager
def printed_by(name: str, context: dg.AssetExecutionContext) -> Iterator[None]:
    """Log what a library prints in a step, with the fields of the run; as text it is printed."""
    if not is_json():
        yield
        return
    run = context.run
    dates = run.tags.get("reading_dates")
    with (
        log_fields(run_id=run.run_id, job=run.job_name, step=context.op_handle.name, reading_dates=dates),
        output_as_lines(name),
    ):
        yield
