"""The compose file: closed containers, one port on the loopback, a login before any other, no secret."""

import base64
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from myproperty.settings import PREFIX
from tests.deploy.support import COMPOSE, DEPLOY, read_variables, read_yaml, secrets_of

SERVICES: dict[str, dict[str, Any]] = read_yaml(COMPOSE / "compose.yaml")["services"]
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


@pytest.mark.parametrize("name", SERVICES)
def test_each_container_is_closed(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "user", "devices"} & service.keys()
    is_ours = service["image"] == "${IMAGE:-myproperty:0.2.0}"
    assert is_ours or DIGEST.search(service["image"]), "pinned by its digest"
    assert is_ours <= ("cap_add" not in service)


@pytest.mark.parametrize("name", SERVICES)
def test_each_container_says_whether_it_is_healthy(name: str) -> None:
    check = SERVICES[name].get("healthcheck", {})
    # The image of the code location has its own; the service that migrates ends by itself.
    assert name == "code-location" or check.get("test") or (name == "migrate" and check == {"disable": True})


def test_a_service_that_becomes_another_account_is_stopped_by_its_own_signal() -> None:
    # Docker's init stays root and may not signal another account: it would end, and its service with it.
    changing = [name for name, service in SERVICES.items() if "SETUID" in service.get("cap_add", [])]
    assert changing == ["database"]
    assert SERVICES["database"]["init"] is False
    assert "KILL" not in SERVICES["database"]["cap_add"]


def test_one_port_is_open_on_the_loopback_and_a_login_stands_before_the_others() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"webserver": ["127.0.0.1:3000:3000"], "login": ["80:80", "443:443"]}
    assert SERVICES["login"]["profiles"] == ["login"], "it starts only if somebody asks for it"
    networks = {name: set(service["networks"]) for name, service in SERVICES.items()}
    assert [name for name, found in networks.items() if "front" in found] == ["webserver", "login"]
    assert networks["login"] == {"front"}, "who breaks the login reaches the web server alone"


def test_no_secret_is_in_a_file_of_the_repository(tmp_path: Path) -> None:
    ours = read_variables(COMPOSE / "settings.env")
    made = {path.name: path for path in secrets_of(tmp_path / "secrets").iterdir()}
    secret = {name for each in ("platform.env", "instance.env") for name in read_variables(made[each])}
    assert not secret & ours.keys()
    for service in SERVICES.values():
        assert not {name for name in service.get("environment", {}) if name in secret}
        for file in service.get("env_file", []):
            path = file.removeprefix("secrets/")
            assert path in made or path == "login.env" or (COMPOSE / file).is_file()
    for secret_file in read_yaml(COMPOSE / "compose.yaml")["secrets"].values():
        assert secret_file["file"].removeprefix("secrets/") in made
    assert (DEPLOY / ".gitignore").read_text() == "secrets/\n"


def test_what_compose_and_the_image_share_agrees() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    workspace = read_yaml(COMPOSE / "workspace.yaml")["load_from"][0]["grpc_server"]
    assert workspace["host"] in SERVICES and f"EXPOSE {workspace['port']}" in dockerfile
    assert SERVICES["code-location"]["hostname"] == "code-location"
    home = re.search(rf"{PREFIX}HOME=(\S+)", dockerfile)
    assert home and f"home:{home[1]}" in SERVICES["code-location"]["volumes"]
    used = {volume.split(":")[0] for one in SERVICES.values() for volume in one.get("volumes", [])}
    named = read_yaml(COMPOSE / "compose.yaml")["volumes"]
    assert {volume for volume in used if not volume.startswith(".")} == named.keys()
    for volume in used:
        assert not volume.startswith("./") or volume == "./secrets/ca.pem" or (COMPOSE / volume).is_file()


def test_docker_reads_the_file(tmp_path: Path) -> None:
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip(
            "no `docker compose` here, so only this test's own reading of the file was checked: install "
            "Docker and its plugin docker-compose-plugin"
        )
    folder = shutil.copytree(COMPOSE, tmp_path / "compose", ignore=shutil.ignore_patterns("secrets"))
    secrets_of(folder / "secrets")
    (folder / "secrets" / "login.env").write_text("SITE_ADDRESS=dagster.example\n")
    words = ["docker", "compose", "--profile", "login", "--profile", "tools", "config", "--quiet"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class _Dagster(BaseHTTPRequestHandler):
    """A web server that lets everybody in, as Dagster's does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"runs")

    def log_message(self, format: str, *args: object) -> None:
        """Write no line."""


@contextmanager
def login_in_front(caddy: str, folder: Path) -> Iterator[str]:
    """Start our Caddyfile before a web server, and yield its address. The certificate is Caddy's own."""
    behind = ThreadingHTTPServer(("127.0.0.1", 0), _Dagster)
    Thread(target=behind.serve_forever, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    given = (COMPOSE / "Caddyfile").read_text()
    here = given.replace("webserver:3000", f"127.0.0.1:{behind.server_port}")
    # A port that only root may open, and a question to an authority on the internet, are left out.
    here = here.replace("admin off", "admin off\n\tauto_https disable_redirects")
    (folder / "Caddyfile").write_text(here)
    hashed = subprocess.run(
        [caddy, "hash-password", "--plaintext", "open"], capture_output=True, text=True, check=True
    )
    variables = {
        "SITE_ADDRESS": f"https://localhost:{port}",
        "SITE_TLS": "internal",
        "SITE_USER": "ops",
        "SITE_PASSWORD_HASH": hashed.stdout.strip(),
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
    }
    with (folder / "log").open("w") as log:
        words = [caddy, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
        running = subprocess.Popen(words, env=variables, stdout=log, stderr=log)
    try:
        yield f"https://localhost:{port}"
    finally:
        running.terminate()
        running.wait(20)
        behind.shutdown()
        behind.server_close()


def ask(address: str, password: str | None = None) -> int:
    """Return the status of the page behind an address; the certificate is not what is asked here."""
    import ssl

    request = urllib.request.Request(f"{address}/runs")
    if password:
        words = base64.b64encode(f"ops:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {words}")
    context = ssl._create_unverified_context()
    for _ in range(100):
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError(f"{address} does not answer")


def test_the_login_in_front_lets_in_with_its_password_alone(tmp_path: Path) -> None:
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip(
            "no `caddy` here, so nobody tried to get past the login in front: install Caddy 2.8 or newer"
        )
    with login_in_front(caddy, tmp_path) as address:
        assert ask(address) == 401
        assert ask(address, "wrong") == 401
        assert ask(address, "open") == 200
