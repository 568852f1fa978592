"""Which errors a retry can mend, and how a step fails for the others.

A permanent error that is retried hides the cause and costs hours. What an error means is decided here, by
type alone; texts are never matched.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from myproperty.database.retry import is_retryable

RETRY = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL)


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
