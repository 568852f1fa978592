"""A process that has loaded dbt and a parsed project, and forks for each call of `myproperty-dbt`.

dbt takes three seconds to import itself and to read the project, in each dbt step of a run. The process here
does both once, while the first steps of the run are at work. A call sends its arguments, its environment, its
folder and its open files over a socket, and a child forked for it alone runs dbt: a call finds nothing of an
earlier one, and its exit code, output and signals are those of a program of its own.

Nobody outlives anybody: the children end with this process, this process with the run that started it, and a
child with the program that asked for it.
"""

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from myproperty.children import ask_kernel, end_with_parent

ADDRESS = "MYPROPERTY_DBT_WARM"
READY = "listening"
_NO_RESULT = 2
_WAITING_CALLS = 16


def ask(address: str, words: Sequence[str]) -> int | None:
    """Let the process at `address` run dbt with these arguments; return dbt's exit code.

    None if no process is there, and if it ended before dbt began: nothing has happened then.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(address)
            # The files go first, with one byte: they cannot be sent without any.
            socket.send_fds(connection, [b"\n"], [0, 1, 2])
            call = {"words": list(words), "environment": dict(os.environ), "folder": str(Path.cwd())}
            connection.sendall(json.dumps(call).encode() + b"\n")
        except OSError:
            return None
        answers = connection.makefile("r")
        child = _hear(answers)
        if not child:
            return None
        _pass_signals(int(child))
        code = _hear(answers)
        _hear(answers)  # until it has cleaned up and ended
    if not code:
        sys.stderr.write("dbt ended without a result: it was killed\n")
    return int(code) if code else _NO_RESULT


def _hear(answers: TextIO) -> str:
    """Return the next line; nothing if the other side has ended."""
    try:
        return answers.readline()
    except ConnectionError:
        return ""


def _pass_signals(child: int) -> None:
    """Send the signals by which people and Dagster end dbt on to the process that runs it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: os.kill(child, received))


def serve(address: str, load: Callable[[], Callable[[list[str]], int]]) -> None:
    """Listen at `address`, load dbt once, and run it for each call in a process of its own, without end.

    `load` returns the function that runs dbt with arguments and returns its exit code. Says READY on standard
    output when calls may be sent; those sent while dbt is being loaded wait.
    """
    end_with_parent()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(_WAITING_CALLS)
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    run = load()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children
    me = os.getpid()
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            ask_kernel(me, signal.SIGKILL)
            sys.exit(_answer(connection, run))
        connection.close()


def _answer(connection: socket.socket, run: Callable[[list[str]], int]) -> int:
    """Run dbt for one call in this process, and return its exit code."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    stream = connection.makefile("rw")
    call = json.loads(stream.readline())
    for changed in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(changed, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(call["folder"])
    os.environ.clear()
    os.environ.update(call["environment"])
    _say(stream, os.getpid())
    answered = threading.Event()
    threading.Thread(target=_end_with_caller, args=(connection, answered), daemon=True).start()
    code = run(call["words"])
    sys.stdout.flush()
    sys.stderr.flush()
    answered.set()
    _say(stream, code)
    return code


def _say(stream: TextIO, number: int) -> None:
    stream.write(f"{number}\n")
    stream.flush()


def _end_with_caller(connection: socket.socket, answered: threading.Event) -> None:
    """Wait for the end of the program that asked; it sends nothing more, and ends when it has its answer."""
    if not connection.recv(1) and not answered.is_set():
        os.kill(os.getpid(), signal.SIGKILL)
