"""Whether a table that is read by a proposal was cut: it states its rows, or ends within a number.

Here: the text of the file against what was read. Not here: other faults of a proposal (`proposals`).
"""

import itertools
import re
from pathlib import Path
from typing import Any

from data.ingest.formats.container import TextForm
from data.ingest.formats.mapped_layout import split_fields
from data.ingest.formats.suggest.proposal import SAMPLE_BYTES, read_heads

_COUNT = re.compile(
    r"(number of |no\.? of |total |anzahl (der )?|nombre de |n[uú]mero de |aantal |antal |liczba "
    r"|numero (di )?)?"
    r"(records|rows|readings|values|lines|intervals|datens(ä|ae)tze|zeilen|werte|lignes|valeurs|mesures"
    r"|registros|filas|lecturas|linhas|righe|letture|rijen|waarden|rader|r(æ|ae)kker|wierszy|z[aá]znam[uů]"
    r"|record count|row count)",
    re.I,
)
# So many values show with how many decimals a column is printed.
_MIN_VALUES = 20


def find_cuts(path: Path, content: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """Return the faults of a table that ends too early, none for one that is larger than its head."""
    if content["format"] != "mapped_csv":
        return []
    sheets = tuple(content.get("sheets", ()))
    form = TextForm(content.get("encoding"), content.get("delimiter", ","), sheets=sheets, any_sheets=True)
    texts = [text for _, text in read_heads(path, form)]
    if any(len(text.encode()) >= SAMPLE_BYTES for text in texts):
        return []
    lines = [line for text in texts for line in text.split("\n")]
    ends = [text for text in texts if text and not text.endswith("\n")]
    rows = max(
        (sum(one["count"] for one in document[kind]) for kind in ("rejected", "skipped")), default=0
    ) + sum(channel["intervals"] for channel in document["channels"])
    return [
        *_compare_count(lines, content.get("delimiter", ","), rows),
        *(fault for text in ends for fault in _find_cut_number(text, content)),
    ]


def _compare_count(lines: list[str], delimiter: str, rows: int) -> list[str]:
    """Return the fault of a table that states more rows than it has."""
    for line in lines:
        fields = [field.strip() for field in split_fields(line, delimiter)]
        for label, cell in itertools.pairwise([*fields, *line.partition(":")[::2]]):
            if (
                _COUNT.fullmatch(label.strip().rstrip(":"))
                and re.fullmatch(r"\s*[0-9]{2,7}\s*", cell)
                and int(cell) > rows
            ):
                return [f"the file states {label.strip()} {cell.strip()}, and {rows} are read: it was cut"]
    return []


def _find_cut_number(text: str, content: dict[str, Any]) -> list[str]:
    """Return the fault of a last line without an end whose number has fewer decimals than all above it."""
    delimiter, mark = content.get("delimiter", ","), content.get("decimal", ".")
    *above, last = text.split("\n")
    fields = split_fields(last, delimiter)
    place = len(fields) - 1
    number = re.compile(rf"[+-]?[0-9]+(?:{re.escape(mark)}([0-9]*))?")
    known = [
        len(match[1] or "")
        for line in above
        if len(cells := split_fields(line, delimiter)) > place and (match := number.fullmatch(cells[place]))
    ]
    cut = number.fullmatch(fields[place]) if fields else None
    if cut is None or len(known) < _MIN_VALUES or len(set(known)) > 1 or len(cut[1] or "") >= known[0]:
        return []
    return [
        f"the last line has no end, and its number {fields[place]!r} is shorter than all others: it was cut"
    ]
