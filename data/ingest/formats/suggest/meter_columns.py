"""Columns of which each is another meter: a flat, a unit, a number of a meter; and words of rows that are.

Here: names. Not here: registers of one meter, such as tariffs, phases and directions (`directions`).
"""

import re
from collections.abc import Iterable, Sequence

# What has a meter of its own, with its number or letter.
COUNTED = re.compile(
    r"(?<![^\W\d_])(?:flat|apartment|apart|apt|appartement|appt|logement|wohnung|whg|wohneinheit|we|nutzeinheit|ne"
    r"|top|mieter|mietpartei|partei|tenant|resident|unit|suite|house|haus|home|building|geb(?:ä|ae)ude|shop"
    r"|store|laden|office|b(?:ü|ue)ro|lot|plot|parzelle|room|zimmer|stiege|stock|etage|l(?:ä|a)genhet|lgh|leilighet"
    r"|bolig|lejlighed|asunto|huoneisto|vivienda|piso|apartament[oa]?|departamento|depto|dpto|appartament[oa]"
    r"|interno|fra[cç][cç]?[aã]o|lokal|mieszkanie|byt|jednotka|lak(?:á|a)s|woning|huis|stan|daire|korter|butas"
    r"|dz[iī]voklis|household|haushalt|site|standort|meter|mtr|z(?:ä|ae)hler|compteur|contador"
    r"|contatore|licznik|m(?:å|aa)ler|m(?:ä|ae)tare|medidor|sub ?meter|smart ?meter)s?"
    r"[ _.:#-]*(?:(?:no|nr|num|n[º°])[ _.:]*)?(?P<name>[0-9]{1,5}(?:[./-][0-9]{1,4})?[a-z]?|[a-z])(?![^\W_])",
    re.I,
)
# The number of a meter or of its connection point.
_NUMBER = re.compile(
    r"(?<![0-9A-Za-z.,:/-])(?=[A-Z0-9]*[0-9]{5})[A-Z]{0,4}[0-9][A-Z0-9]{5,32}(?![0-9A-Za-z.:])"
    r"|(?<![0-9])[0-9]{18}(?![0-9])"
)
_UNIT = re.compile(r"[\s_,;:-]*[(\[]?(?<![^\W_])[kM]?Wh?(?![^\W_])[)\]]?", re.I)
_LEAST = 2


def find_meters(names: Sequence[str]) -> list[str]:
    """Return the meter of each name of columns that stand beside each other, none if they are of one meter.

    A name without a number, such as that of the rest of a house, is a meter too where most others have one.
    """
    found = [_find_meter(name) for name in names]
    known = [meter for meter in found if meter]
    if len(set(known)) < _LEAST or 2 * len(known) <= len(names):
        return []
    return [meter or strip_unit(name) for meter, name in zip(found, names, strict=True)]


def find_device(text: str) -> str:
    """Return the only long number in what stands above a column, "" without one."""
    found = {match.group() for match in _NUMBER.finditer(text)}
    return found.pop() if len(found) == 1 else ""


def are_meters(words: Iterable[str]) -> bool:
    """Whether the words of rows are meters, each another one."""
    found = [_find_meter(word) for word in {*words}]
    return len(found) >= _LEAST and all(found) and len(set(found)) == len(found)


def strip_unit(name: str) -> str:
    """Return a name without its unit."""
    return _UNIT.sub("", name).strip() or name


def _find_meter(name: str) -> str:
    match = _NUMBER.search(name) or COUNTED.search(name)
    return match.group().strip() if match else ""
