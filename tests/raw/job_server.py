"""A server that speaks BigQuery's API of load jobs, and fails as a test wants."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from data.raw.bigquery import BigQueryWarehouse
from myproperty.engines.emulator.client import bigquery_client


@dataclass(frozen=True)
class Disturbance:
    """How one request fails: with a status and a reason, late, or with half an answer."""

    status: int = 0
    reason: str = ""
    seconds: float = 0
    is_half: bool = False


class JobServer(ThreadingHTTPServer):
    """Keeps load jobs under unique ids, as BigQuery does; `failures` are the reasons of the next jobs."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), JobHandler)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.failures: list[str] = []
        self.refusal: tuple[int, str] | None = None
        self.disturbances: list[Disturbance] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def open_warehouse(self) -> BigQueryWarehouse:
        client = bigquery_client(self.address, "a-project", "EU")
        return BigQueryWarehouse(lambda _: client, "a-project", "emulator")


@contextmanager
def serve_jobs() -> Iterator[JobServer]:
    """Run a server until the end of the block."""
    with JobServer() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


class JobHandler(BaseHTTPRequestHandler):
    server: JobServer

    def do_POST(self) -> None:
        """Begin a resumable upload: the body is the job, its file follows by PUT. Or cancel a job."""
        if (path := urlsplit(self.path).path).endswith("/cancel"):
            job = self.server.jobs[path.split("/")[-2]]
            job["status"] = {"state": "DONE", "errorResult": {"reason": "stopped", "message": "stopped"}}
            self._answer(200, {"job": job})
            return
        job = json.loads(self._read_body())
        if self._is_disturbed():
            return
        if self.server.refusal:
            self._refuse(*self.server.refusal)
            return
        wanted = job["jobReference"]["jobId"]
        if wanted in self.server.jobs:
            self._refuse(409, "duplicate")
        else:
            reason = self.server.failures.pop(0) if self.server.failures else None
            job["status"] = {"state": "DONE"}
            if reason:
                job["status"]["errorResult"] = {"reason": reason, "message": "as the test wants"}
            self.server.jobs[wanted] = job
            self._answer(200, {}, location=f"{self.server.address}/upload?job={wanted}")

    def do_PUT(self) -> None:
        self._read_body()
        if self._is_disturbed():
            return
        self._answer(200, self.server.jobs[parse_qs(urlsplit(self.path).query)["job"][0]])

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        wanted = asked.path.rsplit("/", 1)[1]
        if self._is_disturbed():
            return
        if wanted == "jobs":
            state = parse_qs(asked.query)["stateFilter"][0].upper()
            found = [job for job in self.server.jobs.values() if job["status"]["state"] == state]
            self._answer(200, {"jobs": found})
            return
        if self.server.refusal:
            self._refuse(*self.server.refusal)
        else:
            self._answer(200, self.server.jobs[wanted])

    def _is_disturbed(self) -> bool:
        """Answer with the next disturbance; False if the request goes on as usual."""
        if not self.server.disturbances:
            return False
        next_one = self.server.disturbances.pop(0)
        if next_one.seconds:
            time.sleep(next_one.seconds)
            return False
        if next_one.is_half:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"kind": "big')
            self.close_connection = True
        else:
            self._refuse(next_one.status, next_one.reason)
        return True

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def _read_body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _refuse(self, status: int, reason: str) -> None:
        error = {"code": status, "message": "refused", "errors": [{"reason": reason, "message": "refused"}]}
        self._answer(status, {"error": error})

    def _answer(self, status: int, document: dict[str, Any], location: str | None = None) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)
