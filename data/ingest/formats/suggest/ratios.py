"""What values are to be multiplied by: the ratio of transformers, or a power of ten beside each value.

Not here: what a name or a pulse says of them (`meaning`).
"""

import itertools
import re

from data.ingest.formats.suggest.sample import Sample, is_number

# Values that are more than so many times the steps of a dial are multiplied.
_MULTIPLIED = 1.5
_MULTIPLIER = re.compile(
    r"multipl|[cç]arpan|(?<![a-z])(mf|ctr|ptr|ct|kt|pt)(?![a-z])|(ct|vt|pt|transformer).?ratio|wandler"
    r"|umrechnung|(?<!power )(?<!power_)\bfa[ck]tor\b(?! ?%)",
    re.I,
)
CHECK = "check"


def find_scale(sample: Sample) -> tuple[float, str] | None:
    """Return the power of ten below 1 that a column says, and its name: no transformer has it.

    Numbers with decimals may be multiplied already.
    """
    numbers = [text for n in range(len(sample.names)) for text in sample.take_values(n) if is_number(text)]
    decimals = sum(not re.fullmatch("[+-]?[0-9]+|0?[.,]0*1", text) for text in numbers)
    for n, name in enumerate(sample.names):
        texts = set(sample.take_values(n)) if _MULTIPLIER.search(name) else set()
        if len(texts) == 1 and not decimals and re.fullmatch(r"0?[.,]0*1", text := texts.pop()):
            return float(text.replace(",", ".")), name
    return None


def write_ratio(sample: Sample, ratio: float = 0) -> list[str]:
    """Leave the factor of the values open where a column has the ratio of transformers.

    With `ratio` the values are so many times the steps of a dial: they are multiplied already.
    """
    if ratio > _MULTIPLIED:
        return []
    if (scale := find_scale(sample)) is not None:
        return [f"factor: {scale[0]}  # {CHECK}: the column {scale[1]!r}"]
    for label, cell in itertools.pairwise(sample.above):
        number = re.fullmatch(r"([0-9]{1,5})([.,]0+)?(?: ?/ ?[0-9])?", cell)
        if _MULTIPLIER.search(label) and number and int(number[1]) > 1:
            return [
                f"factor:  # above the table {label!r} is {cell}: write it if the values are not multiplied, "
                "else 1"
            ]
    for n in range(len(sample.names)):
        texts = set(sample.take_values(n)) if _MULTIPLIER.search(sample.names[n]) else set()
        known = {text for text in texts if re.fullmatch(r"[0-9]{1,5}([.,][0-9]+)?", text)}
        if not known or known != texts or all(float(text.replace(",", ".")) == 1 for text in known):
            continue
        name = sample.names[n]
        if len(known) == 1:
            return [
                f"factor:  # {name!r} is {known.pop()}: write it if the values are not multiplied, else 1"
            ]
        return [f"factor:  # {name!r} differs from row to row: write 1 if the values are multiplied already"]
    return []
