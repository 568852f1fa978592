"""Gate C for `raw.tenants`: the warehouse equals `warehouse_staging.tenants`, per tenant."""

from typing import TYPE_CHECKING

from expectations.suites import equality

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

ROWS_REQUIRED = True
ID_COLUMNS = ("tenant_id",)
MEASURES = ("rows", "checksum")


def build_suite() -> "ExpectationSuite":
    """The rules C-TENANTS-001 onwards."""
    return equality.build("C", "tenants", MEASURES)
