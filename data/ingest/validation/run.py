"""Validation of the reading dates that files touched: issues are stored, and gaps are estimated.

Here: the order of the steps. Not here: any rule (`data.ingest.rules`), which dates are due (`due`), what is
read (`inputs`), or how estimates and issues are written (`estimates`, `issues`).
"""

import datetime
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
from psycopg import sql

from data.ingest.readings.adjustment_tasks import wait_for_billing
from data.ingest.readings.ledger import lock_content
from data.ingest.rules.balance import fit_estimates
from data.ingest.rules.day_frames import SERIES, Days, Thresholds, concat_issues
from data.ingest.rules.days import validate_days
from data.ingest.rules.dials import check_rollover, check_sum
from data.ingest.rules.due_intervals import list_due_intervals, mark_whole
from data.ingest.rules.gaps import estimate_gaps, find_gaps, report_gaps
from data.ingest.rules.runs import check_zero_run, find_zero_run_candidates
from data.ingest.rules.severe import find_severe_days
from data.ingest.rules.slips import find_slip_candidates
from data.ingest.validation.acceptances import reopen_expired
from data.ingest.validation.blocks import split_properties
from data.ingest.validation.due import choose_dates, list_tenants, read_changes
from data.ingest.validation.estimates import find_units, load_estimates
from data.ingest.validation.inputs import (
    DAY,
    SOURCE,
    choose_reporting_series,
    count_readings,
    list_meters,
    read_differences,
    read_history,
    read_readings,
    read_series,
    read_severe_days,
    read_slip_history,
    read_thresholds,
    sum_intervals,
)
from data.ingest.validation.issues import keep_effective, replace_issues
from data.ingest.validation.totals import add_up, list_unsummed, read_totals
from myproperty.ahead import read_ahead
from myproperty.database.locks import lock_reading_dates
from myproperty.database.roles import LOADER_ROLE
from myproperty.database.session import Session, transaction
from myproperty.tenants import Tenant, find_tenant

# Dates of one transaction.
CHUNK = 7
# A severe issue that comes or goes makes later dates due, and these may make others due. More passes than two
# are rare, and what is due after the last pass stays due.
PASSES = 5


@dataclass
class Validation:
    """The result of validating some dates of a tenant.

    `found` counts the current issues by rule, `found_on` by date and rule. `estimated` counts new and changed
    estimates, which `jobs` loaded. `resolved` counts the issues that were open and were not found again.
    """

    tenant: str
    tenant_id: str
    dates: list[datetime.date] = field(default_factory=list)
    found_on: dict[datetime.date, Counter[str]] = field(default_factory=dict)
    estimated: int = 0
    resolved: int = 0
    jobs: list[str] = field(default_factory=list)

    @property
    def found(self) -> Counter[str]:
        """The current issues of the dates, by rule."""
        return sum(self.found_on.values(), Counter[str]())

    def as_json(self) -> dict[str, Any]:
        """Return the result as a JSON document."""
        return {
            "tenant": self.tenant,
            "tenant_id": self.tenant_id,
            "dates": [date.isoformat() for date in self.dates],
            "found": dict(sorted(self.found.items())),
            "estimated": self.estimated,
            "resolved": self.resolved,
            "jobs": self.jobs,
        }


@dataclass(frozen=True)
class _Context:
    """What the steps of one validation share; `result` collects their counts."""

    dsn: str
    session: Session
    tenant: Tenant
    dates: list[datetime.date]
    now: datetime.datetime
    series: pd.DataFrame
    thresholds: Thresholds
    result: Validation

    @property
    def around(self) -> list[datetime.date]:
        """The dates and those beside them."""
        return sorted({date + DAY * step for date in self.dates for step in (-1, 0, 1)})


def validate(
    dsn: str,
    *,
    tenant: str | None = None,
    first: datetime.date | None = None,
    last: datetime.date | None = None,
    due_only: bool = False,
    now: datetime.datetime | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Validation]:
    """Validate the due dates, or the dates from `first` to `last`; returns one result for each tenant.

    Due are the dates whose readings or register reads changed since the last validation, and the dates that
    depend on these: the dates after them, days without a file before them, dates with a gap, an estimate or
    a mark that compares with their history, and the dates after a severe issue that changed. With `due_only`,
    only the due dates of a range are validated. A second run changes nothing. Raises `IngestError` for an
    unknown tenant or an invalid threshold.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    owner = find_tenant(dsn, tenant) if tenant is not None else None
    with transaction(dsn, LOADER_ROLE) as session:
        reopen_expired(session, now.date())
        tenants = [owner] if owner else list_tenants(session)
    results = []
    for each in tenants:
        result = Validation(each.name, str(each.id))
        for _ in range(PASSES):
            with transaction(dsn, LOADER_ROLE) as session:
                dates = choose_dates(session, each, first, last, due_only)
            for part in _split_dates(dates):
                progress(f"{each.name}: {part[0]} to {part[-1]}")
                with transaction(dsn, LOADER_ROLE) as session:
                    _validate_dates(dsn, session, each, part, now=now, result=result)
            is_whole_range = not due_only and not (first is None and last is None)
            if not dates or is_whole_range:
                break
        if result.dates:
            results.append(result)
    return results


def _split_dates(dates: Sequence[datetime.date]) -> Iterator[list[datetime.date]]:
    for start in range(0, len(dates), CHUNK):
        yield list(dates[start : start + CHUNK])


def _validate_dates(
    dsn: str,
    session: Session,
    tenant: Tenant,
    dates: list[datetime.date],
    *,
    now: datetime.datetime,
    result: Validation,
) -> None:
    # Two validations of one tenant would both find the same gap empty.
    lock_content(session, tenant, SOURCE)
    _hold_loads(dsn, session, tenant, dates)
    began = session.rows("select clock_timestamp()::text")[0][0]
    thresholds, series = read_thresholds(session, tenant), read_series(session, tenant)
    context = _Context(dsn, session, tenant, dates, now, series, thresholds, result)
    issues = keep_effective(concat_issues([*_check_dials(context), *_check_days(context)]))
    result.resolved += replace_issues(session, tenant, dates, issues, began)
    _mark_validated(session, tenant, dates, began)
    result.dates = sorted({*result.dates, *dates})
    on = pd.to_datetime(issues["reading_date"]).dt.date
    result.found_on |= {date: Counter(issues.loc[on == date, "rule"]) for date in dates}


def _hold_loads(dsn: str, session: Session, tenant: Tenant, dates: list[datetime.date]) -> None:
    """Wait for loads of these dates and block new ones: each change is seen now, or makes its date due.

    They are added up anew, and so are dates around them that changed since they were. Takes the locks of a
    load in the same order: billing, then the dates (`begin_readings_partition`).
    """
    wait_for_billing(session, tenant.id)
    held = sorted({*dates, *list_unsummed(session, tenant, dates, read_changes(session, tenant))})
    lock_reading_dates(session, held)
    # Other sessions read blocks ahead, so the totals are committed first.
    with transaction(dsn, LOADER_ROLE) as adding:
        add_up(adding, tenant, held)


def _check_dials(context: _Context) -> list[pd.DataFrame]:
    """Return the issues of register reads."""
    session, tenant, thresholds = context.session, context.tenant, context.thresholds
    differences = read_differences(session, tenant, context.dates, context.series, thresholds)
    if differences.empty:
        return []
    sums = sum_intervals(session, tenant, differences)
    return [check_rollover(differences), check_sum(differences, sums, thresholds)]


def _check_days(context: _Context) -> list[pd.DataFrame]:
    """Return the issues of whole days, and load estimates for their gaps."""
    session, tenant = context.session, context.tenant
    severe, allowed = read_severe_days(session, tenant, context.dates)
    found = [_check_block(*block, severe, allowed) for block in read_ahead(_read_blocks(context))]
    filled = [block.filled for block in found if not block.filled.empty]
    if filled:
        units = pd.concat([block.units for block in found])
        _load_estimates(context, pd.concat(filled), units)
    return [issues for block in found for issues in block.issues]


@dataclass(frozen=True)
class _Inputs:
    """What the days of some properties are checked by: the series that report, their totals and readings."""

    reporting: pd.DataFrame
    totals: pd.DataFrame
    readings: pd.DataFrame


def _read_blocks(context: _Context) -> Generator[tuple[_Context, _Inputs], None, None]:
    """Yield the series of some properties at a time, with what they are checked by.

    They are read in a transaction of their own. Loads of the dates are held, so it sees what the context's
    session sees.
    """
    tenant, dates = context.tenant, context.dates
    with transaction(context.dsn, LOADER_ROLE) as session:
        for series in split_properties(context.series, count_readings(session, tenant, dates)):
            totals = read_totals(session, tenant, dates, list_meters(series))
            reporting = choose_reporting_series(series, totals)
            readings = read_readings(session, tenant, dates, list_meters(reporting))
            yield replace(context, series=series), _Inputs(reporting, totals, readings)


@dataclass(frozen=True)
class _Block:
    """What the days of some properties gave: issues, filled gaps, and the units that their readings have."""

    issues: list[pd.DataFrame]
    filled: pd.DataFrame
    units: pd.DataFrame


def _check_block(context: _Context, inputs: _Inputs, severe: pd.DataFrame, allowed: pd.DataFrame) -> _Block:
    """Check the days of the properties whose series `context` has: no rule compares two properties."""
    session, tenant, dates, series = context.session, context.tenant, context.dates, context.series
    readings, grid = _make_grid(context, inputs.reporting, inputs.readings)
    if grid.empty:
        return _Block([], pd.DataFrame(), pd.DataFrame())
    days = Days(dates, grid, series, inputs.totals, context.thresholds, severe)
    bounded, severe_issues = find_severe_days(days, allowed)
    candidates = find_slip_candidates(bounded)
    if candidates.empty:
        days = bounded
    else:
        slipped = read_slip_history(session, tenant, dates, candidates)
        days, severe_issues = find_severe_days(days, allowed, slipped)
    gaps, zero_runs = find_gaps(days), find_zero_run_candidates(days)
    history = read_history(session, tenant, gaps, zero_runs)
    gaps = fit_estimates(days, estimate_gaps(days, gaps, history))
    zeros = check_zero_run(zero_runs, history, days.thresholds, days.severe)
    issues = [severe_issues, validate_days(days), report_gaps(gaps), zeros]
    return _Block(issues, gaps[gaps["method"] != ""], find_units(pd.concat([readings, history])))


def _make_grid(
    context: _Context, reporting: pd.DataFrame, readings: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return readings and grid of the dates; of a series that lacks any, of the dates beside them too.

    Only a gap asks what was measured before and after its date, and few series have one.
    """
    session, tenant, dates, now = context.session, context.tenant, context.dates, context.now
    grid = list_due_intervals(readings, reporting, dates, now)
    is_whole = mark_whole(reporting, grid, len(dates))
    lacking = reporting[~is_whole]
    if lacking.empty:
        return readings, grid
    meters = list_meters(lacking)
    beside = read_readings(session, tenant, [date for date in context.around if date not in dates], meters)
    of_lacking = pd.concat([readings[readings["meter_id"].isin(meters)], beside], ignore_index=True)
    wide = list_due_intervals(of_lacking, lacking, context.around, now)
    if not grid.empty:
        grid = grid.merge(reporting.loc[is_whole, SERIES], on=SERIES)
    found = pd.concat([part for part in (grid, wide) if not part.empty] or [grid])
    if not found.empty:
        found = found.sort_values([*SERIES, "reading_ts"], ignore_index=True)
    return pd.concat([readings, beside], ignore_index=True), found


def _load_estimates(context: _Context, filled: pd.DataFrame, units: pd.DataFrame) -> None:
    loaded = load_estimates(context.session, context.tenant, filled, units, context.series, now=context.now)
    if loaded is not None:
        context.result.estimated += loaded.accepted + loaded.new_versions
        context.result.jobs.append(str(loaded.job_id))


def _mark_validated(session: Session, tenant: Tenant, dates: list[datetime.date], began: str) -> None:
    session.execute(
        sql.SQL(
            """
            insert into myproperty.validated_dates (tenant_id, reading_date, validated_at)
            select {}, unnest({}::date[]), {}::timestamptz
            on conflict (tenant_id, reading_date) do update set validated_at = excluded.validated_at
            """
        ).format(sql.Literal(tenant.id), sql.Literal(dates), sql.Literal(began))
    )
