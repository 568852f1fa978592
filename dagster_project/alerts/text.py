"""Make text from files, databases and errors safe for a message: one short line, no personal data.

The escape of each channel (`<`, `&`) is done by the library that sends.
"""

import re
import unicodedata

LONGEST_FIELD = 300
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_EMAIL = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;]+")
# The login of a URL or DSN.
_LOGIN = re.compile(r"://[^\s/@]+@")
# Identifiers of meters (NMI, MPAN, EAN, German metering points) are ten or more letters and digits. Keys of
# the platform are UUIDs, and stay: only the database can tell whose they are.
_UUID_OR_IDENTIFIER = re.compile(rf"{_UUID}|\b(?=\w*\d\w*\d\w*\d\w*\d)[^\W_]{{10,}}\b", re.IGNORECASE)
_IS_UUID = re.compile(_UUID, re.IGNORECASE)


def clean(value: object, longest: int = LONGEST_FIELD) -> str:
    """Return a value as safe text on one line, of at most `longest` characters."""
    # Cut first too: a value from outside may have megabytes.
    text = str(value)[: longest * 4]
    text = "".join(" " if unicodedata.category(letter) in _HIDDEN else letter for letter in text)
    text = _LOGIN.sub("://[login]@", " ".join(text.split()))
    text = _EMAIL.sub("[e-mail]", text)
    text = _UUID_OR_IDENTIFIER.sub(_hide_identifier, text)
    # Chat and mail programs make links of addresses.
    text = text.replace("://", "[:]//")
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


# Controls, marks that change the direction of text, surrogates, unassigned; separators of lines.
_HIDDEN = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}


def _hide_identifier(match: re.Match[str]) -> str:
    return match[0] if _IS_UUID.fullmatch(match[0]) else "[identifier]"
