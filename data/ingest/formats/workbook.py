"""The sheets of a workbook as texts: xlsx, xlsb, xls and ods, by a process of their own.

Here: that process, and what ends it. Not here: the cells (`workbook_rows`, which runs there), or the choice
among the members of a file (`container`).
"""

import collections
import contextlib
import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from data.ingest.formats.workbook_rows import WorkbookFault

# Old workbooks are one compound file, new ones a zip with a list of its parts.
COMPOUND_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIP_PARTS = ("[Content_Types].xml", "mimetype")


def iter_sheets(
    path: Path, *, delimiter: str, decimal: str, sheets: tuple[str, ...], is_any: bool
) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield (name, blocks of CSV that end at a line end) of each sheet; read one before the next.

    `sheets` are patterns of names; without them the workbook must have one sheet with content, unless
    `is_any`. Raises `WorkbookFault`, also while blocks are read.
    """
    options = {"delimiter": delimiter, "decimal": decimal, "sheets": sheets, "is_any": is_any}
    command = [sys.executable, "-m", "data.ingest.formats.workbook_rows", str(path), json.dumps(options)]
    # What the library prints when the limit of memory ends it is not for people.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            frames = _iter_frames(process.stdout)
            following = next(frames, None)
            while following is not None:
                pending: list[tuple[bytes, bytes] | None] = [None]
                blocks = _iter_blocks(frames, pending)
                yield following[1].decode(), blocks
                # What the caller left of the sheet lies before the next one.
                collections.deque(blocks, maxlen=0)
                following = pending[0]
            if process.wait() < 0:
                raise WorkbookFault("FILE-TOO-LARGE", "its sheets need more memory or time than readings do")
            if process.returncode:
                raise WorkbookFault("FILE-DAMAGED", "the workbook contradicts itself: its reader gave up")
        finally:
            with contextlib.suppress(OSError):
                process.kill()


def _iter_frames(stream: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield (letter, content) of each whole frame. Raises `WorkbookFault` for a frame with a fault."""
    while len(head := stream.read(5)) == 5:
        letter, size = struct.unpack(">cI", head)
        content = stream.read(size)
        if len(content) < size:
            return
        if letter == b"F":
            rule, _, reason = content.decode().partition(" ")
            raise WorkbookFault(rule, reason)
        yield letter, content


def _iter_blocks(
    frames: Iterator[tuple[bytes, bytes]], pending: list[tuple[bytes, bytes] | None]
) -> Iterator[bytes]:
    """Yield the pieces of one sheet; put the frame after it into `pending`."""
    for letter, content in frames:
        if letter != b"D":
            pending[0] = (letter, content)
            return
        yield content
