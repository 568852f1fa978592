"""Plant faults, run the real job and say what came out; write `docs/planted-faults.md` from it."""

import argparse
import json
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from myproperty import engines
from myproperty.settings import Settings
from tests.soak.faults import Fault
from tests.soak.site import Figures, Site, build_site, settings_of
from tests.soak.table import COPIES, FAULTS, FILES, MACHINES, MODELS, STORE

PAGE = Path(__file__).parents[2] / "docs" / "planted-faults.md"
UNCHANGED = ("refused", "quarantined", "healed", "blocked", "forbidden")


@dataclass(frozen=True)
class Trial:
    """The result of one planted fault; `problem` is empty if it ended as the table says."""

    fault: Fault
    commands: list[str]
    seconds: float
    problem: str = ""


def try_fault(site: Site, fault: Fault) -> Trial:
    """Restore the platform, plant the fault, run, check what people read, mend, run, and check again."""
    started = time.monotonic()
    commands: list[str] = []
    try:
        site.restore()
        with settings_of(site):
            fault.plant(site)
            with fault.during(site):
                _run(site, fault)
            _check(site, fault)
            commands = fault.mend(site)
            _check_mended(site)
    except Exception as error:  # noqa: BLE001  a trial reports whatever went wrong, and the next one runs
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {error}"
        return Trial(fault, commands, time.monotonic() - started, text)
    return Trial(fault, [*commands, "myproperty run"], time.monotonic() - started)


def _run(site: Site, fault: Fault) -> None:
    if fault.runs == "day":
        site.run(site.day)
    elif fault.runs == "pending":
        site.run()


def _check(site: Site, fault: Fault) -> None:
    seen = site.seen()
    assert not fault.rule or fault.rule in seen, f"{fault.rule} was not seen, but {sorted(seen)}"
    after = site.figures()
    if fault.outcome in UNCHANGED:
        assert not (changed := _differing(site.base, after)), f"people read other figures: {changed[:3]}"
    if fault.outcome == "held":
        wrong = [
            key for key in _differing(site.base, after) if not _only_missing(site.base[key], after.get(key))
        ]
        assert not wrong, f"figures that are neither the right ones nor missing: {wrong[:3]}"
        assert site.pending().held, "no meter is held back"
    if fault.outcome == "blocked":
        waiting = [day for found in site.pending().dates for day in found.dates]
        assert site.day in waiting, "`pending` does not name the day"


def _check_mended(site: Site) -> None:
    before = len(site.reports)
    pending = site.pending().dates
    reports = site.run() if not any(found.run for found in pending) else []
    for found in pending:
        if found.run is not None:
            reports += site.run(*found.dates)
    for report in reports:
        rules = [broken["rule"] for verdict in report.failed for broken in verdict.failed]
        assert report.success, f"after mending: {rules or report.error}"
    assert len(site.reports) == before + len(reports)
    after = site.figures()
    changed = [(key, site.base.get(key), after.get(key)) for key in _differing(site.base, after)]
    assert not changed, f"after mending, other figures: {changed[:3]}"
    left = site.pending()
    assert not left.dates and not left.held, f"after mending, still pending: {left}"


def _differing(base: Figures, after: Figures) -> list[tuple[str, ...]]:
    return sorted(key for key in base.keys() | after.keys() if base.get(key) != after.get(key))


def _only_missing(base: Sequence[object], after: Sequence[object] | None) -> bool:
    """Return whether every figure is the right one, or missing, or a count of values that became smaller."""
    if after is None:
        return False
    return all(
        now is None or now == right or (isinstance(now, int) and isinstance(right, int) and now < right)
        for right, now in zip(base, after, strict=True)
    )


def try_all(site: Site, faults: Iterable[Fault], results: Path | None = None) -> list[Trial]:
    """Try the faults one after the other, and report each as it ends.

    With a file of `results`, those that ended well are not tried again.
    """
    trials = []
    known = json.loads(results.read_text()) if results and results.exists() else {}
    for fault in faults:
        if fault.name in known and not known[fault.name]["problem"]:
            trials.append(Trial(fault, **known[fault.name]))
            continue
        trial = try_fault(site, fault)
        trials.append(trial)
        known[fault.name] = {name: getattr(trial, name) for name in ("commands", "seconds", "problem")}
        if results:
            results.write_text(json.dumps(known, indent=2))
        state = "ok" if not trial.problem else f"FAILED {trial.problem}"
        print(f"{trial.seconds:6.1f} s  {fault.name}: {state}", file=sys.stderr, flush=True)  # noqa: T201
    return trials


def write_page(trials: Sequence[Trial]) -> str:
    """Write the page of the documents: the faults by place, each with its rule, outcome and remedy."""
    places = {
        "Files": FILES,
        "The operational store": STORE,
        "Copies": COPIES,
        "Models": MODELS,
        "Machines": MACHINES,
    }
    ended = {trial.fault.name: trial for trial in trials}
    lines = [
        "<!-- Generated by `make soak`; edit the program, not this page. -->",
        "",
        "# Planted faults",
        "",
        f"{len(trials)} faults were planted into the demo company, one at a time, and the real job was run. "
        f"{sum(not trial.problem for trial in trials)} of them ended as this table says. The rule, if the "
        "row has one, named the fault. Nobody read a wrong figure without an issue beside it. After the "
        "remedy and a run, all figures were those of before.",
        "",
        "`refused`, `quarantined`, `healed`, `blocked`, `forbidden`: people read the same figures as before. "
        "`held`: the meter is missing on its date. `flagged`: the figures are published with an issue beside "
        "them, because they may be right.",
    ]
    for place, faults in places.items():
        lines += [
            "",
            f"## {place}",
            "",
            "| Fault | What | Named by | Outcome | Mended by |",
            "| --- | --- | --- | --- | --- |",
            *(_write_row(fault, ended.get(fault.name)) for fault in faults),
        ]
    return "\n".join(lines) + "\n"


def write_cells(fault: Fault) -> tuple[str, str, str]:
    """Return the cells of a fault that do not depend on its trial: name, what it is, and its rule."""
    return fault.name, fault.what, f"`{fault.rule}`" if fault.rule else ""


def _write_row(fault: Fault, trial: Trial | None) -> str:
    if trial is None:
        outcome, commands = "not tried", ""
    else:
        outcome = fault.outcome if not trial.problem else f"NOT as expected: {trial.problem[:120]}"
        commands = ", ".join(
            f"`{command}`" if command[0] != "(" else command[1:-1] for command in trial.commands
        )
        commands = "" if fault.outcome == "forbidden" else re.sub(r"\d{4}-\d\d-\d\d", "DAY", commands)
    cells = (*write_cells(fault), outcome.replace("|", "/").replace("\n", " "), commands)
    return f"| {' | '.join(cells)} |"


def choose_share(seed: int) -> list[Fault]:
    """Return a seeded share of the faults that end early in a run: a row of a file, and a copied table."""
    random = Random(seed)
    quarantined = [fault for fault in FILES if fault.outcome == "quarantined"]
    copied = [fault for fault in COPIES if fault.outcome == "blocked"]
    return [random.choice(quarantined), random.choice(copied)]


def main() -> None:
    """Try all faults, or those whose name contains a word, on an embedded server of their own."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--only", help="faults whose name contains this")
    parser.add_argument("--results", type=Path, help="keep results here, and go on from them")
    arguments = parser.parse_args()
    faults = [fault for fault in FAULTS if not arguments.only or arguments.only in fault.name]
    with tempfile.TemporaryDirectory(prefix="soak-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        server = Settings(
            home=Path(folder) / "server", warehouse="postgres", oltp_dsn=None, warehouse_dsn=None
        )
        engines.up(server, emulator=False)
        try:
            site = build_site(server, Path(folder))
            trials = try_all(site, faults, arguments.results)
        finally:
            engines.down(server)
    if not arguments.only:
        PAGE.write_text(write_page(trials))
    sys.exit(any(trial.problem for trial in trials))


if __name__ == "__main__":
    main()
