"""One raw row of the scenario, and the dates and instants that its modules share."""

from datetime import UTC, date, datetime
from typing import Any

from .engine import Row
from .raw import COLUMNS

FIRST_DAY, LAST_DAY = date(2026, 10, 3), date(2026, 10, 4)
LONG_AGO = date(2020, 1, 1)
MADE = datetime(2026, 10, 6, 1, 2, 3, 456789, tzinfo=UTC)


def make_row(table: str, at: datetime = MADE, **values: Any) -> Row:
    """Make a row of a raw table; missing values are NULL. Raises `KeyError` for an unknown column."""
    carried = {"created_at": MADE, "updated_at": at, "version": 1 if at == MADE else 2, "landed_at": at}
    names = [column.name for column in COLUMNS[table]]
    unknown = set(values) - set(names)
    if unknown:
        raise KeyError(f"{table} has no columns {sorted(unknown)}")
    return tuple((carried | values).get(name) for name in names)
