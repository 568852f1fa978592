"""The format of a text by its content; the name of a file says nothing that can be relied on.

Here: which reader a text needs, or why none fits. Not here: any reading of records.
"""

import io
import itertools
import re
from pathlib import Path

from data.ingest.errors import RefusedFile
from data.ingest.formats.container import refuse

FORMATS = (
    "nem12",
    "nem13",
    "canonical_csv",
    "green_button",
    "mscons",
    "mapped_csv",
    "canonical_ndjson",
    "canonical_parquet",
    "octopus_json",
    "n3rgy_json",
    "solaredge_json",
)
_SUPPORTED = (
    f"the formats read are {', '.join(FORMATS)} (an interval CSV with a mapping, which "
    "`inspect FILE --suggest-mapping` proposes)"
)

_NOT_READ: tuple[tuple[str, str], ...] = (
    (r"(?is)<!doctype html|<html", "this is an HTML page, probably an error page saved as a file"),
    (r"PAR1", "Parquet packs itself: deliver it as it is, not inside an archive"),
    (r"%PDF", "this is a PDF document"),
    (r"(?s)<.*?\baseXML\b", "this is an aseXML message: deliver the CSV that its CSVIntervalData holds"),
)
_JSON: tuple[tuple[str, str], ...] = (
    (r'"energyDetails"\s*:|"energy"\s*:\s*\{\s*"timeUnit"', "solaredge_json"),
    (r'"primaryValue"\s*:|"/mpxn/|"availableCacheRange"\s*:', "n3rgy_json"),
    (r'"interval_start"\s*:|"count"\s*:.*"results"\s*:', "octopus_json"),
)


def detect(path: Path, head: str) -> str:
    """The format name for a text that starts with `head`. Raises `RefusedFile` where none fits."""
    text = head.lstrip("\ufeff \t\n")
    if not text.strip("\0"):
        raise refuse(path, None, "FILE-EMPTY", "the file holds blanks only")
    for pattern, reason in _NOT_READ:
        if re.match(pattern, text):
            raise refuse(path, 1, "FILE-FORMAT", f"{reason}; {_SUPPORTED}")
    if text.startswith("<"):
        if re.search(r"naesb\.org/espi|<(UsagePoint|IntervalBlock)\b", text):
            return "green_button"
        raise refuse(path, 1, "FILE-FORMAT", f"this XML is no Green Button (ESPI); {_SUPPORTED}")
    if re.match(r"UN[ABH]", text):
        return "mscons"
    if text.startswith(("{", "[")):
        return _json_format(path, text)
    if re.match(r'"?(100|200|300|400|500|900)"?\s*(,|\n|$)', text):
        return "nem13" if re.match(r'(?i)"?100"?\s*,\s*"?NEM13', text) else "nem12"
    header = {name.strip().strip('"').lower() for name in text.split("\n", 1)[0].split(",")}
    if {"identifier", "reading_ts"} <= header:
        return "canonical_csv"
    hint = "; this is a table, and a mapping says what it means" if _is_table(text) else ""
    raise refuse(path, 1, "FILE-FORMAT", f"the content is not recognised{hint}; {_SUPPORTED}")


def _is_table(text: str) -> bool:
    """Whether one of the first lines has numbers between delimiters."""
    heads = (line[:1000] for line in itertools.islice(io.StringIO(text), 100))
    return any(re.search(r"[0-9]\s*[,;\t|]|[,;\t|]\s*[0-9]", line) for line in heads)


def _json_format(path: Path, text: str) -> str:
    if re.match(r'\{[^\n]*"reading_ts"\s*:', text):
        return "canonical_ndjson"
    for pattern, name in _JSON:
        if re.search(pattern, text):
            return name
    raise refuse(path, 1, "FILE-FORMAT", f"this JSON is of no portal that is read; {_SUPPORTED}")


def check_format(path: Path, name: str) -> RefusedFile | None:
    """The error for a format name that no reader has, or None."""
    if name in FORMATS:
        return None
    return refuse(path, None, "FILE-FORMAT", f"the format {name!r} is not read; {_SUPPORTED}")
