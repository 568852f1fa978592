"""Members of an object that hold the same rows, each under the name of its meter.

Here: which member, and the paths that name each of them. Not here: arrays of one meter, such as those of
import and export (`json_rows`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data.ingest.formats.json_events import MEMBER_KEY
from data.ingest.formats.mapped_json import to_path
from data.ingest.formats.suggest.columns import OTHER_MEDIUM
from data.ingest.formats.suggest.directions import tells_direction


@dataclass(frozen=True)
class Members:
    """The object that has the members, and the place of their names in the keys of the rows."""

    above: str
    place: int

    def mask(self, key: str) -> str:
        """Return a key with a star for the name of a member, another key as it is."""
        parts = key.split(".")
        is_inside = key.startswith(f"{self.above}.") and len(parts) > self.place + 1
        return ".".join([*parts[: self.place], "*", *parts[self.place + 1 :]]) if is_inside else key

    def name_paths(self, row: str, outside: Sequence[str]) -> tuple[str, list[str]]:
        """Return (the path to the rows of each member, the paths of what is around them, the name first)."""
        masked = dict.fromkeys(self.mask(one) for one in outside)
        name = f"{self.above}.*.{MEMBER_KEY}"
        return to_path(self.mask(row)), [to_path(one) for one in (name, *masked)]


def find_members(row: str, others: Sequence[str], values: Mapping[str, str]) -> Members | None:
    """Return the members of an object that hold `row` and others of the same form, None without such.

    Names that tell a direction or a medium are those of registers.
    """
    for other in others:
        one, two = row.split("."), other.split(".")
        differing = [n for n, pair in enumerate(zip(one, two, strict=False)) if pair[0] != pair[1]]
        if len(one) != len(two) or len(differing) != 1 or not differing[0]:
            continue
        members = Members(".".join(one[: differing[0]]), differing[0])
        names = {
            key.split(".")[members.place] for key in (row, *others) if members.mask(key) == members.mask(row)
        }
        forms = [
            {members.mask(key) for key in values if key.startswith(f"{members.above}.{name}.")}
            for name in names
        ]
        is_told = any(tells_direction(name) or OTHER_MEDIUM.search(name) for name in names)
        if not is_told and all(form == forms[0] for form in forms):
            return members
    return None
