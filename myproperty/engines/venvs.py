"""Python environments of their own, for programs whose libraries conflict with the project's.

Each comes from a lock file with hashes and is made once for all homes. Here: how one is made. Not here: which
programs have one (`myproperty.engines.emulator`, `myproperty.engines.superset`).
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from myproperty.children import bind
from myproperty.engines.errors import (
    EngineError,
    disk_full,
    explain_file_errors,
    last_lines,
    nearest_existing,
)

# On two cores the emulator's takes 50 s, Superset's two minutes; a second starter waits for it.
BUILD_TIMEOUT_S = 900.0
Finish = Callable[[Path, Path], None]


def find_installed(base: Path, lock: Path) -> Path | None:
    """Return the environment's folder below `base` if it is complete.

    The folder's name is the lock file's hash: a change of versions makes another folder, and running programs
    keep theirs.
    """
    venv = base.resolve() / hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    return venv if (venv / "ready").exists() and (venv / "bin/python").exists() else None


def ensure_installed(
    base: Path, lock: Path, find_python: Callable[[], Path], log: Path, finish: Finish | None = None
) -> Path:
    """Return the environment's folder below `base`; make it first if it is missing. Raises `EngineError`.

    `finish` gets the folder and the log after the libraries are installed.
    """
    if found := find_installed(base, lock):
        return found
    with explain_file_errors(base):
        base.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(base / ".lock", timeout=BUILD_TIMEOUT_S):
            if found := find_installed(base, lock):
                return found
            venv = base.resolve() / hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
            _install(venv, lock, find_python(), log)
            if finish is not None:
                finish(venv, log)
            (venv / "ready").touch()
            return venv


def _install(venv: Path, lock: Path, python: Path, log: Path) -> None:
    """Make the environment from the lock file; first remove what an interrupted attempt left."""
    shutil.rmtree(venv, ignore_errors=True)
    pip = (
        venv / "bin/python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--no-input",
    )
    run_step(log, [python, "-m", "venv", venv])
    run_step(log, [*pip, "--require-hashes", "--no-deps", "--requirement", lock])


def run_step(log: Path, command: Sequence[str | Path], **extra: str) -> None:
    """Run one step of the installation and append its output to the log. Raises `EngineError`."""
    # The caller's variables would lead the other Python to the wrong modules; pip's own settings stay.
    environ = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    # An installation without its starter would write below the next one.
    result = subprocess.run(
        bind(command),
        env=environ | extra,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    output = result.stdout + result.stderr
    with log.open("a") as file:
        file.write(f"$ {' '.join(map(str, command))}\n{output}")
    if result.returncode == 0:
        return
    if "No space left on device" in output:
        raise disk_full(nearest_existing(Path(command[0])))
    raise EngineError(
        f"an environment could not be made:\n{last_lines(output)}\n  Fix the cause (pip needs a "
        f"package index with the versions of the lock file; its output is in {log}) and run the command again"
    )
