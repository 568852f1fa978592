"""The command that looks at a machine before something fails on it."""

from collections import Counter
from typing import Annotated, Any

import typer

from commands import console
from commands.options import AsJson, reports_errors
from myproperty.settings import get_settings


@reports_errors
def doctor(
    production: Annotated[
        bool, typer.Option("--production", help="The checklist of the first day in production too.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Look at versions, ports, disk, clock, engines, migrations, stuck runs and unpublished dates.

    Changes nothing. Exit code 1 if something is a problem; each comes with what to do.
    """
    from dagster_project import diagnosis, first_day

    settings = get_settings()
    checks = [*diagnosis.CHECKS, *(first_day.list_checks(settings) if production else ())]
    findings = []
    for finding in diagnosis.diagnose(settings, checks):
        findings.append(finding)
        if not json:
            console.show_progress(f"{finding.check}: {finding.state}")
    rows: list[dict[str, Any]] = [vars(finding) for finding in findings]
    counts = Counter(finding.state for finding in findings)
    if json:
        console.print_json({"checks": rows, "problems": counts["problem"], "warnings": counts["warning"]})
    else:
        console.print_table(f"{counts['problem']} problems, {counts['warning']} warnings", rows)
    if counts["problem"]:
        raise typer.Exit(1)
