"""What disturbs `myproperty dev` while a run that was launched in Dagster's pages is under way.

One of its processes is killed or stopped at a random second: the command, the web server, the daemon or the
server of code. After a kill, what is left of them ends by itself, the server of code when the runs that it
has started have ended.
"""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random

import dagster as dg
import psutil
import requests
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

from dagster_project.defs.ingest.jobs import ingest
from dagster_project.defs.warehouse.jobs import pipeline
from dagster_project.partitions import run_tags
from myproperty.dates import Window
from tests.chaos.loads import PATIENCE_S, Ended
from tests.chaos.world import DAY, World, list_family

RUN_PATIENCE_S = 5 * PATIENCE_S
VICTIMS = {
    "the command": "dev --port",
    "the web server": "dagster_webserver",
    "the daemon": "dagster._daemon",
    "the server of code": "dagster api grpc",
}


def kill_pages(world: World, random: Random) -> Ended:
    """Launch a run in the pages and kill one of their processes at a random second of it."""
    with started_pages(world) as (command, client):
        launch(client, ingest.name)
        _, seconds = begin_run(client, world, random)
        name = random.choice(sorted(VICTIMS))
        family = list_family(command.pid)
        for process in list_victims(family, name):
            process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.wait(10)
    psutil.wait_procs(family, RUN_PATIENCE_S)
    return Ended([], family, f"{name} after {seconds:.0f} s")


def stop_pages(world: World, random: Random) -> Ended:
    """Launch a run in the pages and stop one of their processes for up to ten seconds; the run succeeds."""
    said = []
    with started_pages(world) as (command, client):
        launch(client, ingest.name)
        run, seconds = begin_run(client, world, random)
        name, pause = random.choice(sorted(VICTIMS)), random.uniform(0.5, 10)
        family = list_family(command.pid)
        stopped = list_victims(family, name)
        for process in stopped:
            process.suspend()
        time.sleep(pause)
        for process in stopped:
            process.resume()
        status = wait_for_end(client, run, RUN_PATIENCE_S)
        if status != dg.DagsterRunStatus.SUCCESS:
            said.append(f"NO SUCCESS: {status}")
    psutil.wait_procs(family, RUN_PATIENCE_S)
    return Ended(said, family, f"{name} after {seconds:.0f} s, for {pause:.1f} s")


def begin_run(client: DagsterGraphQLClient, world: World, random: Random) -> tuple[str, float]:
    """Launch the pipeline and wait for a random second of it; return its id and these seconds."""
    run = client.submit_job_execution(
        pipeline.name, tags=run_tags(Window(DAY, DAY + timedelta(days=1)), "chaos")
    )
    seconds = random.uniform(0, world.seconds_of_run)
    wait_for_end(client, run, seconds)
    return run, seconds


@contextmanager
def started_pages(world: World) -> Iterator[tuple[subprocess.Popen[bytes], DagsterGraphQLClient]]:
    """Start `myproperty dev` and wait until it answers; at the end ask it to end, if it still runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (world.folder / "dev.log").open("wb") as log:
        command = subprocess.Popen(
            [str(Path(sys.executable).parent / "myproperty"), "dev", "--port", str(port)],
            env=world.variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_hear_interrupts,  # noqa: PLW1509
        )
    try:
        await_answer(f"http://127.0.0.1:{port}/server_info")
        yield command, DagsterGraphQLClient("127.0.0.1", port_number=port)
    finally:
        if command.poll() is None:
            # The server of code waits for the runs that it has started.
            command.send_signal(signal.SIGINT)
            command.wait(RUN_PATIENCE_S)


def _hear_interrupts() -> None:
    """A program that a shell runs in the background ignores SIGINT, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def await_answer(url: str) -> None:
    """Wait until a server answers. Raises TimeoutError."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(url, timeout=5).ok:
                return
        time.sleep(0.2)
    raise TimeoutError(f"{url} does not answer")


def launch(client: DagsterGraphQLClient, job: str) -> None:
    """Launch a job and wait for its success. Raises RuntimeError."""
    status = wait_for_end(client, client.submit_job_execution(job), RUN_PATIENCE_S)
    if status != dg.DagsterRunStatus.SUCCESS:
        raise RuntimeError(f"{job} ended as {status}")


def wait_for_end(client: DagsterGraphQLClient, run_id: str, seconds: float) -> dg.DagsterRunStatus | None:
    """Return how a run has ended; None if it is under way after so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(DagsterGraphQLClientError, requests.ConnectionError):
            status = client.get_run_status(run_id)
            if status in (
                dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED
            ):  # fmt: skip
                return status
        time.sleep(0.2)
    return None


def list_victims(family: list[psutil.Process], name: str) -> list[psutil.Process]:
    """Return the living processes of this name."""
    found = []
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            if VICTIMS[name] in " ".join(process.cmdline()):
                found.append(process)
    return found
