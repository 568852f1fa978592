"""The mappings of a tenant in the inbox: which of them claims a file.

Not here: the content of a mapping (`data.ingest.formats.mapping`).
"""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from data.ingest.errors import RefusedFile
from data.ingest.formats.detect import detect_format
from data.ingest.formats.file_mappings import MAX_MAPPING_BYTES, MappingError, read_mapping
from data.ingest.formats.mapping import FileMapping
from data.ingest.formats.registry import FORMATS


def find_mapping(
    filesystem: Any, paths: Iterable[str], below_tenant: PurePosixPath, local: Path
) -> FileMapping | None:
    """Return the mapping among `paths` that claims a file, or None where no mapping does.

    `below_tenant` is the path of the file in the folder of its tenant, `local` a copy of it. Raises
    `MappingError` if two mappings claim the file. Raises it too if a mapping is broken, no mapping claims the
    file, and the file cannot be read without one.
    """
    claiming: dict[str, FileMapping] = {}
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


def _read(filesystem: Any, path: str) -> FileMapping:
    with filesystem.open(path, "rb") as source:
        mapping = read_mapping(source.read(MAX_MAPPING_BYTES + 1), path)
    if not mapping.files:
        raise MappingError(
            f"{path}: files: the list is missing, so the mapping claims no file. Add patterns: [export-*.csv]"
        )
    return mapping


def _needs_mapping(local: Path) -> bool:
    try:
        use = FORMATS[detect_format(local)].mapping
    except RefusedFile:
        return True
    return use is not None and not use.is_seldom
