"""Read a meter file of any registered format: `read_parts`, `read_file` and `iter_batches`.

Here: bytes to columns of the schema `PARSED`. Not here: comparing readings with the configured meters
(`data.ingest.rules`), or writing anything (`data.ingest.readings`).
"""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

from data.ingest.errors import RefusedFile
from data.ingest.formats.columns import Batch
from data.ingest.formats.container import (
    ALL_TEXTS,
    Member,
    TextForm,
    cut_document,
    hash_file,
    open_members,
    refuse,
)
from data.ingest.formats.detect import detect_binary, detect_format, detect_text, find_format
from data.ingest.formats.format import FileFormat
from data.ingest.formats.mapping import CsvMapping, FileMapping
from data.ingest.formats.parts import Gathered, join_parts
from data.ingest.schema import FileInParts, ParsedFile
from data.ingest.spill import MEMORY_BYTES


def read_file(path: Path | str, format: str | None = None, mapping: FileMapping | None = None) -> ParsedFile:
    """Read a small file: as `read_parts`, with the whole file in memory."""
    return join_parts(read_parts(path, format, mapping))


def read_parts(
    path: Path | str,
    format: str | None = None,
    mapping: FileMapping | None = None,
    *,
    digest: str | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> FileInParts:
    """Read a meter file of any size; of several rows for one register and interval one counts (`latest`).

    `mapping` declares what the file does not state; `mapped_csv` cannot be read without one. `digest` is the
    `hash_file` of the file if it is known already. Rows beyond `memory_bytes` wait in a temporary file.

    Raises `RefusedFile` if nothing of the file may be written. If every record was rejected, its attribute
    `rejected` lists them.
    """
    path = Path(path)
    digest = digest or hash_file(path)
    name = format or (mapping.format if mapping is not None else "")
    gathered = Gathered(path, memory_bytes)
    for found, batch in iter_batches(path, format, mapping):
        name = found
        gathered.add(batch)
    # A file without any batch has not revealed its format yet.
    name = name or detect_format(path)
    use = find_format(path, name).mapping
    return gathered.finish(name, digest, is_declared=use is not None and use.is_required)


def iter_batches(
    path: Path | str, format: str | None = None, mapping: FileMapping | None = None
) -> Iterator[tuple[str, Batch]]:
    """Yield (format, batch) in file order: batches of about 64 k rows, with duplicates still in them.

    All members of an archive must have one format, that of `mapping` if one is given. Raises `RefusedFile`,
    also after it yielded batches: write nothing before the iteration has ended.
    """
    path = Path(path)
    declared = _choose_declared(path, format, mapping)
    whole = declared or detect_binary(path)
    if whole is not None and whole.magic is not None:
        with with_file_context(whole.name):
            for batch in whole.read(path):
                yield whole.name, batch
        return
    yield from _iter_members(path, declared, mapping)


@contextlib.contextmanager
def with_file_context(format: str | None, member: str | None = None) -> Iterator[None]:
    """Add the format and the archive member to a `RefusedFile` that is raised inside."""
    try:
        yield
    except RefusedFile as refusal:
        refusal.format = format
        if member is not None:
            refusal.reason = f"member {member!r}: {refusal.reason}"
        raise


def _choose_declared(path: Path, name: str | None, mapping: FileMapping | None) -> FileFormat | None:
    """Return the format given by name or by mapping, or None: then the content decides."""
    format = find_format(path, name) if name is not None else None
    if mapping is None:
        if format is not None and format.mapping is not None and format.mapping.is_required:
            raise refuse(path, None, "FILE-MAPPING", f"{name} is read by a mapping, and none is given")
        return format
    if name not in (None, mapping.format):
        raise refuse(
            path, None, "FILE-FORMAT", f"the mapping is for {mapping.format}, but the format is {name}"
        )
    return find_format(path, mapping.format)


def _iter_members(
    path: Path, declared: FileFormat | None, mapping: FileMapping | None
) -> Iterator[tuple[str, Batch]]:
    part = 0
    previous: FileFormat | None = None
    for member in open_members(path, _choose_form(mapping)):
        first = next(member.blocks, b"")
        name_in_archive = member.name if member.name != path.name else None
        with with_file_context(None, name_in_archive):
            format = declared or detect_text(path, first.decode(errors="replace"))
        if previous not in (None, format):
            assert previous is not None
            reason = f"{member.name!r} is {format.name}, the members before it are {previous.name}"
            raise refuse(path, None, "FILE-FORMAT", reason)
        previous = format
        whole = Member(member.name, itertools.chain([first], member.blocks))
        if format.reads_lines:
            whole = cut_document(path, member, first)
        with with_file_context(format.name, name_in_archive):
            for batch in _read_member(format, path, whole, part, mapping):
                yield format.name, batch
                part = max(part, batch.part)
        part += 1


def _choose_form(mapping: FileMapping | None) -> TextForm:
    if not isinstance(mapping, CsvMapping):
        return ALL_TEXTS
    return TextForm(mapping.encoding, mapping.delimiter, mapping.decimal, mapping.sheets)


def _read_member(
    format: FileFormat, path: Path, member: Member, part: int, mapping: FileMapping | None
) -> Iterator[Batch]:
    if format.mapping is None:
        return format.read(path, member, part)
    return format.read(path, member, part, mapping)
