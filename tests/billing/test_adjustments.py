"""Readings revised after billing: task, decision, and the difference on the next invoice, by hand."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.range import DateRange
from typer.testing import CliRunner

from commands import billing
from commands.main import app
from data.billing import ledger, reports
from data.billing.adjustments import adjust_allocation, describe_task, dismiss_task, find_tasks
from data.billing.errors import BillingError
from data.billing.invoices import draft_invoices
from data.ingest.readings.adjustment_tasks import wait_for_billing
from data.ingest.readings.load import ingest_file
from data.ingest.readings.results import IngestResult
from data.ingest.validation.run import validate
from myproperty.database.roles import LOADER_ROLE
from myproperty.database.session import DatabaseError, transaction
from myproperty.settings import Settings
from tests.billing.conftest import DAY, LOADS, MIDNIGHT, PERIOD, House, build

pytestmark = pytest.mark.engine

ISSUED = datetime(2025, 11, 1, 9, tzinfo=UTC)
HEADER = "identifier,register,channel,unit,reading_ts,interval_seconds,value,quality,source_version"
NEXT_DAY = DAY + timedelta(days=1)
NEXT_PERIOD = DateRange(NEXT_DAY, NEXT_DAY + timedelta(days=1))
Load = dict[tuple[str, str], dict[int, str]]


def load(house: House, folder: Path, changes: Load, version: str = "2025-11-05T00:00:00Z") -> IngestResult:
    """Ingest a file of hours of the day, counted from local midnight, by (meter, channel)."""
    lines = [HEADER]
    for (meter, channel), values in changes.items():
        for hour, value in values.items():
            at = (MIDNIGHT + timedelta(hours=hour)).isoformat()
            lines.append(f"{meter},{channel},{channel},kWh,{at},3600,{value},actual,{version}")
    path = folder / f"{uuid.uuid4()}.csv"
    path.write_text("\n".join(lines) + "\n")
    return ingest_file(path, tenant=str(house.tenant), dsn=house.dsn)


def bill(house: House, period: DateRange = PERIOD, *, issue: bool = True) -> None:
    with house.connect() as connection:
        for invoice in draft_invoices(connection, house.property, period):
            if issue:
                ledger.issue_invoice(connection, invoice, ISSUED, ISSUED + timedelta(days=14))


def rows(house: House, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with house.connect() as connection:
        return list(connection.execute(query.encode(), parameters).fetchall())


def the_task(house: House) -> dict[str, Any]:
    with house.connect() as connection:
        (task,) = find_tasks(connection)
        return describe_task(connection, task)


def decide(house: House, *, by: str = "manager@house.example", because: str = "meter exchanged") -> None:
    with house.connect() as connection:
        (task,) = find_tasks(connection)
        adjust_allocation(connection, task.id, by=by, because=because)


def next_day(house: House, folder: Path, without: tuple[str, int] | None = None) -> None:
    """Load the next day with the loads of the vectors and no sun, so all energy comes from the grid.

    `without` omits the value of a meter at an hour.
    """
    hours = dict.fromkeys(range(25, 49), 0)
    series: Load = {
        (label, "consumption"): {h: str(v) for h, v in {**hours, 33: loads[0], 34: loads[1]}.items()}
        for label, loads in LOADS.items()
    }
    total = {33: sum(loads[0] for loads in LOADS.values()), 34: sum(loads[1] for loads in LOADS.values())}
    series["grid", "import"] = {hour: str(value) for hour, value in {**hours, **total}.items()}
    series["grid", "export"] = series["solar", "generation"] = dict.fromkeys(hours, "0")
    if without:
        del series[without[0], "consumption"][without[1]]
    assert load(house, folder, series).quarantined == 0


def ties(house: House) -> dict[str, tuple[Any, ...]]:
    """Return billed, corrected, allocated, metered energy of the first day and whether they tie, by unit."""
    with house.connect() as connection:
        return {
            row["unit"]: (
                row["billed_kwh"], row["corrected_kwh"], row["allocated_kwh"], row["metered_kwh"],
                row["ties"],
            )
            for row in reports.read_invoice_ties(connection)
            if row["billing_period"].startswith(str(DAY))
        }  # fmt: skip


# b used one kWh less in the eleventh hour, so the grid delivered one kWh less.
LESS: Load = {("b", "consumption"): {11: "0"}, ("grid", "import"): {11: "2"}}


def test_a_load_outside_a_billed_period_opens_no_task(house: House, tmp_path: Path) -> None:
    assert load(house, tmp_path, LESS).adjustment_tasks == []
    bill(house)
    next_day(house, tmp_path)
    assert rows(house, "select 1 from myproperty.adjustment_tasks") == []


def test_a_revision_opens_one_task_that_later_loads_extend(house: House, tmp_path: Path) -> None:
    bill(house)
    first = load(house, tmp_path, {("b", "consumption"): {11: "0"}})
    second = load(house, tmp_path, {("grid", "import"): {11: "2"}}, "2025-11-06T00:00:00Z")
    assert first.adjustment_tasks == second.adjustment_tasks != []
    task = the_task(house)
    assert (task["task"], task["status"], task["problem"]) == (first.adjustment_tasks[0], "open", None)
    assert task["issued_invoices"] == ["2025-00001", "2025-00002", "2025-00003"]
    assert [
        (r["meter"], r["channel"], r["dates"], r["energy_before_kwh"], r["energy_after_kwh"])
        for r in task["readings"]
    ] == [("b", "consumption", [DAY], 1, 0), ("grid", "import", [DAY], 3, 2)]
    assert [r["ingestion_jobs"] for r in task["readings"]] == [[first.job_id], [second.job_id]]
    assert [(u["unit"], u["grid_kwh_billed"], u["grid_kwh"], u["difference_kwh"]) for u in task["units"]] == [
        ("b", Decimal("7.6"), Decimal("6.6"), -1)
    ]
    # Before a decision nothing is adjusted, and the report shows that the meter differs.
    assert {unit: row[-1] for unit, row in ties(house).items()} == {"a": True, "b": False, "c": True}


def test_a_new_reading_after_billing_opens_a_task(house: House, tmp_path: Path) -> None:
    bill(house)
    with psycopg.connect(house.dsn) as db:
        house.add(db, "meters", id=(extra := uuid.uuid4()), property_id=house.property, type="grid",
                  serial_number="extra", timezone="Europe/Berlin")  # fmt: skip
        house.add(db, "meter_registers", meter_id=extra, identifier="extra", register="consumption",
                  channel="consumption")  # fmt: skip
    result = load(house, tmp_path, {("extra", "consumption"): {8: "0.5"}})
    assert (result.accepted, len(result.adjustment_tasks)) == (1, 1)
    task = the_task(house)
    assert [(r["meter"], r["energy_before_kwh"], r["energy_after_kwh"]) for r in task["readings"]] == [
        ("extra", 0, Decimal("0.5"))
    ]
    assert "extra" in task["problem"]
    with pytest.raises(BillingError, match="extra has no complete reading"):
        decide(house)


def test_an_actual_value_that_replaces_a_billed_estimate_opens_a_task(house: House, tmp_path: Path) -> None:
    """The bill has the interpolated value; the value of the meter arrives later."""
    bill(house)
    next_day(house, tmp_path, without=("b", 34))
    validate(house.dsn, tenant=str(house.tenant), first=NEXT_DAY, last=NEXT_DAY)
    bill(house, NEXT_PERIOD)
    result = load(house, tmp_path, {("b", "consumption"): {34: "6"}}, "2020-01-01T00:00:00Z")
    assert (result.new_versions, len(result.adjustment_tasks)) == (1, 1)
    (reading,) = the_task(house)["readings"]
    assert reading["dates"] == [NEXT_DAY]
    # The hours before and after it have 3 and 0.
    assert (reading["energy_before_kwh"], reading["energy_after_kwh"]) == (Decimal("1.5"), 6)


def test_an_adjusted_period_is_credited_on_the_next_invoice(house: House, tmp_path: Path) -> None:
    """b paid 1 kWh at 0.30 too much, 0.36 with tax. The next invoice credits it and the books balance."""
    bill(house)
    load(house, tmp_path, LESS)
    decide(house)
    assert ties(house)["b"] == (19, 0, 18, 18, False)
    with house.connect_as_application() as connection:
        trail = connection.execute(
            "select grid_kwh_before, grid_kwh_after, reason like 'meter exchanged (%' "
            "from myproperty.allocation_adjustments"
        ).fetchall()
    assert trail == [(Decimal("7.6"), Decimal("6.6"), True)]
    next_day(house, tmp_path)
    bill(house, NEXT_PERIOD)
    credits = rows(
        house,
        "select t.id, l.category, l.description, l.quantity, l.unit_amount, l.total_amount "
        "from myproperty.invoice_lines l join myproperty.invoices i on i.id = l.invoice_id "
        "join myproperty.tenancies t on t.id = i.tenancy_id where l.description like 'Correction%%'",
    )
    assert credits == [
        (house.tenancies["b"], "credit", "Correction: Grid energy, low, 2025-10-26 to 2025-10-26", 1,
         Decimal("-0.3"), Decimal("-0.36")),
    ]  # fmt: skip
    assert ties(house) == {
        "a": (7, 0, 7, 7, True), "b": (19, -1, 18, 18, True), "c": (5, 0, 5, 5, True),
    }  # fmt: skip
    with house.connect() as connection:
        assert all(row["ties"] for row in reports.read_invoice_ties(connection))
        assert [row["is_balanced"] for row in reports.read_balance_sheets(connection)] == [True]
        assert draft_invoices(connection, house.property, PERIOD) == []


def test_more_energy_is_billed_and_solar_moves_between_units(house: House, tmp_path: Path) -> None:
    """In the first hour a used 5 kWh, not 2. So 9 of 10 kWh solar are used, with no grid energy."""
    bill(house)
    load(house, tmp_path, {("a", "consumption"): {8: "5"}, ("grid", "export"): {8: "1"}})
    decide(house)
    assert rows(house, "select surplus_kwh from myproperty.allocation_periods") == [(6,)]
    next_day(house, tmp_path)
    bill(house, NEXT_PERIOD)
    corrections = rows(
        house,
        "select category, quantity, unit_amount, total_amount from myproperty.invoice_lines "
        "where description like 'Correction%%'",
    )
    assert corrections == [("solar", 3, Decimal("0.2"), Decimal("0.71"))]
    assert {unit: row[-1] for unit, row in ties(house).items()} == {"a": True, "b": True, "c": True}


def test_energy_that_moved_to_a_dearer_hour_is_corrected_with_equal_sum(
    oltp_dsn: str, tmp_path: Path
) -> None:
    """b used 1 kWh from the grid at local 8:00 (high price), not at 10:00 (low price).

    The sum does not change, nor does the solar, since shares are static.
    """
    house = build(oltp_dsn, "static")
    bill(house)
    load(house, tmp_path, {("b", "consumption"): {9: "7", 11: "0"}, ("grid", "import"): {9: "7", 11: "2"}})
    assert the_task(house)["units"] == []
    decide(house)
    next_day(house, tmp_path)
    bill(house, NEXT_PERIOD)
    corrections = rows(
        house,
        "select category, solar_band, quantity, unit_amount from myproperty.invoice_lines "
        "where description like 'Correction%%' order by 1",
    )
    assert corrections == [
        ("credit", "low", 1, Decimal("-0.3")), ("grid", "high", 1, Decimal("0.4")),
    ]  # fmt: skip
    assert ties(house)["b"] == (19, 0, 19, 19, True)


def test_a_credit_beyond_the_invoice_waits_for_the_next_one(house: House, tmp_path: Path) -> None:
    bill(house)
    # b used nothing, so 19 kWh must be credited. The next invoice is smaller than that credit.
    load(house, tmp_path, {
        ("b", "consumption"): {8: "0", 9: "0", 10: "0", 11: "0"},
        ("grid", "import"): {9: "0", 10: "0", 11: "2"},
        ("grid", "export"): {8: "7", 10: "5"},
    })  # fmt: skip
    decide(house)
    next_day(house, tmp_path)
    bill(house, NEXT_PERIOD)
    query = (
        "select status, total_amount from myproperty.invoices where tenancy_id = %s and billing_period = %s"
    )
    assert rows(house, query, house.tenancies["b"], NEXT_PERIOD) == [("paid", 0)]
    billed, corrected, allocated, *_, tied = ties(house)["b"]
    assert (billed, allocated, tied) == (19, 0, False)
    assert -19 < corrected < 0


def test_a_draft_is_rewritten_and_needs_no_correction(house: House, tmp_path: Path) -> None:
    bill(house, issue=False)
    load(house, tmp_path, LESS)
    decide(house)
    assert ties(house)["b"] == (18, 0, 18, 18, True)
    next_day(house, tmp_path)
    bill(house, NEXT_PERIOD)
    assert rows(house, "select 1 from myproperty.invoice_lines where description like 'Correction%%'") == []


def test_a_dismissed_task_keeps_the_allocation_and_the_next_load_opens_another(
    house: House, tmp_path: Path
) -> None:
    bill(house)
    load(house, tmp_path, LESS)
    query = "select solar_kwh, grid_kwh, version from myproperty.allocation_ledger order by id"
    before = rows(house, query)
    with house.connect() as connection:
        (task,) = find_tasks(connection)
        dismiss_task(connection, task.id, by=str(house.manager), because="goodwill")
    assert rows(house, query) == before
    again = load(house, tmp_path, {("b", "consumption"): {11: "0.5"}}, "2025-11-07T00:00:00Z")
    assert again.adjustment_tasks not in ([], [str(task.id)])
    with (
        house.connect() as connection,
        pytest.raises(BillingError, match=r"is dismissed: manager@.* decided it"),
    ):
        adjust_allocation(connection, task.id, by=str(house.manager), because="again")


@pytest.mark.parametrize(
    ("by", "because", "message"),
    [
        ("manager@house.example", " ", "needs a user and a reason"),
        ("nobody@house.example", "late data", "no active user 'nobody@house.example'"),
        ("a@house.example", "late data", "no active user 'a@house.example'"),
    ],
)
def test_a_decision_without_person_or_reason_is_refused(
    house: House, tmp_path: Path, by: str, because: str, message: str
) -> None:
    bill(house)
    load(house, tmp_path, LESS)
    with pytest.raises(BillingError, match=message):
        decide(house, by=by, because=because)
    assert the_task(house)["status"] == "open"


def test_a_load_waits_for_running_billing(house: House) -> None:
    """Otherwise it would change readings that are already summed, before the period is visible."""
    with house.connect() as connection:
        draft_invoices(connection, house.property, PERIOD)
        with (
            pytest.raises(DatabaseError, match="lock timeout"),
            transaction(house.dsn, LOADER_ROLE) as session,
        ):
            session.execute("set local lock_timeout = '50ms'")
            wait_for_billing(session, house.tenant)
    with transaction(house.dsn, LOADER_ROLE) as session:
        wait_for_billing(session, house.tenant)


def test_the_command_lists_and_decides_tasks(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(billing, "get_settings", lambda: Settings(home=tmp_path, oltp_dsn=house.dsn))
    run = CliRunner().invoke
    tasks = ["billing", "tasks", "--tenant", str(house.tenant)]
    decision = ["--by", "manager@house.example", "--because", "meter exchanged"]
    bill(house)
    load(house, tmp_path, LESS)
    (task,) = json.loads(run(app, [*tasks, "--json"]).stdout)
    assert [(unit["unit"], unit["difference_kwh"]) for unit in task["units"]] == [("b", "-1.000000000")]
    assert "2025-00001" in run(app, tasks).stdout
    done = run(app, ["billing", "adjust", "--task", task["task"], *decision])
    assert (done.exit_code, done.stdout.splitlines()[0][:23]) == (0, "1 allocations adjusted;")
    assert json.loads(run(app, [*tasks, "--json"]).stdout) == []
    (closed,) = json.loads(run(app, [*tasks, "--all", "--json"]).stdout)
    assert (closed["status"], closed["decided_by"]) == ("done", "manager@house.example")
    again = run(app, ["billing", "adjust", "--task", task["task"], "--dismiss", *decision])
    assert again.exit_code == 1
    unknown = run(app, ["billing", "adjust", "--task", str(uuid.uuid4()), *decision])
    assert unknown.exit_code == 1
