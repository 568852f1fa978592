"""What a person answers to a proposal: the unit of values that a file does not state."""

import re
from typing import Any


def fill_units(content: dict[str, Any], unit: str = "kWh") -> dict[str, Any]:
    """Return a proposed mapping with a unit in its empty fields for one."""
    filled = dict(content)
    if "unit" in filled:
        filled["unit"] = filled["unit"] or unit
    for field in ("values", "day"):
        entries = filled.get(field)
        if isinstance(entries, dict):
            filled[field] = _fill(entries, unit)
        elif entries is not None:
            filled[field] = [_fill(entry, unit) for entry in entries]
    return filled


def _fill(entry: dict[str, Any], unit: str) -> dict[str, Any]:
    return entry | {"unit": entry["unit"] or unit} if "unit" in entry else entry


def answer_unit(proposal: str, unit: str = "kWh") -> str:
    """Return the text of a proposal with the unit that it asks for."""
    return re.sub(r"(?m)^([ -]*unit:)(?=  # the file does not state it($|:))", rf"\1 {unit}", proposal)
