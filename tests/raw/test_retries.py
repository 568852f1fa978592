"""Errors of BigQuery over HTTP: which are retried, and that the retry of a failed load is a new job."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.api_core.retry import Retry, if_exception_type

from data.landing.entities import ENTITIES
from data.raw.bigquery import BigQueryWarehouse
from myproperty.database.retry import is_retryable
from myproperty.engines.emulator.client import bigquery_client

TENANTS = ENTITIES["tenants"]
ROWS = TENANTS.schema.empty_table()
# The client itself would repeat for ten minutes: the test looks at the first error.
ONCE = Retry(predicate=if_exception_type())


class JobServer(ThreadingHTTPServer):
    """Keeps load jobs under unique ids, as BigQuery does; `failures` are the reasons of the next jobs."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), JobHandler)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.failures: list[str] = []
        self.refusal: tuple[int, str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def open_warehouse(self) -> BigQueryWarehouse:
        return BigQueryWarehouse(bigquery_client(self.address, "a-project", "EU"), "emulator")


class JobHandler(BaseHTTPRequestHandler):
    server: JobServer

    def do_POST(self) -> None:
        """Begin a resumable upload: the body is the job, its file follows by PUT."""
        job = json.loads(self._read_body())
        wanted = job["jobReference"]["jobId"]
        if self.server.refusal:
            self._refuse(*self.server.refusal)
        elif wanted in self.server.jobs:
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
        self._answer(200, self.server.jobs[parse_qs(urlsplit(self.path).query)["job"][0]])

    def do_GET(self) -> None:
        wanted = urlsplit(self.path).path.rsplit("/", 1)[1]
        if self.server.refusal:
            self._refuse(*self.server.refusal)
        else:
            self._answer(200, self.server.jobs[wanted])

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


@pytest.fixture
def server() -> Iterator[JobServer]:
    with JobServer() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_failed_load_runs_again_as_a_new_job(server: JobServer) -> None:
    server.failures = ["backendError", "rateLimitExceeded"]
    warehouse = server.open_warehouse()
    for _ in range(2):
        with pytest.raises(GoogleAPICallError) as raised:
            warehouse.load_partition(TENANTS, ROWS, None, "a run")
        assert is_retryable(raised.value)
    assert warehouse.load_partition(TENANTS, ROWS, None, "a run") == 0
    first, second, third = server.jobs
    assert (second, third) == (f"{first}-1", f"{first}-2")
    assert "errorResult" not in server.jobs[third]["status"]


def test_a_load_that_succeeded_is_not_repeated(server: JobServer) -> None:
    for _ in range(2):
        server.open_warehouse().load_partition(TENANTS, ROWS, None, "a run")
    assert len(server.jobs) == 1


def test_a_load_with_a_permanent_error_is_not_retried(server: JobServer) -> None:
    server.failures = ["invalid"]
    with pytest.raises(GoogleAPICallError) as raised:
        server.open_warehouse().load_partition(TENANTS, ROWS, None, "a run")
    assert not is_retryable(raised.value)


@pytest.mark.parametrize(
    ("status", "reason", "retryable"),
    [
        (429, "tooManyRequests", True),
        (500, "internalError", True),
        (502, "badGateway", True),
        (503, "backendError", True),
        (504, "timeout", True),
        (403, "rateLimitExceeded", True),
        (403, "quotaExceeded", False),
        (403, "accessDenied", False),
        (400, "invalid", False),
        (404, "notFound", False),
    ],
)
def test_an_answer_of_the_server_is_retried_if_it_can_pass(
    server: JobServer, status: int, reason: str, retryable: bool
) -> None:
    server.refusal = (status, reason)
    client = bigquery_client(server.address, "a-project", "EU")
    with pytest.raises(GoogleAPICallError) as raised:
        client.get_job("a-job", retry=ONCE)
    assert raised.value.code == status
    assert is_retryable(raised.value) is retryable


def test_a_server_that_is_gone_is_retried() -> None:
    with JobServer() as gone:
        client = bigquery_client(gone.address, "a-project", "EU")
    with pytest.raises(OSError, match="refused") as raised:
        client.get_job("a-job", retry=ONCE)
    assert is_retryable(raised.value)
