"""The answers of the saved queries as files in a folder or bucket, for tools that read files.

A file has the name of its date, `solar_by_month/2026-01-31.parquet`, and is there as a whole or not at all: a
second export of the date replaces it. Not here: the questions (`models/semantic/_saved_queries.yml`), or when
they are asked (`dagster_project.defs.exports`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from data.raw.warehouse import Warehouse, open_warehouse
from data.warehouse.metrics import Metrics, Question
from data.warehouse.project import semantic_manifest
from data.warehouse.readers import check_reader
from myproperty.errors import PlatformError
from myproperty.files import copy_whole, make_private_folder, temporary_folder
from myproperty.settings import Settings
from myproperty.shown import write_csv

# As many as `myproperty metrics query --limit` gives at most.
MOST_ROWS = 1_000_000


class ExportFailed(PlatformError):
    """Saved queries were not exported; the message names each, and why."""


@dataclass(frozen=True)
class Exported:
    """A saved query whose files were written."""

    saved_query: str
    rows: int
    files: tuple[str, ...]


def export_saved_queries(
    settings: Settings,
    url: str,
    day: date,
    *,
    names: Sequence[str] = (),
    reader: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Exported]:
    """Write the answers of these saved queries, all for none, to the folder `url` as the files of `day`.

    They are asked as `reader`, who sees its tenants alone, or as the platform's own reader. One that fails
    does not keep the others from being written. Raises `ExportFailed` in the end.
    """
    if reader is not None:
        check_reader(reader)
    metrics = Metrics(semantic_manifest(settings), settings.warehouse)
    dimensions = {saved["saved_query"]: saved["dimensions"] for saved in metrics.list_saved_queries()}
    if unknown := [name for name in names if name not in dimensions]:
        raise ExportFailed(f"no saved query is called {', '.join(unknown)}: {', '.join(dimensions)}")
    done, failed = [], []
    warehouse = open_warehouse(settings)
    try:
        for name in names or dimensions:
            # In a fixed order, so that files of two dates can be compared.
            question = Question(saved_query=name, order_by=dimensions[name].split(", "))
            try:
                rows = _ask(warehouse, metrics.write_sql(question), reader)
                files = _write_files(rows, f"{url.rstrip('/')}/{name}", day)
            except PlatformError as error:
                failed.append(f"{name}: {error}")
            else:
                done.append(Exported(name, rows.num_rows, files))
                progress(f"{name}: {rows.num_rows} rows in {' and '.join(files)}")
    finally:
        warehouse.close()
    if failed:
        raise ExportFailed("; ".join(failed))
    return done


def _ask(warehouse: Warehouse, sql: str, reader: str | None) -> pa.Table:
    rows = warehouse.ask(sql, MOST_ROWS + 1, reader)
    if rows.num_rows > MOST_ROWS:
        raise ExportFailed(f"it has more than {MOST_ROWS:,} rows, and part of them would be taken for all")
    return rows


def _write_files(rows: pa.Table, folder: str, day: date) -> tuple[str, ...]:
    written = {f"{day}.parquet": _write_parquet, f"{day}.csv": _write_csv}
    with temporary_folder("exports") as beside:
        for name, write in written.items():
            write(rows, beside / name)
            _put_whole(beside / name, f"{folder}/{name}")
    return tuple(f"{folder}/{name}" for name in written)


def _write_parquet(rows: pa.Table, path: Path) -> None:
    pq.write_table(rows, path, compression="zstd")


def _write_csv(rows: pa.Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_csv(rows.column_names, rows.to_pylist(), stream)


def _put_whole(source: Path, url: str) -> None:
    """Copy a file to its place, where nobody sees half of it: a bucket shows an object when it is complete.

    The folder of a saved query takes the rights of the folder above, which only this account enters if it is
    made here.
    """
    try:
        filesystem, path = fsspec.core.url_to_fs(url)
        if isinstance(filesystem, LocalFileSystem):
            folder = Path(path).parent
            make_private_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            copy_whole(source, Path(path))
        else:
            filesystem.makedirs(filesystem._parent(path), exist_ok=True)
            filesystem.put_file(str(source), path)
    except (OSError, ValueError, ImportError) as error:
        raise ExportFailed(
            f"{url} cannot be written ({error}): correct the place, or name another in MYPROPERTY_EXPORT_URL"
        ) from error
