"""Which dates a run takes: at most a month, and after a failure the dates that may pass alone."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from dagster_project import runner
from dagster_project.runner import MOST_DATES, MOST_FAILED_IN_A_ROW, RunReport, run_dates, split_after
from expectations.verdicts import Verdict
from myproperty.dates import Window, limited
from myproperty.settings import Settings

FIRST = date(2026, 1, 1)
DAY = timedelta(days=1)


def some_dates(count: int) -> list[date]:
    return [FIRST + DAY * n for n in range(count)]


def failed(window: Window, bad: set[date], *, named: bool, dated: bool = True) -> Verdict:
    sample = [
        {"tenant_id": "t", **({"reading_date": day.isoformat()} if named else {})} for day in sorted(bad)
    ]
    rule = {"rule": "D-FACT-001", "severity": "block", "sample": sample[:5], "observed": "", "what": ""}
    bounds = window.bounds if dated else (None, None)
    return Verdict("D", "fact_energy_usage", False, [rule], 1, 1, *bounds)


@pytest.fixture
def run_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[RunReport], list[str]]]:
    """Run dates with a pipeline in which `bad` dates fail; return its reports and the progress."""

    def run(dates: list[date], bad: set[date], **how: Any) -> tuple[list[RunReport], list[str]]:
        def pipeline(start: date, end: date, *_: object) -> RunReport:
            window = Window(start, end)
            found = bad & set(window.dates)
            if how.get("crash"):
                return RunReport(start, end, "r", False, [], {}, "the server is gone", window.dates)
            verdicts = [failed(window, found, **how)] if found else []
            return RunReport(start, end, "r", not found, verdicts, {}, None, window.dates)

        lines: list[str] = []
        monkeypatch.setattr(runner, "run_pipeline", pipeline)
        return run_dates(dates, Settings(), lines.append), lines

    return run


def published(reports: list[RunReport]) -> list[date]:
    return [day for report in reports if report.success for day in report.dates]


def test_a_year_runs_in_months_and_says_so_first(run_of: Any) -> None:
    reports, lines = run_of(some_dates(366), set(), named=True)
    assert max(len(report.dates) for report in reports) == MOST_DATES
    assert published(reports) == some_dates(366)
    assert lines[0] == "plan: 366 dates in 12 runs"


@pytest.mark.parametrize("named", [True, False])
def test_the_good_dates_of_a_failed_run_are_published(run_of: Any, named: bool) -> None:
    dates = some_dates(14)
    bad = {dates[3]}
    reports, _ = run_of(dates, bad, named=named)
    assert sorted(published(reports)) == sorted(set(dates) - bad)
    assert len(reports) <= 9


@pytest.mark.parametrize("place", range(MOST_DATES))
def test_one_bad_date_that_no_sample_names_holds_back_no_other_date_of_a_month(
    run_of: Any, place: int
) -> None:
    dates = some_dates(MOST_DATES)
    reports, _ = run_of(dates, {dates[place]}, named=False)
    assert published(reports) == dates[:place] + dates[place + 1 :]
    assert sum(not report.success for report in reports) <= 6
    assert sum(len(report.dates) for report in reports) <= 6 * len(dates)


@pytest.mark.parametrize("named", [True, False])
def test_one_bad_date_in_each_month_of_a_year_holds_back_no_other_date(run_of: Any, named: bool) -> None:
    dates = some_dates(365)
    bad = set(dates[3::MOST_DATES])
    reports, lines = run_of(dates, bad, named=named)
    assert published(reports) == [day for day in dates if day not in bad]
    assert "were not started" not in lines[-1]


def test_a_sample_that_names_no_date_of_the_run_halves_it() -> None:
    window = Window(FIRST, FIRST + DAY * 4)
    elsewhere = failed(window, {FIRST - DAY}, named=True)
    report = RunReport(*window.bounds, "r", False, [elsewhere], {}, None, window.dates)
    assert split_after(report) == [Window(FIRST, FIRST + DAY * 2), Window(FIRST + DAY * 2, FIRST + DAY * 4)]


def test_a_failure_of_everything_is_not_tried_for_ever(run_of: Any) -> None:
    dates = some_dates(60)
    reports, lines = run_of(dates, set(dates), named=False)
    assert len(reports) == MOST_FAILED_IN_A_ROW
    assert "were not started" in lines[-1]


def test_a_failure_that_no_date_explains_ends_the_runs(run_of: Any) -> None:
    dates = some_dates(60)
    for how in ({"named": False, "dated": False}, {"crash": True}):
        reports, lines = run_of(dates, set(dates), **how)
        assert len(reports) == 1
        assert lines[-1].endswith("2026-02-01 to before 2026-03-02 is not published")


def test_windows_are_cut_without_losing_a_date() -> None:
    windows = limited([Window(FIRST, FIRST + DAY * 70), Window(FIRST + DAY * 80, FIRST + DAY * 81)], 31)
    assert [len(window.dates) for window in windows] == [31, 31, 8, 1]
    assert [day for window in windows for day in window.dates] == [*some_dates(70), FIRST + DAY * 80]
