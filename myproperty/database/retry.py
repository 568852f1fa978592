"""Decide by its type whether an error may go away when the step is repeated; texts are never matched."""

import psycopg

from myproperty.errors import DatabaseUnavailable

# The server is not reachable or full, or a lock timed out: a retry may succeed.
RETRYABLE: tuple[type[BaseException], ...] = (
    psycopg.OperationalError,
    DatabaseUnavailable,
    ConnectionError,
    TimeoutError,
)
# These operational errors of psycopg return every time: the database or the login does not exist.
PERMANENT: tuple[type[BaseException], ...] = (
    psycopg.errors.InvalidCatalogName,
    psycopg.errors.InvalidPassword,
    psycopg.errors.InvalidAuthorizationSpecification,
)


def is_retryable(error: BaseException) -> bool:
    """Return whether the same step may succeed when it runs again."""
    return isinstance(error, RETRYABLE) and not isinstance(error, PERMANENT)
