"""Install the emulator: a Python 3.13 environment with `local-bigquery`, made once and shared by all homes.

It is separate from the project's environment, because its Python and libraries conflict with the project's.
This module looks for an installed Python 3.13 and never downloads one.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from myproperty.engines import venvs
from myproperty.engines.errors import EngineError

LOCK = Path(__file__).with_name("requirements.lock")
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
    """Return the environment's folder below `base`; make it first if it is missing. Raises `EngineError`."""
    return venvs.ensure_installed(base, LOCK, lambda: find_python(python), log, finish)


def finish(venv: Path, log: Path) -> None:
    """Unpack the extensions, offline."""
    (venv / "home").mkdir()
    words: list[str | Path] = [venv / "bin/python", "-P", "-c", IMPORT_EXTENSIONS]
    venvs.run_step(log, words, HOME=str(venv / "home"))
