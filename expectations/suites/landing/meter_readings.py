"""Gate B for `warehouse_staging.meter_readings`: landing equals `myproperty.meter_readings`."""

from typing import TYPE_CHECKING

from expectations.suites import equality

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

ROWS_REQUIRED = False
ID_COLUMNS = ("tenant_id", "reading_date")
MEASURES = ("rows", "sum_value_kwh", "sum_value_native", "checksum")


def build_suite() -> "ExpectationSuite":
    """The rules B-METER-READINGS-001 onwards."""
    return equality.build("B", "meter_readings", MEASURES)
