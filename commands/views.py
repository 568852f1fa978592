"""How the results of the commands are shown to people: one function for each kind of result.

A view prints and decides nothing: exit codes and JSON documents are the commands'.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands import console
from commands.drawing import draw_profile
from data.ingest.rules.table import RULES

# Of a failed run; the others are in the JSON document.
MOST_REASONS = 10
# Of a run's sixty, in the table of where the time went.
MOST_STEPS = 8

if TYPE_CHECKING:
    from dagster_project.pending import FailedRun, Pending
    from dagster_project.runner import RunReport
    from data.ingest.readings.quarantine import QuarantinedReading
    from data.ingest.readings.results import IngestResult
    from data.ingest.validation.acceptances import HeldDay
    from data.ingest.validation.run import Validation
    from expectations.verdicts import Verdict


def show_engines(status: Mapping[str, Any]) -> None:
    """Show the document of `myproperty status --json` as a table."""
    rows = [
        {
            "engine": name,
            "kind": status[name].get("kind", "postgres"),
            "state": status[name]["state"],
            "where": status[name].get("dsn") or status[name].get("endpoint"),
        }
        for name in ("postgres", "warehouse")
    ]
    console.print_table(f"Engines of {status['home']}", rows)
    if accounts := status["warehouse"].get("accounts"):
        console.out.print(f"Accounts on BigQuery: {accounts}.")


def show_inspection(file: Path, report: Mapping[str, Any]) -> None:
    """Show the channels of a meter file and its rejected rows."""
    channels = [
        {
            "meter": channel["meter"],
            "register": channel["register"],
            "channel": channel["channel"],
            "total": Decimal(channel["total"]),
            "unit": channel["unit"],
            "intervals": channel["intervals"],
            "seconds": channel["interval_seconds"],
            "first": channel["first"],
            "last": channel["last"],
            "quality": " ".join(f"{flag}:{n}" for flag, n in channel["quality"].items()),
        }
        for channel in report["channels"]
    ]
    title = f"{file.name}: {report['format'] or 'unknown format'}"
    console.print_table(title, channels, empty="nothing can be loaded")
    drawn = [channel for channel in report["channels"] if "profile" in channel]
    for channel in drawn:
        name = f"{channel['meter']} {channel['register']} {channel['channel']}"
        console.out.print(
            console.show_text(name), *draw_profile(channel["profile"], channel["unit"]), sep="\n"
        )
    if len(channels) > len(drawn) > 0:
        console.out.print(f"{len(channels) - len(drawn)} more channels are not drawn")
    # A refused file without a rejected row: its reason is shown as the refusal.
    rejected = [entry for entry in report["rejected"] if entry["first_line"] is not None]
    if rejected:
        console.print_table("Rejected", [_describe_rejected(entry) for entry in rejected])
    for entry in report["skipped"]:
        console.err.print(f"skipped: {entry['count']} rows: {entry['reason']}")
    if "reads_as" in report:
        console.err.print(f"reads as: {_name_shipped(report['reads_as'])}")
    for name in report.get("fits", []):
        console.err.print(f"several shipped mappings fit, and none was chosen: --mapping {name}")
    if report.get("undeclared"):
        console.err.print(f"to ingest it, a mapping must declare: {', '.join(report['undeclared'])}")


def describe_fitting(file: Path) -> str:
    """Return comments in YAML with the shipped mappings that fit a file, empty if none does."""
    from data.ingest.formats.fitting import find_fitting

    fitting = [{"name": s.name, "sender": s.sender, "country": s.country} for s in find_fitting(file)]
    return "".join(f"# A shipped mapping fits: {_name_shipped(found)}\n" for found in fitting)


def _name_shipped(found: Mapping[str, str]) -> str:
    return f"{found['name']} ({found['sender']}, {found['country']})"


def _describe_rejected(entry: console.Row) -> console.Row:
    """Add the remedy of the rule that `reason` begins with."""
    rule = RULES.get(str(entry["reason"]).partition(":")[0])
    return {**entry, "next": rule.remedy if rule is not None else ""}


def show_refusal(file: Path, refusal: Mapping[str, Any]) -> None:
    """Show, on standard error, where and why a file was refused, and what to do next."""
    from data.ingest.errors import Refusal  # pyarrow takes long to import

    console.print_error("refused", Refusal(**refusal).describe(str(file)))


def show_ingests(results: "Sequence[IngestResult]", title: str = "Ingested") -> None:
    """Show the result of each ingested file, and the files that failed."""
    rows = [
        {
            "tenant": result.tenant,
            "file": Path(result.path).name,
            "status": result.status,
            "accepted": result.accepted,
            "unchanged": result.unchanged,
            "new versions": result.new_versions,
            "superseded": result.superseded,
            "quarantined": result.quarantined,
            **({"register reads": result.register_reads} if any(r.register_reads for r in results) else {}),
            "dates touched": console.describe_dates(result.dates_touched),
        }
        for result in results
    ]
    console.print_table(title, rows)
    for result in results:
        if result.status == "failed" and result.refusal is not None:
            console.print_error("failed", result.refusal.describe(result.path))
    if tasks := {task for result in results for task in result.adjustment_tasks}:
        console.out.print(
            f"Readings changed in {len(tasks)} allocated billing periods: see `myproperty billing tasks`."
        )


def show_refusals(refused: "Sequence[IngestResult]") -> None:
    """Show why each of these files was refused."""
    for result in refused:
        if result.refusal is not None:
            console.print_error("refused", result.refusal.describe(result.path))


def show_validations(results: "Sequence[Validation]") -> None:
    """Show the issues that validation found on each date, and the number of estimated readings."""
    rows = [
        {
            "tenant": result.tenant,
            "reading dates": console.describe_dates(result.dates),
            "issues": ", ".join(f"{rule}: {n}" for rule, n in sorted(result.found.items())),
            "not found again": result.resolved,
            "estimates": result.estimated,
        }
        for result in results
    ]
    console.print_table("Validated", rows, empty="no reading date has changed since it was validated")


def show_runs(reports: "Sequence[RunReport]") -> None:
    """Show the rebuilt reading dates and whether they were published."""
    rows = [
        {
            "reading dates": console.describe_dates(report.dates),
            "result": _describe_result(report),
            "gates": f"{len(report.verdicts) - len(report.failed)} of {len(report.verdicts)} passed",
            "seconds": f"{report.wall_seconds:.1f}",
        }
        for report in reports
    ]
    console.print_table("Rebuilt", rows, empty="no reading date has changed since it was published")
    if reports:
        console.print_table("Where the time went", _list_slowest_steps(reports))


def _list_slowest_steps(reports: "Sequence[RunReport]") -> list[console.Row]:
    """Return the slowest steps of all runs together, the other steps, and the time outside of steps."""
    of_steps: Counter[str] = Counter()
    for report in reports:
        of_steps.update(report.seconds)
    whole = sum(report.wall_seconds for report in reports)
    slowest = of_steps.most_common(MOST_STEPS)
    rest = len(of_steps) - len(slowest)
    lines = [
        *slowest,
        (f"{rest} other steps", of_steps.total() - sum(seconds for _, seconds in slowest)),
        ("start, end and between the steps", whole - of_steps.total()),
    ]
    return [
        {"step": name, "seconds": f"{seconds:.1f}", "share": f"{100 * seconds / whole:.0f} %"}
        for name, seconds in lines
    ]


def _describe_result(report: "RunReport") -> str:
    if not report.success:
        return "NOT published"
    from dagster_project.splitting import describe_tenants  # brings pandas

    return f"published without {describe_tenants(report.left_out)}" if report.left_out else "published"


def show_run_failures(reports: "Sequence[RunReport]", dsn: str) -> None:
    """Show, on standard error, why runs of the pipeline failed; `dsn` is where names are read."""
    for report in reports:
        if report.success:
            continue
        if report.failed:
            show_verdict_details(report.failed, dsn)
        else:
            console.print_error("error", str(report.error))


def show_what_is_held(held: "Sequence[HeldDay]") -> None:
    """Say, on standard error, which meters are not in the figures that were published."""
    if held:
        meters = sorted({day.meter for day in held})
        named = ", ".join(meters[:MOST_REASONS]) + (" and more" if len(meters) > MOST_REASONS else "")
        console.err.print(
            f"{len(held)} dates of {len(meters)} meters are held back by a severe issue ({named}): "
            "`myproperty pending` says what to do.",
            markup=False,
        )


def show_pending(pending: "Pending") -> None:
    """Show the dates that are not published, the tenants left out, the meters held back, and failed jobs."""
    dates = [
        {
            "reading dates": console.describe_dates(found.dates),
            "days": len(found.dates),
            "since": f"{found.since:%Y-%m-%d %H:%M} UTC",
            "marts show": "the state before" if found.was_published else "nothing",
            "state": found.state,
            "why": found.why,
            "next": found.next,
        }
        for found in pending.dates
    ]
    console.print_table("Dates that are not published", dates, empty="none, all dates are published")
    _show_failed_runs([found.run for found in pending.dates if found.run is not None])
    if pending.tenants:
        tenants = [
            {
                "tenant": found.tenant,
                "reading dates": f"{found.first} to {found.last}",
                "since": f"{found.since:%Y-%m-%d %H:%M} UTC",
                "why": found.why,
                "next": found.next,
            }
            for found in pending.tenants
        ]
        console.print_table("Tenants left out of published dates, whose marts show the state before", tenants)
        _show_failed_runs([found.run for found in pending.tenants if found.run is not None])
    if pending.held:
        console.print_table("Meters held back", _describe_held(pending.held))
        console.out.print(
            "Ask the sender for a corrected file. If the values are right: "
            "`myproperty issues accept ID --by WHO --reason WHY --until DATE`, then `myproperty run`.",
            soft_wrap=True,
        )
    if pending.jobs:
        jobs = [
            {"job": run.job, "state": run.status, "since": f"{run.requested_at:%Y-%m-%d %H:%M} UTC"}
            for run in pending.jobs
        ]
        console.print_table("Jobs without dates whose last run failed", jobs)
        _show_failed_runs(pending.jobs)


def _show_failed_runs(runs: "Sequence[FailedRun]") -> None:
    """Show the reasons of each run once, in full."""
    for run in {run.run_id: run for run in runs if run.reasons}.values():
        console.out.print(f"\nRun {run.run_id} of {run.job}:", markup=False, soft_wrap=True)
        for reason in run.reasons[:MOST_REASONS]:
            for line in (
                f"  {reason['rule']} on {reason['place']}: expected that {reason['expected']}.",
                f"    observed: {reason['observed']}",
                f"    next: {reason['mend']}",
            ):
                console.out.print(line, markup=False, highlight=False, soft_wrap=True)
        if len(run.reasons) > MOST_REASONS:
            console.out.print(
                f"  and {len(run.reasons) - MOST_REASONS} more: `myproperty pending --json`", markup=False
            )


def _describe_held(held: "Sequence[HeldDay]") -> list[console.Row]:
    return [
        {
            "reading date": day.reading_date,
            "tenant": day.tenant,
            "property": day.property,
            "meter": day.meter,
            "channel": day.channel or "",
            "rule": day.rule,
            "since": f"{day.since:%Y-%m-%d %H:%M} UTC",
            "id": day.issue_id,
        }
        for day in held
    ]


def show_verdict_details(verdicts: "Sequence[Verdict]", dsn: str) -> None:
    """Show the broken rules of verdicts, their samples with names, and remedies, on standard error."""
    from expectations.verdicts import read_names

    names = read_names(dsn, verdicts)
    for verdict in verdicts:
        console.err.print(console.escape(verdict.describe(names)))


def show_gates(verdicts: "Sequence[Verdict]") -> None:
    """Show verdicts, one line for each gate and table."""
    rows = [
        {
            "gate": verdict.gate,
            "table": verdict.table,
            "verdict": "passed" if verdict.passed else "FAILED",
            "expectations": verdict.expectations,
            "reading dates": _describe_range(verdict),
            "rules broken": ", ".join(broken["rule"] for broken in verdict.failed),
        }
        for verdict in verdicts
    ]
    console.print_table("Gates", rows, empty="no verdict; `myproperty run` makes them")


def _describe_range(verdict: "Verdict") -> str:
    if verdict.date_from is None or verdict.date_to is None:
        return "all"
    return f"{verdict.date_from} to {verdict.date_to - timedelta(days=1)}"


def show_quarantine(counts: Sequence[console.Row], found: "Sequence[QuarantinedReading]") -> None:
    """Show the number of quarantined rows for each rule, and the rows."""
    console.print_table("Rows by rule", counts)
    rows = [
        {
            "id": row.id,
            "tenant": row.tenant,
            "file": Path(row.source_uri).name,
            "line": row.line,
            "rule": row.rule,
            "reason": row.reason,
            "status": row.status,
        }
        for row in found
    ]
    console.print_table("Quarantined readings, the newest first", rows)


def show_quarantined(row: "QuarantinedReading", remedy: str | None) -> None:
    """Show all fields of one quarantined row, and the remedy of its rule."""
    fields = [{"field": name, "value": value} for name, value in asdict(row).items() if value is not None]
    if remedy is not None:
        fields.append({"field": "next", "value": remedy})
    console.print_table(f"Quarantined reading {row.id}", fields)


def show_issues(issues: Sequence[console.Row]) -> None:
    """Show the issues of validation."""
    names = (
        "severity",
        "reading_date",
        "tenant",
        "property",
        "meter",
        "channel",
        "rule",
        "details",
        "status",
        "id",
    )
    rows = [
        {name: row[name] for name in names} | {"status": _describe_decision(row)} | {"id": row["id"]}
        for row in issues
    ]
    console.print_table("Issues", rows, empty="none")


def _describe_decision(issue: console.Row) -> str:
    """Return the status of an issue, with the person and the reason if one decided."""
    if issue["status"] == "accepted":
        person, reason = issue["accepted_by"], issue["acceptance_reason"]
        return f"accepted until {issue['accepted_until']} by {person}: {reason}"
    if issue["status"] == "resolved":
        return f"resolved by {issue['resolved_by']}: {issue['resolution_note']}"
    return str(issue["status"])


def show_invoice(invoice: console.Row) -> None:
    """Show an invoice: lines, total, and what its energy rests on."""
    title = f"Invoice {invoice['invoice']}, unit {invoice['unit']}, {invoice['billing_period']}"
    console.print_table(f"{title} ({invoice['status']})", invoice["lines"])
    console.out.print(f"Total: {invoice['total_amount']} {invoice['currency']}")
    console.print_table("Values that a person accepted", invoice["accepted_values"], empty="none")


def show_partitions(partitions: Sequence[console.Row], archived: Sequence[console.Row]) -> None:
    """Show the partitions of readings and the archived dates."""
    rows = [{**partition, "readings": f"about {partition['readings']}"} for partition in partitions]
    console.print_table("Partitions of readings", rows, empty="no partition")
    console.print_table("Archived", archived, empty="no date")


def show_adjustment_tasks(tasks: Sequence[console.Row]) -> None:
    """Show adjustment tasks, each with its changed readings and the differences for each unit."""
    shown = ("task", "status", "property", "from", "before", "issued_invoices", "problem")
    console.print_table("Adjustment tasks", [{name: task[name] for name in shown} for task in tasks])
    for task in tasks:
        console.print_table(f"Readings of task {task['task']}", task["readings"])
        console.print_table(f"Differences of task {task['task']}", task["units"], empty="none")


def unique_names(names: Sequence[str]) -> list[str]:
    """Append _2, _3 to repeated names, because a row is shown by name."""
    times: Counter[str] = Counter()
    unique = []
    for name in names:
        times[name] += 1
        unique.append(name if times[name] == 1 else f"{name}_{times[name]}")
    return unique
