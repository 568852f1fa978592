"""Install the emulator: a Python 3.13 environment with `local-bigquery`, made once and shared by all homes.

It is separate from the project's environment, because its Python and libraries conflict with the project's.
This module looks for an installed Python 3.13 and never downloads one.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
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

LOCK = Path(__file__).with_name("requirements.lock")
# On two cores the installation takes 50 s; a second starter waits for it.
BUILD_TIMEOUT_S = 900.0
# The extensions come as wheels and are unpacked into the HOME that the server runs with.
IMPORT_EXTENSIONS = (
    "from duckdb_extensions import import_extension\nfor name in ('ducklake', 'icu'): import_extension(name)"
)
IS_USABLE = (
    "import sys, sysconfig, venv, ensurepip\n"
    "sys.exit(sys.version_info[:2] != (3, 13) or bool(sysconfig.get_config_var('Py_GIL_DISABLED')))"
)


def find_python(requested: Path | None = None) -> Path:
    """Find a Python 3.13 that can make an environment. Raises `EngineError` if the machine has none."""
    for candidate in [requested] if requested else list_candidates():
        if is_usable(candidate):
            return candidate
    if requested:
        raise EngineError(
            f"MYPROPERTY_EMULATOR_PYTHON={requested} is not a Python 3.13 with venv: set another path, or "
            "unset it"
        )
    raise EngineError(
        "the BigQuery emulator needs Python 3.13, and none was found (PATH, pyenv, uv): install one, or set "
        "MYPROPERTY_EMULATOR_PYTHON to its path; MYPROPERTY_WAREHOUSE=postgres works without it"
    )


def list_candidates(environ: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """Yield the paths where a Python 3.13 may be, the most likely first."""
    home = Path(environ.get("HOME", "/"))
    for name in environ.get("PATH", "").split(os.pathsep):
        yield Path(name) / "python3.13"
    pyenv = Path(environ.get("PYENV_ROOT", home / ".pyenv")) / "versions"
    data = Path(environ.get("XDG_DATA_HOME", home / ".local/share"))
    uv = Path(environ.get("UV_PYTHON_INSTALL_DIR", data / "uv/python"))
    for folder, pattern in ((pyenv, "3.13*"), (uv, "cpython-3.13*")):
        if os.access(folder, os.R_OK | os.X_OK):
            yield from sorted(folder.glob(f"{pattern}/bin/python3.13"), reverse=True)
    for name in ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"):
        yield Path(name) / "python3.13"


def is_usable(python: Path) -> bool:
    """Return whether `python` runs, is 3.13 and has venv and pip; a shim of pyenv may lead nowhere."""
    if not os.access(python, os.X_OK):
        return False
    result = subprocess.run([python, "-I", "-c", IS_USABLE], capture_output=True, timeout=60, check=False)
    return result.returncode == 0


def ensure_installed(base: Path, python: Path | None, log: Path) -> Path:
    """Return the environment's folder below `base`; make it first if it is missing. Raises `EngineError`.

    The folder's name is the lock file's hash: a change of versions makes another folder, and running servers
    keep theirs.
    """
    venv = base.resolve() / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    ready = venv / "ready"
    if ready.exists() and (venv / "bin/python").exists():
        return venv
    with explain_file_errors(base):
        base.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(base / ".lock", timeout=BUILD_TIMEOUT_S):
            if not (ready.exists() and (venv / "bin/python").exists()):
                install(venv, find_python(python), log)
                ready.touch()
    return venv


def install(venv: Path, python: Path, log: Path) -> None:
    """Make the environment from the lock file; first remove what an interrupted attempt left."""
    shutil.rmtree(venv, ignore_errors=True)
    inside = venv / "bin/python"
    pip = (inside, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-input")
    run_step(log, [python, "-m", "venv", venv])
    run_step(log, [*pip, "--require-hashes", "--no-deps", "--requirement", LOCK])
    (venv / "home").mkdir()
    run_step(log, [inside, "-P", "-c", IMPORT_EXTENSIONS], HOME=str(venv / "home"))


def run_step(log: Path, command: list[str | Path], **extra: str) -> None:
    """Run one step of the installation and append its output to the log."""
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
        f"the emulator's environment could not be made:\n{last_lines(output)}\n  Fix the cause (pip needs a "
        f"package index with the versions of {LOCK.name}; its output is in {log}) and run the command again"
    )
