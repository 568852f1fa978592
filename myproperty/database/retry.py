"""Which errors another try can mend: decided here, by type alone; texts are never matched."""

import psycopg

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
)


def is_retryable(error: BaseException) -> bool:
    """Whether the same step may succeed when it is simply run again."""
    return isinstance(error, RETRYABLE) and not isinstance(error, PERMANENT)
