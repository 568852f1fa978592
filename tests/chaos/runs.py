"""What disturbs the real command, `myproperty run`, at a random second; a run takes a minute or more."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import psutil
import psycopg

from myproperty import engines
from tests.chaos.loads import CUT, PATIENCE_S, Ended, join
from tests.chaos.world import World, list_family
from tests.engine_support import kill_server


class Run:
    """`myproperty run` in a process of its own."""

    def __init__(self, world: World) -> None:
        self.log = world.folder / f"run-{time.monotonic_ns()}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).parent / "myproperty"), "run"],
                env=world.variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self.process.pid

    def wait(self) -> Ended:
        """Wait for its end and return what it said if it failed."""
        family = list_family(self.pid)
        try:
            code = self.process.wait(PATIENCE_S * 5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return Ended([f"HANGS: no end after {PATIENCE_S * 5} s"], family)
        said = [] if code in (0, -signal.SIGKILL) else [self.read()[-3000:]]
        return Ended(said, family, killed=int(code == -signal.SIGKILL))

    def read(self) -> str:
        """Return what it has said so far."""
        return self.log.read_text()

    def wait_for(self, text: str, patience_s: float) -> bool:
        """Wait until it has said a text."""
        until = time.monotonic() + patience_s
        while text not in self.read():
            if self.process.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def sleep(self, seconds: float) -> None:
        """Wait so long, or until it ends."""
        until = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)


def start_run(world: World, random: Random) -> tuple[Run, str]:
    """Start the command and wait until a random point of it."""
    run, seconds = Run(world), random.uniform(4, world.seconds_of_run)
    run.sleep(seconds)
    lines = [line.strip() for line in run.read().splitlines() if line.startswith("  ")]
    return run, f"{seconds:.0f} s, after: {lines[-1][:60] if lines else 'nothing'}"


def kill_run(world: World, random: Random) -> Ended:
    """`kill -9` of the command alone, not of what it started."""
    run, point = start_run(world, random)
    family = list_family(run.pid)
    run.process.kill()
    ended = run.wait()
    return Ended(ended.said, family, point, ended.killed)


def kill_dbt(world: World, random: Random) -> Ended:
    """`kill -9` of dbt below the command."""
    run, found = start_until_dbt(world, random)
    family = list_family(run.pid)
    for process in found:
        process.kill()
    ended = run.wait()
    return Ended(ended.said, family, "dbt was killed" if found else "no dbt was there")


def stop_dbt(world: World, random: Random) -> Ended:
    """SIGSTOP of dbt below the command for ten seconds, then SIGCONT."""
    run, found = start_until_dbt(world, random)
    for process in found:
        process.suspend()
    time.sleep(10)
    for process in found:
        process.resume()
    ended = run.wait()
    ended.point = "dbt was stopped" if found else "no dbt was there"
    return ended


def start_until_dbt(world: World, random: Random) -> tuple[Run, list[psutil.Process]]:
    """Start the command and wait, from a random second on, until dbt runs below it; return its processes."""
    run = Run(world)
    run.sleep(random.uniform(world.seconds_of_run / 3, world.seconds_of_run))
    until = time.monotonic() + 30
    while time.monotonic() < until and run.process.poll() is None:
        if found := [process for process in list_family(run.pid)[1:] if _is_dbt(process)]:
            return run, found
        time.sleep(0.1)
    return run, []


def _is_dbt(process: psutil.Process) -> bool:
    try:
        return any(word.endswith("myproperty-dbt") for word in process.cmdline())
    except psutil.NoSuchProcess:
        return False


def stop_run(world: World, random: Random) -> Ended:
    """SIGSTOP of the command for ten seconds, then SIGCONT."""
    run, point = start_run(world, random)
    if run.process.poll() is None:
        run.process.send_signal(signal.SIGSTOP)
        time.sleep(10)
        run.process.send_signal(signal.SIGCONT)
    ended = run.wait()
    ended.point = point
    return ended


def end_connections_of_run(world: World, random: Random) -> Ended:
    """The database ends all connections of a run, once."""
    run, point = start_run(world, random)
    with psycopg.connect(world.admin, autocommit=True) as connection:
        connection.execute(CUT)
    ended = run.wait()
    ended.point = point
    return ended


def kill_postgres_of_run(world: World, random: Random) -> Ended:
    """`kill -9` of the server during a run, then `myproperty up`."""
    assert world.server is not None
    run, point = start_run(world, random)
    kill_server(world.server)
    time.sleep(random.random() * 2)
    engines.up(world.server, emulator=False)
    ended = run.wait()
    ended.point = point
    return ended


def run_twice(world: World, random: Random) -> Ended:
    """Two commands at once."""
    first = Run(world)
    time.sleep(random.uniform(0, world.seconds_of_run / 2))
    second = Run(world)
    return join(first.wait(), second.wait())


def lose_files_of_run(world: World, random: Random) -> Ended:
    """A folder of the home vanishes during a run: dbt's, Dagster's or the logs."""
    run, point = start_run(world, random)
    folder = random.choice(["dbt_target", "dagster", "logs"])
    shutil.rmtree(world.settings.home / folder, ignore_errors=True)
    ended = run.wait()
    ended.point = f"{folder} at {point}"
    return ended
