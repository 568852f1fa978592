"""The qualities that the words of a column stand for, as lines of a mapping.

Not here: which column has them (`columns`).
"""

import json
from collections.abc import Mapping, Sequence

from data.ingest.formats.suggest.columns import ACTUAL, ESTIMATED
from data.ingest.formats.suggest.sample import Sample

_ANSWERS = {"": "actual", "n": "actual", "no": "actual", "y": "estimated", "yes": "estimated"}
# The qualities of values in Austria: measured, a substitute, and an uncertain one.
_AUSTRIAN = {"L1": "actual", "L2": "estimated", "L3": "estimated"}


def write_qualities_of_column(sample: Sample, quality: int | None, values: Sequence[int]) -> list[str]:
    """Write the quality of each word in a column; `values` are the columns of values."""
    if quality is None:
        return []
    words = {row[quality].strip() for row in sample.rows}
    valued = {
        row[quality].strip()
        for row in sample.rows
        if any(row[n].strip() and not sample.is_missing(row[n].strip()) for n in values)
    }
    meanings = dict.fromkeys(words - valued, '"null"') if valued else {}
    if sample.names[quality].strip().lower().startswith("estimated"):
        meanings |= {word: _ANSWERS[word.lower()] for word in words if word.lower() in _ANSWERS}
    if words <= {*_AUSTRIAN}:
        meanings |= _AUSTRIAN
    return write_qualities(sorted(words), meanings)


def write_qualities(words: list[str], meanings: Mapping[str, str] | None = None) -> list[str]:
    """Write the quality of each word; `meanings` has those that the rows tell."""
    lines = ["qualities:"]
    for word in words[:50]:
        plain = word.strip("{}[]()")
        kind = "estimated" if ESTIMATED.match(plain) else "actual" if ACTUAL.match(plain) else ""
        kind = (meanings or {}).get(word, kind)
        note = "" if kind else "  # actual, edited, estimated or null"
        lines.append(f"  {json.dumps(word, ensure_ascii=False)}: {kind}{note}".rstrip())
    return lines
