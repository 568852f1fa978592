"""Names in a file: identifiers, registers and serial numbers, in one spelling and without look-alikes.

A name decides which meter a reading belongs to, and new ones become meters. So two names that a person cannot
tell apart must not be two meters: compatible forms become one (NFKC), and a name with an invisible letter, or
with letters that only look like others, is rejected. Source of the look-alikes: Unicode Technical Standard
39, confusables of Latin capital and small letters.
"""

import unicodedata
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.columns import Batch, Rejections

MAX_NAME = 100
NAMES = ("identifier", "register", "serial_number")
_RULE = "ROW-NAME"
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
# Letters without a shape that are no control characters by their category.
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800")
_ALIKE_SCRIPTS = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "COPTIC", "CHEROKEE"})
# Cyrillic and Greek letters with a Latin double.
_DOUBLES = frozenset("АВЕЅІЈКМНОРСТУХаеѕіјорсухԁԛԝһӏ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧονρ")


@dataclass(frozen=True)
class _Name:
    """A name as it is kept; `fault` says why its rows are rejected."""

    text: str | None
    fault: str | None = None


def check_names(batch: Batch) -> Batch:
    """Return the batch with names in one spelling; rows with a name that cannot be kept are rejected."""
    rejections = Rejections()
    readings = _check_table(batch.readings, rejections)
    reads = _check_table(batch.register_reads, rejections)
    if readings is batch.readings and reads is batch.register_reads:
        return batch
    rejected = pa.concat_tables([batch.rejected, rejections.take()])
    return replace(batch, readings=readings, register_reads=reads, rejected=rejected)


def _check_table(table: pa.Table, rejections: Rejections) -> pa.Table:
    """Return the rows whose names can be kept; the very table if all names are as they should be."""
    gone = None
    for column in NAMES:
        encoded = pc.dictionary_encode(table[column].combine_chunks())
        written = encoded.dictionary.to_pylist()
        names = [_read_name(text) for text in written]
        if [name.text for name in names] == written:
            continue
        faults = pa.array([name.fault for name in names], pa.string()).take(encoded.indices)
        # A row with two bad names is rejected once.
        bad = pc.is_valid(faults) if gone is None else pc.and_not(pc.is_valid(faults), gone)
        for index in pc.indices_nonzero(bad).to_pylist():
            shown = str(table[column][index].as_py())
            rejections.add(table["line"][index].as_py(), _RULE, f"{column}: {faults[index]}", shown)
        gone = bad if gone is None else pc.or_(gone, bad)
        texts = pa.array([name.text for name in names], pa.string()).take(encoded.indices)
        table = table.set_column(table.schema.get_field_index(column), table.schema.field(column), texts)
    return table if gone is None else table.filter(pc.invert(gone))


def may_be_kept(name: str) -> bool:
    """Whether rows with this name are read."""
    return _read_name(name).fault is None


def _read_name(text: str) -> _Name:
    if text.isascii() and text.isprintable() and len(text) <= MAX_NAME and text == text.strip():
        return _Name(text)
    if len(text) > MAX_NAME:
        return _Name("", f"a name of {len(text)} letters, more than {MAX_NAME}")
    kept = unicodedata.normalize("NFKC", text).strip()
    hidden = next((letter for letter in kept if _is_hidden(letter)), None)
    if hidden is not None:
        return _Name("", f"a name with the invisible letter U+{ord(hidden):04X}")
    scripts = {unicodedata.name(letter, "").split(" ")[0] for letter in kept if letter.isalpha()}
    if len(alike := sorted(scripts & _ALIKE_SCRIPTS)) > 1:
        return _Name("", f"a name with letters of {' and '.join(map(str.title, alike))}, which look alike")
    letters = {letter for letter in kept if letter.isalpha()}
    if letters and letters <= _DOUBLES:
        return _Name("", f"a name in {alike[0].title()} letters that look like Latin ones")
    return _Name(kept)


def _is_hidden(letter: str) -> bool:
    is_selector = "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef"
    return unicodedata.category(letter) in _HIDDEN or is_selector or letter in _FILLERS
