"""The process that forks for each call of dbt: a call is like a program of its own, and ends with it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from data.warehouse.warm import READY, ask
from myproperty.children import name_parent
from myproperty.settings import CHECKOUT

PATIENCE_S = 20
# In place of dbt: says what it finds, and keeps something in the process.
SERVER = """
import os, sys, time
from data.warehouse.warm import serve
kept = []
def load():
    if os.environ.get("BREAK"):
        raise RuntimeError("no project")
    def run(words):
        kept.append(words)
        print(words, os.environ.get("MINE"), os.getcwd(), len(kept))
        print("said to stderr", file=sys.stderr)
        if words[0] == "sleep":
            time.sleep(600)
        return int(words[1])
    return run
serve(sys.argv[1], load)
"""
CALLER = "import sys; from data.warehouse.warm import ask; sys.exit(ask(sys.argv[1], sys.argv[2:]))"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHECKOUT)}


def start_server(folder: Path, **variables: str) -> "subprocess.Popen[str]":
    server = subprocess.Popen(
        [sys.executable, "-u", "-c", SERVER, str(folder / "calls")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**ENVIRONMENT, **name_parent(), **variables},
    )
    assert server.stdout is not None
    assert server.stdout.readline().strip() == READY
    return server


@pytest.fixture
def server(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    found = start_server(tmp_path)
    yield found
    found.kill()
    found.wait()


def call(folder: Path, *words: str, cwd: Path | None = None, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CALLER, str(folder / "calls"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**ENVIRONMENT, **variables},
    )


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)


def children(server: "subprocess.Popen[str]") -> list[psutil.Process]:
    return [each for each in psutil.Process(server.pid).children() if each.status() != psutil.STATUS_ZOMBIE]


def wait_until_it_works(caller: "subprocess.Popen[str]") -> None:
    assert caller.stdout is not None
    assert "sleep" in caller.stdout.readline()


def test_a_call_has_its_own_words_environment_folder_output_and_code(
    server: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    for number, folder in ((0, tmp_path), (1, CHECKOUT)):
        done = call(tmp_path, "build", str(number), cwd=folder, MINE=f"of {number}")
        out, err = done.communicate(timeout=PATIENCE_S)
        # The third call would find what the first ones kept, if they were one process.
        assert out == f"['build', '{number}'] of {number} {folder} 1\n"
        assert err == "said to stderr\n"
        assert done.returncode == number
    wait_until(lambda: not children(server))


def test_two_calls_at_once(server: "subprocess.Popen[str]", tmp_path: Path) -> None:
    first, second = call(tmp_path, "sleep", "0"), call(tmp_path, "build", "3")
    assert second.wait(PATIENCE_S) == 3
    assert first.poll() is None
    first.kill()
    first.communicate()


def test_a_killed_call_takes_its_dbt_with_it(server: "subprocess.Popen[str]", tmp_path: Path) -> None:
    caller = call(tmp_path, "sleep", "0")
    wait_until_it_works(caller)
    caller.kill()
    caller.communicate()
    wait_until(lambda: not children(server))
    assert server.poll() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_dbt(
    server: "subprocess.Popen[str]", tmp_path: Path, number: signal.Signals
) -> None:
    caller = call(tmp_path, "sleep", "0")
    wait_until_it_works(caller)
    caller.send_signal(number)
    assert caller.wait(PATIENCE_S) != 0
    caller.communicate()
    wait_until(lambda: not children(server))


def test_a_killed_process_takes_its_calls_with_it_and_they_say_so(
    server: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    caller = call(tmp_path, "sleep", "0")
    wait_until_it_works(caller)
    (child,) = children(server)
    server.kill()
    _, err = caller.communicate(timeout=PATIENCE_S)
    assert caller.returncode == 2
    assert "dbt ended without a result: it was killed" in err
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_without_a_process_nothing_was_run(tmp_path: Path) -> None:
    assert ask(str(tmp_path / "nobody"), ["build", "0"]) is None
    server = start_server(tmp_path, BREAK="1")
    assert ask(str(tmp_path / "calls"), ["build", "0"]) is None
    assert server.wait(PATIENCE_S) != 0
