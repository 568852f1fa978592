"""Which dates a run takes: at most half a year, and after a failure the dates that may pass alone."""

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Any

import pytest

from dagster_project import runner
from dagster_project.runner import MOST_DATES, MOST_READINGS, RunReport, run_dates
from dagster_project.splitting import MOST_FAILED_IN_A_ROW, MOST_LEFT_OUT, Part, split_failed
from expectations.verdicts import Verdict
from myproperty.dates import Window, limited
from myproperty.settings import Settings

FIRST = date(2026, 1, 1)
DAY = timedelta(days=1)


def some_dates(count: int) -> list[date]:
    return [FIRST + DAY * n for n in range(count)]


def failed(
    window: Window, bad: set[date], *, named: bool = True, dated: bool = True, tenants: Iterable[str] = "t"
) -> Verdict:
    pairs = [[tenant, day.isoformat()] for tenant in tenants for day in sorted(bad)] if named else []
    rule = {"rule": "D-FACT-001", "severity": "block", "sample": [], "tenant_dates": pairs}
    bounds = window.bounds if dated else (None, None)
    return Verdict("D", "fact_energy_usage", False, [rule], 1, 1, *bounds)


@pytest.fixture
def run_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[RunReport], list[str]]]:
    """Run dates with a pipeline in which `bad` dates fail; return its reports and the progress."""

    def run(dates: list[date], bad: set[date], **how: Any) -> tuple[list[RunReport], list[str]]:
        def pipeline(
            start: date, end: date, *_: object, left_out: frozenset[str], split_from: str | None
        ) -> RunReport:
            window = Window(start, end)
            found = bad & set(window.dates) if not left_out else set()
            if how.get("crash"):
                return RunReport(start, end, "r", False, [], {}, "the server is gone", window.dates)
            verdicts = [failed(window, found, **how)] if found else []
            return RunReport(start, end, "r", not found, verdicts, {}, None, window.dates)

        lines: list[str] = []
        monkeypatch.setattr(runner, "run_pipeline", pipeline)
        monkeypatch.setattr(runner, "find_tenants", lambda _, days: dict.fromkeys(days, frozenset("t")))
        monkeypatch.setattr(runner, "count_readings", lambda _, days: dict.fromkeys(days, how.get("rows", 0)))
        return run_dates(dates, Settings(), lines.append), lines

    return run


def published(reports: list[RunReport]) -> list[date]:
    return [day for report in reports if report.success for day in report.dates]


def test_a_year_runs_in_halves_and_says_so_first(run_of: Any) -> None:
    reports, lines = run_of(some_dates(366), set(), named=True)
    assert max(len(report.dates) for report in reports) == MOST_DATES
    assert published(reports) == some_dates(366)
    assert lines[0] == "plan: 366 dates in 2 runs"


@pytest.mark.parametrize(("rows", "runs"), [(MOST_READINGS + 1, 10), (MOST_READINGS // 3, 4), (1, 1)])
def test_dates_of_many_readings_run_in_more_runs(run_of: Any, rows: int, runs: int) -> None:
    reports, _ = run_of(some_dates(10), set(), rows=rows)
    assert len(reports) == runs and published(reports) == some_dates(10)


@pytest.mark.parametrize("named", [True, False])
def test_the_good_dates_of_a_failed_run_are_published(run_of: Any, named: bool) -> None:
    dates = some_dates(14)
    bad = {dates[3]}
    reports, _ = run_of(dates, bad, named=named)
    assert sorted(published(reports)) == sorted(set(dates) - bad)
    assert len(reports) <= 9


@pytest.mark.parametrize("place", range(MOST_DATES))
def test_one_bad_date_that_no_sample_names_holds_back_no_other_date(run_of: Any, place: int) -> None:
    dates = some_dates(MOST_DATES)
    reports, _ = run_of(dates, {dates[place]}, named=False)
    assert published(reports) == dates[:place] + dates[place + 1 :]
    assert sum(not report.success for report in reports) <= 9
    assert sum(len(report.dates) for report in reports) <= 9 * len(dates)


@pytest.mark.parametrize("named", [True, False])
def test_one_bad_date_in_each_month_of_a_year_holds_back_no_other_date(run_of: Any, named: bool) -> None:
    dates = some_dates(365)
    bad = set(dates[3::31])
    reports, lines = run_of(dates, bad, named=named)
    assert published(reports) == [day for day in dates if day not in bad]
    assert "were not started" not in lines[-1]


def split(part: Part, *verdicts: Verdict, tenants: str = "tu") -> list[Part]:
    return split_failed(part, verdicts, dict.fromkeys(part.window.dates, frozenset(tenants)))


def test_a_rule_that_names_no_date_of_the_run_halves_it() -> None:
    window = Window(FIRST, FIRST + DAY * 4)
    halves = [Part(Window(FIRST, FIRST + DAY * 2)), Part(Window(FIRST + DAY * 2, FIRST + DAY * 4))]
    assert split(Part(window), failed(window, {FIRST - DAY})) == halves


def test_good_dates_run_whole_and_a_bad_date_without_the_tenants_that_break_it() -> None:
    window = Window(FIRST, FIRST + DAY * 4)
    bad = FIRST + DAY
    without = Part(Window(bad, bad + DAY), frozenset("t"))
    parts = [Part(Window(FIRST, bad)), without, Part(Window(bad + DAY, window.end))]
    assert split(Part(window), failed(window, {bad})) == parts


def test_a_bad_date_of_which_no_tenant_is_left_is_not_tried_again() -> None:
    window = Window(FIRST, FIRST + DAY * 2)
    assert split(Part(window), failed(window, {FIRST}), tenants="t") == [
        Part(Window(FIRST + DAY, window.end))
    ]
    of_both = [failed(window, {FIRST, FIRST + DAY}, tenants="t"), failed(window, {FIRST}, tenants="u")]
    assert split(Part(window), *of_both) == [Part(Window(FIRST + DAY, window.end), frozenset("t"))]


def test_a_part_leaves_out_what_the_run_before_left_out() -> None:
    window = Window(FIRST, FIRST + DAY)
    again = split(Part(window, frozenset("t")), failed(window, {FIRST}, tenants="u"), tenants="tuv")
    assert again == [Part(window, frozenset("tu"))]


def test_a_tenant_named_without_a_date_is_left_out_of_all_dates() -> None:
    window = Window(FIRST, FIRST + DAY * 3)
    verdict = failed(window, set())
    verdict.failed[0]["tenant_dates"] = [["t", None]]
    assert split(Part(window), verdict) == [Part(window, frozenset("t"))]


def test_a_rule_that_most_tenants_break_leaves_out_none() -> None:
    window = Window(FIRST, FIRST + DAY)
    many = [f"t{n}" for n in range(MOST_LEFT_OUT + 1)]
    verdict = failed(window, {FIRST}, tenants=many)
    assert split_failed(Part(window), [verdict], {FIRST: frozenset([*many, "u"])}) == []


def test_a_failure_of_everything_is_not_tried_for_ever(run_of: Any) -> None:
    dates = some_dates(60)
    reports, lines = run_of(dates, set(dates), named=False)
    assert len(reports) == MOST_FAILED_IN_A_ROW
    assert "were not started" in lines[-1]


def test_a_failure_that_no_date_explains_ends_the_runs(run_of: Any) -> None:
    dates = some_dates(MOST_DATES + 2)
    for how in ({"named": False, "dated": False}, {"crash": True}):
        reports, lines = run_of(dates, set(dates), **how)
        assert len(reports) == 1
        assert lines[-1].endswith(f"{dates[-2]} to before {dates[-1] + DAY} is not published")


def test_windows_are_cut_without_losing_a_date() -> None:
    windows = limited([Window(FIRST, FIRST + DAY * 70), Window(FIRST + DAY * 80, FIRST + DAY * 81)], 31)
    assert [len(window.dates) for window in windows] == [31, 31, 8, 1]
    assert [day for window in windows for day in window.dates] == [*some_dates(70), FIRST + DAY * 80]
    rows = dict(zip(some_dates(5), (4, 6, 1, 99, 2), strict=True))
    windows = limited([Window(FIRST, FIRST + DAY * 5)], 31, rows, 10)
    assert [len(window.dates) for window in windows] == [2, 1, 1, 1]
