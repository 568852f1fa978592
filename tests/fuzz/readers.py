"""The fuzzer of the readers: `python -m tests.fuzz.readers [libFuzzer options] [corpus]`, or `make fuzz`.

The first byte of an input chooses the format and whether it is declared or detected; the rest is the file.
An exception other than a refusal, or a violated invariant, ends the run and writes the input to `crash-*`.
The seeds are the examples of all registered formats.
"""

import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["data.ingest.formats"]):
    from data.ingest.formats.registry import FORMATS

from data.ingest.schema import ParsedFile
from tests.formats.example import DAY
from tests.formats.gallery import declare_example, write_example
from tests.formats.invariants import account, read
from tests.formats.workbook_text import write_xlsx

_NAMES = tuple(FORMATS)
_FILE = Path(tempfile.gettempdir()) / f"fuzz-{id(atheris):x}"


def read_input(data: bytes) -> None:
    """Read one file, with the format that its first byte chooses."""
    if len(data) < 2:
        return
    format = _NAMES[data[0] % len(_NAMES)]
    _FILE.write_bytes(data[1:])
    is_forced = data[0] >= 128
    found = read(_FILE, format if is_forced else None, declare_example(format))
    if isinstance(found, ParsedFile):
        account(found)


def write_seeds(folder: Path) -> None:
    """Write the initial corpus."""
    values = [Decimal(number) / 8 for number in range(DAY)]
    for number, format in enumerate(FORMATS):
        content = write_example(format, values)
        if format == "mapped_csv":
            (folder / "workbook").write_bytes(bytes([number]) + write_workbook(content))
        for choice in (number, 128 + (number - 128) % len(FORMATS)):
            (folder / f"{format}-{choice}").write_bytes(bytes([choice]) + content)


def write_workbook(table: bytes) -> bytes:
    """Return the workbook of a CSV."""
    rows = [line.split(",") for line in table.decode().splitlines()]
    return write_xlsx(_FILE, {"Data": rows}).read_bytes()


def main() -> None:
    """Fuzz until the options end the run."""
    with tempfile.TemporaryDirectory(prefix="corpus-") as corpus:
        write_seeds(Path(corpus))
        try:
            atheris.Setup([*sys.argv, corpus], read_input)
            atheris.Fuzz()
        finally:
            _FILE.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
