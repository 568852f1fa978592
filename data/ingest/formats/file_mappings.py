"""Mapping files: read and check one, identify it, and find what a file still needs declared.

Not here: the fields of a mapping (`mapping`), or the choice among the mappings of an inbox
(`data.ingest.readings.mappings`).
"""

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from yaml.composer import ComposerError

from data.ingest.errors import IngestError
from data.ingest.formats.container import refuse
from data.ingest.formats.format import MappingUse
from data.ingest.formats.mapping import FileMapping
from data.ingest.formats.mapping_values import Columns, Day, Value
from data.ingest.formats.registry import FORMATS
from data.ingest.formats.shipped import fill_open_fields, load_shipped
from data.ingest.schema import FileInParts

# A mapping takes a few hundred bytes: a larger file was given by mistake.
MAX_MAPPING_BYTES = 64 << 10
MAX_MAPPING_DEPTH = 10
MAX_REPORTED_FAULTS = 5
_INT, _FLOAT, _MERGE = (f"tag:yaml.org,2002:{name}" for name in ("int", "float", "merge"))
_USES: dict[str, MappingUse] = {
    format.name: format.mapping for format in FORMATS.values() if format.mapping is not None
}
_FIELDS = {
    field.alias or name
    for model in (*(use.model for use in _USES.values()), Columns, Value, Day)
    for name, field in model.model_fields.items()
}


class PlainLoader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML as a mapping needs it: without aliases, and with decimal numbers alone.

    Aliases and merge keys let a few hundred bytes stand for millions of values, and a number of base 60
    (`1:30`) is computed in a time that grows with the square of its length. Both are refused or stay text.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node. Raises yaml.YAMLError for an alias, and below MAX_MAPPING_DEPTH."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise ComposerError(None, None, "write the value itself: aliases are not read", mark)
        self._depth = getattr(self, "_depth", 0) + 1
        if self._depth > MAX_MAPPING_DEPTH:
            mark = self.peek_event().start_mark
            raise ComposerError(None, None, "the values are nested too deep", mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in (_INT, _FLOAT, _MERGE)]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
PlainLoader.add_implicit_resolver(_INT, re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\Z"), list("-+0123456789"))
PlainLoader.add_implicit_resolver(
    _FLOAT, re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{0,18}\Z"), list("-+0123456789")
)
# A tag may name the type too.
PlainLoader.add_constructor(_INT, lambda loader, node: int(loader.construct_scalar(node)))
PlainLoader.add_constructor(_FLOAT, lambda loader, node: float(loader.construct_scalar(node)))


class MappingError(IngestError):
    """A mapping file cannot be used. The message names the file, the field and the expected content."""


def load_mapping(path: Path | str, words: Mapping[str, str] | None = None) -> FileMapping:
    """Read the mapping in a YAML file (`.yaml`, `.yml`) or a TOML file (`.toml`), or a shipped one by name.

    `words` are what a person states beside it: `identifier`, `timezone` or `channel`. Raises `MappingError`.
    """
    name, path = str(path), Path(path)
    if name in load_shipped() and not path.is_file():
        return parse_mapping({"use": name}, name, words)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MAPPING_BYTES + 1)
    except OSError as error:
        raise MappingError(f"{path}: the mapping cannot be read: {error}. Check the path") from error
    return read_mapping(data, str(path), words)


def read_mapping(data: bytes, source: str, words: Mapping[str, str] | None = None) -> FileMapping:
    """Read the mapping in the bytes of a file; its name `source` ends with .toml, or the file is YAML.

    `words` are as for `load_mapping`. Raises `MappingError`.
    """
    if len(data) > MAX_MAPPING_BYTES:
        limit = f"{MAX_MAPPING_BYTES >> 10} KiB"
        raise MappingError(
            f"{source}: the file is larger than {limit}, so it is not a mapping. Check the path"
        )
    is_toml = source.lower().endswith(".toml")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MappingError(f"{source}: the mapping cannot be read: {error}. Write it in UTF-8") from error
    try:
        content = tomllib.loads(text) if is_toml else yaml.load(text, PlainLoader)
    except (tomllib.TOMLDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        syntax = "TOML" if is_toml else "YAML"
        raise MappingError(f"{source}: the mapping is not valid {syntax}: {error}") from error
    return parse_mapping(content, source, words)


def parse_mapping(content: object, source: str, words: Mapping[str, str] | None = None) -> FileMapping:
    """Check a mapping given as plain values, as YAML, TOML and JSON have them.

    With `use` it is the shipped mapping of that name; the other fields replace those of it, and `channel`
    gives the channel that it leaves open. `words` are as for `load_mapping`. Raises `MappingError`.
    """
    if not isinstance(content, dict):
        raise MappingError(f"{source}: a mapping is a table of names and values, see docs/formats.md")
    content = _state_words(content, source, words or {})
    if "use" in content:
        content = _expand_shipped(content, source)
    use = _USES.get(str(content.get("format")))
    if use is None:
        raise _report_faults(source, [f"format: a mapping starts with its format, one of {', '.join(_USES)}"])
    try:
        mapping = use.model.model_validate(content)
    except ValidationError as error:
        faults = [f"{_name_place(fault)}: {_explain_fault(fault)}" for fault in error.errors()]
        raise _report_faults(source, faults) from error
    excluded = [
        f"{field}: {why}" for field, why in use.excludes.items() if getattr(mapping, field) is not None
    ]
    if excluded:
        raise _report_faults(source, [f"{fault}, so leave the field out" for fault in excluded])
    return mapping


def _state_words(content: dict[str, Any], source: str, words: Mapping[str, str]) -> dict[str, Any]:
    """Add what a person states beside a mapping; a time zone only where the mapping leaves it open."""
    if "use" in content:
        shipped = load_shipped().get(str(content["use"]))
        is_open = shipped is not None and "timezone" in shipped.open_fields
    else:
        is_open = "timezone" in content
    is_open = is_open and content.get("timezone") is None
    words = {field: word for field, word in words.items() if field != "timezone" or is_open}
    stated = [field for field in words if content.get(field) is not None]
    if stated:
        raise MappingError(f"{source}: the mapping states {stated[0]} itself: leave out --{stated[0]}")
    return {**content, **words} if "use" in content else fill_open_fields(content, words)


def _expand_shipped(content: dict[str, Any], source: str) -> dict[str, Any]:
    name = str(content["use"])
    shipped = load_shipped().get(name)
    if shipped is None:
        near = difflib.get_close_matches(name, load_shipped(), 1)
        hint = f", perhaps {near[0]!r} is meant" if near else ""
        raise MappingError(
            f"{source}: use: there is no shipped mapping {name!r}{hint}. docs/formats.md lists them"
        )
    stated = {field: value for field, value in content.items() if field != "use"}
    missing = [field for field in shipped.open_fields if stated.get(field) is None]
    if missing:
        options = " ".join(f"--{field} VALUE" for field in missing)
        raise MappingError(
            f"{source}: the shipped mapping {name} leaves open {' and '.join(missing)}, which the files of "
            f"{shipped.sender} do not state. Give {options}, or a mapping with `use: {name}` and these fields"
        )
    return fill_open_fields(shipped.content, stated)


def write_canonical_text(mapping: FileMapping) -> str:
    """Write a mapping as JSON without defaults, sorted by key: equal mappings give equal texts."""
    content: dict[str, Any] = mapping.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def identify_load(content_hash: str, mapping: FileMapping | None) -> str:
    """Return what makes two loads the same: SHA-256 in hexadecimal over the content hash and the mapping.

    Without a mapping it is the content hash itself.
    """
    if mapping is None:
        return content_hash
    return hashlib.sha256(f"{content_hash}\n{write_canonical_text(mapping)}".encode()).hexdigest()


def list_undeclared(parsed: FileInParts, mapping: FileMapping | None) -> list[str]:
    """List the mapping fields without which the file can be inspected, but not loaded.

    Without a zone, readers take local times for UTC; they leave the meter's name or the unit empty.
    """
    use = _USES.get(parsed.format)
    if use is None or use.is_required:
        return []
    no_sender = use.names_sender and any(identifier.startswith("/") for identifier, _ in parsed.spans)
    needs = [name for name in use.needs if name != "timezone" or parsed.has_local_times]
    missing = [name for name in needs if getattr(mapping, name, None) is None]
    return sorted(parsed.left_empty) + ["sender"] * no_sender + missing


def refuse_undeclared(parsed: FileInParts, mapping: FileMapping | None) -> None:
    """Raise `RefusedFile` if `list_undeclared` finds a field."""
    missing = list_undeclared(parsed, mapping)
    if missing:
        reason = f"neither the {parsed.format} file nor a mapping states {' and '.join(missing)}"
        refusal = refuse(parsed.path, None, "FILE-MAPPING", reason)
        refusal.format = parsed.format
        raise refusal


def _report_faults(source: str, faults: list[str]) -> MappingError:
    listed = "; ".join(faults[:MAX_REPORTED_FAULTS])
    return MappingError(f"{source}: {listed}. docs/formats.md lists the fields of a mapping")


def _name_place(fault: ErrorDetails) -> str:
    """Return the key path of a fault."""
    return ".".join(map(str, fault["loc"])) or "mapping"


def _explain_fault(fault: ErrorDetails) -> str:
    """Explain a fault, and for an unknown key suggest the one that may be meant."""
    if fault["type"] == "missing":
        return "the field is missing"
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(fault["loc"][-1]), _FIELDS, 1)
        return "there is no such field" + (f", perhaps {near[0]!r} is meant" if near else "")
    return fault["msg"].removeprefix("Value error, ")
