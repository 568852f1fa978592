"""Find the files of a tenant, in inbox and archive, that name a person: in the name or in the text.

Here: reading the files of one tenant, packed ones too. Not here: removing them, which a person decides, and
the inside of Parquet, which has readings only.
"""

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from data.ingest.errors import RefusedFile
from data.ingest.formats.container import open_members
from data.ingest.readings.own_files import open_inbox
from myproperty.files import UnsafeFile
from myproperty.settings import Settings
from myproperty.tenants import Tenant

# A name that stands on the edge of two blocks is found too.
OVERLAP_BYTES = 1000


def find_files_naming(settings: Settings, tenant: Tenant, pattern: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each file that the pattern finds, and why: `named so`, `in the text`, `unreadable`.

    The pattern is a regular expression; the case of letters does not matter.
    """
    expression = re.compile(pattern, re.IGNORECASE)
    for url in (settings.inbox, settings.archive):
        filesystem, root = open_inbox(url)
        for path in sorted(filesystem.find(root)) if filesystem.exists(root) else ():
            folder, *below = PurePosixPath(path).relative_to(root).parts
            if folder in (tenant.name, str(tenant.id)):
                reason = _find_reason(filesystem, path, below, expression)
                if reason is not None:
                    yield path, reason


def _find_reason(filesystem: Any, path: str, below: Sequence[str], expression: re.Pattern[str]) -> str | None:
    if any(map(expression.search, below)):
        return "named so"
    with tempfile.TemporaryDirectory(prefix="named-") as folder:
        local = Path(folder) / PurePosixPath(path).name
        try:
            filesystem.get_file(path, str(local))
            return "in the text" if any(map(expression.search, _texts(local))) else None
        except (RefusedFile, UnsafeFile):
            return "unreadable"


def _texts(local: Path) -> Iterator[str]:
    for member in open_members(local):
        yield member.name
        rest = b""
        for block in member.blocks:
            yield (rest + block).decode(errors="replace")
            rest = block[-OVERLAP_BYTES:]
