"""No row of a tenant names a thing of another one: in landing, every layer of the warehouse, and verdicts."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from myproperty import engines
from tests.end_to_end.support import Platform

pytestmark = pytest.mark.engine

# A column of any layer, and the operational table whose ids it has.
THINGS = {
    "property_id": "properties", "unit_id": "units", "meter_id": "meters", "tenancy_id": "tenancies",
    "user_id": "users", "opened_by": "users", "tenant_user_id": "users", "adjusted_by": "users",
    "invoice_id": "invoices", "payment_id": "payments", "ticket_id": "service_tickets",
    "provider_id": "providers", "rate_plan_id": "rate_plans", "rate_plan_band_id": "rate_plan_bands",
    "allocation_id": "allocation_ledger", "solar_asset_id": "solar_assets",
    "allocation_period_id": "allocation_periods", "ingestion_job_id": "ingestion_jobs",
}  # fmt: skip
_COLUMNS = """
    select c.relnamespace::regnamespace::text, c.relname, array_agg(a.attname::text)
    from pg_class as c join pg_attribute as a on a.attrelid = c.oid
    where c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition and a.attnum > 0 and not a.attisdropped
      and c.relnamespace::regnamespace::text !~ '^(pg_|information_schema|public)'
    group by c.oid having array_agg(a.attname::text) @> '{tenant_id}'
"""


@pytest.fixture(scope="module")
def known(platform: Platform) -> dict[str, set[tuple[str, str]]]:
    """Operational table to the pairs of tenant and id; tenants by name."""
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        pairs = {
            table: set(
                connection.execute(
                    sql.SQL("select tenant_id::text, id::text from myproperty.{}").format(
                        sql.Identifier(table)
                    )
                ).fetchall()
            )
            for table in THINGS.values()
        }
        names = connection.execute("select id::text, name from myproperty.tenants").fetchall()
    return {**pairs, "tenants": set(names)}


def strangers(
    connection: psycopg.Connection[Any], known: dict[str, set[tuple[str, str]]]
) -> Iterator[tuple[str, set[tuple[str, str]]]]:
    """Yield each column of a database with its pairs that no tenant has, an empty set where all is well."""
    for schema, table, columns in connection.execute(_COLUMNS).fetchall():
        for column in columns:
            things = "tenants" if column == "tenant_name" else THINGS.get(column)
            if things is None:
                continue
            query = sql.SQL(
                "select distinct tenant_id::text, {0}::text from {1} where {0} is not null "
                "and {0}::text <> 'unknown' and tenant_id::text <> 'unknown'"
            ).format(sql.Identifier(column), sql.Identifier(schema, table))
            found = set(connection.execute(query).fetchall())
            yield f"{schema}.{table}.{column}", found - known[things]


def test_every_id_of_every_layer_is_of_the_tenant_of_its_row(
    platform: Platform, known: dict[str, set[tuple[str, str]]]
) -> None:
    for database, least in (("myproperty", 60), ("warehouse", 150)):
        with psycopg.connect(engines.dsn(platform.settings, database)) as connection:
            found = dict(strangers(connection, known))
        assert len(found) > least
        assert {column: pairs for column, pairs in found.items() if pairs} == {}


@pytest.mark.parametrize(
    ("database", "table"), [("myproperty", "warehouse_staging.units"), ("warehouse", "core.fact_invoice")]
)
def test_a_row_of_another_tenant_is_found(
    platform: Platform, known: dict[str, set[tuple[str, str]]], database: str, table: str
) -> None:
    with psycopg.connect(engines.dsn(platform.settings, database)) as connection:
        first, second = sorted(id for id, _ in known["tenants"])[:2]
        connection.execute(
            sql.SQL("update {} set tenant_id = %s where tenant_id::text = %s").format(
                sql.Identifier(*table.split("."))
            ),
            (first, second),
        )
        wrong = {column for column, pairs in strangers(connection, known) if pairs}
        connection.rollback()
    assert wrong and all(column.startswith(table) or column.startswith("bi.") for column in wrong)


def test_samples_of_verdicts_name_things_of_their_tenant(
    platform: Platform, known: dict[str, set[tuple[str, str]]]
) -> None:
    """The pages of gates and the alerts show these samples."""
    with psycopg.connect(engines.dsn(platform.settings)) as connection:
        failed = connection.execute("select failed from warehouse_staging.gate_results").fetchall()
    samples = [
        sample for (rules,) in failed for rule in rules for sample in rule.get("sample", ())
        if isinstance(sample, dict) and "tenant_id" in sample
    ]  # fmt: skip
    assert samples
    pairs = {
        (THINGS[name], str(sample["tenant_id"]), str(value))
        for sample in samples
        for name, value in sample.items()
        if name in THINGS and value is not None
    }
    assert {pair for pair in pairs if pair[1:] not in known[pair[0]]} == set()
