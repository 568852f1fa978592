"""Decide by its type, or by Google's reason code, whether a repeated step may succeed; never by a message."""

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


# BigQuery's reasons, https://cloud.google.com/bigquery/docs/error-messages. `quotaExceeded` is not here: a
# quota lasts for hours. A rate limit answers 403 with its reason, as a missing permission does.
RETRYABLE_REASONS = frozenset(
    {
        "backendError",
        "badGateway",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "rateLimitExceeded",
    }
)


def is_retryable(error: BaseException) -> bool:
    """Return whether the same step may succeed when it runs again."""
    if isinstance(error, RETRYABLE):
        return not isinstance(error, PERMANENT)
    return _is_retryable_google_error(error)


def _is_retryable_google_error(error: BaseException) -> bool:
    # Imported for an error only: a command that meets none does not wait for Google's libraries.
    import requests.exceptions
    from google.api_core import exceptions
    from google.auth.exceptions import TransportError

    if isinstance(error, exceptions.RetryError):
        return error.cause is None or is_retryable(error.cause)
    if isinstance(error, requests.exceptions.SSLError):
        return False
    if isinstance(error, exceptions.GoogleAPICallError):
        passing = (
            exceptions.TooManyRequests,
            exceptions.InternalServerError,
            exceptions.BadGateway,
            exceptions.ServiceUnavailable,
            exceptions.GatewayTimeout,
        )
        reasons = {detail.get("reason") for detail in error.errors if isinstance(detail, dict)}
        return isinstance(error, passing) or bool(reasons & RETRYABLE_REASONS)
    lost = (
        TransportError,
        requests.exceptions.ConnectionError,
        requests.exceptions.Timeout,
        requests.exceptions.ChunkedEncodingError,
    )
    return isinstance(error, lost)
