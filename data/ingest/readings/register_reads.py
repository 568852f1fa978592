"""Register reads: those of a file are stored in the transaction of its load.

Here: which meter and channel a read belongs to, and which of two reads of one instant is kept. Not here: how
reads are parsed (`formats`), or compared with the intervals (`rules.dials`).
"""

import uuid
from collections import defaultdict
from typing import Any

import pyarrow as pa

from data.ingest.schema import QUALITIES
from myproperty.database.session import Session

_STAGED = """
    create temporary table staged_reads (
        meter_id text not null, channel text not null, read_at timestamptz not null,
        serial_number text not null, value numeric not null, digits integer not null,
        multiplier integer not null, unit text not null, quality text not null,
        source_version timestamptz not null
    ) on commit drop
"""
# A read that a person entered is kept; of two reads from files the better quality, then the newer version.
_UPSERT = """
    insert into myproperty.register_reads as r (
        tenant_id, meter_id, channel, read_at, serial_number, value, digits, multiplier, unit, quality,
        source_version, ingestion_job_id
    )
    select $1::uuid, s.meter_id::uuid, s.channel, s.read_at, s.serial_number, s.value, s.digits, s.multiplier,
           s.unit, s.quality, s.source_version, $2::uuid
    from staged_reads as s
    order by s.meter_id, s.channel, s.read_at, s.serial_number
    on conflict (tenant_id, meter_id, channel, read_at, kind, serial_number) do update
    set value = excluded.value, digits = excluded.digits, multiplier = excluded.multiplier,
        unit = excluded.unit, quality = excluded.quality, source_version = excluded.source_version,
        ingestion_job_id = excluded.ingestion_job_id
    where r.ingestion_job_id is not null
      and (array_position($3::text[], excluded.quality), r.source_version)
          < (array_position($3::text[], r.quality), excluded.source_version)
      and (r.value, r.digits, r.multiplier, r.unit, r.quality)
          is distinct from (
              excluded.value, excluded.digits, excluded.multiplier, excluded.unit, excluded.quality
          )
    returning 1
"""
_COLUMNS = (
    "meter_id",
    "channel",
    "read_at",
    "serial_number",
    "value",
    "digits",
    "multiplier",
    "unit",
    "quality",
    "source_version",
)


def store_register_reads(
    session: Session, reads: pa.Table, registers: pa.Table, tenant_id: uuid.UUID, job_id: uuid.UUID
) -> int:
    """Store the reads of a file (schema `REGISTER_READ`) whose meter is known; returns how many changed.

    `registers` has the schema `REGISTERS`. The same reads again change nothing.
    """
    rows = _match_meters(reads, registers) if reads.num_rows else []
    if not rows:
        return 0
    session.execute(_STAGED)
    session.copy(pa.Table.from_pylist(rows, schema=_schema(reads)), "staged_reads")
    ranks = "{" + ",".join(QUALITIES) + "}"
    with session.keys_by_index():
        return len(session.rows(_UPSERT, (str(tenant_id), str(job_id), ranks)))


def _match_meters(reads: pa.Table, registers: pa.Table) -> list[dict[str, Any]]:
    """Return the reads with meter and channel, one for each device and instant: the last row of the file.

    A register that is not configured matches the identifier's only register of that channel: an interval file
    and a register file name the same series differently.
    """
    by_name: dict[tuple[str, str], tuple[str, str]] = {}
    by_channel: defaultdict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for row in registers.to_pylist():
        series = (row["meter_id"], row["channel"])
        by_name[row["identifier"], row["register"]] = series
        by_channel[row["identifier"], row["channel"]].add(series)
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for read in reads.to_pylist():
        named = by_name.get((read["identifier"], read["register"]))
        candidates = {named} if named else by_channel[read["identifier"], read["channel"]]
        if len(candidates) == 1:
            ((meter_id, channel),) = candidates
            key = (meter_id, channel, read["read_at"], read["serial_number"])
            row = {name: read.get(name) for name in _COLUMNS} | {"meter_id": meter_id, "channel": channel}
            if key not in found or _rank(row) >= _rank(found[key]):
                found[key] = row
    return list(found.values())


def _rank(read: dict[str, Any]) -> tuple[int, Any]:
    return -QUALITIES.index(read["quality"]), read["source_version"]


def _schema(reads: pa.Table) -> pa.Schema:
    types = {"meter_id": pa.string()}
    return pa.schema([(name, types.get(name) or reads.schema.field(name).type) for name in _COLUMNS])
