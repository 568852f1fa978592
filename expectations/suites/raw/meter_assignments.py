"""Gate C for `raw.meter_assignments`: the warehouse equals `warehouse_staging.meter_assignments`."""

from typing import TYPE_CHECKING

from expectations.suites import equality

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

ROWS_REQUIRED = False
ID_COLUMNS = ("tenant_id",)
MEASURES = ("rows", "checksum")


def build_suite() -> "ExpectationSuite":
    """The rules C-METER-ASSIGNMENTS-001 onwards."""
    return equality.build("C", "meter_assignments", MEASURES)
