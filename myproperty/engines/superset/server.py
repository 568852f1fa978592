"""Install, prepare and run the Superset of one home."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from myproperty.children import bind
from myproperty.engines import venvs
from myproperty.engines.configuration import write_secret
from myproperty.engines.errors import EngineError, explain_file_errors, last_lines
from myproperty.engines.ports import await_free
from myproperty.engines.superset import assets
from myproperty.files import close_folder

HERE = Path(__file__).parent
LOCK = HERE / "requirements.lock"
# It begins as no reader may, see `data.warehouse.readers`.
ADMIN = "myproperty_admin"
HOST = "127.0.0.1"
# Ready in 10 s on two idle cores.
START_TIMEOUT_S = 120.0
# One process with threads: it answers a few people on this machine.
SERVER = ("--workers", "1", "--worker-class", "gthread", "--threads", "8", "--timeout", "120")
_PASSED_ON = ("HOME", "LANG", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT")


@dataclass(frozen=True)
class Viewer:
    """Who may log in to Superset: its tenants, and on PostgreSQL the address of its own login."""

    tenants: Sequence[str]
    address: str | None = None

    def __post_init__(self) -> None:
        if not all(re.fullmatch(r"[\w-]+|\*", tenant) for tenant in self.tenants):
            raise EngineError(f"{self.tenants} are no ids of tenants: correct them in tenant_readers.csv")


@dataclass(frozen=True)
class Superset:
    """The Superset of one home: its state in `root`, its environment below `venv`."""

    root: Path
    logs: Path
    venv: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def passwords_file(self) -> Path:
        return self.root / "passwords.json"

    def install(self) -> Path:
        """Return the environment; make it first if it is missing. Raises `EngineError`."""
        return venvs.ensure_installed(
            self.venv, LOCK, lambda: Path(sys.executable), self.logs / "superset-install.log"
        )

    def prepare(self, database: str, schema: str, viewers: Mapping[str, Viewer]) -> None:
        """Bring tables, accounts, rules and assets to this release. `database` is a URI of SQLAlchemy.

        Raises `EngineError` with the last lines of Superset's output.
        """
        with explain_file_errors(self.root):
            close_folder(self.root)
            close_folder(self.logs)
            self._write_state(database, schema, viewers)
            self._run("prepare", assets.FOLDER)

    def export(self) -> list[str]:
        """Write the published dashboards to `dashboards/`; return the names of changed files."""
        if not (self.root / "state.json").exists():
            raise EngineError(f"{self.root} has no dashboards yet: run `myproperty bi`")
        with tempfile.TemporaryDirectory(dir=self.root) as folder:
            self._run("export", Path(folder))
            found = Path(folder).rglob("*.yaml")
            exported = {path.relative_to(folder).as_posix(): path.read_text() for path in found}
        return assets.save(assets.tidy(exported))

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the server inside the block, from when it answers; it ends with this process too."""
        if not await_free(self.port):
            raise EngineError(
                f"port {self.port} is taken by another program, or by other dashboards: stop it (`ss -ltnp` "
                "shows it), or set MYPROPERTY_SUPERSET_PORT to another port"
            )
        words = [self.install() / "bin/python", "-P", "-m", "gunicorn", "--bind", f"{HOST}:{self.port}"]
        log = self.logs / "superset.log"
        with log.open("ab") as output:
            begin = output.tell()
            child = subprocess.Popen(
                bind([*words, *SERVER, "superset.app:create_app()"], signal.SIGTERM),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                cwd=self.root,
            )
        try:
            self._await_answer(child, log, begin)
            yield child
        finally:
            child.terminate()
            child.wait()

    def _await_answer(self, child: subprocess.Popen[bytes], log: Path, begin: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and child.poll() is None:
            if _is_answering(self.url):
                return
            time.sleep(0.1)
        said = last_lines(log.read_bytes()[begin:].decode(errors="replace"))
        raise EngineError(f"Superset did not start:\n{said}\n  The log is {log}")

    def _write_state(self, database: str, schema: str, viewers: Mapping[str, Viewer]) -> None:
        """Write what runs inside needs: one file that only this account may read."""
        passwords = self._make_passwords([ADMIN, *viewers])
        accounts: dict[str, Any] = {ADMIN: {"tenants": [], "database": None}}
        accounts |= {name: {"tenants": list(v.tenants), "database": v.address} for name, v in viewers.items()}
        state = {
            "secret_key": self._make_secret(self.root / "secret_key"),
            "admin": ADMIN,
            "database": database,
            "address": _hide_login(database),
            "schema": schema,
            "accounts": {name: each | {"password": passwords[name]} for name, each in accounts.items()},
        }
        write_secret(self.root / "state.json", json.dumps(state, indent=1))

    def read_passwords(self) -> dict[str, str]:
        """Return the passwords of the accounts that were made."""
        file = self.passwords_file
        found: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        return found

    def _make_passwords(self, names: Sequence[str]) -> dict[str, str]:
        known = self.read_passwords()
        passwords = {name: known.get(name) or secrets.token_urlsafe(18) for name in names}
        if passwords != known:
            write_secret(self.passwords_file, json.dumps(passwords, indent=1) + "\n")
        return passwords

    def _make_secret(self, file: Path) -> str:
        if not file.exists() or not file.read_text():  # empty: a killed process was writing it
            write_secret(file, secrets.token_urlsafe(48))
        return file.read_text()

    def _run(self, task: str, folder: Path) -> None:
        done = subprocess.run(
            bind([self.install() / "bin/python", "-P", HERE / "inside.py", task, folder]),
            env=self._environment(),
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        with (self.logs / "superset.log").open("a") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode:
            raise EngineError(
                f"Superset could not {task} its dashboards:\n{last_lines(done.stderr)}\n  The log is "
                f"{self.logs / 'superset.log'}. Correct the file that it names; if its state is broken, move "
                f"{self.root} away: only what was changed in Superset and not exported is lost"
            )

    def _environment(self) -> dict[str, str]:
        """Return the variables of Superset: none that leads out of this machine, as a proxy's."""
        own = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return own | {
            "PATH": "/usr/bin:/bin",
            "TZ": "UTC",
            "SUPERSET_HOME": str(self.root),
            "SUPERSET_CONFIG_PATH": str(HERE / "configuration.py"),
            "FLASK_APP": "superset.app:create_app()",
        }


def _hide_login(database: str) -> str:
    """Return a URI without user and password: who asks is known when a query is made."""
    scheme, _, rest = database.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _is_answering(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
