"""Whether a server archives its WAL, and what stands in the way of a restore."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from myproperty.engines.backup.folder import SETTING, find_chain
from myproperty.engines.backup.ranges import Reach, describe_instant
from myproperty.engines.backup.take import archive_of, connect
from myproperty.engines.postgres import Postgres

_ARCHIVER = "select last_archived_time, last_failed_time, last_failed_wal from pg_stat_archiver"


@dataclass(frozen=True)
class ArchiveState:
    """The archiving of one server, and its problems in words. `recovery_point_s`: what a lost disk loses."""

    recovery_point_s: int
    is_archiving: bool
    waiting: int
    last_archived_at: datetime | None
    problems: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """Return the part of `myproperty backups --json` about WAL."""
        last = describe_instant(self.last_archived_at) if self.last_archived_at else None
        wal = {
            "is_archiving": self.is_archiving,
            "segments_waiting": self.waiting,
            "last_archived_at": last,
            "loses_at_most_s": self.recovery_point_s,
        }
        return {"wal": wal, "problems": list(self.problems)}


def read_archive_state(
    server: Postgres, folder: Path, home: Path, seconds: int, reaches: Sequence[Reach]
) -> ArchiveState:
    """Ask the server, if it runs, how archiving goes. Raises `EngineError`."""
    chain = find_chain(server, folder, home)
    waiting = len(list((server.data / "pg_wal" / "archive_status").glob("*.ready")))
    port = server.listening_on()
    problems, is_archiving, archived_at = [], False, None
    if port is not None:
        with connect(server, port) as connection:
            is_archiving = chain is not None and archive_of(connection) == str(chain.wal)
            row = connection.execute(_ARCHIVER).fetchone()
        assert row is not None
        archived_at, failed_at, failed = row
        if not is_archiving:
            problems.append(
                f"the server does not archive its WAL in {folder}: run `myproperty down` and `myproperty up` "
                f"with {SETTING} set, then `myproperty backup`"
            )
        elif failed_at and (archived_at is None or failed_at > archived_at):
            problems.append(f"the server cannot archive {failed}: the end of {server.log} says why")
    own = [reach for reach in reaches if reach.backup.chain == chain]
    if chain is not None and not own:
        problems.append("this server has no base backup since its data was made: run `myproperty backup`")
    problems += [
        f"{chain.wal / reach.missing.name} is missing: what was written after it is not restored from "
        f"{reach.backup.name}"
        for reach in own
        if chain is not None and reach.missing
    ]
    return ArchiveState(
        seconds, is_archiving, waiting, archived_at.astimezone(UTC) if archived_at else None, problems
    )
