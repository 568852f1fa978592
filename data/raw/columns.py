"""Columns of raw tables that a release adds or changes: what both engines do with them.

Here: the comparison and the refusal. Not here: how an engine reads or adds a column.
"""

from collections.abc import Mapping

from data.ingest.errors import IngestError
from data.landing.entities import Entity


class RawTableDiffers(IngestError):
    """A column of a raw table has another type than this release copies."""


def find_new_columns(
    table: str, entity: Entity, wanted: Mapping[str, str], found: Mapping[str, str]
) -> list[str]:
    """Return the columns of `wanted` that are not in `found`, both {column: type of the engine}.

    Raises `RawTableDiffers` for columns of another type: no engine can change a type without a person who
    knows what the stored values mean.
    """
    differing = [
        f"{name} is {found[name]}, and this release copies {kind}"
        for name, kind in wanted.items()
        if name in found and found[name] != kind
    ]
    if differing:
        dates = " --from D --to D for all its dates" if entity.is_dated else ""
        raise RawTableDiffers(
            f"{table}: {'; '.join(differing)}. Nothing was changed. Convert the column with `alter table`, "
            f"or drop the table and `myproperty reload {entity.name}{dates}`, which copies it again."
        )
    return [name for name in wanted if name not in found]
