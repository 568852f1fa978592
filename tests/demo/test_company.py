"""The demo's OLTP rows: whole, stable, and apart by tenant."""

import psycopg
import pytest
from psycopg import sql

from data.demo import apply_company
from data.demo.company import company

pytestmark = pytest.mark.engine

TABLES = ("tenants", "properties", "units", "meters", "meter_registers", "meter_assignments")


def contents(dsn: str) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(dsn) as connection:
        return {
            table: connection.execute(
                sql.SQL("select * from myproperty.{} order by id").format(sql.Identifier(table))
            ).fetchall()
            for table in TABLES
        }


def test_a_second_time_changes_no_row(oltp_dsn: str) -> None:
    apply_company(oltp_dsn)
    before = contents(oltp_dsn)
    apply_company(oltp_dsn)
    assert contents(oltp_dsn) == before
    assert {table: len(rows) for table, rows in before.items()} == {
        "tenants": 2,
        "properties": 3,
        "units": 12,
        "meters": 21,
        "meter_registers": 24,
        "meter_assignments": 12,
    }


def test_a_row_that_was_changed_comes_back(oltp_dsn: str) -> None:
    apply_company(oltp_dsn)
    site = company("small")[0].sites[0]
    with psycopg.connect(oltp_dsn) as connection:
        connection.execute("update myproperty.properties set name = 'other' where id = %s", (site.id,))
    apply_company(oltp_dsn)
    with psycopg.connect(oltp_dsn) as connection:
        row = connection.execute(
            "select name from myproperty.properties where id = %s", (site.id,)
        ).fetchone()
    assert row == (site.name,)


def test_a_tenant_sees_its_own_meters_alone(oltp_dsn: str) -> None:
    apply_company(oltp_dsn)
    with psycopg.connect(oltp_dsn) as connection:
        connection.execute("set role myproperty_app")
        for tenant in company("small"):
            connection.execute("select set_config('app.tenant_id', %s, true)", (str(tenant.id),))
            seen = {row[0] for row in connection.execute("select id from myproperty.meters")}
            assert seen == {meter.id for site in tenant.sites for meter in site.meters}


def test_both_scales_live_in_one_database(oltp_dsn: str) -> None:
    apply_company(oltp_dsn, "small")
    small = contents(oltp_dsn)
    apply_company(oltp_dsn, "medium")
    both = contents(oltp_dsn)
    assert all(
        set(small[table]) < set(both[table]) for table in TABLES if table not in ("tenants", "properties")
    )
    assert len(both["tenants"]) == 4
