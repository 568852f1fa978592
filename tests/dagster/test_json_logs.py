"""The lines of a run name the run, its job, step and reading dates, also those that a library prints."""

import json
import logging
from collections.abc import Iterator
from datetime import date

import dagster as dg
import dagster._loggers
import pytest

from dagster_project.logs import CONSOLE, configure_logs, printed_by
from dagster_project.partitions import run_tags
from dagster_project.resources.platform import Platform
from myproperty import logs
from myproperty.dates import Window
from myproperty.settings import Settings

DATES = Window(date(2026, 7, 1), date(2026, 7, 3))
SECRET = "\x1b[31m no\nsecond line"


@dg.asset
def step(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> None:
    """Log, report progress, print as dbt does, and fail."""
    context.log.info("context")
    context.log.debug("a detail")
    platform.progress("progress")
    with printed_by("dbt", context):
        print("printed")  # noqa: T201
    raise ValueError(f"the step failed {SECRET}")


@pytest.fixture
def json_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings with JSON lines, and a process that is as before afterwards."""
    root = logging.getLogger()
    monkeypatch.setitem(vars(dagster._loggers), CONSOLE, vars(dagster._loggers)[CONSOLE])
    monkeypatch.setattr(root, "handlers", root.handlers)
    monkeypatch.setitem(logs._state, "is_json", False)
    try:
        yield Settings(log_format="json")
    finally:
        logging.captureWarnings(False)
        logging.getLogger("dagster.builtin").propagate = True


def run(settings: Settings) -> None:
    dg.materialize(
        [step],
        resources={"platform": Platform(settings)},
        tags=run_tags(DATES, "a test"),
        raise_on_error=False,
    )


def test_each_line_names_its_run(json_lines: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(json_lines)
    run(json_lines)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {(line["job"], line["reading_dates"]) for line in lines} == {
        ("__ephemeral_asset_job__", "2026-07-01 to 2026-07-02")
    }
    assert len({line["run_id"] for line in lines}) == 1
    of_step = [line for line in lines if line.get("step") == "step"]
    assert [(line["logger"], line["message"]) for line in of_step if "event" not in line] == [
        ("dagster", "context"), ("dagster", "progress"), ("myproperty.dbt", "printed"),
    ]  # fmt: skip
    events = {line["event"]: line for line in lines if "event" in line}
    assert set(events) == {"RUN_START", "STEP_START", "STEP_FAILURE", "RUN_FAILURE"}
    assert events["RUN_START"]["level"] == "INFO" and events["STEP_FAILURE"]["level"] == "ERROR"
    assert SECRET in events["STEP_FAILURE"]["error"]


def test_without_the_setting_nothing_changes(capsys: pytest.CaptureFixture[str]) -> None:
    before = vars(dagster._loggers)[CONSOLE]
    configure_logs(Settings())
    assert vars(dagster._loggers)[CONSOLE] is before and not logs.is_json()
    run(Settings())
    printed = capsys.readouterr()
    assert printed.out == "printed\n" and "STEP_FAILURE" in printed.err and "{" not in printed.err[:1]
