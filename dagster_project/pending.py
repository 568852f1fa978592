"""What is not published, since when, why, and what to do next: the answer of `myproperty pending`.

It joins the dates that wait (`data.landing.published_dates`), the recorded runs (`run_history`) and the
meters that are held back. A verdict of a gate is one reason among others: failed tests of dbt, crashed steps
and killed runs are reasons too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Literal

from data.ingest.validation.acceptances import HeldDay, list_held
from data.landing.published_dates import LeftOutTenant, PendingDate, find_pending_dates, list_left_out
from myproperty.database.roles import ETL_ROLE
from myproperty.database.session import transaction
from myproperty.dates import contiguous

State = Literal["not run", "running", "failed", "killed"]
RUN = "myproperty run"
# The last run over each date that ended otherwise than well, or has not ended; a later good run of the same
# job over the date, or its publication, ends it. An archived date has no marts.
_LAST_RUNS = """
select distinct on (d.day) d.day::date, r.run_id, r.job, r.status, r.requested_at, r.ended_at, r.reasons
from warehouse_staging.pipeline_runs as r
cross join lateral generate_series(r.reading_date_from, r.reading_date_to - 1, interval '1 day') as d (day)
left join warehouse_staging.published_dates as p on p.reading_date = d.day::date
where r.status <> 'succeeded'
  and (p.published_at is null or p.published_at < coalesce(r.ended_at, r.requested_at))
  and not exists (select from warehouse_staging.archived_dates as a where a.reading_date = d.day::date)
  and not exists (
      select from warehouse_staging.pipeline_runs as n
      where n.job = r.job and n.status = 'succeeded' and n.requested_at > r.requested_at
        and n.reading_date_from <= d.day::date and n.reading_date_to > d.day::date
  )
order by d.day, r.requested_at desc
"""
_PUBLISHED = "select reading_date from warehouse_staging.published_dates"
_RUNS = """
select run_id, job, status, requested_at, ended_at, reasons
from warehouse_staging.pipeline_runs where run_id = any($1)
"""
_LAST_OF_JOBS = """
select run_id, job, status, requested_at, ended_at, reasons
from (
    select *, row_number() over (partition by job order by requested_at desc) as place
    from warehouse_staging.pipeline_runs
    where reading_date_from is null and status <> 'unfinished'
) as numbered
where place = 1 and status <> 'succeeded'
order by job
"""


@dataclass(frozen=True)
class FailedRun:
    """A run that did not end well. `reasons` has objects of rule, place, expected, observed and mend."""

    run_id: str
    job: str
    status: str
    requested_at: datetime
    ended_at: datetime | None
    reasons: list[dict[str, Any]]


@dataclass(frozen=True)
class PendingDates:
    """Contiguous reading dates that the marts do not show as they are, for the same reason.

    `since` is when the first of them began to wait. `was_published` says that the marts show their former
    state. `run` is the run that failed or is under way.
    """

    first: date
    last: date
    since: datetime
    was_published: bool
    state: State
    why: str
    next: str
    run: FailedRun | None = None

    @property
    def dates(self) -> list[date]:
        """Return the dates."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]


@dataclass(frozen=True)
class PendingTenant:
    """Contiguous dates that were published without a tenant, since the gates of `run` failed for it.

    `tenant` is its name. The marts show its former state.
    """

    tenant: str
    tenant_id: str
    first: date
    last: date
    since: datetime
    why: str
    next: str
    run: FailedRun | None = None


@dataclass(frozen=True)
class Pending:
    """All that is not published: dates, tenants left out, meters held back, and failed jobs without dates."""

    dates: list[PendingDates] = field(default_factory=list)
    tenants: list[PendingTenant] = field(default_factory=list)
    held: list[HeldDay] = field(default_factory=list)
    jobs: list[FailedRun] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the document of `myproperty pending --json`."""
        return asdict(self)


@dataclass(frozen=True)
class _Waiting:
    """Why one date waits."""

    reading_date: date
    since: datetime
    was_published: bool
    change: str | None
    run: FailedRun | None


def find_pending(dsn: str, *, withdraw: bool = True) -> Pending:
    """Return what is not published; `withdraw` as for `find_pending_dates`.

    Raises `PlatformError` or `psycopg.Error`.
    """
    changed = {found.reading_date: found for found in find_pending_dates(dsn, withdraw=withdraw)}
    with transaction(dsn, ETL_ROLE) as session:
        runs = {day: FailedRun(*run) for day, *run in session.rows(_LAST_RUNS)}
        jobs = [FailedRun(*run) for run in session.rows(_LAST_OF_JOBS)]
        published = {day for (day,) in session.rows(_PUBLISHED)}
        left_out = list_left_out(dsn)
        ids = [found.failed_run_id for found in left_out if found.failed_run_id]
        failed = {run[0]: FailedRun(*run) for run in session.rows(_RUNS, [sorted(set(ids))])}
    waiting = [
        _describe_date(day, changed.get(day), runs.get(day), was_published=day in published)
        for day in sorted(changed.keys() | runs.keys())
    ]
    tenants = _group_tenants(left_out, failed)
    return Pending(dates=_group(waiting), tenants=tenants, held=list_held(dsn), jobs=jobs)


def _group_tenants(left_out: Iterable[LeftOutTenant], runs: Mapping[str, FailedRun]) -> list[PendingTenant]:
    """Join neighbouring dates of a tenant that were left out for the same run."""
    found: list[PendingTenant] = []
    for (tenant_id, run_id), days in groupby(left_out, lambda one: (one.tenant_id, one.failed_run_id)):
        named = list(days)
        run = runs.get(run_id or "")
        for window in contiguous(one.reading_date for one in named):
            last = window.dates[-1]
            found.append(
                PendingTenant(
                    tenant=named[0].tenant,
                    tenant_id=tenant_id,
                    first=window.start,
                    last=last,
                    since=min(one.since for one in named),
                    why=_name_rules(run) if run else "a gate failed",
                    next=f"mend the cause, then {RUN} --from {window.start} --to {last}",
                    run=run,
                )
            )
    return found


def _name_rules(run: FailedRun) -> str:
    return ", ".join(dict.fromkeys(f"{reason['rule']} on {reason['place']}" for reason in run.reasons))


def _describe_date(
    day: date, found: PendingDate | None, run: FailedRun | None, *, was_published: bool
) -> _Waiting:
    """Say why one date waits; `found` is None for a date on which only a run failed."""
    if found is None:
        assert run is not None, f"{day} neither changed nor failed"
        return _Waiting(day, run.requested_at, was_published, None, run)
    # A run that ended before the last change does not say how the date is now.
    if run is not None and run.ended_at is not None and run.ended_at < found.changed_at:
        change = f"readings changed after the run of {run.requested_at:%Y-%m-%d %H:%M} UTC, which failed"
        return _Waiting(day, found.since, found.was_published, found.change or change, None)
    return _Waiting(day, found.since, found.was_published, found.change, run)


def _group(waiting: Iterable[_Waiting]) -> list[PendingDates]:
    """Join neighbouring dates that wait for the same reason."""
    groups: list[list[_Waiting]] = []
    for one in waiting:
        if groups and _is_next(groups[-1][-1], one):
            groups[-1].append(one)
        else:
            groups.append([one])
    return [_describe(group) for group in groups]


def _is_next(before: _Waiting, after: _Waiting) -> bool:
    same_run = (before.run and before.run.run_id) == (after.run and after.run.run_id)
    return (
        same_run
        and after.reading_date - before.reading_date == timedelta(days=1)
        and (before.change, before.was_published) == (after.change, after.was_published)
    )


def _describe(group: Sequence[_Waiting]) -> PendingDates:
    first, run = group[0], group[0].run
    state, why = _explain(first)
    return PendingDates(
        first=first.reading_date,
        last=group[-1].reading_date,
        since=min(one.since for one in group),
        was_published=first.was_published,
        state=state,
        why=why,
        next=_choose_next(state, first, group[-1]),
        run=run,
    )


def _explain(one: _Waiting) -> tuple[State, str]:
    run = one.run
    if run is None:
        if one.change:
            return "not run", one.change
        changed = "readings changed since it was published"
        return "not run", changed if one.was_published else "never published"
    if run.status == "unfinished":
        return "running", f"{run.job} is under way since {run.requested_at:%Y-%m-%d %H:%M} UTC"
    rules = _name_rules(run)
    if run.status == "canceled":
        return "failed", f"{run.job} was canceled"
    if rules.startswith("RUN-STOPPED"):
        return "killed", f"the process of {run.job} ended before the run did"
    return "failed", rules


def _choose_next(state: State, first: _Waiting, last: _Waiting) -> str:
    if state == "running":
        return "wait for the run"
    command = f"{RUN} --from {first.reading_date} --to {last.reading_date}"
    if state == "failed" and first.run is not None and first.run.reasons:
        return f"mend the cause, then {command}"
    return command
