"""XML in pieces: the texts and attributes of a document one by one, in the form of `json_events.iter_leaves`.

Here: elements as the keys of an object, those that repeat as an array. Not here: the meaning of an element.
Namespaces add nothing. An element with children has no text of its own.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from data.ingest.formats.container import MAX_LINE_BYTES, Member
from data.ingest.formats.json_events import END, MAX_DEPTH, PIECE_BYTES, Leaf
from data.ingest.formats.xml_parser import XmlParser

# Elements that show which of them repeat: enough for some days of one meter.
MAX_ELEMENTS = 100_000


def iter_xml_leaves(path: Path, member: Member, *, arrays: Collection[str]) -> Iterator[Leaf]:
    """Yield (path of names, text) and (path, `END`) in document order, an attribute with @ before its name.

    `arrays` are the paths of the elements that may repeat, without `.item`. Raises `RefusedFile`.
    """
    walker = _Walker(arrays)
    for leaves in _parse(path, member, walker):
        yield from leaves


def find_arrays(path: Path, member: Member) -> set[str]:
    """Return the paths of the elements that stand several times in one element. Raises `RefusedFile`."""
    walker = _Walker(())
    for _ in _parse(path, member, walker):
        if walker.count > MAX_ELEMENTS:
            break
    return walker.repeated


def _parse(path: Path, member: Member, walker: "_Walker") -> Iterator[list[Leaf]]:
    parser: XmlParser | None = None
    for block in member.blocks:
        for start in range(0, len(block), PIECE_BYTES):
            piece = block[start : start + PIECE_BYTES]
            if parser is None:
                piece = piece.lstrip()
                parser = XmlParser(path, piece)
                walker.connect(parser)
            parser.parse(piece)
            if walker.is_too_long:
                raise parser.refuse("XML-SYNTAX", f"a text is longer than {MAX_LINE_BYTES} bytes")
            if walker.depth > MAX_DEPTH:
                raise parser.refuse("XML-SYNTAX", f"the document is nested deeper than {MAX_DEPTH} levels")
            yield walker.take_leaves()
    if parser is not None:
        parser.parse(b"", is_last=True)
        yield walker.take_leaves()


@dataclass
class _Element:
    path: str
    key: str
    children: Counter[str] = field(default_factory=Counter)


class _Walker:
    """Tracks the path of names along the events of a parser."""

    def __init__(self, arrays: Collection[str]) -> None:
        self._arrays = frozenset(arrays)
        self._open: list[_Element] = []
        self._leaves: list[Leaf] = []
        self._texts: list[str] = []
        self._length = 0
        self.repeated: set[str] = set()
        self.count = 0
        self.depth = 0
        self.is_too_long = False

    def connect(self, parser: XmlParser) -> None:
        """Handle the events of a parser."""
        parser.expat.StartElementHandler = self._start
        parser.expat.EndElementHandler = self._end
        parser.expat.CharacterDataHandler = self._add_text

    def take_leaves(self) -> list[Leaf]:
        """Return the leaves since the last call."""
        leaves, self._leaves = self._leaves, []
        return leaves

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = _strip_namespace(name)
        parent = self._open[-1] if self._open else _Element("", "")
        parent.children[local] += 1
        path = f"{parent.path}.{local}".lstrip(".")
        if parent.children[local] > 1:
            self.repeated.add(path)
        key = f"{parent.key}.{local}".lstrip(".") + (".item" if path in self._arrays else "")
        self._open.append(_Element(path, key))
        self.count += 1
        self.depth = max(self.depth, len(self._open))
        self._leaves += [(f"{key}.@{_strip_namespace(one)}", value) for one, value in attributes.items()]
        self._texts, self._length = [], 0

    def _add_text(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_LINE_BYTES:
            self.is_too_long, text = True, ""
        self._texts.append(text)

    def _end(self, _: str) -> None:
        element = self._open.pop()
        text = "".join(self._texts).strip()
        self._texts, self._length = [], 0
        if text and not element.children:
            self._leaves.append((element.key, text))
            return
        # An array ends with the element that contains it.
        self._leaves += [
            (f"{element.key}.{child}".lstrip("."), END)
            for child in element.children
            if f"{element.path}.{child}" in self._arrays
        ]
        self._leaves.append((element.key, END))


def _strip_namespace(name: str) -> str:
    return name.rpartition(" ")[2].replace(".", "_")
