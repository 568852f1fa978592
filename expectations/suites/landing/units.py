"""Gate B for `warehouse_staging.units`: landing equals `myproperty.units`, per tenant."""

from typing import TYPE_CHECKING

from expectations.suites import equality

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

ROWS_REQUIRED = False
ID_COLUMNS = ("tenant_id",)
MEASURES = ("rows", "checksum")


def build_suite() -> "ExpectationSuite":
    """The rules B-UNITS-001 onwards."""
    return equality.build("B", "units", MEASURES)
