"""The base classes of errors that a person can fix; each package derives its own."""


class PlatformError(Exception):
    """An error whose message says what went wrong and what to do; shown without a traceback."""


class DatabaseUnavailable(PlatformError):
    """The database is not reachable or out of space: the transaction was rolled back; a retry may succeed."""
