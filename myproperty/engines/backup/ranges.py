"""The instants to which the backups of a folder restore, and the choice of one backup.

PostgreSQL restores a base backup and replays WAL until the first transaction that ended after the wanted
instant. So a backup reaches from its own end to the end of the last transaction in the WAL that follows it
without a gap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from myproperty.engines.backup.folder import SETTING, Backup, Chain, list_backups
from myproperty.engines.backup.wal import Segment, find_last_end, follow, list_segments
from myproperty.engines.errors import EngineError
from myproperty.engines.postgres import Postgres


@dataclass(frozen=True)
class Reach:
    """A backup, the WAL that follows it, and the instants [from, until] to which both restore.

    `missing` is a segment after which there is more WAL, which therefore cannot be used.
    """

    backup: Backup
    reaches_until: datetime
    wal: Sequence[Path]
    missing: Segment | None

    @property
    def reaches_from(self) -> datetime:
        """The first instant: the end of the base backup."""
        return self.backup.finished_at

    def holds(self, instant: datetime) -> bool:
        """Return whether the rows of this instant can be restored."""
        return self.reaches_from <= instant <= self.reaches_until


def find_reaches(server: Postgres, folder: Path, own: Chain | None) -> list[Reach]:
    """Return what each backup of a folder reaches, the oldest backup first.

    `own` is the chain of the server, if any: WAL that its data still holds and did not archive counts too.
    """
    backups = list_backups(folder)
    archives = {backup.chain: list_segments(backup.chain.wal) for backup in backups}
    if own in archives:
        archives[own] = {**list_segments(server.data / "pg_wal"), **archives[own]}
    return [_find_reach(server, backup, archives[backup.chain]) for backup in backups]


def _find_reach(server: Postgres, backup: Backup, there: Mapping[Segment, Path]) -> Reach:
    files = follow(backup.last_segment, there)
    end = find_last_end(server, files)
    until = backup.finished_at if end is None else max(end, backup.finished_at)
    last = Segment(backup.timeline, backup.last_segment.number + len(files) - 1)
    has_more = any(segment.timeline == last.timeline and segment > last for segment in there)
    return Reach(backup, until, files, last.next if has_more else None)


def choose_reach(
    reaches: Sequence[Reach], instant: datetime | None, name: str | None, own: Chain | None, home: Path
) -> Reach:
    """Choose the newest backup that reaches an instant, or the end (None). Raises `EngineError`.

    Without a name it is one of the server's own chain, or else of the home, or else of the one other home.
    """
    if name is not None:
        reaches = [reach for reach in reaches if reach.backup.name == name]
    if not reaches:
        which = "there is no backup" if name is None else f"there is no backup {name}"
        raise EngineError(f"{which} to restore: `myproperty backups` lists those in {SETTING}")
    found = [reach for reach in reaches if instant is None or reach.holds(instant)]
    if instant is not None and not found:
        raise EngineError(
            f"no backup reaches {describe_instant(instant)}; nothing was changed. Give --to an instant in "
            f"one of these ranges:\n{_describe_ranges(reaches)}"
        )
    homes = {reach.backup.chain.home for reach in found}
    if str(home.resolve()) not in homes and len(homes) > 1:
        raise EngineError(
            f"{SETTING} holds backups of {len(homes)} other homes ({', '.join(sorted(homes))}): choose one "
            "by --backup; `myproperty backups` lists them"
        )

    def rank(reach: Reach) -> tuple[bool, bool, datetime, datetime]:
        chain = reach.backup.chain
        # The newest backup before an instant replays least.
        times = (reach.reaches_from, reach.reaches_until)
        return chain == own, chain.home == str(home.resolve()), *(times if instant else reversed(times))

    chosen = max(found, key=rank)
    if instant is None and chosen.missing:
        raise EngineError(
            f"{chosen.backup.chain.wal / chosen.missing.name} is missing, so what was written after "
            f"{describe_instant(chosen.reaches_until)} cannot be restored. Put the file back, or restore to "
            f"what is left: `myproperty restore --to {describe_instant(chosen.reaches_until)}`"
        )
    return chosen


def _describe_ranges(reaches: Sequence[Reach]) -> str:
    return "\n".join(
        f"  {describe_instant(reach.reaches_from)} to {describe_instant(reach.reaches_until)}"
        f"   {reach.backup.name}" + (f" ({reach.missing.name} is missing after it)" if reach.missing else "")
        for reach in reaches
    )


def describe_instant(instant: datetime) -> str:
    """Write an instant as `--to` takes it: in UTC, with the microseconds that tell two commits apart."""
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")
