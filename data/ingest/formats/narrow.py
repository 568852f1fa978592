"""Digits of other scripts and wide signs, written as the usual ones.

Here: texts. Not here: what a text says (`wallclock`, `mapped_numbers`).
"""

import re

import pyarrow as pa
import pyarrow.compute as pc

# Digits of other scripts: Arabic, Persian, of India and Thailand, each from its zero on; and wide signs.
_ZEROS = (0x0660, 0x06F0, 0x0966, 0x09E6, 0x0E50)
_NARROW = {zero + digit: str(digit) for zero in _ZEROS for digit in range(10)}
_NARROW |= {sign: chr(sign - 0xFEE0) for sign in range(0xFF01, 0xFF5F)}
_NARROW |= {0x3000: " ", 0x066B: ".", 0x066C: ",", 0x301C: "~"}
_WIDE = re.compile(f"[{''.join(map(chr, _NARROW))}]")
# A field of a table with such digits, which is a date, a time or a number.
_DIGITS = "0-9\uff10-\uff19" + "".join(f"{chr(zero)}-{chr(zero + 9)}" for zero in _ZEROS)
_WIDE_FIELD = re.compile(
    rf"(?m)(?<![^,;\t|\"\n])[{_DIGITS}][{_DIGITS}年月日時分秒点：／．，－～〜　\u066b\u066c~:/. -]*"
    r"(?![^,;\t|\"\r\n])"
)


def narrow_texts(texts: pa.Array) -> pa.Array:
    """Write digits of other scripts, and wide signs as of Japanese keyboards, as the usual ones."""
    if not pc.any(pc.match_substring_regex(texts, _WIDE.pattern)).as_py():
        return texts
    encoded = pc.dictionary_encode(texts)
    return pa.array(map(narrow_text, encoded.dictionary.to_pylist()), pa.string()).take(encoded.indices)


def narrow_text(text: str) -> str:
    """Do the same for one text."""
    return text.translate(_NARROW)


def narrow_fields(text: str) -> str:
    """Do the same for the dates, times and numbers of a table, and for no names."""
    if not _WIDE.search(text):
        return text
    return _WIDE_FIELD.sub(lambda found: narrow_text(found[0]), text)
