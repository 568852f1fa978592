"""Exact arithmetic on reading columns: series, energy in kWh, local reading dates, expected interval counts.

Not here: whether a value is right (`judge`).
"""

from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.schema import DECIMAL, KWH_PER_UNIT_POWER_OF_TEN, Series

Ints = npt.NDArray[np.int64]
_FACTOR = pa.decimal128(7, 3)
_FACTORS = {unit: Decimal(1).scaleb(power) for unit, power in KWH_PER_UNIT_POWER_OF_TEN.items()}
_LIMIT = Decimal(10) ** 11


def flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column as one array."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def find_series(readings: pa.Table) -> tuple[list[Series], Ints]:
    """Return the distinct (identifier, register) in order of their first row, and the code of each row."""
    identifier, register = (pc.dictionary_encode(flat(readings[name])) for name in ("identifier", "register"))
    registers = register.dictionary.to_pylist()
    pairs = pc.add(
        pc.multiply(identifier.indices.cast(pa.int64()), len(registers)), register.indices.cast(pa.int64())
    ).dictionary_encode()
    identifiers = identifier.dictionary.to_pylist()
    found = [divmod(pair, len(registers)) for pair in pairs.dictionary.to_pylist()]
    codes = pairs.indices.to_numpy().astype(np.int64)
    return [(identifiers[one], registers[other]) for one, other in found], codes


def to_kwh(
    values: pa.Array | pa.ChunkedArray, units: pa.Array | pa.ChunkedArray
) -> tuple[pa.Array, pa.Array]:
    """Return (energy in kWh, is inexact): null where the value is null or the unit is not energy.

    A value is never rounded: where its kWh need more than 9 decimals or 11 digits before the point, the
    energy is null and the second column is true.
    """
    encoded = flat(pc.dictionary_encode(flat(units)))
    if values.type == DECIMAL and encoded.dictionary.to_pylist() == ["kWh"] and not encoded.null_count:
        return flat(values), pa.array(np.zeros(len(encoded), dtype=np.bool_))
    factors = pa.array([_FACTORS.get(unit.as_py()) for unit in encoded.dictionary], type=_FACTOR)
    product = pc.multiply(flat(values), factors.take(encoded.indices))
    try:
        return pc.cast(product, DECIMAL), pa.array(np.zeros(len(product), dtype=np.bool_))
    except pa.ArrowInvalid:
        return _kwh_that_fit(product)


def _kwh_that_fit(product: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Do the same where some values do not fit, and mark these."""
    fits = pc.less(pc.abs(product), pa.scalar(_LIMIT, pa.decimal128(15, 0)))
    within = pc.if_else(fits, product, pa.scalar(None, product.type))
    truncated = pc.cast(within, DECIMAL, safe=False)
    exact = pc.fill_null(pc.equal(pc.cast(truncated, product.type), within), False)
    inexact = pc.and_(pc.is_valid(product), pc.invert(exact))
    return pc.if_else(inexact, pa.scalar(None, DECIMAL), truncated), inexact


def reading_dates(reading_ts: pa.Array | pa.ChunkedArray, timezones: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the local date (date32) of each instant (timestamp[us, UTC]) in its own IANA zone.

    Raises `pyarrow.ArrowInvalid` for a zone that does not exist.
    """
    instants = flat(reading_ts)
    encoded = flat(pc.dictionary_encode(flat(timezones)))
    dates: npt.NDArray[np.int32] = np.zeros(len(instants), dtype=np.int32)
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    for code, zone in enumerate(encoded.dictionary.to_pylist()):
        rows = np.flatnonzero(codes == code)
        part = instants if len(rows) == len(instants) else instants.take(pa.array(rows))
        local = pc.local_timestamp(part.cast(pa.timestamp("us", tz=zone)))
        dates[rows] = local.cast(pa.date32()).cast(pa.int32()).to_numpy()
    return pa.array(dates).cast(pa.date32())
