"""SolarEdge energy of a site: `energyDetails` by kind of energy, and `energy` (the production of the site).

Here: JSON to readings. Not here: whether a meter is known (`vee`). Times are naive and site-local, the start
of their interval: a mapping declares the zone and the name of the site. Where a value is left out there is
none: the reading is null, never zero. `line` of a reading is the place of its value in the file, from 1.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.ingest.formats.assemble import Rows, known_units, repeat, to_batch
from data.ingest.formats.columns import Batch, Rejections
from data.ingest.formats.container import Member, refuse
from data.ingest.formats.json_events import (
    BATCH_ROWS,
    END,
    MAX_WAITING_ROWS,
    Records,
    interval_starts,
    leaves,
    text_of,
)
from data.ingest.formats.mapping import JsonMapping
from data.ingest.formats.wallclock import WallClock

CHANNELS = {
    "Production": "generation",
    "Consumption": "consumption",
    "FeedIn": "export",
    "Purchased": "import",
    # A share of two others, so never added to them.
    "SelfConsumption": "other",
}
# None: a local day, of 23, 24 or 25 hours.
SECONDS: dict[str, int | None] = {"QUARTER_OF_AN_HOUR": 900, "HOUR": 3_600, "DAY": None}


def iter_batches(
    path: Path, member: Member, part: int, mapping: JsonMapping | None = None
) -> Iterator[Batch]:
    """The readings of one text in batches. Raises `RefusedFile`."""
    return _Reader(path, member, part, mapping).batches()


class _Reader:
    def __init__(self, path: Path, member: Member, part: int, mapping: JsonMapping | None) -> None:
        self._path = path
        self._member = member
        self._part = part
        self._identifier = (mapping.identifier if mapping else None) or ""
        zone = mapping.timezone if mapping and mapping.timezone else "UTC"
        self._clock = WallClock(zone, is_descending=mapping is not None and mapping.order == "descending")
        self._said: dict[str, str | None] = {}
        self._kind: str | None = None
        # Values by kind that wait for unit and length, which may stand behind them.
        self._waiting: list[tuple[str | None, Records]] = []
        self._records = Records()
        self._rejections = Rejections()

    def batches(self) -> Iterator[Batch]:
        record: dict[str, Any] | None = None
        ordinal = 0
        for key, value in leaves(self._path, self._member):
            parent, _, name = key.rpartition(".")
            if value is END:
                if key.endswith("values.item"):
                    ordinal += 1
                    found = record or {}
                    self._records.add(self._path, ordinal, found.get("date"), found.get("value"))
                    record = None
                elif key.endswith("meters.item") or name in ("energyDetails", "energy"):
                    self._close_kind(name)
                    yield from self._flush(is_last=name in ("energyDetails", "energy"))
                if len(self._records) >= BATCH_ROWS and self._kind is not None:
                    self._close_kind("")
                    yield from self._flush(is_last=False)
            elif parent.endswith("values.item"):
                record = {**(record or {}), name: value}
            elif parent.endswith("meters.item") and name == "type":
                self._kind = text_of(value)
            elif name in ("timeUnit", "unit"):
                self._said[name] = text_of(value)
        if self._clock.runs_against_its_order:
            raise refuse(self._path, None, "MAP-ORDER", "most values run against the order of the mapping")

    def _close_kind(self, name: str) -> None:
        if len(self._records):
            # The answer on a whole site names no kind: it is the production.
            kind = self._kind or ("Production" if name == "energy" else None)
            self._waiting.append((kind, self._records))
            if sum(len(records) for _, records in self._waiting) > MAX_WAITING_ROWS:
                reason = f"more than {MAX_WAITING_ROWS} values before their unit"
                raise refuse(self._path, None, "FILE-TOO-LARGE", reason)
        self._records = Records()
        if name:
            self._kind = None

    def _flush(self, *, is_last: bool) -> Iterator[Batch]:
        if not is_last and not {"timeUnit", "unit"} <= self._said.keys():
            return
        waiting, self._waiting = self._waiting, []
        for kind, records in waiting:
            yield self._batch(kind, records)
        if is_last:
            self._said = {}

    def _batch(self, kind: str | None, records: Records) -> Batch:
        time_unit = self._said.get("timeUnit") or ""
        if time_unit not in SECONDS:
            reason = (
                f"values by {time_unit or 'no timeUnit'} are no intervals of a day: ask for quarter-hours"
            )
            raise refuse(self._path, None, "JSON-CONTENT", reason)
        lines, times, values = records.arrays()
        count = len(records)
        register = repeat(kind or "", count)
        start_us, lengths, bad, skipped = interval_starts(
            self._clock, times, register, SECONDS[time_unit], is_end=False
        )
        rows = Rows(
            line=lines,
            identifier=repeat(self._identifier, count),
            register=register,
            channel=repeat(CHANNELS.get(kind or ""), count),
            unit=known_units(repeat(self._said.get("unit"), count)),
            start_us=start_us,
            seconds=lengths,
            value=values,
            quality=repeat("actual", count),
            findings=[
                ("ROW-TIMESTAMP", "the date is missing or does not exist", bad),
                ("ROW-TIMESTAMP", "the clocks skip this local time", skipped),
            ],
        )
        return to_batch(rows, records.raw(), self._rejections, self._part)
