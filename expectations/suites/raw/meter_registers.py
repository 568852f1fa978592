"""Gate C for `raw.meter_registers`: the warehouse equals `warehouse_staging.meter_registers`, per tenant."""

from typing import TYPE_CHECKING

from expectations.suites import equality

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

ROWS_REQUIRED = True
ID_COLUMNS = ("tenant_id",)
MEASURES = ("rows", "checksum")


def build_suite() -> "ExpectationSuite":
    """The rules C-METER-REGISTERS-001 onwards."""
    return equality.build("C", "meter_registers", MEASURES)
