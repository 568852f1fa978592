"""Make UUIDs of version 7 in bulk on the client: a default of the server costs more than the whole COPY.

Ids are 16 bytes each, the form of a uuid in binary COPY.
"""

import time
import uuid

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

UUID_BYTES = pa.binary(16)
_COUNTER_BITS = 26
_RANDOM_BYTES = 6


def uuid7s(count: int) -> pa.Array:
    """Make `count` ascending ids: the millisecond, a counter of 26 bits, 48 random bits (RFC 9562, 6.2).

    Raises `ValueError` for more ids than the counter can number.
    """
    if not 0 <= count < 1 << _COUNTER_BITS:
        raise ValueError(f"{count} ids in one call: ask for fewer than {1 << _COUNTER_BITS}")
    made = np.empty((count, 16), dtype=np.uint8)
    made[:, :6] = np.frombuffer((time.time_ns() // 1_000_000).to_bytes(6, "big"), dtype=np.uint8)
    counter = np.arange(count, dtype=np.uint32)
    made[:, 6] = 0x70 | (counter >> 22)
    made[:, 7] = counter >> 14 & 0xFF
    made[:, 8] = 0x80 | (counter >> 8 & 0x3F)
    made[:, 9] = counter & 0xFF
    made[:, 10:] = np.random.default_rng().integers(0, 256, (count, _RANDOM_BYTES), dtype=np.uint8)
    return _as_arrow(made)


def uuid7() -> uuid.UUID:
    """Make one id."""
    return uuid.UUID(bytes=uuid7s(1)[0].as_py())


def as_bytes(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Convert uuids from text to 16 bytes; fast if few differ. Raises `ValueError` for an invalid uuid."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = pc.dictionary_encode(whole)
    known = pa.array([uuid.UUID(text).bytes for text in encoded.dictionary.to_pylist()], UUID_BYTES)
    return known.take(encoded.indices)


def repeated(value: uuid.UUID, count: int) -> pa.Array:
    """Return one id `count` times."""
    return _as_arrow(np.tile(np.frombuffer(value.bytes, dtype=np.uint8), (count, 1)))


def _as_arrow(made: npt.NDArray[np.uint8]) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(UUID_BYTES, len(made), [None, pa.py_buffer(made.tobytes())])
