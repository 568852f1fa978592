"""Which errors a retry can mend, and how a step fails for the others.

A permanent error that is retried hides the cause and costs hours. What an error means is decided here, by
type alone; texts are never matched.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import psycopg

from expectations.gate import GateFailed
from myproperty.errors import DatabaseUnavailable

# A server that is away or full, a lock that was not given in time: the next try may find it well.
RETRYABLE: tuple[type[BaseException], ...] = (
    psycopg.OperationalError,
    DatabaseUnavailable,
    ConnectionError,
    TimeoutError,
)
# Of psycopg's operational errors, those that come back every time: the database or login is not there.
PERMANENT: tuple[type[BaseException], ...] = (
    psycopg.errors.InvalidCatalogName,
    psycopg.errors.InvalidPassword,
    psycopg.errors.InvalidAuthorizationSpecification,
    GateFailed,
)

RETRY = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL)


def is_retryable(error: BaseException) -> bool:
    """Whether the same step may succeed when it is simply run again."""
    return isinstance(error, RETRYABLE) and not isinstance(error, PERMANENT)


@contextmanager
def permanent_unless_retryable() -> Iterator[None]:
    """Let a retryable error through to the retry policy; make any other a failure without retries."""
    try:
        yield
    except dg.Failure:
        raise
    except Exception as error:
        if is_retryable(error):
            raise
        raise dg.Failure(description=f"{type(error).__name__}: {error}", allow_retries=False) from error
