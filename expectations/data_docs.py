"""Build Great Expectations' project and its Data Docs from kept verdicts.

Here: a project on disk (suites, one checkpoint for each gate, results) and its site. Not here: validation. A
page shows what a gate observed at that time; validating again would show other rows. The site asks no other
server: Great Expectations' pages load styles and scripts from the internet, which a machine of production
may not reach.
"""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from filelock import FileLock

from expectations.rules import GateRule, GateSuite, is_between
from expectations.suites import load_suite
from expectations.validation import build_gx_suite
from expectations.verdicts import BY_HAND, Verdict

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult

SITE = Path("gx", "uncommitted", "data_docs", "local_site")
STYLES = Path("gx", "plugins", "custom_data_docs", "styles", "data_docs_custom_styles.css")
_FROM_OTHER_SERVERS = re.compile(
    r"<script\b[^>]*\bsrc=[\"']https?:[^>]*>\s*</script>|<link\b[^>]*\bhref=[\"']https?:[^>]*>"
    r"|<img\b[^>]*\bsrc=[\"']https?:[^>]*>|url\([\"']?https?:[^)]*\)"
)
_STYLE = """
body { font: 15px/1.5 sans-serif; color: #222; margin: 1.5em; }
table { border-collapse: collapse; margin: 0.5em 0 1em; }
th, td { border: 1px solid #ddd; padding: 0.25em 0.6em; text-align: left; vertical-align: top; }
.failed, .fa-times::before { color: #b00020; font-weight: bold; }
.fa-check-circle::before { content: "passed"; color: #187a3c; }
.fa-times::before { content: "broken"; }
.fa-exclamation-triangle::before { content: "could not be evaluated"; color: #a05a00; }
.modal, footer, form, .btn, .card { display: none; }
"""


def build_data_docs(verdicts: Sequence[Verdict], folder: Path) -> Path:
    """Replace the project in `folder` by one with `verdicts`; return the first page of its site.

    The old site stays until the new one is whole; of two builds the second waits for the first. A verdict on
    a table without a suite is left out. Raises OSError.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    building, former = folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        for rest in (building, former):  # of a build that was killed
            shutil.rmtree(rest, ignore_errors=True)
        _build_project(verdicts, building)
        if folder.exists():
            folder.rename(former)
        building.rename(folder)
        shutil.rmtree(former, ignore_errors=True)
    return folder / SITE / "index.html"


def _build_project(verdicts: Sequence[Verdict], folder: Path) -> None:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="file", project_root_dir=folder)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batches = context.data_sources.add_pandas("gates").add_dataframe_asset("frame")
    batch = batches.add_batch_definition_whole_dataframe("whole")
    suites = _find_suites(verdicts)
    checks: dict[str, list[Any]] = {}
    for (gate, table), suite in suites.items():
        added = context.suites.add(build_gx_suite(suite))
        check = gx.ValidationDefinition(name=f"{gate}-{table}", data=batch, suite=added)
        checks.setdefault(gate, []).append(context.validation_definitions.add(check))
    for gate, validations in checks.items():
        context.checkpoints.add(gx.Checkpoint(name=f"gate-{gate}", validation_definitions=validations))
    kept = [verdict for verdict in verdicts if (verdict.gate, verdict.table) in suites]
    pages = [_add_result(context, suites[verdict.gate, verdict.table], verdict) for verdict in kept]
    (folder / STYLES).parent.mkdir(parents=True, exist_ok=True)
    (folder / STYLES).write_text(_STYLE)
    context.build_data_docs()
    for page in (folder / SITE).rglob("*.html"):
        page.write_text(_FROM_OTHER_SERVERS.sub("", page.read_text()))
    (folder / SITE / "index.html").write_text(_write_front_page(kept, pages))


def _write_front_page(verdicts: Sequence[Verdict], pages: Sequence[str]) -> str:
    """Return the first page: failed verdicts before passed ones, then by gate and table, the newest first.

    It replaces the page of Great Expectations, whose tables are built by scripts of other servers.
    """
    head = (
        "verdict",
        "gate",
        "table",
        "reading dates",
        "broken rules",
        "rows",
        "seconds",
        "checked at",
        "run",
    )
    named: set[str] = set()
    rows = [
        f"<tr{_name_row(verdict, named)}>"
        f"<td><a class={'passed' if verdict.passed else 'failed'} href='{escape(quote(page))}'>"
        f"{'passed' if verdict.passed else 'failed'}</a></td>"
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in _list_cells(verdict))
        + "</tr>"
        for verdict, page in sorted(zip(verdicts, pages, strict=True), key=lambda pair: pair[0].passed)
    ]
    return (
        "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>Gates</title>"
        f"<style>{_STYLE}</style></head><body><h1>Gates</h1><p>The newest verdicts of each gate and table."
        " A verdict opens its rules, with what each observed and what to do next.</p><table><tr>"
        + "".join(f"<th>{name}</th>" for name in head)
        + "</tr>"
        + "".join(rows)
        + "</table></body></html>\n"
    )


def _name_row(verdict: Verdict, named: set[str]) -> str:
    """Return the attribute of the anchor for the first row of a gate and table; nothing for later rows."""
    anchor = row_anchor(verdict.gate, verdict.table)
    if anchor in named:
        return ""
    named.add(anchor)
    return f" id='{escape(anchor)}'"


def row_anchor(gate: str, table: str) -> str:
    """Return the anchor of a gate and table on the first page, to which Dagster links."""
    return f"{gate}-{table}"


def _list_cells(verdict: Verdict) -> tuple[object, ...]:
    return (
        verdict.gate,
        verdict.table,
        _describe_batch(verdict),
        ", ".join(broken["rule"] for broken in verdict.failed),
        verdict.rows,
        f"{verdict.seconds:.2f}",
        f"{verdict.checked_at:%Y-%m-%d %H:%M:%S %Z}",
        verdict.run_id or BY_HAND,
    )


def _find_suites(verdicts: Sequence[Verdict]) -> dict[tuple[str, str], GateSuite]:
    suites = {}
    for gate, table in dict.fromkeys((verdict.gate, verdict.table) for verdict in verdicts):
        try:
            suites[gate, table] = load_suite(gate, table)
        except KeyError:
            continue  # the table was renamed or removed; `myproperty gates` still shows its verdicts
    return suites


def _add_result(context: Any, suite: GateSuite, verdict: Verdict) -> str:
    """Store the result of a verdict in the project; return the path of its page below the site."""
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    run = RunIdentifier(run_name=verdict.run_id or BY_HAND, run_time=verdict.checked_at)
    key = ValidationResultIdentifier(
        expectation_suite_identifier=ExpectationSuiteIdentifier(name=f"{suite.gate}-{suite.table}"),
        run_id=run,
        batch_identifier=_describe_batch(verdict),
    )
    context.validation_results_store.set(key, to_gx_result(suite, verdict, run.to_json_dict()))
    parts: tuple[str, ...] = key.to_tuple()  # type: ignore[no-untyped-call]
    return "/".join(("validations", *parts)) + ".html"


def _describe_batch(verdict: Verdict) -> str:
    if verdict.date_from is None or verdict.date_to is None:
        return "all"
    return f"{verdict.date_from.isoformat()} to before {verdict.date_to.isoformat()}"


def to_gx_result(
    suite: GateSuite, verdict: Verdict, run: Mapping[str, Any]
) -> "ExpectationSuiteValidationResult":
    """Turn a kept verdict into Great Expectations' result of `suite`, one for each rule of today.

    A rule about which the verdict says nothing is left out: it was added to the suite later.
    """
    import great_expectations as gx
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

    failed = {broken["rule"]: broken for broken in verdict.failed}
    seen = {result["rule"]: result for result in verdict.results}
    rules = [rule for rule in suite.rules if not seen or rule.id in seen]
    rules += [_describe_rows_rule(suite)] if f"{suite.gate}-ROWS-000" in failed else []
    results = [
        ExpectationValidationResult(
            success=rule.id not in failed,
            expectation_config=expectation.configuration,
            result=_describe_details(rule, seen.get(rule.id, {}), failed.get(rule.id)),
            exception_info={
                "raised_exception": False,
                "exception_message": None,
                "exception_traceback": None,
            },
        )
        for rule, expectation in zip(rules, build_gx_suite(suite, rules).expectations, strict=True)
    ]
    good = sum(bool(result.success) for result in results)
    return ExpectationSuiteValidationResult(
        results=results,
        success=not failed,
        suite_name=f"{suite.gate}-{suite.table}",
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": good,
            "unsuccessful_expectations": len(results) - good,
            "success_percent": 100 * good / len(results) if results else None,
        },
        meta={
            "run_id": dict(run),
            "great_expectations_version": gx.__version__,
            "validation_time": verdict.checked_at.isoformat(),
            "batch_kwargs": {"data_asset_name": suite.table},
            "batch_spec": {
                "reading_dates": _describe_batch(verdict),
                "rows": verdict.rows,
                "seconds": round(verdict.seconds, 3),
            },
        },
    )


def _describe_rows_rule(suite: GateSuite) -> GateRule:
    """Describe the rule that no rows break: it is the gate's own and in no suite."""
    return GateRule(f"{suite.gate}-ROWS-000", is_between("rows", 1, None), f"{suite.table} has rows", "")


def _describe_details(
    rule: GateRule, seen: Mapping[str, Any], broken: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the details that the site shows; samples are the rows that the verdict keeps.

    Great Expectations writes what it shows into its pages as HTML, and samples have names from files.
    """
    elements, unexpected = seen.get("element_count", 0), seen.get("unexpected_count", 0)
    details: dict[str, Any] = {"observed_value": escape(f"{rule.id}: {seen.get('observed', 'passed')}")}
    if elements:
        details |= {"element_count": elements, "unexpected_count": unexpected}
        details["unexpected_percent"] = 100 * unexpected / elements
    if broken is None:
        return details
    lines = [escape(", ".join(f"{name} {value}" for name, value in row.items())) for row in broken["sample"]]
    details["observed_value"] = escape(
        f"{rule.id}: {broken['observed']}. Expected that {broken['what']}. Next: {broken['remedy']}"
    )
    details["partial_unexpected_list"] = lines
    details["partial_unexpected_counts"] = [{"value": line, "count": 1} for line in lines]
    return details
