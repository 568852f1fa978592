"""The mappings of a tenant in the inbox, and which of them claims a file.

Here: the choice. Not here: what a mapping may say (`data.ingest.formats.mapping`).
"""

from pathlib import Path, PurePosixPath
from typing import Any

from dagster_project.defs.ingest.inbox import Waiting
from data.ingest.errors import RefusedFile
from data.ingest.formats import detect_format
from data.ingest.formats.mapping import MAX_MAPPING_BYTES, NEED_MAPPING, Mapping, MappingError, read_mapping


def mapping_of(filesystem: Any, root: str, file: Waiting, local: Path) -> Mapping | None:
    """The mapping of its tenant that claims a file, none where no mapping does.

    `local` is a copy of the file. Raises `MappingError` where two claim it, or where none does, a mapping is
    broken and may be the one, as the file cannot be read without any.
    """
    below_tenant = PurePosixPath(file.path).relative_to(PurePosixPath(root) / file.tenant)
    claiming: dict[str, Mapping] = {}
    faults = []
    for path, _ in file.mappings:
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
