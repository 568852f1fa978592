"""Nothing calls home: the libraries that would, do not where we start them."""

import ast
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from data.warehouse.project import PROJECT_DIR

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


def call(words: list[str], way_out: str, folder: Path, home: Path) -> str:
    ways = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), way_out)
    without = {"NO_PROXY": "", "no_proxy": "", "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    environment = {**os.environ, **ways, **without, "MYPROPERTY_HOME": str(home)}
    done = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout


def test_metrics_ask_no_package_index(tmp_path: Path, parsed_home: Path) -> None:
    calls: list[bytes] = []
    with proxy(calls) as way_out:
        ours = [sys.executable, "-W", "ignore", "-m", "commands.main", "metrics", "list"]
        assert "solar_generation_kwh" in call(ours, way_out, tmp_path, parsed_home)
        assert calls == []
        # The listener sees who does.
        asking = "import urllib.request; urllib.request.urlopen('http://pypi.invalid/simple')"
        call([sys.executable, "-c", asking], way_out, tmp_path, parsed_home)
        assert any(b"pypi" in found for found in calls)


def test_libraries_send_no_statistics() -> None:
    project = yaml.safe_load((PROJECT_DIR / "dbt_project.yml").read_text())
    assert project["flags"]["send_anonymous_usage_stats"] is False
    instance = yaml.safe_load((ROOT / "dagster_project" / "production" / "dagster.yaml").read_text())
    assert instance["telemetry"] == {"enabled": False}


def test_pages_of_dashboards_load_from_their_own_server() -> None:
    """Superset's own policy lets a pixel count its users; a browser looks at ours in `tests/end_to_end`."""
    configuration = ast.parse((ROOT / "myproperty" / "engines" / "superset" / "configuration.py").read_text())
    (policy,) = (
        ast.literal_eval(node.value)["content_security_policy"]
        for node in configuration.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TALISMAN_CONFIG"
    )
    sources = {source for each in policy.values() for source in ([each] if isinstance(each, str) else each)}
    assert sources <= {"'self'", "'none'", "'unsafe-inline'", "'strict-dynamic'", "blob:", "data:"}
    assert policy["default-src"] == policy["connect-src"] == ["'self'"]
