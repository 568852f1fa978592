"""What the examples of all formats share: each format's test module has one `EXAMPLE`.

An example writes a small valid file from values that the caller chooses: one meter, one register, one hour
per value, whole UTC days from `START`. So the energy of the file is the sum of its values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from data.ingest.rules.sentinels import SENTINELS

START = datetime(2025, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
VERSION = "2025-06-20T00:00:00Z"
# Hours in a day: examples hold whole days.
DAY = 24
Values = Sequence[Decimal]


@dataclass(frozen=True)
class Example:
    """How to write a file of one format, and the fields of the mapping that it needs."""

    write: Callable[[Values], bytes]
    mapping: Mapping[str, object] = field(default_factory=dict)


def is_no_sentinel(value: Decimal | int | None) -> bool:
    """Return whether a drawn value is one in each unit: Hypothesis draws the program's constants too."""
    digits = {sentinel.as_tuple().digits for sentinel in SENTINELS}
    return value is None or Decimal(value).normalize().as_tuple().digits not in digits


def list_instants(values: Values) -> list[datetime]:
    """Return the start of the interval of each value."""
    return [START + HOUR * number for number in range(len(values))]


def list_canonical_records(values: Values) -> list[dict[str, object]]:
    """Return the values as canonical records."""
    return [
        {
            "identifier": "M1",
            "register": "E1",
            "channel": "import",
            "unit": "kWh",
            "reading_ts": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "interval_seconds": 3600,
            "value": str(value),
            "quality": "actual",
            "source_version": VERSION,
        }
        for at, value in zip(list_instants(values), values, strict=True)
    ]
