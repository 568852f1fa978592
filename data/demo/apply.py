"""The rows of the demo company in the OLTP database: all of it by one call, that may be repeated."""

from datetime import date
from uuid import UUID, uuid5

import psycopg
from psycopg import sql
from psycopg.types.range import DateRange

from data.billing.accounts import open_accounts
from data.demo.agents import audit_rows, message_rows
from data.demo.assets import asset_rows
from data.demo.company import Meter, Scale, Site, Tenant, company
from data.demo.people import people_rows, personal_fields
from data.demo.rows import Rows, Sealer, Secret, act_for, put, qualified, write_rows
from data.demo.service import service_rows
from data.demo.tariffs import tariff_rows

_METERED_FROM = date(2024, 10, 1)


def apply_company(dsn: str, scale: Scale = "small", sealer: Sealer | None = None) -> None:
    """Insert the company's rows, or bring them back to what they should be; a second call changes none.

    What people go on with, as users and tickets, is left as they leave it. `sealer` encrypts the personal
    fields; without one, names stay empty and what was said to agents is left out, until a call with one.
    `dsn` is a libpq URI of the OLTP database, of a login that may take on `myproperty_owner`, which makes
    tenants, `originfd`, which makes projects, and `myproperty_app`, which makes the rest: row security holds
    for all. Raises `psycopg.Error`; nothing is written then.
    """
    with psycopg.connect(dsn) as connection:
        for tenant in company(scale):
            write_rows(connection, tenant.id, _rows(tenant))
            open_accounts(connection)
    if sealer is not None:
        for tenant in company(scale):
            _seal(dsn, tenant, sealer)


def _rows(tenant: Tenant) -> Rows:
    """Everything of a tenant, parents first."""
    metadata = {"demo": True}
    yield "tenants", {"id": tenant.id, "name": tenant.name, "region": tenant.region, "metadata": metadata}
    for site in tenant.sites:
        yield from _site_rows(site)
    yield from people_rows(tenant)
    yield from asset_rows(tenant)
    yield from tariff_rows(tenant)
    yield from service_rows(tenant)
    yield from audit_rows(tenant)


def _site_rows(site: Site) -> Rows:
    yield (
        "properties",
        {
            "id": site.id,
            "name": site.name,
            "address": site.address,
            "timezone": site.timezone,
            "solar_capacity_kw": site.solar_kw,
            "metadata": {"latitude": site.latitude, "longitude": site.longitude},
        },
    )
    for label in site.unit_labels:
        yield (
            "units",
            {"id": site.unit_id(label), "property_id": site.id, "label": label, "floor": label[:-2]},
        )
    for meter in (*site.former_meters, *site.meters):
        yield from _meter_rows(site, meter)


def _meter_rows(site: Site, meter: Meter) -> Rows:
    yield (
        "meters",
        {
            "id": meter.id,
            "property_id": site.id,
            "type": meter.type,
            "make_model": "Invented Meter 1",
            "serial_number": meter.serial_number,
            "timezone": site.timezone,
            "status": "active" if meter.removed is None else "retired",
        },
    )
    for register in meter.registers:
        yield (
            "meter_registers",
            {
                "id": uuid5(meter.id, register.channel),
                "meter_id": meter.id,
                "identifier": meter.identifier,
                "register": register.register,
                "channel": register.channel,
                "unit": site.file_unit,
                "interval_seconds": site.interval_seconds,
            },
        )
    if meter.unit_label is not None:
        yield (
            "meter_assignments",
            {
                "id": uuid5(meter.id, meter.unit_label),
                "meter_id": meter.id,
                "unit_id": site.unit_id(meter.unit_label),
                "assigned_during": DateRange(meter.installed or _METERED_FROM, meter.removed, "[)"),
            },
        )


def _seal(dsn: str, tenant: Tenant, sealer: Sealer) -> None:
    """Seal what is not yet: a seal is another one each time, so it is never made a second time.

    The people are committed by now, since a sealer keeps the ledger of their keys by a connection of its own.
    """

    def sealed(table: str, column: str, row_id: UUID, secret: Secret) -> bytes:
        return sealer.seal(
            secret.text, tenant=tenant.id, user=secret.user, table=table, column=column, row=row_id
        )

    with psycopg.connect(dsn) as connection:
        act_for(connection, tenant.id)
        # Nothing is sealed for who was erased.
        people = _ids(connection, "users", sql.SQL("status <> 'erased'"))
        for table, column, secrets in personal_fields(tenant):
            statement = sql.SQL("UPDATE {} SET {} = %s WHERE id = %s").format(
                qualified(table), sql.Identifier(column)
            )
            empty = _ids(connection, table, sql.SQL("{} IS NULL").format(sql.Identifier(column)))
            for row_id, secret in secrets.items():
                if row_id in empty and secret.user in people:
                    connection.execute(statement, (sealed(table, column, row_id, secret), row_id))
        sent = _ids(connection, "agent_messages", sql.SQL("true"))
        for row, secret in message_rows(tenant):
            if row["id"] not in sent and secret.user in people:
                content = sealed("agent_messages", "content", row["id"], secret)
                put(connection, "agent_messages", {**row, "content": content, "tenant_id": tenant.id})


def _ids(connection: psycopg.Connection, table: str, condition: sql.Composable) -> set[UUID]:
    query = sql.SQL("SELECT id FROM {} WHERE {}").format(qualified(table), condition)
    return {row[0] for row in connection.execute(query)}
