"""The indexes serve the queries they were made for: the plan says so, under the policies of a tenant.

An operator that PostgreSQL does not call leakproof is checked only after the policy, and no index finds rows
by it: a plan that is right for the superuser proves nothing for the application.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import ClientCursor, sql
from psycopg.errors import Diagnostic

pytestmark = pytest.mark.engine
Plan = dict[str, Any]


def key(kind: int, number: int) -> uuid.UUID:
    """The id that `FILL` gives row `number` of a kind of thing."""
    return uuid.UUID(int=(kind << 64) + number)


TENANT, PROPERTY, UNIT, METER, USER, INVOICE = (key(kind, 7) for kind in range(1, 7))

# 20 tenants of 20 properties of 40 units; foreign keys and triggers rest meanwhile: only plans matter here.
FILL: LiteralString = """
    set session_replication_role = replica;
    create function pg_temp.key(kind bigint, number bigint) returns uuid immutable language sql
    return (lpad(to_hex(kind), 16, '0') || lpad(to_hex(number), 16, '0'))::uuid;
    create temporary table n as
    select i, pg_temp.key(1, i % 20) as tenant, pg_temp.key(2, i % 400) as property,
           pg_temp.key(3, i) as unit,
           daterange((date '2024-01-01' + (i / 20 % 24) * interval '1 month')::date,
                     (date '2024-02-01' + (i / 20 % 24) * interval '1 month')::date) as period
    from generate_series(0, 15999) as i;

    insert into myproperty.units (id, tenant_id, property_id, label) select unit, tenant, property, i from n;
    insert into myproperty.meters (id, tenant_id, property_id, type, serial_number, timezone)
    select pg_temp.key(4, i), tenant, property, 'grid', i, 'UTC' from n;
    insert into myproperty.allocation_ledger
        (tenant_id, property_id, allocation_period_id, unit_id, billing_period, solar_kwh, grid_kwh,
         allocation_method)
    select tenant, property, property, unit, period, 0, 1, 'static' from n;
    insert into myproperty.invoices
        (id, tenant_id, number, tenant_user_id, billing_period, status, currency, issued_at, due_at)
    select pg_temp.key(6, i), tenant, i, pg_temp.key(5, i % 800), period,
           case when i / 20 % 100 = 0 then 'overdue' else 'paid' end, 'AUD', '2026-01-01',
           '2026-01-02'::timestamptz + i * interval '1 hour'
    from n;
    insert into myproperty.invoice_lines
        (tenant_id, invoice_id, line_number, description, category, quantity, unit_amount, total_amount)
    select tenant, pg_temp.key(6, i), 1, 'Service', 'service', 1, 1, 1 from n;
    insert into myproperty.ledger_entries
        (tenant_id, entry_date, debit_account, credit_account, amount, currency, reference_type, reference_id,
         description)
    select tenant, '2026-01-01'::date + (i / 20 % 365)::int,
           case when i % 40 < 20 then 'bank' else 'receivables' end,
           'sales', 1, 'AUD', 'invoice', pg_temp.key(6, i), 'Invoice'
    from n;
    insert into myproperty.service_tickets
        (tenant_id, property_id, opened_by, status, summary, description, category, resolved_at)
    select tenant, property, pg_temp.key(5, i % 800), 'open',
           case when i / 20 % 400 = 0 then 'Inverter is silent' else 'Tap drips in flat ' || i end,
           'Seen on ' || lower(period), 'other', null
    from n;
    insert into audit.logged_actions
        (tenant_id, schema_name, table_name, row_key, action, role_name, login_name, application_name)
    select tenant, 'myproperty', 'invoices', jsonb_build_object('id', pg_temp.key(6, i)), 'update',
           'r', 'l', 'a'
    from n;
    select myproperty.ensure_readings_partition(date '2026-01-01' + d) from generate_series(0, 2) as d;
    insert into myproperty.meter_readings
        (tenant_id, meter_id, channel, reading_ts, reading_date, interval_seconds, unit, quality,
         is_estimated, source, source_version, ingestion_job_id)
    select tenant, pg_temp.key(4, i), 'import', timestamptz '2026-01-01 00:00+00' + t * interval '1 hour',
           date '2026-01-01' + t / 24, 3600, 'kWh', 'null', false, 'test', now(), tenant
    from n, generate_series(0, 71) as t where i < 400;
    set session_replication_role = origin;
    select gin_clean_pending_list('myproperty.service_tickets_search');  -- as autovacuum does
    analyze;
"""


@pytest.fixture(scope="module")
def filled(migrated_database: Callable[[str], AbstractContextManager[str]]) -> Iterator[str]:
    """A database with enough rows that a planner prefers an index to a scan."""
    with migrated_database("indexes") as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(FILL)
        yield dsn


@pytest.fixture
def db(filled: str) -> Iterator[psycopg.Connection]:
    """A superuser that has chosen a tenant, and takes on the role of a test."""
    with psycopg.connect(filled) as connection:
        connection.execute("select set_config('app.tenant_id', %s, true)", (str(TENANT),))
        yield connection
        connection.rollback()


# Role, query, the index that is to serve it, and the columns by which rows are found in it.
QUERIES: dict[str, tuple[str, LiteralString, str, tuple[str, ...]]] = {
    "units of a property": (
        "myproperty_app",
        f"select * from myproperty.units where property_id = '{PROPERTY}'",
        "units_tenant_id_property_id",
        ("tenant_id", "property_id"),
    ),
    "meters of a property": (
        "myproperty_app",
        f"select * from myproperty.meters where property_id = '{PROPERTY}'",
        "meters_of_property",
        ("tenant_id", "property_id"),
    ),
    "tickets of a property": (
        "myproperty_app",
        f"select * from myproperty.service_tickets where property_id = '{PROPERTY}'",
        "service_tickets_of_property",
        ("tenant_id", "property_id"),
    ),
    "allocations of a property": (
        "myproperty_app",
        f"select * from myproperty.allocation_ledger where property_id = '{PROPERTY}'",
        "allocation_ledger_of_property",
        ("tenant_id", "property_id"),
    ),
    "allocations of a unit": (
        "myproperty_app",
        f"select * from myproperty.allocation_ledger where unit_id = '{UNIT}'",
        "unit_is_allocated_once_a_period",
        ("tenant_id", "unit_id"),
    ),
    "allocations by the first day of their period": (
        "myproperty_app",
        "select * from myproperty.allocation_ledger "
        "where period_start_date >= '2024-03-01' and period_start_date < '2024-04-01'",
        "allocation_ledger_of_start_date",
        ("tenant_id", "period_start_date"),
    ),
    "allocations of periods since, past the policies": (
        "myproperty_etl",
        f"select * from myproperty.allocation_ledger "
        f"where tenant_id = '{TENANT}' and billing_period >= '[2025-12-01,2025-12-02)'",
        "allocation_ledger_of_period",
        ("tenant_id", "billing_period"),
    ),
    "invoices by the first day of their period": (
        "myproperty_app",
        "select * from myproperty.invoices "
        "where period_start_date >= '2024-03-01' and period_start_date < '2024-04-01'",
        "invoices_of_start_date",
        ("tenant_id", "period_start_date"),
    ),
    "invoices of periods since, past the policies": (
        "myproperty_etl",
        f"select * from myproperty.invoices "
        f"where tenant_id = '{TENANT}' and billing_period >= '[2025-12-01,2025-12-02)'",
        "invoices_of_period",
        ("tenant_id", "billing_period"),
    ),
    "invoices of a resident": (
        "myproperty_app",
        f"select * from myproperty.invoices where tenant_user_id = '{USER}'",
        "invoices_of_user",
        ("tenant_id", "tenant_user_id"),
    ),
    "overdue invoices": (
        "myproperty_app",
        "select * from myproperty.invoices where status = 'overdue' order by due_at",
        "invoices_overdue",
        ("tenant_id",),
    ),
    "invoices overdue for long": (
        "myproperty_app",
        "select * from myproperty.invoices where status = 'overdue' and due_at < '2026-02-01'",
        "invoices_overdue",
        ("tenant_id", "due_at"),
    ),
    "lines of an invoice": (
        "myproperty_app",
        f"select * from myproperty.invoice_lines where invoice_id = '{INVOICE}' order by line_number",
        "invoice_lines_tenant_id_invoice_id",
        ("tenant_id", "invoice_id"),
    ),
    "a day's readings of a meter": (
        "myproperty_app",
        f"select * from myproperty.meter_readings where meter_id = '{METER}' "
        "and reading_date = '2026-01-02' and reading_ts >= '2026-01-02 06:00+00'",
        "meter_readings_20260102_pkey",
        ("tenant_id", "meter_id", "reading_ts"),
    ),
    "entries that book an invoice": (
        "myproperty_app",
        "select * from myproperty.ledger_entries "
        f"where reference_type = 'invoice' and reference_id = '{INVOICE}'",
        "ledger_entries_of_reference",
        ("tenant_id", "reference_type", "reference_id"),
    ),
    "debits of an account since": (
        "myproperty_app",
        "select * from myproperty.ledger_entries where debit_account = 'bank' and entry_date >= '2026-12-20'",
        "ledger_entries_of_debit_account",
        ("tenant_id", "debit_account", "entry_date"),
    ),
    "the trail of a row": (
        "myproperty_auditor",
        f"select * from audit.logged_actions where table_name = 'invoices' and row_id = '{INVOICE}' "
        "order by occurred_at",
        "logged_actions_of_row",
        ("tenant_id", "table_name", "row_id"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", QUERIES)
def test_an_index_serves(db: psycopg.Connection, what: str) -> None:
    role, query, index, columns = QUERIES[what]
    scans = index_scans(plan(db, role, query))
    assert [scan["Index Name"][: len(index)] for scan in scans] == [index], scans
    missing = [column for column in columns if f"{column} " not in scans[0]["Index Cond"]]
    assert not missing, scans[0]


def test_a_day_s_readings_open_one_partition(db: psycopg.Connection) -> None:
    query = QUERIES["a day's readings of a meter"][1]
    opened = {node["Relation Name"] for node in plan(db, "myproperty_app", query) if "Relation Name" in node}
    assert opened == {"meter_readings_20260102"}


def test_a_range_is_not_leakproof_so_under_the_policies_its_index_finds_the_tenant_alone(
    db: psycopg.Connection,
) -> None:
    """Why there is `period_start_date`. Should this fail, PostgreSQL has learned it: drop the column."""
    query: LiteralString = (
        "select * from myproperty.invoices where billing_period = '[2024-03-01,2024-04-01)'"
    )
    assert "billing_period" not in str(
        [scan["Index Cond"] for scan in index_scans(plan(db, "myproperty_app", query))]
    )


def test_every_table_of_a_property_is_found_by_it(db: psycopg.Connection) -> None:
    """Any index that begins with (tenant_id, property_id); the catalogue names the tables."""
    query = """
        select t.oid::regclass::text,
               exists (
                   select from pg_index x
                   where x.indrelid = t.oid and x.indisvalid and x.indpred is null
                     and x.indkey[0] = tenant.attnum and x.indkey[1] = property.attnum
               )
        from pg_class t
        join pg_attribute tenant on tenant.attrelid = t.oid and tenant.attname = 'tenant_id'
        join pg_attribute property on property.attrelid = t.oid and property.attname = 'property_id'
        where t.relkind = 'r' and t.relnamespace = 'myproperty'::regnamespace
    """
    found: dict[str, bool] = dict(db.execute(query).fetchall())
    assert len(found) >= 10
    assert [table for table, is_indexed in found.items() if not is_indexed] == []


def test_the_full_text_index_serves_the_search(db: psycopg.Connection) -> None:
    """The plan of the statement inside of the function, as it ran."""
    plans: list[str] = []

    def keep(notice: Diagnostic) -> None:
        plans.append(str(notice.message_primary))

    db.add_notice_handler(keep)
    db.execute("load 'auto_explain'")
    for name, value in {
        "log_min_duration": "0", "log_nested_statements": "on", "log_level": "notice", "log_format": "json",
    }.items():  # fmt: skip
        db.execute("select set_config('auto_explain.' || %s, %s, true)", (name, value))
    db.execute("set local role myproperty_app")
    found = db.execute("select * from myproperty.search_service_tickets('inverter')").fetchall()
    assert len(found) == 2
    nested = [text for text in plans if "ts_rank" in text and "plan:" in text]
    assert len(nested) == 1
    scans = index_scans(list(nodes(json.loads(nested[0].split("plan:", 1)[1])["Plan"])))
    assert "service_tickets_search" in [scan["Index Name"] for scan in scans]


def plan(db: psycopg.Connection, role: str, query: LiteralString) -> list[Plan]:
    """The nodes of the plan of a query, as a role."""
    db.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
    with ClientCursor(db) as cursor:
        found = cursor.execute(sql.SQL("explain (format json) ") + sql.SQL(query)).fetchall()
    return list(nodes(found[0][0][0]["Plan"]))


def nodes(top: Plan) -> Iterator[Plan]:
    yield top
    for below in top.get("Plans", []):
        yield from nodes(below)


def index_scans(found: list[Plan]) -> list[Plan]:
    return [node for node in found if "Index Name" in node]
