"""One format: its name, how it is recognized and read, and what it takes from a file mapping.

Each reader declares one `FORMAT`; `registry` lists them. Not here: any format of its own.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from data.ingest.formats.columns import Batch
from data.ingest.formats.mapping import FileMapping


def recognize_nothing(_: str) -> bool:
    """Recognize no text: for formats that are declared by name or found by their first bytes."""
    return False


@dataclass(frozen=True, kw_only=True)
class MappingUse:
    """What a format takes from a file mapping.

    `model` checks a mapping for this format. Where `is_required`, the format cannot be read without one.
    `needs` are the fields that the file never states: without them it can be inspected, but not loaded.
    `excludes` has the fields that the file states itself, each with the reason. With `names_sender` an
    identifier that starts with a slash lacks its sender, which a mapping has to give. With `is_seldom` usual
    files state all themselves, so that a broken mapping does not hold them back.
    """

    model: type[FileMapping]
    is_required: bool = False
    needs: tuple[str, ...] = ()
    excludes: Mapping[str, str] = field(default_factory=dict)
    names_sender: bool = False
    is_seldom: bool = False


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """A format that the platform reads.

    `read` yields the batches of one text. It is called with the path, the member and the number of the part,
    and with the mapping or None where `mapping` is set. A format with `magic` (the first bytes of its files)
    is read from the path alone, since its files are not streams of text. `recognizes` returns whether a text
    that starts with the given characters is of the format. `summary` is the line of the format in
    docs/formats.md. With `reads_lines` the blocks of each text end at a line end, even if it starts like a
    document.
    """

    name: str
    summary: str
    read: Callable[..., Iterator[Batch]]
    recognizes: Callable[[str], bool] = recognize_nothing
    magic: bytes | None = None
    mapping: MappingUse | None = None
    reads_lines: bool = False
