"""Errors of billing that a person can mend."""

from myproperty.errors import PlatformError


class BillingError(PlatformError):
    """Energy cannot be allocated or billed as it stands; the message says what is missing and what to do."""
