"""Write the rows of the demo company to the OLTP database with one repeatable call."""

from datetime import date
from uuid import UUID, uuid5

import psycopg
from psycopg import sql
from psycopg.types.range import DateRange

from data.billing.ledger import open_accounts
from data.demo.agents import build_audit_rows, build_message_rows
from data.demo.assets import build_asset_rows
from data.demo.company import DemoMeter, DemoProperty, DemoTenant, Scale, list_tenants
from data.demo.people import build_people_rows, list_personal_fields
from data.demo.rows import FieldSealer, Rows, Secret, act_for_tenant, qualify_table, upsert_row, write_rows
from data.demo.service import build_service_rows
from data.demo.tariffs import build_tariff_rows

_METERED_FROM = date(2024, 10, 1)


def apply_company(dsn: str, scale: Scale = "small", sealer: FieldSealer | None = None) -> None:
    """Insert the company's rows or restore changed ones; a second call changes nothing.

    Rows that people change, such as users and tickets, stay as they are. `sealer` encrypts the personal
    fields. Without it, names stay empty and messages to agents are left out until a call with a sealer. `dsn`
    is a libpq URI of the OLTP database. Its login must be able to take on `myproperty_registrar` (writes
    tenants), `originfd` (projects) and `myproperty_app` (the rest); row security applies to all. Raises
    `psycopg.Error` and then writes nothing.
    """
    with psycopg.connect(dsn) as connection:
        for tenant in list_tenants(scale):
            write_rows(connection, tenant.id, _build_rows(tenant))
            open_accounts(connection)
    if sealer is not None:
        for tenant in list_tenants(scale):
            _seal_fields(dsn, tenant, sealer)


def _build_rows(tenant: DemoTenant) -> Rows:
    """Build all rows of a tenant, parents first."""
    metadata = {"demo": True}
    yield "tenants", {"id": tenant.id, "name": tenant.name, "region": tenant.region, "metadata": metadata}
    for site in tenant.sites:
        yield from _build_property_rows(site)
    yield from build_people_rows(tenant)
    yield from build_asset_rows(tenant)
    yield from build_tariff_rows(tenant)
    yield from build_service_rows(tenant)
    yield from build_audit_rows(tenant)


def _build_property_rows(site: DemoProperty) -> Rows:
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
        yield from _build_meter_rows(site, meter)


def _build_meter_rows(site: DemoProperty, meter: DemoMeter) -> Rows:
    # A meter is expected to send from the date after it was entered, the first ones of a property at once. So
    # where a meter was exchanged, the new one was entered that day.
    entered = {"created_at": site.at(str(meter.installed or site.opened))} if site.exchanged else {}
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
            **entered,
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
                **entered,
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


def _seal_fields(dsn: str, tenant: DemoTenant, sealer: FieldSealer) -> None:
    """Seal the fields that are still empty. Sealing again would change the stored value.

    The users must be committed first: a sealer registers their keys over its own connection.
    """

    def sealed(table: str, column: str, row_id: UUID, secret: Secret) -> bytes:
        return sealer.seal(
            secret.text, tenant=tenant.id, user=secret.user, table=table, column=column, row=row_id
        )

    with psycopg.connect(dsn) as connection:
        act_for_tenant(connection, tenant.id)
        # Seal nothing for an erased person.
        people = _read_ids(connection, "users", sql.SQL("status <> 'erased'"))
        for table, column, secrets in list_personal_fields(tenant):
            statement = sql.SQL("UPDATE {} SET {} = %s WHERE id = %s").format(
                qualify_table(table), sql.Identifier(column)
            )
            empty = _read_ids(connection, table, sql.SQL("{} IS NULL").format(sql.Identifier(column)))
            for row_id, secret in secrets.items():
                if row_id in empty and secret.user in people:
                    connection.execute(statement, (sealed(table, column, row_id, secret), row_id))
        sent = _read_ids(connection, "agent_messages", sql.SQL("true"))
        for row, secret in build_message_rows(tenant):
            if row["id"] not in sent and secret.user in people:
                content = sealed("agent_messages", "content", row["id"], secret)
                upsert_row(connection, "agent_messages", {**row, "content": content, "tenant_id": tenant.id})


def _read_ids(connection: psycopg.Connection, table: str, condition: sql.Composable) -> set[UUID]:
    query = sql.SQL("SELECT id FROM {} WHERE {}").format(qualify_table(table), condition)
    return {row[0] for row in connection.execute(query)}
