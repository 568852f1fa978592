"""The program of the process that validates frames beside a run: see `expectations.judge`."""

import os
import pickle
import signal
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from expectations.validation import gates_project, validate_here
from myproperty.children import end_with_parent


def serve(validate: Callable[..., Any], calls: BinaryIO, answers: BinaryIO) -> None:
    """Answer each call, until there are no more."""
    while True:
        try:
            call = pickle.load(calls)
        except EOFError:
            return
        try:
            answer = validate(*call)
        except Exception as error:  # noqa: BLE001 - whoever asked raises it
            answer = error
        pickle.dump(answer, answers)
        answers.flush()


def main() -> None:
    """Load Great Expectations, and answer on the standard output of this process alone."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this process stops it
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a library that prints does not answer
    gates_project()
    serve(validate_here, sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
