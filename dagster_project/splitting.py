"""What of a failed run is worth a run of its own: its good dates, then the good tenants of its bad dates.

Here: the decision, from the verdicts of the run. Not here: running the parts (`runner`, and the sensor
`failed_ranges` for the runs that Dagster starts).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from expectations.verdicts import Verdict
from myproperty.dates import Window, contiguous, limited

# More tenants that break a rule on a date have a cause in common.
MOST_LEFT_OUT = 50
# A month is halved to one bad date in 6 failed runs; after 10 in a row the cause is not a few dates.
MOST_FAILED_IN_A_ROW = 10


@dataclass(frozen=True)
class Part:
    """Contiguous dates that one run takes. It leaves the tenants `left_out` (ids) as they are."""

    window: Window
    left_out: frozenset[str] = frozenset()


def describe_tenants(ids: Collection[str]) -> str:
    """Return how many tenants these are, in words."""
    return "1 tenant" if len(ids) == 1 else f"{len(ids)} tenants"


def split_failed(part: Part, failed: Sequence[Verdict], tenants: Mapping[date, frozenset[str]]) -> list[Part]:
    """Return the parts of a failed run that may pass; none if nothing of it may.

    `failed` are the verdicts that stopped it, `tenants` those with readings on each date. If every broken
    rule names tenants of these dates, each date is taken without the tenants that it names; a date on which
    no tenant is left is not taken. If one does not, the range is halved: its cause is a date that no rule
    names. A verdict on tables without dates has a cause that all dates share.
    """
    if not failed or any(verdict.date_from is None for verdict in failed):
        return []
    named = _find_named(failed, part.window.dates)
    if named is None:
        return _halve(part)
    left_out = {day: part.left_out | named[day] for day in part.window.dates}
    taken = {
        day: ids
        for day, ids in left_out.items()
        if len(ids) <= MOST_LEFT_OUT and (ids == part.left_out or tenants.get(day, ids) - ids)
    }
    parts = _group(taken)
    return _halve(part) if parts == [part] else parts


def _find_named(failed: Iterable[Verdict], dates: Sequence[date]) -> dict[date, frozenset[str]] | None:
    """Return the tenants that break a rule on each date; None if a broken rule names none of these dates."""
    known = {day.isoformat(): day for day in dates}
    named: dict[date, set[str]] = {day: set() for day in dates}
    for verdict in failed:
        for broken in verdict.failed:
            if broken["severity"] != "block":
                continue
            pairs = [
                (tenant, day) for tenant, day in broken.get("tenant_dates", []) if day is None or day in known
            ]
            if not pairs:
                return None
            for tenant, day in pairs:
                for bad in dates if day is None else [known[day]]:
                    named[bad].add(tenant)
    return {day: frozenset(found) for day, found in named.items()}


def _halve(part: Part) -> list[Part]:
    count = len(part.window.dates)
    halves = limited([part.window], -(-count // 2)) if count > 1 else []
    return [Part(half, part.left_out) for half in halves]


def _group(left_out: Mapping[date, frozenset[str]]) -> list[Part]:
    """Join neighbouring dates that leave out the same tenants, in the order of the dates."""
    parts = []
    for ids, days in groupby(sorted(left_out), key=left_out.__getitem__):
        parts += [Part(window, ids) for window in contiguous(days)]
    return parts
