"""Programs that end when the process that started them ends, however it ends.

A process that is killed (`kill -9`, out of memory) ends nobody. So each program that must not outlive its
starter asks the kernel for a signal at the death of its parent. Here: `bind` for programs of others, and
`end_with_parent` for our own. Not here: the database servers, which are meant to stay.

This file also runs as a program, before `bind`'s words, so it imports the standard library only.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence

# The process that a program of ours must not outlive; its starter sets it.
PARENT = "MYPROPERTY_PARENT"
_PR_SET_PDEATHSIG = 1
_POLL_S = 0.2


def bind(words: Sequence[object], number: signal.Signals = signal.SIGKILL) -> list[str]:
    """Return the words of a command, changed so that it gets the signal when this process dies.

    The command keeps its process id, environment and exit code. Start it from a thread that lives as long as
    the command: Linux means the thread by the parent.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(number)), *map(str, words)]


def run_to_end(words: Sequence[object], variables: Mapping[str, str]) -> int:
    """Run a program that ends its own children, and return its exit code; it is never killed.

    It is in a process group of its own, so an interrupt of the terminal reaches this process alone. Each is
    passed on once: a second one in the middle of the program's end would leave its children.
    """
    with subprocess.Popen(bind(words, signal.SIGTERM), env=variables, process_group=0) as program:
        while True:
            try:
                return program.wait()
            except KeyboardInterrupt:
                program.send_signal(signal.SIGINT)


def name_parent() -> dict[str, str]:
    """Return the variable by which a program of ours learns that it must not outlive this process."""
    return {PARENT: str(os.getpid())}


def end_with_parent() -> None:
    """Let this process be killed when the one that `PARENT` names dies; without it nothing changes."""
    named = os.environ.get(PARENT)
    if named and not ask_kernel(int(named), signal.SIGKILL):
        watch = threading.Thread(target=_watch, args=(int(named), _kill_myself), daemon=True)
        watch.start()


def ask_kernel(parent: int, number: signal.Signals) -> bool:
    """Ask Linux for a signal at the death of the parent; return False where the kernel has no such call.

    A parent that died before the call sends no signal, so this process then ends here.
    """
    if sys.platform != "linux" or ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0) != 0:
        return False
    if os.getppid() != parent:
        _kill_myself()
    return True


def _watch(parent: int, act: Callable[[], None]) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    act()


def _kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _run_watched(parent: int, number: signal.Signals, words: Sequence[str]) -> int:
    """Run a program where the kernel sends no signal; return its exit code."""
    child = subprocess.Popen(words)
    watch = threading.Thread(target=_watch, args=(parent, lambda: child.send_signal(number)), daemon=True)
    watch.start()
    return child.wait()


def main() -> None:
    """Become the program of `bind`."""
    parent, number, words = int(sys.argv[1]), signal.Signals(int(sys.argv[2])), sys.argv[3:]
    if number != signal.SIGKILL:
        # A shell lets its background jobs ignore interrupts, and Dagster then ignores SIGTERM too.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if ask_kernel(parent, number):
        os.execvp(words[0], words)
    sys.exit(_run_watched(parent, number, words))


if __name__ == "__main__":
    main()
