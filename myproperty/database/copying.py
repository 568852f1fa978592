"""Encode Arrow columns as the bytes of PostgreSQL's binary COPY, one column at a time.

`session` sends them. Existing drivers read the whole catalogue first, which grows with the partitions.
"""

import itertools
from collections.abc import Generator, Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
# Some hundred kilobytes for each write, so that the server reads one while the next is encoded.
BATCH_ROWS = 16_384
_NULL = b"\xff\xff\xff\xff"
_MICROSECONDS_TO_2000 = 946_684_800_000_000
_DAYS_TO_2000 = 10_957
_NEGATIVE = 0x4000
_NUMBERS = {pa.int16(): ">i2", pa.int32(): ">i4", pa.int64(): ">i8", pa.float64(): ">f8"}
# A numeric is sent in digits of base 10,000.
_DIGIT = 4

Bytes = npt.NDArray[np.uint8]
Digits = npt.NDArray[np.generic]


def encode(rows: pa.Table | Iterable[pa.Table]) -> Generator[bytes | memoryview, None, None]:
    """Yield the stream of `COPY ... FROM STDIN (FORMAT BINARY)` for rows of one schema, in blocks.

    Column types: string, binary(16) for uuid, bool, int16, int32, int64, float64, date32, timestamp[us],
    decimal128. Raises `TypeError` for any other type.
    """
    yield BEGIN
    for table in (rows,) if isinstance(rows, pa.Table) else rows:
        for batch in table.to_batches(BATCH_ROWS):
            if batch.num_rows:
                yield _encode_batch(batch)
    yield END


def _encode_batch(batch: pa.RecordBatch) -> memoryview:
    """Encode rows: for each row the number of its fields, then the fields."""
    count = batch.num_rows
    head = _repeat(_big_endian(batch.num_columns, 2), count)
    parts = [head, *itertools.chain.from_iterable(map(_encode_field, batch.columns))]
    if all(isinstance(part, np.ndarray) for part in parts):
        rows: Bytes = np.concatenate(parts, axis=1)
        return rows.reshape(-1).data
    # numpy joins neighbours of fixed width, Arrow joins the others.
    pieces: list[pa.Array] = []
    for is_fixed, group in itertools.groupby(parts, lambda part: isinstance(part, np.ndarray)):
        neighbours = list(group)
        pieces += [_as_binary(np.concatenate(neighbours, axis=1))] if is_fixed else neighbours
    joined = pc.binary_join_element_wise(*pieces, pa.scalar(b"", pa.binary()))
    offsets = np.frombuffer(joined.buffers()[1], np.int32)[joined.offset : joined.offset + count + 1]
    return memoryview(joined.buffers()[2])[offsets[0] : offsets[-1]]


def _encode_field(column: pa.Array) -> list[Bytes | pa.Array]:
    """Encode length and content of each value: equal widths as matrices, others as a binary column."""
    if column.null_count == len(column):
        return [_repeat(np.frombuffer(_NULL, np.uint8), len(column))]
    if pa.types.is_string(column.type):
        return [_encode_texts(column)]
    content = _encode_content(column if not column.null_count else _without_nulls(column))
    count, width = content.shape
    field = [_repeat(_big_endian(width, 4), count), content]
    if not column.null_count:
        return field
    fixed = _as_binary(np.concatenate(field, axis=1))
    return [pc.if_else(column.is_null(), pa.scalar(_NULL, pa.binary()), fixed)]


def _encode_content(column: pa.Array) -> Bytes:
    """Encode values of a fixed width without nulls."""
    kind = column.type
    if kind == pa.binary(16):
        start = column.offset * 16
        return np.frombuffer(column.buffers()[1], np.uint8)[start : start + len(column) * 16].reshape(-1, 16)
    if pa.types.is_decimal128(kind):
        return _encode_numerics(column)
    if pa.types.is_timestamp(kind) and kind.unit == "us":
        return _as_bytes(_values(column.cast(pa.int64())) - _MICROSECONDS_TO_2000, ">i8")
    if pa.types.is_date32(kind):
        return _as_bytes(_values(column.cast(pa.int32())) - _DAYS_TO_2000, ">i4")
    if pa.types.is_boolean(kind):
        return _as_bytes(_values(column.cast(pa.uint8())), "u1")
    for number, code in (
        (pa.int16(), ">i2"),
        (pa.int32(), ">i4"),
        (pa.int64(), ">i8"),
        (pa.float64(), ">f8"),
    ):
        if kind == number:
            return _as_bytes(_values(column), code)
    raise TypeError(f"a column of type {kind} cannot be copied: cast it to a type of PostgreSQL")


def _encode_numerics(column: pa.Array) -> Bytes:
    """Encode the digits before and after the point, equally many in each row; the server drops zeros."""
    scale, precision = column.type.scale, column.type.precision
    after = -(-max(scale, 0) // _DIGIT)
    before = max(1, -(-(precision - scale) // _DIGIT))
    words = np.frombuffer(column.buffers()[1], np.int64)
    words = words[column.offset * 2 : (column.offset + len(column)) * 2].reshape(-1, 2)
    value = words[:, 0]
    is_long = words[:, 1] != value >> 63
    size = np.where(is_long, 0, np.abs(value))
    row = np.zeros((len(column), 4 + before + after), ">i2")
    row[:, 0], row[:, 1], row[:, 3] = before + after, before - 1, max(scale, 0)
    row[:, 2] = np.where(words[:, 1] < 0, _NEGATIVE, 0)
    row[:, 4:] = _split_digits(size, scale, before, after)
    for place in np.flatnonzero(is_long):
        # More than 64 bits: no meter sends such a value, but the column allows it.
        low, high = (int(word) for word in words[place])
        unscaled = abs((high << 64) + low % (1 << 64))
        row[place, 4:] = _split_digits(np.array([unscaled], dtype=object), scale, before, after)[0]
    return row.view(np.uint8).reshape(len(column), -1)


def _split_digits(size: Digits, scale: int, before: int, after: int) -> Digits:
    """Split `size` / 10^scale into digits of base 10,000, the highest first."""
    rest = size % 10**scale * 10 ** (after * _DIGIT - scale)
    return np.stack(_split(size // 10**scale, before) + _split(rest, after), axis=1)


def _split(number: Digits, digits: int) -> list[Digits]:
    parts = []
    for _ in range(digits):
        parts.append(number % 10**_DIGIT)
        number = number // 10**_DIGIT
    return parts[::-1]


def _encode_texts(column: pa.Array) -> Bytes | pa.Array:
    """Encode each distinct text once: the texts of readings are few and repeat."""
    encoded = column.dictionary_encode()
    texts = [text.encode() for text in encoded.dictionary.to_pylist()]
    fields = [len(text).to_bytes(4, "big") + text for text in texts]
    if len(fields) == 1 and not column.null_count:
        return _repeat(np.frombuffer(fields[0], np.uint8), len(column))
    if not column.null_count and len(set(map(len, fields))) == 1:
        matrix = np.frombuffer(b"".join(fields), np.uint8).reshape(len(fields), -1)
        return np.take(matrix, encoded.indices.to_numpy(), axis=0)
    known = pa.array([*fields, _NULL], pa.binary())
    return known.take(pc.fill_null(encoded.indices, len(texts)))


def _without_nulls(column: pa.Array) -> pa.Array:
    """Replace nulls by any value; its encoding is thrown away."""
    some = column.drop_null()
    return column.fill_null(some[0]) if len(some) else _zeros(column)


def _zeros(column: pa.Array) -> pa.Array:
    width = column.type.bit_width // 8 or 1
    return pa.Array.from_buffers(column.type, len(column), [None, pa.py_buffer(bytes(width * len(column)))])


def _values(column: pa.Array) -> npt.NDArray[np.generic]:
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _as_bytes(values: npt.NDArray[np.generic], code: str) -> Bytes:
    return values.astype(code).view(np.uint8).reshape(len(values), -1)


def _repeat(value: Bytes, count: int) -> Bytes:
    """Repeat the same bytes in `count` rows, without a copy."""
    return np.broadcast_to(value, (count, len(value)))


def _big_endian(number: int, width: int) -> Bytes:
    return np.frombuffer(number.to_bytes(width, "big"), np.uint8)


def _as_binary(matrix: Bytes) -> pa.Array:
    count, width = matrix.shape
    buffer = pa.py_buffer(np.ascontiguousarray(matrix))
    return pa.Array.from_buffers(pa.binary(width), count, [None, buffer]).cast(pa.binary())
