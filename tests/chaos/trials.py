"""Try chaos again and again: `make chaos RUNS=300 SEED=1`; write the table of kinds as JSON and as a page.

After each trial must hold: no process of it lives, nothing is locked, an error says what happened, the next
load or run succeeds by itself and leaves the rows of an undisturbed one, and no rest stays.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from data.warehouse import project as dbt
from myproperty import engines
from myproperty.settings import CHECKOUT
from tests.chaos.findings import NOT_MENDED, write_findings
from tests.chaos.kinds import KINDS, Kind, matches
from tests.chaos.loads import Ended, Worker
from tests.chaos.runs import Run
from tests.chaos.world import Snapshot, World, build_world, find_orphans, keep, own_server

PAGE = CHECKOUT / "docs" / "chaos.md"


@dataclass(frozen=True)
class Trial:
    """One trial: where it was hit, and what was wrong afterwards; nothing if it held."""

    kind: str
    seed: str
    point: str
    seconds: float
    problem: str = ""


def try_kind(world: World, kind: Kind, seed: str) -> Trial:
    """Restore the platform, disturb it, and check everything that must hold."""
    random, started = Random(seed), time.monotonic()
    point = ""
    try:
        world.warehouse = kind.warehouse
        world.restore()
        ended = kind.disturb(world, random)
        point = ended.point
        problems = [*check_end(world, kind, ended), *check_next(world, kind, ended)]
    except Exception as error:  # noqa: BLE001  a trial reports whatever went wrong, and the next one runs
        where = traceback.extract_tb(error.__traceback__)[-1]
        problems = [f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {error}"]
    finally:
        world.stop_emulator()
    return Trial(kind.name, seed, point, time.monotonic() - started, "; ".join(problems)[:2000])


def check_end(world: World, kind: Kind, ended: Ended) -> Iterator[str]:
    """Yield what is wrong right after the disturbance."""
    yield from (f"unexpected: {said}" for said in ended.said if not matches(kind, said))
    yield from (f"outlived it: {what}" for what in find_orphans(ended.family))
    yield from (f"still there: {what}" for what in world.find_left())
    if kind.is_run and ended.killed:
        before = world.read_marts()
        time.sleep(3)
        if world.read_marts() != before:
            yield "the marts changed after the kill"


def check_next(world: World, kind: Kind, ended: Ended) -> Iterator[str]:
    """Yield what is wrong after the next load or run, which nothing disturbs."""
    said = Worker(world).wait().said if not kind.is_run else run_again(world, ended)
    yield from (f"the next one: {text}" for text in said)
    base = world.base_of_run if kind.is_run else world.base
    yield from compare(base, world.read(books=kind.books, marts=kind.is_run))
    yield from (f"a rest: {what}" for what in world.find_rest())


def run_again(world: World, ended: Ended) -> list[str]:
    """Run the command again; it must succeed, and name a run that was killed in the middle."""
    run = Run(world)
    said = run.wait().said
    text = run.read()
    if ended.killed and "gate" in ended.point.lower() and "was killed" not in text:
        said.append("it does not say that a run was killed")
    return said


def compare(base: Snapshot, found: Snapshot) -> Iterator[str]:
    """Yield the relations whose rows differ from those of an undisturbed load."""
    for name, rows in found.items():
        if rows != base[name]:
            lost = [row for row in base[name] if row not in rows]
            more = [row for row in rows if row not in base[name]]
            yield (
                f"{name} differs: {len(rows)} rows, not {len(base[name])}; lost {lost[:2]}, more {more[:2]}"
            )


def prepare_runs(world: World) -> None:
    """Run the command once undisturbed for the older date, keep this state, and run it for the new one."""
    world.restore()
    waiting = {path: path.read_bytes() for path in world.inbox.iterdir()}
    for path in waiting:
        path.unlink()
    dbt.manifest(world.settings)
    warm_up(world)
    keep(world)
    kept = world.folder / "kept"
    subprocess.run(["cp", "-a", world.settings.home, kept], check=True)
    world.restore()
    started = time.monotonic()
    warm_up(world)
    world.seconds_of_run = time.monotonic() - started
    world.base_of_run = world.read(marts=True)
    assert world.base_of_run["energy"], "an undisturbed run publishes nothing"


def warm_up(world: World) -> None:
    ended = Run(world).wait()
    assert not ended.said, ended.said


def draw(kinds: Sequence[Kind], runs: int, seed: int) -> list[tuple[Kind, str]]:
    """Return so many kinds with a seed for each, by their weights; the whole command's come last."""
    random = Random(seed)
    drawn = random.choices(kinds, [kind.weight for kind in kinds], k=runs)
    return sorted(
        ((kind, f"{seed}-{number}") for number, kind in enumerate(drawn)), key=lambda each: each[0].is_run
    )


def try_all(world: World, drawn: Iterable[tuple[Kind, str]]) -> Iterator[Trial]:
    """Try one after the other, and report each as it ends."""
    ready_to_run = False
    for kind, seed in drawn:
        if kind.is_run and not ready_to_run:
            prepare_runs(world)
            ready_to_run = True
        trial = try_kind(world, kind, seed)
        state = "held" if not trial.problem else f"FOUND {trial.problem}"
        line = f"{trial.seconds:6.1f} s  {kind.name} {seed} ({trial.point}): {state}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201
        yield trial


def write_table(trials: Sequence[Trial]) -> list[str]:
    """Return the rows of the table: each kind, how often it was tried, and how often it held."""
    tried = Counter(trial.kind for trial in trials)
    found = Counter(trial.kind for trial in trials if trial.problem)
    rows = [
        f"| {kind.name} | {kind.what} | {tried[kind.name]} | {tried[kind.name] - found[kind.name]} | "
        f"{found[kind.name]} |"
        for kind in KINDS
    ]
    return ["| Kind | What | Tried | Held | Found |", "| --- | --- | --- | --- | --- |", *rows]


def write_page(trials: Sequence[Trial], revision: str) -> str:
    """Write the page of the documents."""
    found = sum(bool(trial.problem) for trial in trials)
    return "\n".join(
        [
            "<!-- Generated by `make chaos`; edit the program, not this page. -->",
            "",
            "# Chaos",
            "",
            f"{len(trials)} times something was killed, stopped, cut, filled or lost at a random point of a "
            f"load or a run, at revision `{revision}`. {len(trials) - found} times everything held: no "
            "process and no lock stayed, an error said what had happened, the next load or run succeeded by "
            "itself, its rows were those of an undisturbed one, and no rest stayed. "
            f"{found} times something did not hold.",
            "",
            *write_table(trials),
            "",
            "A load takes three files of two meters and one date from the inbox to raw, and archives another "
            "date. A run is `myproperty run`. `make chaos RUNS=300 SEED=1` tries it again: a seed gives the "
            "same kinds and the same points, as calls to the database; what else happens at that moment is "
            "up to the machine. Not tried: a jump of the server's clock.",
            "",
            "## Found and mended",
            "",
            *write_findings(),
            "",
            NOT_MENDED,
            "",
        ]
    )


def find_revision() -> str:
    """Return the short id of the commit that is tried, marked if files differ from it."""
    words = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--exclude", "*"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def join_results(paths: Sequence[Path]) -> tuple[list[Trial], str]:
    """Return the trials that files keep, and their revisions."""
    documents = [json.loads(path.read_text()) for path in paths]
    trials = [Trial(**trial) for document in documents for trial in document["trials"]]
    return trials, "`, `".join(sorted({document["revision"] for document in documents}))


def main() -> None:
    """Try chaos on an embedded server of its own."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="kinds whose name contains this")
    parser.add_argument("--part", choices=("all", "loads", "runs"), default="all")
    parser.add_argument("--minutes", type=float, default=10_000, help="begin no trial after this")
    parser.add_argument("--results", type=Path, default=CHECKOUT / ".local" / "chaos.json")
    parser.add_argument("--page", action="store_true", help="write docs/chaos.md from the results")
    parser.add_argument("--join", type=Path, nargs="+", help="write the page from these results alone")
    arguments = parser.parse_args()
    if arguments.join:
        PAGE.write_text(write_page(*join_results(arguments.join)))
        return
    kinds = [kind for kind in KINDS if not arguments.only or arguments.only in kind.name]
    kinds = [kind for kind in kinds if arguments.part in ("all", "runs" if kind.is_run else "loads")]
    until = time.monotonic() + arguments.minutes * 60
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory(prefix="chaos-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        with own_server(Path(folder)) as server:
            world = build_world(engines.dsn(server), Path(folder), server)
            for trial in try_all(world, draw(kinds, arguments.runs, arguments.seed)):
                trials.append(trial)
                keep_trials(arguments.results, trials)
                if time.monotonic() > until:
                    break
    print("\n".join(write_table(trials)))  # noqa: T201
    if arguments.page:
        PAGE.write_text(write_page(trials, find_revision()))
    sys.exit(any(trial.problem for trial in trials))


def keep_trials(path: Path, trials: Sequence[Trial]) -> None:
    """Keep the trials so far as JSON, with the revision."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"revision": find_revision(), "trials": [asdict(trial) for trial in trials]}
    path.write_text(json.dumps(document, indent=1))
