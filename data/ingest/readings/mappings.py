"""The mappings of a tenant in the inbox, and which of them claims a file.

Here: the choice. Not here: what a mapping may say (`data.ingest.formats.mapping`).
"""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from data.ingest.errors import RefusedFile
from data.ingest.formats import detect_format
from data.ingest.formats.mapping import MAX_MAPPING_BYTES, NEED_MAPPING, Mapping, MappingError, read_mapping


def find_mapping(
    filesystem: Any, paths: Iterable[str], below_tenant: PurePosixPath, local: Path
) -> Mapping | None:
    """Return the mapping among `paths` that claims a file, or None where no mapping does.

    `below_tenant` is the path of the file in the folder of its tenant, `local` a copy of it. Raises
    `MappingError` where two mappings claim the file, and where none does, the file cannot be read without a
    mapping and one of the mappings is broken.
    """
    claiming: dict[str, Mapping] = {}
    faults = []
    for path in paths:
        try:
            mapping = _read(filesystem, path)
        except MappingError as error:
            faults.append(str(error))
        else:
            if mapping.claims(below_tenant):
                claiming[path] = mapping
    if len(claiming) > 1:
        raise MappingError(f"{' and '.join(claiming)} all claim {below_tenant}: make their `files` differ")
    if not claiming and faults and _needs_mapping(local):
        raise MappingError(f"no mapping claims {below_tenant}, and this one is broken: {'; '.join(faults)}")
    return next(iter(claiming.values()), None)


def _read(filesystem: Any, path: str) -> Mapping:
    with filesystem.open(path, "rb") as source:
        mapping = read_mapping(source.read(MAX_MAPPING_BYTES + 1), path)
    if not mapping.files:
        raise MappingError(
            f"{path}: files: it names no file, so it is for none. Name patterns: [export-*.csv]"
        )
    return mapping


def _needs_mapping(local: Path) -> bool:
    try:
        return detect_format(local) in NEED_MAPPING
    except RefusedFile:
        return True
