"""The emulator's own environment: a Python 3.13 with `local-bigquery`, made once and shared by all homes.

It stays apart from the project's environment, whose Python and libraries it does not get along with.
A Python 3.13 is looked for and never downloaded.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from filelock import FileLock

from myproperty.engines.base import EngineError, disk_full, explained, nearest_existing, tail

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


def find_python(asked: Path | None = None) -> Path:
    """A Python 3.13 that can make an environment; raises EngineError where the machine has none."""
    for candidate in [asked] if asked else candidates():
        if is_usable(candidate):
            return candidate
    if asked:
        raise EngineError(
            f"MYPROPERTY_EMULATOR_PYTHON={asked} is no Python 3.13 with venv: name another, or unset it"
        )
    raise EngineError(
        "no Python 3.13 was found (PATH, pyenv, uv), which the BigQuery emulator needs: install one, or set "
        "MYPROPERTY_EMULATOR_PYTHON to its path; MYPROPERTY_WAREHOUSE=postgres works without it"
    )


def candidates(environ: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """Where a Python 3.13 may be, likeliest first."""
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
    """Whether it runs, is 3.13 and has venv and pip; a shim of pyenv may be there and lead nowhere."""
    if not os.access(python, os.X_OK):
        return False
    result = subprocess.run([python, "-I", "-c", IS_USABLE], capture_output=True, timeout=60, check=False)
    return result.returncode == 0


def ensure(base: Path, python: Path | None, log: Path) -> Path:
    """The environment's folder below `base`, made if it is not there; raises EngineError.

    Its name carries the lock file's hash, so a change of versions makes another one and leaves running
    servers alone.
    """
    venv = base.resolve() / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    ready = venv / "ready"
    if ready.exists() and (venv / "bin/python").exists():
        return venv
    with explained(base):
        base.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(base / ".lock", timeout=BUILD_TIMEOUT_S):
            if not (ready.exists() and (venv / "bin/python").exists()):
                build(venv, find_python(python), log)
                ready.touch()
    return venv


def build(venv: Path, python: Path, log: Path) -> None:
    """Make the environment from the lock file; what an interrupted attempt left is removed first."""
    shutil.rmtree(venv, ignore_errors=True)
    inside = venv / "bin/python"
    pip = (inside, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-input")
    run(log, [python, "-m", "venv", venv])
    run(log, [*pip, "--require-hashes", "--no-deps", "--requirement", LOCK])
    (venv / "home").mkdir()
    run(log, [inside, "-P", "-c", IMPORT_EXTENSIONS], HOME=str(venv / "home"))


def run(log: Path, command: list[str | Path], **extra: str) -> None:
    """One step, its output in the log."""
    # The caller's environment would lead the other Python to the wrong modules; pip's own settings stay.
    environ = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    result = subprocess.run(
        command, env=environ | extra, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    output = result.stdout + result.stderr
    with log.open("a") as file:
        file.write(f"$ {' '.join(map(str, command))}\n{output}")
    if result.returncode == 0:
        return
    if "No space left on device" in output:
        raise disk_full(nearest_existing(Path(command[0])))
    raise EngineError(
        f"the emulator's environment could not be made:\n{tail(output)}\n  Mend the cause (pip needs a "
        f"package index with the versions of {LOCK.name}; its output is in {log}) and run the command again"
    )
