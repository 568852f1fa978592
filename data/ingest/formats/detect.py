"""The format of a file by its content: a file name is not reliable.

Here: which of the registered formats a text has, or why none fits. Not here: reading records.
"""

import io
import itertools
import re
from pathlib import Path

from data.ingest.formats.container import open_members, refuse
from data.ingest.formats.format import FileFormat
from data.ingest.formats.registry import FORMATS

_SUPPORTED = (
    f"supported formats are {', '.join(FORMATS)} (mapped_csv needs a mapping: `myproperty inspect FILE` "
    "names a shipped one that fits, `--suggest-mapping` proposes one)"
)

_NOT_READ: tuple[tuple[str, str], ...] = (
    (r"(?is)<!doctype html|<html", "the file is an HTML page, probably an error page saved as a file"),
    (
        r"(ZHV|ZHD)\|",
        "the file is a data flow of the British market, such as D0036, whose records have no dates of their "
        "own: ask the supplier for the half-hours as a table with a row a day",
    ),
    (r"PAR1", "the archive holds a Parquet file, which is compressed already: send it without the archive"),
    (r"%PDF", "the file is a PDF document"),
    (
        r"(?s)(/[A-Za-z]{3}[0-9].{0,20000}?\n|\x02?)P\.0[12]\((?![012][0-9]{10,12}\)\([0-9A-Fa-f]*\)\([0-9]+\)\([0-9]+\)\()",
        "the file is the readout of a meter whose load profile does not name its registers and units (IEC "
        "62056-21): save it as a table by the program that read the meter",
    ),
)


def detect_format(path: Path | str) -> str:
    """Return the name of the format of a file. Raises `RefusedFile`."""
    path = Path(path)
    binary = detect_binary(path)
    if binary is not None:
        return binary.name
    for member in open_members(path):
        return detect_text(path, next(member.blocks, b"").decode(errors="replace")).name
    raise refuse(path, None, "FILE-EMPTY", "the file has no content")


def detect_binary(path: Path) -> FileFormat | None:
    """Return the format whose first bytes a file has; None for a text, an archive or an unreadable file."""
    with_magic = [(format, format.magic) for format in FORMATS.values() if format.magic is not None]
    try:
        with path.open("rb") as stream:
            head = stream.read(max(len(magic) for _, magic in with_magic))
    except OSError:
        return None
    return next((format for format, magic in with_magic if head.startswith(magic)), None)


def detect_text(path: Path, head: str) -> FileFormat:
    """Return the format of a text that starts with `head`. Raises `RefusedFile` if no format fits."""
    text = head.lstrip("\ufeff \t\n")
    if not text.strip("\0"):
        raise refuse(path, None, "FILE-EMPTY", "the file holds only blanks")
    for pattern, reason in _NOT_READ:
        if re.match(pattern, text):
            raise refuse(path, 1, "FILE-FORMAT", f"{reason}; {_SUPPORTED}")
    for format in FORMATS.values():
        if format.recognizes(text):
            return format
    raise refuse(path, 1, "FILE-FORMAT", f"{_describe_unknown(text)}; {_SUPPORTED}")


def find_format(path: Path, name: str) -> FileFormat:
    """Return the format with this name. Raises `RefusedFile` if it is not registered."""
    if name not in FORMATS:
        raise refuse(path, None, "FILE-FORMAT", f"the format {name!r} is unknown; {_SUPPORTED}")
    return FORMATS[name]


def _describe_unknown(text: str) -> str:
    if text.startswith("<"):
        return (
            "the XML is neither Green Button (ESPI) nor aseXML; a mapping of mapped_xml can describe it, and "
            "`--suggest-mapping` proposes one"
        )
    if text.startswith(("{", "[")):
        return (
            "the JSON is not from a supported portal; a mapping of mapped_json can describe it if each of "
            "its rows has a time, or a place behind one"
        )
    if _is_table(text):
        return "the content is not recognized; it is a table, which a mapping can describe"
    return "the content is not recognized"


def _is_table(text: str) -> bool:
    """Whether one of the first lines has numbers between delimiters."""
    heads = (line[:1000] for line in itertools.islice(io.StringIO(text), 100))
    return any(re.search(r"[0-9]\s*[,;\t|]|[,;\t|]\s*[0-9]", line) for line in heads)
