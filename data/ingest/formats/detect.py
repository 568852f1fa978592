"""The format of a text by its content; the name of a file says nothing that can be relied on.

Here: which reader a text needs, or why none fits. Not here: any reading of records.
"""

import re
from pathlib import Path

from data.ingest.errors import RefusedFile
from data.ingest.formats.container import refuse

FORMATS = (
    "nem12",
    "canonical_csv",
    "mapped_csv",
)
_SUPPORTED = f"the formats read are {', '.join(FORMATS)} (an interval CSV with a mapping)"

_NOT_READ: tuple[tuple[str, str], ...] = (
    (r"(?is)<!doctype html|<html", "this is an HTML page, probably an error page saved as a file"),
    (r'(?i)"?100"?,"?NEM13', "NEM13 (accumulated registers) is not read yet"),
    (r"<\?xml|<", "XML (Green Button) is not read yet"),
    (r"UNA|UNB", "MSCONS (EDIFACT) is not read yet"),
    (r"[\[{]", "JSON is not read yet"),
    (r"PAR1", "Parquet is not read yet"),
    (r"%PDF", "this is a PDF document"),
)


def detect(path: Path, head: str) -> str:
    """The format name for a text that starts with `head`. Raises `RefusedFile` where none fits."""
    text = head.lstrip("\ufeff \t\n")
    if not text.strip("\0"):
        raise refuse(path, None, "FILE-EMPTY", "the file holds blanks only")
    for pattern, reason in _NOT_READ:
        if re.match(pattern, text):
            raise refuse(path, 1, "FILE-FORMAT", f"{reason}; {_SUPPORTED}")
    if re.match(r'"?(100|200|300|400|500|900)"?\s*(,|\n|$)', text):
        return "nem12"
    header = {name.strip().strip('"').lower() for name in text.split("\n", 1)[0].split(",")}
    if {"identifier", "reading_ts"} <= header:
        return "canonical_csv"
    raise refuse(path, 1, "FILE-FORMAT", f"the content is not recognised; {_SUPPORTED}")


def check_format(path: Path, name: str) -> RefusedFile | None:
    """The error for a format name that no reader has, or None."""
    if name in FORMATS:
        return None
    return refuse(path, None, "FILE-FORMAT", f"the format {name!r} is not read; {_SUPPORTED}")
