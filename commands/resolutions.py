"""How `quarantine resolve` and `issues resolve` close many rows: count them, close them, say how many."""

from typing import TYPE_CHECKING

import typer

from commands import console
from data.ingest.errors import IngestError

if TYPE_CHECKING:
    from data.ingest.resolutions import Selection, Target


def resolve_many(
    dsn: str, target: "Target", selection: "Selection", *, by: str | None, note: str | None, dry_run: bool
) -> None:
    """Count the selected open rows and, unless `dry_run`, close them. Raises `IngestError`."""
    from data.ingest.resolutions import count_left_out, count_selected, resolve_selected

    counts = count_selected(dsn, target, selection)
    console.print_table("Would be resolved" if dry_run else "Selected", counts)
    if left_out := count_left_out(dsn, target, selection):
        console.err.print(
            f"{left_out} severe ones stay open: `myproperty issues accept` accepts them for a time."
        )
    if not dry_run:
        closed = resolve_selected(dsn, target, selection, by=by or "", note=note or "", progress=_report)
        console.out.print(f"{closed} are resolved.")


def check_choice(id: str | None, selection: "Selection") -> None:
    """Refuse an id beside a selection."""
    if id is not None and (selection.rule or selection.file or selection.job or selection.tenant):
        raise typer.BadParameter("give an ID, or --rule, --file, --job and --tenant, not both")


def require_reason(by: str | None, note: str | None) -> tuple[str, str]:
    """Return who decided and why. Raises `IngestError` if one is missing."""
    if by is None or note is None:
        raise IngestError("a resolution names who decided and why: give --by and --note")
    return by, note


def _report(closed: int) -> None:
    console.show_progress(f"{closed} resolved")
