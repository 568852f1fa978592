"""A process beside that validates frames: it loads Great Expectations while a run is still starting.

Great Expectations takes two seconds to import, on one core. `judging_apart` starts the process, and
`expectations.validation` asks it while there is one. A call and its answer are pickled over the pipes of the
process, which ends with the program that started it. What it runs is in `expectations.judging`.
"""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from myproperty.children import name_parent
from myproperty.settings import CHECKOUT

_judges: list["Judge"] = []


class Judge:
    """The process, for one call at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "expectations.judging"],
            env={**os.environ, **name_parent()},
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._lock = threading.Lock()

    def ask(self, *call: Any) -> Any:
        """Return what `expectations.validation.validate_here` returns or raise what it raises.

        None: the process has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            try:
                pickle.dump(call, self._process.stdin)
                self._process.stdin.flush()
                answer = pickle.load(self._process.stdout)
            except (OSError, EOFError, pickle.UnpicklingError):
                return None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


@contextmanager
def judging_apart() -> Iterator[None]:
    """Validate frames in a process of its own inside the block."""
    judge = Judge()
    _judges.append(judge)
    try:
        yield
    finally:
        _judges.remove(judge)
        judge.stop()


def find_judge() -> Judge | None:
    """Return the process that validates, if there is one."""
    return _judges[-1] if _judges else None
