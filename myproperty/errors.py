"""The base of all errors that a person can mend; each layer has its own below it."""


class PlatformError(Exception):
    """What went wrong and what to do next, in one message; the command shows it without a traceback."""


class DatabaseUnavailable(PlatformError):
    """The database is away or out of room: nothing was written by halves, and another try may succeed."""
