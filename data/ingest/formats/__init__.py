"""Meter files to rows: pure readers, one module a format, behind `read_file` and `iter_batches`.

Here: bytes to columns of the schema `PARSED`. Not here: judging readings against the meters that are
configured (`vee`), or writing anything (`load`).
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from data.ingest.errors import RefusedFile
from data.ingest.formats import (
    canonical_csv,
    canonical_ndjson,
    canonical_parquet,
    green_button,
    mapped_csv,
    mscons,
    n3rgy_json,
    nem12,
    nem13,
    octopus_json,
    solaredge_json,
)
from data.ingest.formats.columns import Batch
from data.ingest.formats.container import Member, content_hash, open_members, refuse
from data.ingest.formats.detect import FORMATS, check_format, detect
from data.ingest.formats.mapping import CsvMapping, JsonMapping, Mapping
from data.ingest.formats.parts import Gathered, whole
from data.ingest.schema import FileInParts, ParsedFile
from data.ingest.spill import MEMORY_BYTES

__all__ = ["FORMATS", "Batch", "content_hash", "detect_format", "iter_batches", "read_file", "read_parts"]

_READERS: dict[str, Callable[[Path, Member, int], Iterator[Batch]]] = {
    "nem12": nem12.iter_batches,
    "nem13": nem13.iter_batches,
    "canonical_csv": canonical_csv.iter_batches,
    "canonical_ndjson": canonical_ndjson.iter_batches,
    "green_button": green_button.iter_batches,
    "mscons": mscons.iter_batches,
}
_PORTALS: dict[str, Callable[[Path, Member, int, JsonMapping | None], Iterator[Batch]]] = {
    "octopus_json": octopus_json.iter_batches,
    "n3rgy_json": n3rgy_json.iter_batches,
    "solaredge_json": solaredge_json.iter_batches,
}


def detect_format(path: Path | str) -> str:
    """The format name of a file by its content. Raises `RefusedFile`."""
    path = Path(path)
    if canonical_parquet.is_parquet(path):
        return "canonical_parquet"
    for member in open_members(path):
        return detect(path, next(member.blocks, b"").decode(errors="replace"))
    raise refuse(path, None, "FILE-EMPTY", "the file has no content")


def iter_batches(
    path: Path | str, format: str | None = None, mapping: Mapping | None = None
) -> Iterator[tuple[str, Batch]]:
    """(format, batch) of about 64 k rows, in file order, with duplicates still in them.

    All members of an archive must be of one format, that of `mapping` where one is given. Raises
    `RefusedFile`, also after batches were given: nothing may be written before the end is reached.
    """
    path = Path(path)
    format = _declared(path, format, mapping)
    if format == "canonical_parquet" or (format is None and canonical_parquet.is_parquet(path)):
        # Read from its end, so not as a stream.
        with _named("canonical_parquet"):
            for batch in canonical_parquet.iter_batches(path, 0):
                yield "canonical_parquet", batch
        return
    part = 0
    before: str | None = None
    encoding = mapping.encoding if isinstance(mapping, CsvMapping) else None
    for member in open_members(path, encoding):
        first = next(member.blocks, b"")
        in_archive = member.name if member.name != path.name else None
        with _named(None, in_archive):
            found = format or detect(path, first.decode(errors="replace"))
        if before is not None and found != before:
            raise refuse(
                path, None, "FILE-FORMAT", f"{member.name!r} is {found}, the members before it {before}"
            )
        before = found
        whole = Member(member.name, itertools.chain([first], member.blocks))
        with _named(found, in_archive):
            for batch in _batches(path, whole, part, found, mapping):
                yield found, batch
                part = max(part, batch.part)
        part += 1


@contextlib.contextmanager
def _named(format: str | None, member: str | None = None) -> Iterator[None]:
    """A refusal tells the format and, of an archive, the member."""
    try:
        yield
    except RefusedFile as refusal:
        refusal.format = format
        if member is not None:
            refusal.reason = f"member {member!r}: {refusal.reason}"
        raise


def _declared(path: Path, format: str | None, mapping: Mapping | None) -> str | None:
    """The format by name, by the mapping, or none: then the content decides. Raises `RefusedFile`."""
    wrong = check_format(path, format) if format is not None else None
    if wrong is not None:
        raise wrong
    if mapping is None:
        if format == "mapped_csv":
            raise refuse(path, None, "FILE-MAPPING", "mapped_csv is read by a mapping and none is given")
        return format
    if format not in (None, mapping.format):
        raise refuse(path, None, "FILE-FORMAT", f"the mapping is for {mapping.format}, the format {format}")
    return mapping.format


def _batches(path: Path, member: Member, part: int, format: str, mapping: Mapping | None) -> Iterator[Batch]:
    if isinstance(mapping, CsvMapping):
        return mapped_csv.iter_batches(path, member, part, mapping)
    if format in _PORTALS:
        return _PORTALS[format](path, member, part, mapping)
    return _READERS[format](path, member, part)


def read_parts(
    path: Path | str,
    format: str | None = None,
    mapping: Mapping | None = None,
    *,
    digest: str | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> FileInParts:
    """A meter file of any size; of several rows for one register and interval the later one holds.

    `mapping` declares what the file does not say; a mapped CSV is read with one alone. `digest` is its
    `content_hash` where that is known. What exceeds `memory_bytes` waits in a temporary file.

    Raises `RefusedFile` where nothing of the file may be written; where that is because every record
    was rejected, its attribute `rejected` lists them.
    """
    path = Path(path)
    digest = digest or content_hash(path)
    name = format or (mapping.format if mapping is not None else "")
    gathered = Gathered(path, memory_bytes)
    for found, batch in iter_batches(path, format, mapping):
        name = found
        gathered.add(batch)
    # Without a batch nothing has told the format yet.
    return gathered.whole(name or detect_format(path), digest)


def read_file(path: Path | str, format: str | None = None, mapping: Mapping | None = None) -> ParsedFile:
    """As `read_parts`, with all of the file in memory: for files that are known to be small."""
    return whole(read_parts(path, format, mapping))
