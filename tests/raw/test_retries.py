"""Errors of BigQuery over HTTP: which are retried, and that the retry of a failed load is a new job."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.api_core.retry import Retry, if_exception_type

from data.landing.entities import ENTITIES
from myproperty.database.retry import is_retryable
from myproperty.engines.emulator.client import bigquery_client
from tests.raw.job_server import JobServer, serve_jobs

TENANTS = ENTITIES["tenants"]
ROWS = TENANTS.schema.empty_table()
# The client itself would repeat for ten minutes: the test looks at the first error.
ONCE = Retry(predicate=if_exception_type())


@pytest.fixture
def server() -> Iterator[JobServer]:
    with serve_jobs() as running:
        yield running


def test_a_failed_load_runs_again_as_a_new_job(server: JobServer) -> None:
    server.failures = ["backendError", "rateLimitExceeded"]
    warehouse = server.open_warehouse()
    for _ in range(2):
        with pytest.raises(GoogleAPICallError) as raised:
            warehouse.load_partitions(TENANTS, [ROWS], None, "a run")
        assert is_retryable(raised.value)
    assert warehouse.load_partitions(TENANTS, [ROWS], None, "a run") == 0
    first, second, third = server.jobs
    assert (second, third) == (f"{first}-1", f"{first}-2")
    assert "errorResult" not in server.jobs[third]["status"]


def test_a_load_that_succeeded_is_not_repeated(server: JobServer) -> None:
    for _ in range(2):
        server.open_warehouse().load_partitions(TENANTS, [ROWS], None, "a run")
    assert len(server.jobs) == 1


def test_a_load_with_a_permanent_error_is_not_retried(server: JobServer) -> None:
    server.failures = ["invalid"]
    with pytest.raises(GoogleAPICallError) as raised:
        server.open_warehouse().load_partitions(TENANTS, [ROWS], None, "a run")
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


def running(job_id: str, **labels: str) -> dict[str, Any]:
    return {
        "jobReference": {"projectId": "a-project", "jobId": job_id, "location": "EU"},
        "configuration": {"labels": labels, "query": {"query": "select 1"}, "jobType": "QUERY"},
        "status": {"state": "RUNNING"},
    }


def test_the_jobs_of_ended_runs_are_cancelled_and_no_others(server: JobServer) -> None:
    for job_id, labels in {
        "of-the-dead": {"run": "a-dead-run", "app": "myproperty"},
        "of-another-run": {"run": "a-living-run", "app": "myproperty"},
        "by-hand": {},
    }.items():
        server.jobs[job_id] = running(job_id, **labels)
    server.jobs["waiting"] = running("waiting", run="a-dead-run") | {"status": {"state": "PENDING"}}
    server.jobs["done"] = running("done", run="a-dead-run") | {"status": {"state": "DONE"}}
    assert server.open_warehouse().cancel_jobs("a-dead-run".__eq__) == ["waiting", "of-the-dead"]
    states = {job_id: job["status"] for job_id, job in server.jobs.items()}
    assert {job_id for job_id, status in states.items() if "errorResult" in status} == {
        "of-the-dead", "waiting",
    }  # fmt: skip
    assert states["of-another-run"] == states["by-hand"] == {"state": "RUNNING"}
    assert server.open_warehouse().cancel_jobs("a-dead-run".__eq__) == []
