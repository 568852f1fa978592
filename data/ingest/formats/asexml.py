"""aseXML, the messages of the Australian market: the NEM12 and NEM13 texts that they carry.

Here: the texts of elements such as CSVIntervalData. Not here: their records (`nem12`, `nem13`). `line` is the
line of the message.
"""

import collections
import re
from collections.abc import Iterator
from pathlib import Path

from data.ingest.errors import RefusedFile
from data.ingest.formats import nem12, nem13
from data.ingest.formats.columns import Batch
from data.ingest.formats.container import Member, cut_lines
from data.ingest.formats.format import FileFormat, MappingUse
from data.ingest.formats.mapping_formats import NemMapping
from data.ingest.formats.xml_parser import XmlParser

# A message is 6 levels deep.
MAX_DEPTH = 64
PIECES = 64
_PAYLOAD = re.compile(r"(?:.* )?CSV\w*Data")


def iter_batches(path: Path, member: Member, part: int, mapping: NemMapping | None = None) -> Iterator[Batch]:
    """Yield the readings of each text of a message; a later one is newer. Raises `RefusedFile`."""
    message = _Message(path, member)
    while (line := message.find_payload()) is not None:
        blocks = cut_lines(path, message.iter_text())
        first = next(blocks, b"")
        if not first.strip():
            continue
        payload = Member(member.name, _chain(first, blocks))
        read = nem13.iter_batches if nem13.FORMAT.recognizes(first.decode().lstrip()) else nem12.iter_batches
        try:
            for batch in read(path, payload, part, mapping):
                yield batch.shift_lines(line - 1)
                part = max(part, batch.part)
        except RefusedFile as refusal:
            if not message.is_broken:
                refusal.line = (refusal.line or 1) + line - 1
            raise
        part += 1


FORMAT = FileFormat(
    name="asexml",
    summary="aseXML messages of the Australian market with NEM12 or NEM13 inside",
    read=iter_batches,
    recognizes=lambda text: re.match(r"(?s)<.*?\baseXML\b", text) is not None,
    mapping=MappingUse(model=NemMapping, is_seldom=True),
)


def _chain(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from blocks


class _Message:
    """The payloads of one message, parsed as far as they are asked for."""

    def __init__(self, path: Path, member: Member) -> None:
        first = next(member.blocks, b"")
        self._blocks = _chain(first, member.blocks)
        self._parser = XmlParser(path, first)
        self._parser.expat.StartElementHandler = self._start
        self._parser.expat.EndElementHandler = self._end
        self._parser.expat.CharacterDataHandler = self._take_text
        self._depth = 0
        self._payload_depth: int | None = None
        self._is_done = False
        # Whether the XML itself refused the file, with the line of the message.
        self.is_broken = False
        # The line of the start of a payload, a piece of its text, or None for its end.
        self._events: collections.deque[int | str | None] = collections.deque()

    def find_payload(self) -> int | None:
        """Return the line on which the next payload begins, None if there is no more."""
        while self._pump():
            event = self._events.popleft()
            if isinstance(event, int):
                return event
        return None

    def iter_text(self) -> Iterator[bytes]:
        """Yield the text of the payload that was found."""
        pieces: list[str] = []
        while self._pump() and (event := self._events.popleft()) is not None:
            assert isinstance(event, str)
            pieces.append(event)
            # The parser gives a few kB at a time.
            if len(pieces) >= PIECES:
                yield "".join(pieces).encode()
                pieces.clear()
        yield "".join(pieces).encode()

    def _pump(self) -> bool:
        """Parse until there is an event; return whether there is one."""
        while not self._events and not self._is_done:
            block = next(self._blocks, b"")
            self._is_done = not block
            self.is_broken = True
            self._parser.parse(block, is_last=self._is_done)
            self.is_broken = False
        return bool(self._events)

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._parser.refuse("XML-SYNTAX", f"elements are nested deeper than {MAX_DEPTH} levels")
        if self._payload_depth is not None:
            raise self._parser.refuse("XML-SYNTAX", f"an element {name} stands inside the text of readings")
        if _PAYLOAD.fullmatch(name):
            self._payload_depth = self._depth
            self._events.append(self._parser.line)

    def _end(self, _: str) -> None:
        if self._depth == self._payload_depth:
            self._payload_depth = None
            self._events.append(None)
        self._depth -= 1

    def _take_text(self, text: str) -> None:
        if self._payload_depth is not None:
            self._events.append(text)
