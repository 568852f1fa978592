"""Retry errors that a retry can fix, and fail at once on all others.

Retrying a permanent error hides the cause and costs hours. `myproperty.database.retry` decides by the type of
an error, never by its text.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from myproperty.database.retry import is_retryable

RETRY = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL)


@contextmanager
def permanent_unless_retryable() -> Iterator[None]:
    """Pass a retryable error on to the retry policy; turn any other error into a failure without retries."""
    try:
        yield
    except dg.Failure:
        raise
    except Exception as error:
        if is_retryable(error):
            raise
        raise dg.Failure(description=f"{type(error).__name__}: {error}", allow_retries=False) from error
