"""The fuzzer of the readers: `python -m tests.fuzz.readers [libFuzzer options] [corpus]`, or `make fuzz`.

The first byte of an input chooses the format and whether it is given or detected; the rest is the file. An
exception that is no refusal, or an invariant that does not hold, ends the run with the input written to
`crash-*`. The seeds are the gallery: a small valid file of every format, plain and packed.
"""

import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["data.ingest.formats"]):
    from data.ingest.formats import FORMATS

from data.ingest.schema import ParsedFile
from tests.formats.gallery import DAY, WRITERS, mapping_of
from tests.formats.invariants import account, read

_FILE = Path(tempfile.gettempdir()) / f"fuzz-{id(atheris):x}"


def one_input(data: bytes) -> None:
    """Read one file, as the first byte says."""
    if len(data) < 2:
        return
    format = FORMATS[data[0] % len(FORMATS)]
    _FILE.write_bytes(data[1:])
    is_forced = data[0] >= 128
    found = read(_FILE, format if is_forced else None, mapping_of(format))
    if isinstance(found, ParsedFile):
        account(found)


def seeds(folder: Path) -> None:
    """Write the corpus to start from."""
    values = [Decimal(number) / 8 for number in range(DAY)]
    for number, format in enumerate(FORMATS):
        content = WRITERS[format](values)
        for choice in (number, 128 + (number - 128) % len(FORMATS)):
            (folder / f"{format}-{choice}").write_bytes(bytes([choice]) + content)


def main() -> None:
    """Fuzz until the options say to stop."""
    with tempfile.TemporaryDirectory(prefix="corpus-") as corpus:
        seeds(Path(corpus))
        try:
            atheris.Setup([*sys.argv, corpus], one_input)
            atheris.Fuzz()
        finally:
            _FILE.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
