"""Errors of sealed values and their keys."""

from datetime import UTC, datetime

from myproperty.errors import PlatformError


class SealingError(PlatformError):
    """A value cannot be sealed or read, or a key is missing or wrong; the message says what to do."""


class ErasedError(SealingError):
    """The key was destroyed on purpose: the values that it sealed cannot be read again."""


def erased(subject: str, at: datetime, because: str) -> ErasedError:
    """Return the error that says when and why the keys of `subject` were destroyed."""
    return ErasedError(
        f"{subject} was erased on {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC ({because}): the values sealed by "
        f"its keys cannot be read again, and nothing new is sealed for it"
    )
