"""What can go wrong with sealed values and their keys."""

from datetime import UTC, datetime

from myproperty.errors import PlatformError


class SealingError(PlatformError):
    """A value cannot be sealed or read, or a key is not as it must be; the message says what to do."""


class ErasedError(SealingError):
    """The key was destroyed on purpose: what it sealed is gone for good."""


def erased(subject: str, at: datetime, because: str) -> ErasedError:
    """The error that says when and why the keys of `subject` were destroyed."""
    return ErasedError(
        f"{subject} was erased on {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC ({because}): what its keys sealed "
        f"cannot be read again, and nothing new is sealed for it"
    )
