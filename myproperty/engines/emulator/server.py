"""Start and stop the emulator's process of one home, and explain why it fails."""

import contextlib
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil
from filelock import FileLock, Timeout

from myproperty.engines.emulator import installation
from myproperty.engines.errors import EngineError, disk_full, explain_file_errors, last_lines
from myproperty.engines.ports import choose_port, find_free_port
from myproperty.engines.venvs import BUILD_TIMEOUT_S
from myproperty.files import close_folder

LAUNCHER = Path(__file__).with_name("launcher.py")
# Ready in 2-3 s on two idle cores.
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
# Kept so that the parent does not warn about a child that outlives it, and can reap a dead one.
_children: list[subprocess.Popen[bytes]] = []


class Running(NamedTuple):
    """A started server, as recorded in `server.json`."""

    pid: int
    created: float
    port: int
    grpc_port: int
    project: str


@dataclass
class Emulator:
    """One server: its data in `root`, its logs in `logs`, its environment below `venv`."""

    root: Path
    logs: Path
    venv: Path
    project: str
    port: int | None = None
    python: Path | None = None

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        return self.logs / "emulator.log"

    def running(self) -> Running | None:
        """Return the server if it lives and answers."""
        found = self._process()
        return found if found and is_answering(found.port) else None

    def start(self) -> list[str]:
        """Start the server unless it runs, and wait until it answers; returns notes for the user.

        Raises `EngineError`.
        """
        with explain_file_errors(self.root), self._only_starter():
            found = self._process()
            if found and found.project != self.project:
                raise EngineError(
                    f"the emulator already runs for the project {found.project}, not {self.project}: run "
                    "`myproperty down` first"
                )
            if found:
                self._await_answer(found)
                return []
            venv = installation.ensure_installed(self.venv, self.python, self.logs / "emulator-install.log")
            return self._launch(venv)

    def stop(self) -> bool:
        """Stop the server; return whether one ran."""
        if not self.root.exists():
            return False
        with explain_file_errors(self.root), self._only_starter():
            found = self._process()
            if found is None:
                return False
            process = psutil.Process(found.pid)
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
                deadline = time.monotonic() + STOP_TIMEOUT_S
                while self._process() and time.monotonic() < deadline:
                    time.sleep(0.02)
                if self._process() is None:
                    return True
        raise EngineError(f"the emulator (process {found.pid}) does not stop: see {self.log}")

    # -- the process

    def _written(self) -> Running | None:
        file = self.root / "server.json"
        if not file.exists():
            return None
        try:
            return Running(**json.loads(file.read_text()))
        except (ValueError, TypeError):  # cut short by a full disk or a kill
            return None

    def _process(self) -> Running | None:
        """Return the recorded server if that same process lives: the system uses process ids again."""
        found = self._written()
        for child in _children:
            child.poll()
        if found is None:
            return None
        try:
            process = psutil.Process(found.pid)
            same = abs(process.create_time() - found.created) < 1.0
            return found if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def _launch(self, venv: Path) -> list[str]:
        written = self._written()
        for attempt in range(3):
            port, notes = choose_port(
                self.port, written.port if written else None, "MYPROPERTY_EMULATOR_PORT"
            )
            running, begin = self._spawn(venv, port, find_free_port())
            output = self._await_answer(running, begin)
            if output is None:
                return notes
            if "address already in use" not in output.lower() or self.port is not None or attempt == 2:
                raise self._failure(output)
        raise AssertionError("unreachable: the last attempt raises")

    def _spawn(self, venv: Path, port: int, grpc_port: int) -> tuple[Running, int]:
        self.data.mkdir(parents=True, exist_ok=True)
        close_folder(self.logs)
        arguments = {"port": port, "grpc-port": grpc_port, "project": self.project, "data-dir": self.data}
        options = [f"--{name}={value}" for name, value in arguments.items()]
        with self.log.open("ab") as log:
            begin = log.tell()
            child = subprocess.Popen(
                [venv / "bin/python", "-P", LAUNCHER, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C at the terminal must not reach the server
                env={"HOME": str(venv / "home"), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            )
        _children.append(child)
        running = Running(child.pid, psutil.Process(child.pid).create_time(), port, grpc_port, self.project)
        file = self.root / "server.json"
        new = file.with_suffix(".new")
        new.write_text(json.dumps(running._asdict()))
        new.replace(file)
        return running, begin

    def _await_answer(self, running: Running, begin: int = 0) -> str | None:
        """Wait until the server answers; if it ends first, return its log since `begin`."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process() is None:
                with self.log.open("rb") as log:
                    log.seek(begin)
                    return log.read().decode(errors="replace")
            if is_answering(running.port):
                return None
            time.sleep(0.05)
        raise EngineError(
            f"the emulator runs (process {running.pid}) but does not answer after {START_TIMEOUT_S:.0f} s: "
            f"look at {self.log}, run `myproperty down` and `myproperty up`"
        )

    def _failure(self, output: str) -> EngineError:
        if "No space left on device" in output:
            return disk_full(self.root)
        if "address already in use" in output.lower():
            return EngineError(
                "another program took the emulator's port while it started: run the command again, or set "
                "MYPROPERTY_EMULATOR_PORT to a free port"
            )
        return EngineError(
            f"the emulator did not start:\n{last_lines(output)}\n  If its data folder is broken, move it "
            f"away (mv {self.data} {self.data}.broken), run `myproperty up` and load it again with "
            f"`myproperty run`. Nothing was changed. The log is {self.log}"
        )

    @contextlib.contextmanager
    def _only_starter(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / ".lock", timeout=BUILD_TIMEOUT_S):
                yield
        except Timeout as error:
            raise EngineError(
                f"another command has been starting or stopping the emulator in {self.root} for "
                f"{BUILD_TIMEOUT_S:.0f} s: end that command and try again"
            ) from error


def is_answering(port: int) -> bool:
    """Return whether the API answers on 127.0.0.1:port."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/bigquery/v2/projects", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
