"""Nothing calls home: MetricFlow asks the package index at every call, unless it is started by us."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from dagster_project.resources.dbt import PROJECT_DIR

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def proxy(calls: list[bytes]) -> Iterator[str]:
    """Listen as the only way out of this machine, and keep what a program wants from there."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    caller, _ = server.accept()
                except OSError:
                    return
                with caller:
                    calls.append(caller.recv(200))
                    caller.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def call(words: list[str], way_out: str, folder: Path) -> None:
    ways = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), way_out)
    without = {"NO_PROXY": "", "no_proxy": "", "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    subprocess.run(words, env={**os.environ, **ways, **without}, cwd=folder, capture_output=True, check=False)


def test_metricflow_asks_no_package_index(tmp_path: Path) -> None:
    calls: list[bytes] = []
    with proxy(calls) as way_out:
        ours = [sys.executable, "-W", "ignore", "-m", "data.warehouse.ask_metrics"]
        call([*ours, "list", "metrics"], way_out, tmp_path)
        assert calls == []
        # The listener sees what the program itself would do.
        call([str(Path(sys.executable).parent / "mf"), "list", "metrics"], way_out, tmp_path)
        assert any(b"pypi" in found for found in calls)


def test_libraries_send_no_statistics() -> None:
    project = yaml.safe_load((PROJECT_DIR / "dbt_project.yml").read_text())
    assert project["flags"]["send_anonymous_usage_stats"] is False
    instance = yaml.safe_load((ROOT / "dagster_project" / "production" / "dagster.yaml").read_text())
    assert instance["telemetry"] == {"enabled": False}
