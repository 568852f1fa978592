"""Billing errors that a person can fix."""

from myproperty.errors import PlatformError


class BillingError(PlatformError):
    """Energy cannot be allocated or billed yet; the message names the cause and the next step."""
