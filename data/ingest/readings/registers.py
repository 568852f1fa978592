"""The meters and registers of a tenant: the configured ones, and new ones that a file needs.

Here: reading the configuration, and describing new meters for a file on request. Not here: whether a reading
fits its register (`rules.judge`), or how readings are stored (`store`).
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from data.ingest.errors import IngestError
from data.ingest.formats.container import refuse
from data.ingest.rules.judge import index_registers
from data.ingest.schema import REGISTERS, FileInParts, Series
from myproperty.database.ids import uuid7s
from myproperty.database.session import Session

_SERIES = ["identifier", "register", "channel", "unit"]
# A column that is not the meter would make one of each row: more meters than a home has need a word.
MAX_NEW_METERS = 20
# Identifiers that a message names.
_SHOWN = 3
_CONFIGURED = """
    select r.identifier, r.register, r.meter_id::text as meter_id, r.channel, r.unit, r.interval_seconds,
           m.type as meter_type, m.timezone
    from myproperty.meter_registers as r
    join myproperty.meters as m on m.tenant_id = r.tenant_id and m.id = r.meter_id
    where r.tenant_id = $1::uuid and r.identifier = any($2)
    order by r.identifier, r.register
"""
_METERS = """
    select m.id::text, m.serial_number, m.type, m.timezone,
           array_remove(array_agg(distinct r.channel), null) as channels
    from myproperty.meters as m
    left join myproperty.meter_registers as r on r.tenant_id = m.tenant_id and r.meter_id = m.id
    where m.tenant_id = $1::uuid and m.serial_number = any($2)
    group by m.id, m.serial_number, m.type, m.timezone
"""
# Whole columns in one statement: a file may bring a hundred thousand meters.
_INSERT_METERS = """
    insert into myproperty.meters (id, tenant_id, property_id, type, serial_number, timezone)
    select id, $1::uuid, $2::uuid, type, serial_number, timezone
    from unnest($3::uuid[], $4::text[], $5::text[], $6::text[]) as new (id, type, serial_number, timezone)
"""
_INSERT_REGISTERS = """
    insert into myproperty.meter_registers (tenant_id, meter_id, identifier, register, channel, unit)
    select $1::uuid, meter_id, identifier, register, channel, unit
    from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])
        as new (meter_id, identifier, register, channel, unit)
"""


@dataclass
class MeterChannels:
    """A meter, configured or new, and the channels that are in use on it."""

    id: str
    serial_number: str
    type: str
    timezone: str
    channels: set[str] = field(default_factory=set)


@dataclass
class NewMeters:
    """Meters and registers that a file needs and that are not configured; nothing is written yet."""

    property_id: str
    meters: list[MeterChannels] = field(default_factory=list)
    registers: list[dict[str, str | None]] = field(default_factory=list)

    def extend(self, configured: pa.Table) -> pa.Table:
        """Return the configuration (schema `REGISTERS`) with the new registers."""
        rows = [{**register, "interval_seconds": None} for register in self.registers]
        return pa.concat_tables([configured, pa.Table.from_pylist(rows, schema=REGISTERS)]).combine_chunks()

    def write(self, session: Session, tenant_id: uuid.UUID) -> None:
        """Insert the new meters and registers."""
        meters = [
            [getattr(meter, name) for meter in self.meters]
            for name in ("id", "type", "serial_number", "timezone")
        ]
        registers = [
            [register[name] for register in self.registers]
            for name in ("meter_id", "identifier", "register", "channel", "unit")
        ]
        with session.keys_by_index():
            session.execute(_INSERT_METERS, (str(tenant_id), self.property_id, *meters))
            session.execute(_INSERT_REGISTERS, (str(tenant_id), *registers))


def read_registers(session: Session, tenant_id: uuid.UUID, parsed: FileInParts) -> pa.Table:
    """Return the configured registers of the meters that a file names (schema `REGISTERS`)."""
    return session.arrow(_CONFIGURED, REGISTERS, (str(tenant_id), sorted(_list_identifiers(parsed))))


def find_kept_sums(sums: Mapping[Series, Sequence[str]], registers: pa.Table) -> set[Series]:
    """Return the registers that count although they repeat others: of these none is configured.

    A register whose configured channel differs from theirs counts too: a check meter may be `other`.
    """
    names = (registers[name].to_pylist() for name in ("identifier", "register", "channel"))
    channels = {(identifier, register): channel for identifier, register, channel in zip(*names, strict=True)}
    return {
        (identifier, register)
        for (identifier, register), parts in sums.items()
        if (identifier, register) in channels
        and all(channels.get((identifier, part)) != channels[identifier, register] for part in parts)
    }


def _list_identifiers(parsed: FileInParts) -> set[str]:
    identifiers = {identifier for identifier, _ in parsed.spans}
    return identifiers.union(parsed.register_reads["identifier"].to_pylist())


def refuse_unknown_meters(parsed: FileInParts, registers: pa.Table) -> None:
    """Raise `RefusedFile` if no meter of the file is in `registers`: its rows belong to another tenant, or to
    nobody yet. An unknown register of a known meter is a matter of its rows.
    """
    named = _list_identifiers(parsed)
    if named and named.isdisjoint(registers["identifier"].to_pylist()):
        first = sorted(named)[:_SHOWN]
        more = f" and {len(named) - len(first)} more" if len(named) > len(first) else ""
        reason = f"this tenant has none of the meters of the file: {', '.join(first)}{more}"
        raise refuse(parsed.path, None, "FILE-METERS", reason)


def describe_new_meters(
    session: Session,
    tenant_id: uuid.UUID,
    wanted: str,
    series: list[dict[str, str]],
    configured: pa.Table,
) -> NewMeters:
    """Describe one meter for each identifier with unknown registers, at the property `wanted` (id or name).

    `series` are those of the file (`list_series`). A register whose channel is in use on the identifier's
    meter gets a meter of its own, with the serial number `identifier/register`. Raises `IngestError` if the
    tenant has no such property.
    """
    property_id, timezone = _find_property(session, tenant_id, wanted)
    serials = _read_meters(session, tenant_id, series)
    known = index_registers(configured)
    unknown = [one for one in series if (one["identifier"], one["register"]) not in known]
    new_meters = NewMeters(property_id)
    for one, new_id in zip(unknown, uuid7s(len(unknown)).to_pylist(), strict=True):
        meter = _choose_meter(one, serials, new_meters, timezone, uuid.UUID(bytes=new_id))
        meter.channels.add(one["channel"])
        new_meters.registers.append(
            {**one, "meter_id": meter.id, "meter_type": meter.type, "timezone": meter.timezone}
        )
    return new_meters


def _find_property(session: Session, tenant_id: uuid.UUID, wanted: str) -> tuple[str, str]:
    """Return (id, timezone) of the tenant's property with this id or name."""
    found = session.rows(
        "select id::text, timezone from myproperty.properties "
        "where tenant_id = $1::uuid and (id::text = lower($2) or name = $2)",
        (str(tenant_id), wanted),
    )
    if not found:
        raise IngestError(
            f"this tenant has no property {wanted!r}: give its id or exact name, or add the property first"
        )
    if len(found) > 1:
        raise IngestError(f"this tenant has {len(found)} properties named {wanted!r}: give the id")
    return str(found[0][0]), str(found[0][1])


def _read_meters(
    session: Session, tenant_id: uuid.UUID, series: list[dict[str, str]]
) -> dict[str, MeterChannels]:
    """Return the meters that `_choose_meter` may find for these series, by serial number."""
    serials = {one["identifier"] for one in series} | {_own_serial(one) for one in series}
    rows = session.rows(_METERS, (str(tenant_id), sorted(serials)))
    return {
        serial: MeterChannels(meter, serial, kind, timezone, set(channels))
        for meter, serial, kind, timezone, channels in rows
    }


def _own_serial(series: dict[str, str]) -> str:
    return f"{series['identifier']}/{series['register']}"


def refuse_many_meters(parsed: FileInParts, new_meters: NewMeters, limit: int) -> None:
    """Raise `RefusedFile` if the file would create more than `limit` meters."""
    serials = [meter.serial_number for meter in new_meters.meters]
    if len(serials) > limit:
        first = ", ".join(serials[:_SHOWN])
        reason = f"the file would create {len(serials)} meters, such as {first}; {limit} are allowed"
        raise refuse(parsed.path, None, "FILE-NEW-METERS", reason)


def list_series(parts: Iterable[pa.Table]) -> list[dict[str, str]]:
    """Return the series of a file, each register once. Generation comes first: it decides a meter's type.

    `parts` have the schema `PARSED`.
    """
    found = pa.concat_tables(part.group_by(_SERIES).aggregate([]) for part in parts)
    named = found.group_by(_SERIES[:2]).aggregate([("channel", "min"), ("unit", "min")])
    return sorted(
        named.rename_columns({"channel_min": "channel", "unit_min": "unit"}).select(_SERIES).to_pylist(),
        key=lambda row: (row["identifier"], row["channel"] != "generation", row["register"]),
    )


def _choose_meter(
    series: dict[str, str],
    serials: dict[str, MeterChannels],
    new_meters: NewMeters,
    timezone: str,
    new_id: uuid.UUID,
) -> MeterChannels:
    """Return the meter of a series; a new one, with `new_id`, is added to `serials` and `new_meters`."""
    serial = series["identifier"]
    if serial in serials and series["channel"] in serials[serial].channels:
        serial = _own_serial(series)
    if serial not in serials:
        kind = "solar" if series["channel"] == "generation" else "grid"
        serials[serial] = MeterChannels(str(new_id), serial, kind, timezone)
        new_meters.meters.append(serials[serial])
    return serials[serial]
