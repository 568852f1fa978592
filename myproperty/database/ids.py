"""UUIDs of version 7 in bulk, made by the client: a server default costs more than the whole COPY.

Here: ids as 16 bytes, the form in which binary COPY takes a uuid. Not here: what they identify.
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
    """`count` ids in ascending order: the millisecond, a counter of 26 bits, 48 random bits (RFC 9562, 6.2).

    Raises ValueError for more ids than the counter can tell apart.
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
    """One id."""
    return uuid.UUID(bytes=uuid7s(1)[0].as_py())


def as_bytes(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Text uuids, few of them different, as 16 bytes each. Raises ValueError for what is no uuid."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = pc.dictionary_encode(whole)
    known = pa.array([uuid.UUID(text).bytes for text in encoded.dictionary.to_pylist()], UUID_BYTES)
    return known.take(encoded.indices)


def repeated(value: uuid.UUID, count: int) -> pa.Array:
    """One id `count` times."""
    return _as_arrow(np.tile(np.frombuffer(value.bytes, dtype=np.uint8), (count, 1)))


def _as_arrow(made: npt.NDArray[np.uint8]) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(UUID_BYTES, len(made), [None, pa.py_buffer(made.tobytes())])
