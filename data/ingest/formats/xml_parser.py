"""What the XML formats share: a parser without document types, and refusals in place of its errors.

Here: bytes to events of expat. Not here: the meaning of an element (the readers).
"""

import re
from pathlib import Path
from xml.parsers import expat

from data.ingest.errors import RefusedFile
from data.ingest.formats.container import refuse

_CUT = (
    expat.errors.XML_ERROR_NO_ELEMENTS,
    expat.errors.XML_ERROR_UNCLOSED_TOKEN,
    expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    expat.errors.XML_ERROR_PARTIAL_CHAR,
)
_ONE_BYTE_ENCODING = re.compile(
    rb"""(?i)<\?xml[^>]*?\sencoding\s*=\s*["'](iso-8859-(?:[1-9]|1[03-6])|windows-125[0-8])["']"""
)


class XmlParser:
    """An expat parser of one text that starts with `head`; its handlers are set on `expat`.

    Without a document type there are no entities, external or exploding. Namespace and name of an element are
    separated by a blank.
    """

    def __init__(self, path: Path, head: bytes) -> None:
        self._path = path
        # Only known one-byte encodings of the declaration count: UTF-16 is UTF-8 by now, and other names may
        # not be encodings.
        found = _ONE_BYTE_ENCODING.match(head.lstrip())
        self.expat = expat.ParserCreate(
            found.group(1).decode() if found else "utf-8", namespace_separator=" "
        )
        self.expat.buffer_text = True
        self.expat.StartDoctypeDeclHandler = self._refuse_doctype

    @property
    def line(self) -> int:
        """The line of the event that is handled."""
        return self.expat.CurrentLineNumber

    def parse(self, block: bytes, *, is_last: bool = False) -> None:
        """Parse the next bytes. Raises `RefusedFile`."""
        try:
            self.expat.Parse(block, is_last)
        except expat.ExpatError as error:
            message = expat.ErrorString(error.code)
            if message in _CUT:
                raise self.refuse("FILE-CUT", f"the XML ends before its last end tag: {message}") from error
            raise self.refuse("XML-SYNTAX", f"the XML is not well-formed: {message}") from error

    def refuse(self, rule: str, reason: str) -> RefusedFile:
        """Return the refusal of the file at the current line."""
        return refuse(self._path, self.line, rule, reason)

    def _refuse_doctype(self, *_: object) -> None:
        raise self.refuse("XML-DOCTYPE", "the XML declares a document type")
