"""Parts of an MSCONS file, for tests."""

import datetime
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.reading import read_file
from data.ingest.schema import ParsedFile

POINT = "DE0000000000000000000000000000001"
START = datetime.datetime(2024, 2, 1)
QUARTER = datetime.timedelta(minutes=15)
UTC = datetime.UTC
Write = Callable[..., Path]


def make_writer(folder: Path) -> Write:
    """Return the function that writes a file into a folder and returns its path."""

    def write_text(text: str | bytes, name: str = "values.txt") -> Path:
        path = folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("latin-1"))
        return path

    return write_text


def stamp(instant: datetime.datetime, offset: str = "?+00") -> str:
    return f"{instant:%Y%m%d%H%M}{offset}:303"


def value(
    quantity: object,
    start: datetime.datetime = START,
    length: datetime.timedelta = QUARTER,
    code: str = "220",
) -> list[str]:
    return [f"QTY+{code}:{quantity}", f"DTM+163:{stamp(start)}", f"DTM+164:{stamp(start + length)}"]


def quarters(*quantities: object, start: datetime.datetime = START) -> list[str]:
    return flat(value(quantity, start + i * QUARTER) for i, quantity in enumerate(quantities))


def flat(parts: Iterable[list[str]]) -> list[str]:
    return [segment for part in parts for segment in part]


def line(*segments: str, register: str = "1-1?:1.29.0") -> list[str]:
    return ["LIN+1", f"PIA+5+{register}:SRW", *segments]


def message(
    *segments: str, point: str = POINT, number: int = 1, function: str = "9", head: tuple[str, ...] = ()
) -> list[str]:
    body = [
        f"UNH+{number}+MSCONS:D:04B:UN:2.4c",
        f"BGM+7+DOC{number}+{function}",
        "DTM+137:202403010000?+00:303",
        *head,
        "NAD+MS+9900000000001::293",
        "UNS+D",
        "NAD+DP",
        f"LOC+172+{point}",
        *segments,
    ]
    return [*body, f"UNT+{len(body) + 1}+{number}"]


def interchange(*messages: list[str], una: str = "UNA:+.? '", end: str = "", reference: str = "R1") -> str:
    head, tail = f"UNB+UNOC:3+A:500+B:500+240301:0000+{reference}", f"UNZ+{len(messages)}+{reference}"
    segments = [head, *flat(messages), tail]
    return una + end + "".join(f"{segment}'{end}" for segment in segments)


def rejections(parsed: ParsedFile) -> list[str]:
    return [str(rule) for rule in parsed.rejected["rule"].to_pylist()]


def total(parsed: ParsedFile) -> Decimal:
    return sum((row for row in parsed.readings["value"].to_pylist() if row is not None), Decimal(0))


def refusal_of(path: Path) -> RefusedFile:
    with pytest.raises(RefusedFile) as refusal:
        read_file(path)
    assert refusal.value.remedy
    return refusal.value
