"""Billing periods whose readings changed after allocation: show the difference, then adjust or dismiss.

Loads open the tasks (`data.ingest.readings.adjustment_tasks`). Not here: the corrections on the next
invoice (`invoices`), which follow from an adjusted allocation.
"""

import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row
from psycopg.types.range import DateRange

from data.billing.allocation_ledger import (
    Allocation,
    allocate_period,
    build_ledger_rows,
    lock_billing,
    to_kwh,
)
from data.billing.errors import BillingError
from data.billing.invoices import redraft_invoices

TASKS = """
select t.id, t.status, t.allocation_period_id as period_id, p.property_id, h.name as property,
       p.billing_period as period, p.allocation_method as method, t.created_at as opened_at,
       u.email::text as decided_by, t.decided_at, t.reason
from myproperty.adjustment_tasks t
join myproperty.allocation_periods p on p.tenant_id = t.tenant_id and p.id = t.allocation_period_id
join myproperty.properties h on h.tenant_id = p.tenant_id and h.id = p.property_id
left join myproperty.users u on u.tenant_id = t.tenant_id and u.id = t.decided_by
"""
READINGS = """
select m.serial_number as meter, r.channel,
       array_agg(distinct r.reading_date order by r.reading_date) as dates,
       sum(r.readings)::int as readings, sum(r.energy_before_kwh) as energy_before_kwh,
       sum(r.energy_after_kwh) as energy_after_kwh,
       array_agg(distinct r.ingestion_job_id::text) as ingestion_jobs
from myproperty.adjustment_task_readings r
join myproperty.meters m on m.tenant_id = r.tenant_id and m.id = r.meter_id
where r.adjustment_task_id = %s
group by m.serial_number, r.channel
order by m.serial_number, r.channel
"""
ISSUED = """
select i.number from myproperty.invoices i
join myproperty.allocation_ledger a on a.tenant_id = i.tenant_id and a.tenancy_id = i.tenancy_id
    and a.period_start_date = i.period_start_date and a.billing_period = i.billing_period
where a.allocation_period_id = %s and i.status in ('issued', 'overdue', 'paid')
order by i.number
"""
LEDGER = """
select l.id, l.unit_id, coalesce(u.label, 'common area') as unit, l.billing_period as during,
       l.solar_kwh, l.grid_kwh, l.loss_kwh, l.confidence
from myproperty.allocation_ledger l
left join myproperty.units u on u.tenant_id = l.tenant_id and u.id = l.unit_id
where l.allocation_period_id = %s
order by u.label nulls last, l.billing_period
"""


@dataclass(frozen=True)
class AdjustmentTask:
    """A row of `adjustment_tasks`; `period` is the billing period of the property, in local dates."""

    id: uuid.UUID
    status: str
    period_id: uuid.UUID
    property_id: uuid.UUID
    property: str
    period: DateRange
    method: str
    opened_at: Any
    decided_by: str | None
    decided_at: Any
    reason: str | None


@dataclass(frozen=True)
class LedgerEnergies:
    """The energies of an allocation, in kWh; `confidence` is the measured share of the load."""

    solar_kwh: Decimal
    grid_kwh: Decimal
    loss_kwh: Decimal
    confidence: Decimal | None


@dataclass(frozen=True)
class LedgerDifference:
    """An allocation as the allocation ledger has it and as the current readings give it."""

    allocation_id: uuid.UUID
    unit: str
    during: DateRange
    before: LedgerEnergies
    after: LedgerEnergies

    @property
    def is_of_energy(self) -> bool:
        """Whether an energy differs, not only the confidence."""
        return (self.before.solar_kwh, self.before.grid_kwh, self.before.loss_kwh) != (
            self.after.solar_kwh, self.after.grid_kwh, self.after.loss_kwh,
        )  # fmt: skip


def find_tasks(connection: psycopg.Connection, *, is_open: bool = True) -> list[AdjustmentTask]:
    """Return the open tasks of the tenant, or all tasks, oldest first."""
    with connection.cursor(row_factory=class_row(AdjustmentTask)) as cursor:
        return cursor.execute(
            TASKS + "where t.status = 'open' or not %s order by t.id", (is_open,)
        ).fetchall()


def describe_task(connection: psycopg.Connection, task: AdjustmentTask) -> dict[str, Any]:
    """Return a task with its changed readings, its issued invoices and the difference for each unit.

    `problem` names the reason if the period cannot be allocated again.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        readings = cursor.execute(READINGS, (task.id,)).fetchall()
    issued = [number for (number,) in connection.execute(ISSUED, (task.period_id,)).fetchall()]
    problem, units = None, []
    if task.status == "open":
        try:
            units = [_describe_difference(each) for each in find_differences(connection, task)]
        except BillingError as error:
            problem = str(error)
    return {
        "task": str(task.id),
        "status": task.status,
        "property": task.property,
        "from": task.period.lower,
        "before": task.period.upper,
        "opened_at": task.opened_at,
        "issued_invoices": issued,
        "readings": readings,
        "units": units,
        "problem": problem,
        "decided_by": task.decided_by,
        "decided_at": task.decided_at,
        "reason": task.reason,
    }


def find_differences(connection: psycopg.Connection, task: AdjustmentTask) -> list[LedgerDifference]:
    """Compare the allocation ledger with the current readings for a period; writes nothing."""
    return _compare_with_ledger(connection, task, _allocate_again(connection, task))


def adjust_allocation(
    connection: psycopg.Connection, task_id: uuid.UUID, *, by: str, because: str
) -> list[LedgerDifference]:
    """Write the current readings into the allocation ledger, close the task and return the differences.

    `by` is a user of the tenant, by id or e-mail address. Drafts of the period are rewritten. Issued invoices
    stay, and the next draft of each tenancy bills or credits the difference. Raises `BillingError` if the
    task is already decided, the reason is missing, or the period cannot be allocated.
    """
    task, person = _begin_decision(connection, task_id, by, because)
    allocation = _allocate_again(connection, task)
    found = _compare_with_ledger(connection, task, allocation)
    metered = allocation.metered
    connection.execute(
        "update myproperty.allocation_periods set generation_kwh = %s, import_kwh = %s, export_kwh = %s, "
        "consumption_kwh = %s, surplus_kwh = %s where id = %s",
        (
            *(to_kwh(energy.sum()) for energy in (metered.generation, metered.imported, metered.exported)),
            to_kwh(metered.loads.sum()),
            to_kwh(allocation.surplus),
            task.period_id,
        ),
    )
    for each in found:
        _adjust_ledger_row(connection, each, person, f"{because} (adjustment task {task.id})")
    redraft_invoices(connection, allocation, task.period_id)
    _close_task(connection, task, "done", person, because)
    return found


def dismiss_task(connection: psycopg.Connection, task_id: uuid.UUID, *, by: str, because: str) -> None:
    """Close a task and keep the billed allocation. Raises `BillingError` as `adjust_allocation` does."""
    task, person = _begin_decision(connection, task_id, by, because)
    _close_task(connection, task, "dismissed", person, because)


def _begin_decision(
    connection: psycopg.Connection, task_id: uuid.UUID, by: str, because: str
) -> tuple[AdjustmentTask, uuid.UUID]:
    if not because.strip():
        raise BillingError(
            "an adjustment needs a user and a reason: give both, since the audit trail keeps nothing else"
        )
    lock_billing(connection)
    with connection.cursor(row_factory=class_row(AdjustmentTask)) as cursor:
        task = cursor.execute(TASKS + "where t.id = %s", (task_id,)).fetchone()
    if task is None:
        raise BillingError(
            f"the tenant has no adjustment task {task_id}: `myproperty billing tasks` lists them"
        )
    if task.status != "open":
        raise BillingError(f"adjustment task {task_id} is {task.status}: {task.decided_by} decided it")
    row = connection.execute(
        "select id from myproperty.users "
        "where (id::text = lower(%(by)s) or email = %(by)s) and status = 'active' and role <> 'resident'",
        {"by": by},
    ).fetchone()
    if row is None:
        raise BillingError(
            f"the tenant has no active user {by!r} who may adjust: give an id or e-mail address"
        )
    connection.execute("select set_config('app.user_id', %s, true)", (str(row[0]),))
    return task, row[0]


def _close_task(
    connection: psycopg.Connection, task: AdjustmentTask, status: str, person: uuid.UUID, because: str
) -> None:
    connection.execute(
        "update myproperty.adjustment_tasks "
        "set status = %s, decided_by = %s, decided_at = clock_timestamp(), reason = %s where id = %s",
        (status, person, because, task.id),
    )


def _allocate_again(connection: psycopg.Connection, task: AdjustmentTask) -> Allocation:
    allocation = allocate_period(connection, task.property_id, task.period)
    if allocation.method != task.method:
        raise BillingError(
            f"{task.property} was allocated with method {task.method} in {task.period}, but now has "
            f"{allocation.method}: restore the method in myproperty.allocation_methods, then adjust"
        )
    return allocation


def _compare_with_ledger(
    connection: psycopg.Connection, task: AdjustmentTask, allocation: Allocation
) -> list[LedgerDifference]:
    with connection.cursor(row_factory=dict_row) as cursor:
        kept = {(row["unit_id"], row["during"]): row for row in cursor.execute(LEDGER, (task.period_id,))}
    found = {
        (span.unit_id, span.during): LedgerEnergies(*energy) for span, energy in build_ledger_rows(allocation)
    }
    if kept.keys() != found.keys():
        raise BillingError(
            f"units or tenancies of {task.property} changed after {task.period} was allocated: restore them, "
            "or void the invoices of the period and settle it by hand"
        )
    rows = (
        LedgerDifference(
            row["id"], row["unit"], row["during"],
            LedgerEnergies(row["solar_kwh"], row["grid_kwh"], row["loss_kwh"], row["confidence"]), found[key],
        )
        for key, row in kept.items()
    )  # fmt: skip
    return [row for row in rows if row.before != row.after]


def _adjust_ledger_row(
    connection: psycopg.Connection, each: LedgerDifference, person: uuid.UUID, notes: str
) -> None:
    after = each.after
    connection.execute(
        "update myproperty.allocation_ledger set confidence = %s where id = %s",
        (after.confidence, each.allocation_id),
    )
    if each.is_of_energy:
        connection.execute(
            "update myproperty.allocation_ledger "
            "set solar_kwh = %s, grid_kwh = %s, loss_kwh = %s, adjusted_by = %s, notes = %s where id = %s",
            (after.solar_kwh, after.grid_kwh, after.loss_kwh, person, notes, each.allocation_id),
        )


def _describe_difference(each: LedgerDifference) -> dict[str, Any]:
    return {
        "unit": each.unit,
        "from": each.during.lower,
        "before": each.during.upper,
        "solar_kwh_billed": each.before.solar_kwh,
        "solar_kwh": each.after.solar_kwh,
        "grid_kwh_billed": each.before.grid_kwh,
        "grid_kwh": each.after.grid_kwh,
        "difference_kwh": (
            each.after.solar_kwh + each.after.grid_kwh - each.before.solar_kwh - each.before.grid_kwh
        ),
    }
