"""The canonical Parquet: one reading per row, with the columns of the canonical CSV.

Here: typed columns to the string columns that `canonical_csv` reads, so that both formats obey the same
rules. Not here: what the columns mean. `line` of a reading is its row, counted from 1. A floating-point
value is read as its shortest decimal text.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.ingest.formats.canonical_csv import check_columns, read_columns
from data.ingest.formats.columns import Batch, Rejections
from data.ingest.formats.container import MAX_UNPACKED_BYTES, refuse
from data.ingest.formats.format import FileFormat

BATCH_ROWS = 65_536
# A row group is held in memory as a whole.
MAX_GROUP_BYTES = 512 << 20


def iter_batches(path: Path) -> Iterator[Batch]:
    """Yield the readings of a file in batches of 64 k rows. Raises `RefusedFile`."""
    line = 1
    try:
        with pq.ParquetFile(path) as file:
            _check_columns_and_size(path, file)
            for batch in file.iter_batches(BATCH_ROWS):
                batch.validate(full=True)
                strings = pa.table(
                    {name: _convert_to_text(path, name, batch[name]) for name in batch.schema.names}
                )
                lines = pa.array(np.arange(line, line + batch.num_rows))
                line += batch.num_rows
                yield read_columns(strings, lines, Rejections(), 0)
    except (pa.ArrowException, OSError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise refuse(path, None, "FILE-DAMAGED", f"the Parquet file cannot be read: {text}") from error


FORMAT = FileFormat(
    name="canonical_parquet",
    summary="the canonical fields as columns of a Parquet file",
    read=iter_batches,
    magic=b"PAR1",
)


def _check_columns_and_size(path: Path, file: pq.ParquetFile) -> None:
    check_columns(path, None, file.schema_arrow.names)
    groups = [file.metadata.row_group(place).total_byte_size for place in range(file.num_row_groups)]
    if sum(groups) > MAX_UNPACKED_BYTES or max(groups, default=0) > MAX_GROUP_BYTES:
        reason = (
            f"it unpacks to more than {MAX_UNPACKED_BYTES >> 30} GiB, or one of its row groups to more than "
            f"{MAX_GROUP_BYTES >> 20} MiB"
        )
        raise refuse(path, None, "FILE-TOO-LARGE", reason)


def _convert_to_text(path: Path, name: str, column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is None:
        reason = f"the column {name!r} holds times without a zone"
        raise refuse(path, None, "CSV-HEADER", reason)
    if pa.types.is_timestamp(kind):
        # The instant is the same in every zone; the cast refuses fractions of a microsecond.
        return pc.cast(pc.cast(column, pa.timestamp("us", tz="UTC")), pa.string())
    if pa.types.is_dictionary(kind):
        return _convert_to_text(path, name, column.dictionary_decode())
    is_number = pa.types.is_decimal(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if is_text or is_number or pa.types.is_null(kind):
        return pc.cast(column, pa.string())
    raise refuse(path, None, "CSV-HEADER", f"the column {name!r} has the type {kind}, which is not supported")
