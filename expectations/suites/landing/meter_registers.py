"""Gate B for `warehouse_staging.meter_registers`: landing equals `myproperty.meter_registers`, per tenant."""

from typing import TYPE_CHECKING

from expectations.suites import equality

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

ROWS_REQUIRED = True
ID_COLUMNS = ("tenant_id",)
MEASURES = ("rows", "checksum")


def build_suite() -> "ExpectationSuite":
    """The rules B-METER-REGISTERS-001 onwards."""
    return equality.build("B", "meter_registers", MEASURES)
