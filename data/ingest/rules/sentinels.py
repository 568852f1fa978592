"""Sentinels: the highest numbers of common counters, which devices send for "no value"."""

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.schema import DECIMAL

_COUNTERS_END = (Decimal("4294967.295"), Decimal("2147483.647"), Decimal("16777.215"))
# In kWh, and in Wh for meters that send their counter as it is.
SENTINELS = (*_COUNTERS_END, *(value.scaleb(3) for value in _COUNTERS_END))
SENTINEL_REASON = "SENTINEL"


def clear_sentinels(readings: pa.Table) -> pa.Table:
    """Replace sentinels by nulls in readings of the schema `PARSED`."""
    sentinel = pc.is_in(pc.abs(readings["value"]), pa.array(SENTINELS, DECIMAL))
    if not pc.any(sentinel).as_py():
        return readings
    replaced = {
        "value": pa.scalar(None, DECIMAL),
        "quality": pa.scalar("null"),
        "reason_code": pa.scalar(SENTINEL_REASON),
    }
    for name, scalar in replaced.items():
        index = readings.schema.get_field_index(name)
        column = pc.if_else(sentinel, scalar, readings[name])
        readings = readings.set_column(index, readings.schema.field(name), column)
    return readings
