"""The files of many days as the senders of the demo send them: late, wrong at first, and with holes.

Not here: when the platform looks at them (`daemon`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.demo.company import list_tenants
from data.demo.generate import END, SiteFiles, get_local_hours
from data.demo.writers import Stream, format_canonical_csv, format_nem12

Mask = npt.NDArray[np.bool_]
# Senders deliver a day in the morning after it.
ARRIVES = time(9, tzinfo=UTC)
LATE_SHARE, LATE_DAYS = 0.15, 5
REVISED_SHARE, REVISED_DAYS = 0.15, 6
# A flat whose afternoon no file ever holds: an estimate stays, from the same weekday of the weeks before.
HOLE_SHARE, HOLE_HOURS = 0.15, (13, 19)
WEEK = 7


@dataclass(frozen=True)
class SentFile:
    """A file of one site and day, and when it arrives. A wrong file is followed by the right one."""

    tenant: str
    name: str
    text: str
    at: datetime
    is_late: bool
    is_wrong: bool = False

    def put_into(self, inbox: str) -> None:
        """Write the file into the inbox of its tenant."""
        path = Path(inbox) / self.tenant / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text)


def plan_files(days: int, seed: int) -> list[SentFile]:
    """Return the files of the last `days` days of the demo, in the order of arrival.

    Every site and day ends in one right file. The random draws depend on the seed alone.
    """
    random = Random(seed)
    start = END - timedelta(days=days)
    files = [
        file
        for tenant in list_tenants("small")
        for site in tenant.sites
        for file in _plan_site(SiteFiles(Path(), site, start), start, random)
    ]
    return sorted(files, key=lambda file: (file.at, file.tenant, file.name))


def _plan_site(files: SiteFiles, start: date, random: Random) -> Iterator[SentFile]:
    site = files.site
    first = files.first_day if site.file_format == "nem12" else start
    holes: set[int] = set()
    for number in range((END - first).days):
        day = first + timedelta(days=number)
        mask, hole = _select_day(files, day), random.random() < HOLE_SHARE
        hole = hole and number >= WEEK and number - WEEK not in holes
        holes |= {number} if hole else set()
        at = due = datetime.combine(day + timedelta(days=1), ARRIVES)
        if random.random() < LATE_SHARE:
            at += timedelta(days=random.randint(1, LATE_DAYS))
        if random.random() < REVISED_SHARE:
            text = _write_day(files, _falsify(files), day, mask, at, has_hole=hole)
            yield SentFile(
                site.tenant, f"{day:%Y%m%d}-{site.key}-first.csv", text, at, at > due, is_wrong=True
            )
            at += timedelta(days=random.randint(1, REVISED_DAYS))
        text = _write_day(files, list(files.streams.values()), day, mask, at, has_hole=hole)
        yield SentFile(site.tenant, f"{day:%Y%m%d}-{site.key}.csv", text, at, at > due)


def _select_day(files: SiteFiles, day: date) -> Mask:
    """Select a local day, or a day of UTC+10 where the format has those."""
    if files.site.file_format != "nem12":
        return files.select_day(day)
    per_day = 86_400 // files.site.interval_seconds
    return np.asarray(np.arange(files.starts.size) // per_day == (day - files.first_day).days)


def _falsify(files: SiteFiles) -> list[Stream]:
    """Make the values of a first file: the roof by day 5 % too high, each flat 10 % too high."""
    hours = get_local_hours(files.site, files.starts)
    by_day = (hours >= 9) & (hours < 15)
    factors = {
        "generation": np.where(by_day, 1.05, 1.0),
        "consumption": np.full(files.starts.size, 1.1),
    }
    return [
        replace(stream, values=np.rint(stream.values * factors[stream.channel]).astype(np.int64))
        if stream.channel in factors
        else stream
        for stream in files.streams.values()
    ]


def _write_day(
    files: SiteFiles, streams: list[Stream], day: date, mask: Mask, version: datetime, *, has_hole: bool
) -> str:
    """Write the day of every meter. The last flat has a hole: hours, or in NEM12 the whole day."""
    site = files.site
    *others, last = streams
    if site.file_format == "nem12":
        sent = [_cut(stream, mask) for stream in (others if has_hole else streams)]
        return format_nem12(sent, day, site.interval_seconds, version)
    rows = [files.build_rows(others, mask, version)]
    rows.append(files.build_rows([last], mask & ~_hole(files) if has_hole else mask, version))
    return format_canonical_csv(pd.concat(rows, ignore_index=True))


def _cut(stream: Stream, mask: Mask) -> Stream:
    return replace(stream, values=stream.values[mask], estimated=stream.estimated[mask])


def _hole(files: SiteFiles) -> Mask:
    hours = get_local_hours(files.site, files.starts)
    return np.asarray((hours >= HOLE_HOURS[0]) & (hours < HOLE_HOURS[1]))
