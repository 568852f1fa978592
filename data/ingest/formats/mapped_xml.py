"""XML of any sender, read by a declared mapping: a path to the rows, and the columns as paths inside a row.

Here: which elements of the mapping's paths repeat. Not here: the rows (`mapped_json`, whose paths these are),
or the meaning of the columns (`mapped_csv`).
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from data.ingest.formats import mapped_json
from data.ingest.formats.columns import Batch
from data.ingest.formats.container import Member
from data.ingest.formats.format import FileFormat, MappingUse
from data.ingest.formats.mapping import CsvMapping
from data.ingest.formats.xml_events import iter_xml_leaves


def iter_batches(path: Path, member: Member, part: int, mapping: CsvMapping) -> Iterator[Batch]:
    """Yield the readings of one text in batches. Raises `RefusedFile`."""
    leaves = partial(iter_xml_leaves, arrays=_list_arrays(mapping.list_paths()))
    return mapped_json.iter_batches(path, member, part, mapping, leaves=leaves)


FORMAT = FileFormat(
    name="mapped_xml",
    summary="XML of any sender, declared by a mapping with paths",
    read=iter_batches,
    mapping=MappingUse(model=CsvMapping, is_required=True),
)


def _list_arrays(paths: Iterable[str]) -> set[str]:
    """Return the paths before each [*], without the marks of other arrays."""
    found = set()
    for path in paths:
        parts = path.removeprefix("$.").split("[*]")
        found |= {"".join(parts[:n]) for n in range(1, len(parts))}
    return found
