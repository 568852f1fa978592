"""The mappings that the platform ships: layouts of known senders, each with its name.

Here: the folder `data/ingest/mappings`, and what a person adds to a mapping. Not here: which of them fits
a file (`fitting`), or checking a mapping (`file_mappings`).
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parents[1] / "mappings"
# What a sender's files may leave open, so that a person states it for each use.
OPEN_FIELDS = ("identifier", "timezone", "channel")


@dataclass(frozen=True)
class Shipped:
    """A mapping for one layout of a sender; `country` is the ISO 3166 code, or `any`.

    `header` has the names of all columns. In a name `*` is any text, alone it is any number of columns.
    """

    name: str
    sender: str
    country: str
    header: tuple[str, ...]
    content: dict[str, Any]

    @property
    def open_fields(self) -> list[str]:
        """Return the fields of `OPEN_FIELDS` that the mapping leaves to a person."""
        return [field for field in OPEN_FIELDS if _is_open(self.content, field)]

    def has_header(self, names: Sequence[str]) -> bool:
        """Whether a line with these names is the header of the layout."""
        return self._pattern.fullmatch("".join(f"{_normalize(name)}\n" for name in names)) is not None

    @functools.cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = (
            r"(?:[^\n]*\n)*" if name == "*" else re.escape(_normalize(name)).replace(r"\*", r"[^\n]*") + r"\n"
            for name in self.header
        )
        # Some rows end with the delimiter, and so have empty names behind the last column.
        return re.compile("".join(parts) + r"\n*")


@functools.cache
def load_shipped() -> dict[str, Shipped]:
    """Return the shipped mappings by name, in the order of their names."""
    return {path.stem: _load(path) for path in sorted(_FOLDER.glob("*.yaml"))}


def fill_open_fields(content: dict[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """Return a mapping with what a person stated; a field that is stated already is changed."""
    filled = dict(content)
    for field, word in words.items():
        if field == "channel" and _is_open(content, "channel"):
            places = [place for place in ("values", "day", "channels") if place in filled]
            filled |= {place: _fill_channels(filled[place], word) for place in places}
        else:
            filled[field] = word
    return filled


def _load(path: Path) -> Shipped:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    layout = content.pop("layout")
    return Shipped(path.stem, layout["sender"], layout["country"], tuple(layout["header"]), content)


def _is_open(content: Mapping[str, Any], field: str) -> bool:
    if field == "channel":
        words = content.get("channels") or {}
        return None in words.values() or any(run.get("channel", "") is None for run in _list_runs(content))
    return content.get(field, "") is None


def _list_runs(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for field in ("values", "day"):
        runs = content.get(field) or []
        found += [run for run in ([runs] if isinstance(runs, dict) else runs) if isinstance(run, dict)]
    return found


def _fill_channels(place: Any, channel: str) -> Any:
    """Put the channel in place of each empty one: of a run, of a list of runs, or of a word of the file."""
    if isinstance(place, list):
        return [_fill_channels(run, channel) for run in place]
    is_plain = not isinstance(place, dict)
    return place if is_plain else {key: channel if word is None else word for key, word in place.items()}


def _normalize(name: str) -> str:
    return " ".join(name.strip().strip("\ufeff").lower().split())
