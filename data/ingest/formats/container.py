"""Bytes on disk to text blocks: gzip and zip, encodings and line ends, with a limit on the unpacked size.

Here: what is the same for every text format. Not here: the meaning of the text (`detect` and the readers).
Nothing is unpacked to disk but a workbook, under a name of our own, so no member name can escape a folder.
"""

import codecs
import contextlib
import fnmatch
import gzip
import hashlib
import itertools
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from data.ingest.errors import RefusedFile
from data.ingest.formats.html_tables import TooLongRow, has_tables, iter_tables
from data.ingest.formats.workbook import COMPOUND_MAGIC, ZIP_PARTS, iter_sheets
from data.ingest.formats.workbook_rows import WorkbookFault
from data.ingest.rules.table import RULES

READ_BYTES = 1 << 20
# As canonical CSV, a year of five-minute data of a thousand registers takes 1 GB.
MAX_UNPACKED_BYTES = 4 << 30
# Meter data shrinks 5 to 60 times; a higher ratio is suspicious only above this size.
RATIO_FREE_BYTES = 64 << 20
MAX_RATIO = 200
MAX_MEMBERS = 1000
# The longest meter record, 1440 values of a day, takes 30 kB.
MAX_LINE_BYTES = 1 << 20

# JSON, XML and EDIFACT are one document, often one line of many megabytes: they are not cut at line ends.
_DOCUMENT_STARTS = (b"{", b"[", b"<", b"UNA", b"UNB", b"UNH")

_ARCHIVE_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"7z\xbc\xaf", b"BZh", b"\xfd7zXZ", b"Rar!")
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, NotImplementedError)


@dataclass(frozen=True)
class TextForm:
    """How the texts of a file are written, and which of its sheets count.

    `encoding` is that of texts without a byte order mark; None is UTF-8, or UTF-16 if the bytes look like it.
    The sheets of a workbook are written as CSV with `delimiter` and `decimal`; `sheets` are patterns of their
    names, and of those of the texts in an archive. Without them there must be one sheet with content, unless
    `any_sheets`.
    """

    encoding: str | None = None
    delimiter: str = ","
    decimal: str = "."
    sheets: tuple[str, ...] = ()
    any_sheets: bool = False


ALL_TEXTS = TextForm(any_sheets=True)


@dataclass(frozen=True)
class Member:
    """One text of a file: the file itself, or a member of an archive, with a name for messages.

    `blocks` yields UTF-8 bytes with LF line ends, cut at line ends; only the last block may lack its final
    LF. U+FFFD replaces invalid bytes. A JSON, XML or EDIFACT document is unchanged and may be cut anywhere.
    Reading may raise `RefusedFile`.
    """

    name: str
    blocks: Iterator[bytes]


_DEFAULT_SHEET = re.compile(
    r"(sheet|tabelle|feuil|hoja|foglio|blad|ark|munka|list|arkusz|planilha|taul(ukko)?)? ?1?", re.I
)
_ENDING = re.compile(r"(\.(csv|tsv|txt|dat|log|json|xml|xlsx|xlsb|xls|ods|gz|zip))+$", re.I)
# A line of several words; the readings of a sheet begin below it.
_HEADER = re.compile(rb"[^,]*[A-Za-z\x80-\xff][^,]*(,[^,]*)+")
_ROWS_ABOVE_HEADER = 20


def refuse(path: Path, line: int | None, rule: str, reason: str) -> RefusedFile:
    """Return the error for a file that violates `rule`, with the remedy of the rule."""
    return RefusedFile(path, line, rule, reason, RULES[rule].remedy)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of the bytes as received, in hexadecimal."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise refuse(path, None, "FILE-UNREADABLE", error.strerror or str(error)) from error


def open_members(path: Path, form: TextForm = ALL_TEXTS) -> Iterator[Member]:
    """Yield the texts of `path` in order: one for a plain file or gzip, one for each file in a zip.

    The sheets of a workbook are texts too. Read each member before you ask for the next. Raises
    `RefusedFile`.
    """
    with _refuse_on_errors(path), path.open("rb") as stream:
        magic = stream.read(len(COMPOUND_MAGIC))
        stream.seek(0)
        if not magic:
            raise refuse(path, None, "FILE-EMPTY", "the file has no content")
        if _is_workbook(stream):
            yield from _open_sheets(path, path, form)
        elif magic.startswith(b"PK"):
            yield from _open_zip_members(path, stream, form)
        elif magic.startswith(b"\x1f\x8b"):
            packed = path.stat().st_size
            with gzip.GzipFile(fileobj=stream) as unpacked:
                chunks = _SizeLimit(path, packed).read_chunks(unpacked, path.name)
                yield Member(path.name, _iter_blocks(path, chunks, form))
        else:
            yield Member(path.name, _iter_blocks(path, _read_plain_chunks(path, stream), form))


@contextlib.contextmanager
def _refuse_on_errors(path: Path) -> Iterator[None]:
    """Turn errors of the disk and of unpacking into refusals."""
    try:
        yield
    except WorkbookFault as fault:
        raise refuse(path, None, fault.rule, str(fault)) from fault
    except TooLongRow as error:
        raise refuse(path, None, "FILE-FORMAT", str(error)) from error
    except _DAMAGE as error:
        raise refuse(path, None, "FILE-DAMAGED", f"the archive cannot be unpacked: {error}") from error
    except OSError as error:
        raise refuse(path, None, "FILE-UNREADABLE", error.strerror or str(error)) from error


def _iter_blocks(path: Path, chunks: Iterator[bytes], form: TextForm) -> Iterator[bytes]:
    """Yield the blocks of a text. Errors arise here, since `open_members` does not read its bytes."""
    with _refuse_on_errors(path):
        text = _decode_to_utf8(chunks, form.encoding)
        first = next(text, b"")
        whole = itertools.chain([first], text)
        if has_tables(first):
            yield from cut_lines(path, iter_tables(whole, form.delimiter))
            return
        yield from whole if first.lstrip().startswith(_DOCUMENT_STARTS) else cut_lines(path, whole)


def _read_plain_chunks(path: Path, stream: IO[bytes]) -> Iterator[bytes]:
    first = True
    while chunk := stream.read(READ_BYTES):
        if first and chunk.startswith(_ARCHIVE_MAGIC):
            raise refuse(path, None, "FILE-ARCHIVE", "this kind of archive is not supported")
        first = False
        yield chunk


class _SizeLimit:
    """Counts the unpacked bytes of an archive: the sizes that it declares may be false."""

    def __init__(self, path: Path, packed_bytes: int) -> None:
        self._path = path
        self._packed = max(packed_bytes, 1)
        self._unpacked = 0

    def read_packed(self, stream: IO[bytes]) -> Iterator[bytes]:
        """Yield what is packed itself."""
        while chunk := stream.read(READ_BYTES):
            self._count(len(chunk))
            yield chunk

    def read_chunks(self, stream: IO[bytes] | gzip.GzipFile, name: str) -> Iterator[bytes]:
        first = True
        while chunk := stream.read(READ_BYTES):
            if first and chunk.startswith(_ARCHIVE_MAGIC):
                raise refuse(self._path, None, "FILE-ARCHIVE", f"{name!r} is an archive inside an archive")
            first = False
            self._count(len(chunk))
            yield chunk

    def _count(self, size: int) -> None:
        self._unpacked += size
        if self._unpacked > MAX_UNPACKED_BYTES:
            raise refuse(
                self._path, None, "FILE-TOO-LARGE", f"it unpacks to more than {MAX_UNPACKED_BYTES >> 30} GiB"
            )
        if self._unpacked > RATIO_FREE_BYTES and self._unpacked > MAX_RATIO * self._packed:
            raise refuse(
                self._path,
                None,
                "FILE-TOO-LARGE",
                f"it unpacks to over {MAX_RATIO} times its size, and to over {RATIO_FREE_BYTES >> 20} MiB",
            )


@dataclass(frozen=True)
class SheetChoice:
    """The sheets or members that one mapping reads, the long ones with other headers, and how many there are.

    `idle` are the members of an archive that are no tables.
    """

    chosen: list[str]
    others: list[str]
    count: int
    idle: Sequence[str] = ()


def choose_sheets(path: Path, wanted: str | None = None) -> SheetChoice | None:
    """Choose the sheet with most rows, or the one that is wanted, and those with its header.

    None for a file that is no workbook with several sheets. Raises `RefusedFile`.
    """
    with _refuse_on_errors(path), path.open("rb") as stream:
        if not _is_workbook(stream):
            return None
    rows: dict[str, int] = {}
    headers: dict[str, set[bytes]] = {}
    for member in open_members(path):
        rows[member.name], headers[member.name] = 0, set()
        for block in member.blocks:
            if not rows[member.name]:
                headers[member.name] = set(filter(_HEADER.fullmatch, block.split(b"\n")[:_ROWS_ABOVE_HEADER]))
            rows[member.name] += block.count(b"\n")
    if len(rows) < 2:
        return None
    longest = max(rows, key=lambda name: (name == wanted, rows[name]))
    alike = [name for name in rows if name != longest and headers[name] & headers[longest]]
    others = [name for name in rows if name not in (longest, *alike) and rows[name] >= _ROWS_ABOVE_HEADER]
    return SheetChoice([longest, *alike], others, len(rows))


def is_archive(path: Path) -> bool:
    """Whether a file is a zip of other files, and no workbook. Raises `RefusedFile`."""
    with _refuse_on_errors(path), path.open("rb") as stream:
        return zipfile.is_zipfile(stream) and not _is_workbook(stream)


def _is_workbook(stream: IO[bytes]) -> bool:
    """Whether a file is a workbook or another office document; the stream is left at its start."""
    stream.seek(0)
    magic = stream.read(len(COMPOUND_MAGIC))
    stream.seek(0)
    if not magic.startswith(b"PK"):
        return magic == COMPOUND_MAGIC
    with zipfile.ZipFile(stream) as archive:
        is_office = any(part in archive.NameToInfo for part in ZIP_PARTS)
    stream.seek(0)
    return is_office


def _open_sheets(path: Path, workbook: Path, form: TextForm) -> Iterator[Member]:
    """Yield the sheets of a workbook, which is `path` or was packed in it."""
    found = iter_sheets(
        workbook, delimiter=form.delimiter, decimal=form.decimal, sheets=form.sheets, is_any=form.any_sheets
    )
    for name, blocks in found:
        yield Member(name, _refuse_faults(path, blocks))


def _refuse_faults(path: Path, blocks: Iterator[bytes]) -> Iterator[bytes]:
    with _refuse_on_errors(path):
        yield from blocks


def _open_zip_members(path: Path, stream: IO[bytes], form: TextForm) -> Iterator[Member]:
    limit = _SizeLimit(path, path.stat().st_size)
    with zipfile.ZipFile(stream) as archive:
        infos = [info for info in archive.infolist() if not _is_litter(info)]
        if len(infos) > MAX_MEMBERS:
            raise refuse(
                path, None, "FILE-TOO-LARGE", f"it has {len(infos)} members, more than {MAX_MEMBERS}"
            )
        if not infos:
            raise refuse(path, None, "FILE-EMPTY", "the archive holds no file")
        for info in infos:
            _check_member(path, info)
        is_any, found = not form.sheets, False
        for info in infos:
            with archive.open(info) as member:
                is_packed = member.read(len(COMPOUND_MAGIC)).startswith((b"PK", COMPOUND_MAGIC))
            if not (is_packed or is_any or _is_chosen(info.filename, form.sheets)):
                continue
            found = True
            with archive.open(info) as member:
                if is_packed:
                    yield from _open_packed_sheets(path, info.filename, limit.read_packed(member), form)
                else:
                    chunks = limit.read_chunks(member, info.filename)
                    yield Member(info.filename, _iter_blocks(path, chunks, form))
        if not found:
            listed = ", ".join(repr(info.filename) for info in infos[:5])
            raise refuse(
                path, None, "MAP-SHEETS", f"no file of the archive has a name of the mapping: {listed}"
            )


def _is_chosen(name: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern is that of a member of an archive, with or without its folder."""
    names = {name, name.replace("\\", "/").rpartition("/")[2]}
    return any(one == pattern or fnmatch.fnmatchcase(one, pattern) for one in names for pattern in patterns)


def _open_packed_sheets(path: Path, name: str, chunks: Iterator[bytes], form: TextForm) -> Iterator[Member]:
    """Yield the sheets of a workbook in an archive, which its reader needs as a file."""
    with tempfile.NamedTemporaryFile(prefix="myproperty-") as workbook:
        for chunk in chunks:
            workbook.write(chunk)
        workbook.flush()
        workbook.seek(0)
        if not _is_workbook(workbook):
            raise refuse(path, None, "FILE-ARCHIVE", f"{name!r} is an archive inside an archive")
        for sheet in _open_sheets(path, Path(workbook.name), form):
            yield Member(f"{name}: {sheet.name}", sheet.blocks)


def strip_name(name: str) -> str:
    """Return the name of a file, member or sheet without its folder and ending."""
    file, _, sheet = name.rpartition(": ")
    if file and _DEFAULT_SHEET.fullmatch(sheet):
        # Of a workbook in an archive the file has the name, unless its sheets have names of their own.
        file, sheet = "", file
    stem = _ENDING.sub("", sheet.replace("\\", "/").rpartition("/")[2])
    return f"{strip_name(file)} {stem}" if file else stem


def _is_litter(info: zipfile.ZipInfo) -> bool:
    """Whether an entry is a folder, or a file that file managers add."""
    added = (".DS_Store", "Thumbs.db", "desktop.ini")
    return info.is_dir() or info.filename.startswith("__MACOSX/") or info.filename.endswith(added)


def _check_member(path: Path, info: zipfile.ZipInfo) -> None:
    name = info.filename.replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
        raise refuse(path, None, "FILE-ARCHIVE", f"member {info.filename!r} points outside the archive")
    if info.flag_bits & 0x1:
        raise refuse(path, None, "FILE-ARCHIVE", f"member {info.filename!r} is encrypted")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise refuse(path, None, "FILE-ARCHIVE", f"member {info.filename!r} is a symbolic link")


def _guess_encoding(head: bytes) -> tuple[str, int]:
    """(codec, length of the byte order mark) by the mark, or by the NULs that UTF-16 puts into ASCII."""
    for mark, codec in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if head.startswith(mark):
            return codec, len(mark)
    sample = head[:256]
    if len(sample) >= 4 and len(sample) % 2 == 0:
        if not any(sample[0::2]) and all(sample[1::2]):
            return "utf-16-be", 0
        if all(sample[0::2]) and not any(sample[1::2]):
            return "utf-16-le", 0
    return "utf-8", 0


def _decode_to_utf8(chunks: Iterator[bytes], encoding: str | None) -> Iterator[bytes]:
    first = next(chunks, b"")
    codec, mark = _guess_encoding(first)
    if encoding is not None and not mark:
        codec = encoding
    first = first[mark:]
    if codec == "utf-8":
        yield first
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(codec)(errors="replace")
    yield decoder.decode(first).encode()
    for chunk in chunks:
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()


def cut_document(path: Path, member: Member, first: bytes) -> Member:
    """Return a text whose `first` block was read, in blocks that end at a line end."""
    blocks = itertools.chain([first], member.blocks)
    is_document = first.lstrip().startswith(_DOCUMENT_STARTS)
    return Member(member.name, cut_lines(path, blocks) if is_document else blocks)


def cut_lines(path: Path, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield blocks that end at a line end: CR LF and CR become LF, invalid UTF-8 becomes U+FFFD."""
    pending = b""
    for chunk in chunks:
        text = pending + chunk
        # A CR at the end may be half of a CR LF.
        held = b"\r" if text.endswith(b"\r") else b""
        text = text[: len(text) - len(held)]
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        cut = text.rfind(b"\n") + 1
        pending = text[cut:] + held
        if len(pending) > MAX_LINE_BYTES + READ_BYTES:
            raise refuse(path, None, "FILE-FORMAT", f"a line is longer than {MAX_LINE_BYTES} bytes")
        if cut:
            yield _replace_invalid(text[:cut])
    if pending:
        yield _replace_invalid(pending.replace(b"\r", b"\n"))


def _replace_invalid(block: bytes) -> bytes:
    if block.isascii():
        return block
    try:
        block.decode()
    except UnicodeDecodeError:
        return block.decode(errors="replace").encode()
    return block
