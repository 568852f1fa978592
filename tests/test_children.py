"""A killed process takes the programs that it started with it, whatever they do at that moment."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from myproperty import children
from myproperty.settings import CHECKOUT

PATIENCE_S = 20
# Starts a program by `bind`, or one of ours by the variable, says its id and waits.
STARTER = """
import os, subprocess, sys
from myproperty.children import bind, name_parent
words = [sys.executable, "-c", sys.argv[2]]
if sys.argv[1] == "bound":
    child = subprocess.Popen(bind(words))
else:
    child = subprocess.Popen(words, env={**os.environ, **name_parent()})
print(child.pid, flush=True)
child.wait()
"""
SLEEPER = "import time; time.sleep(600)"
OURS = "from myproperty.children import end_with_parent; end_with_parent(); import time; time.sleep(600)"
WITHOUT_KERNEL = f"import sys; sys.platform = 'darwin'; {OURS}"


def start(how: str, program: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, how, program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )


def wait_until(is_so: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE_S
    while not is_so() and time.monotonic() < until:
        time.sleep(0.02)
    return is_so()


def lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def runs(pid: int, text: str) -> bool:
    """Return whether the process has become the program itself, with what it asks for done."""
    # Empty while the process becomes another program.
    words = psutil.Process(pid).cmdline()
    return bool(words) and text in words[-1] and "children.py" not in str(words)


@pytest.mark.parametrize(
    ("how", "program"), [("bound", SLEEPER), ("ours", OURS), ("ours", WITHOUT_KERNEL)], ids=str
)
def test_a_child_ends_when_its_starter_is_killed(how: str, program: str) -> None:
    starter = start(how, program)
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    try:
        assert wait_until(lambda: runs(pid, program))
        time.sleep(0.5)  # a program of ours asks the kernel after its imports
        assert lives(pid)
        starter.kill()
        starter.wait()
        assert wait_until(lambda: not lives(pid)), "the child outlived its starter"
    finally:
        starter.kill()
        starter.stdout.close()
        if lives(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_child_of_a_parent_that_is_gone_ends_at_once(tmp_path: Path) -> None:
    """The parent may die before the kernel is asked: no signal comes then."""
    words = [sys.executable, "-I", "-S", children.__file__, "1", str(int(signal.SIGTERM)), "touch"]
    done = subprocess.run([*words, tmp_path / "made"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "made").exists()


def test_a_bound_program_keeps_its_exit_code_and_environment(tmp_path: Path) -> None:
    program = "import os, sys; print(os.environ['WORD'], os.getcwd()); sys.exit(7)"
    done = subprocess.run(
        children.bind([sys.executable, "-c", program]),
        env={**os.environ, "WORD": "hello"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (7, ["hello", str(tmp_path)])


def test_a_bound_program_gets_the_named_signal_even_if_interrupts_were_ignored(tmp_path: Path) -> None:
    program = f"""
import signal, sys, time
signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # as Dagster does
open({str(tmp_path / "ready")!r}, "w").close()
try:
    time.sleep(600)
except KeyboardInterrupt:
    open({str(tmp_path / "ended")!r}, "w").close()
"""
    starter = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal, subprocess, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
            "from myproperty.children import bind\n"
            f"subprocess.call(bind([sys.executable, '-c', {program!r}], signal.SIGTERM))",
        ],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    assert wait_until((tmp_path / "ready").exists)
    starter.kill()
    starter.wait()
    assert wait_until((tmp_path / "ended").exists)


def test_the_program_without_the_kernel_ends_too(tmp_path: Path) -> None:
    """Where the kernel has no such call, the starter of `bind` stays and watches."""
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    starter = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys\n"
            f"code = open({children.__file__!r}).read().replace('sys.platform', repr('darwin'))\n"
            "from myproperty.children import bind\n"
            f"words = bind([sys.executable, '-c', {program!r}])\n"
            "words[3:4] = ['-c', code]\n"
            "subprocess.call(words)",
        ],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    starter.kill()
    starter.wait()
    starter.stdout.close()
    assert wait_until(lambda: not lives(pid))


def test_a_program_that_ends_its_own_children_is_not_killed_by_an_interrupt() -> None:
    """`subprocess.call` kills its program a quarter of a second after an interrupt; its children stayed."""
    program = (
        "import signal, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "def end(*_):\n"
        "    time.sleep(0.6); child.terminate(); child.wait(); sys.exit(3)\n"
        "signal.signal(signal.SIGINT, end)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)"
    )
    starter = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, sys\nfrom myproperty.children import run_to_end\n"
            "sys.exit(run_to_end([sys.executable, '-c', sys.argv[1]], dict(os.environ)))",
            program,
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        start_new_session=True,
    )
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    # As a terminal does: to the whole group.
    os.killpg(starter.pid, signal.SIGINT)
    try:
        assert starter.wait(PATIENCE_S) == 3
        assert not lives(pid)
    finally:
        starter.kill()
