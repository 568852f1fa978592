"""Gate C for `raw.units`: the warehouse equals `warehouse_staging.units`, per tenant."""

from typing import TYPE_CHECKING

from expectations.suites import equality

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

ROWS_REQUIRED = False
ID_COLUMNS = ("tenant_id",)
MEASURES = ("rows", "checksum")


def build_suite() -> "ExpectationSuite":
    """The rules C-UNITS-001 onwards."""
    return equality.build("C", "units", MEASURES)
