"""Upgrade a warehouse of the previous release, with rows: it gets new columns, figures stay as they are, and
keys of text become whole numbers.

`releases/<release>.json` has the tables of a release, with the types of their columns. The warehouse is built
by this release and then reduced to them, so it has the rows of all scenarios in the former shape. Not here:
the tables of the operational database (`tests/oltp`), and raw tables on BigQuery (`tests/raw`).
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from data.landing.entities import LOADED
from data.raw.postgres import PostgresWarehouse
from tests.wide_usage import WIDE_USAGE

from .dbt_project import SCENARIOS, DbtRun, create_raw, fetch, load_scenario, run_dbt

pytestmark = pytest.mark.engine

RELEASE = Path(__file__).parent / "releases" / "0.2.0.json"
FORMER: dict[str, dict[str, str]] = json.loads(RELEASE.read_text())
# Raw of that release has all columns of the tables that it has, so two are taken away.
TAKEN = {"units": "floor", "meter_readings": "reason_code"}
for _name, _column in TAKEN.items():
    del FORMER[f"raw.{_name}"][_column]
FACT = "core.fact_energy_usage"
# Computed from the ids that the fact had.
COMPUTED = {FACT: {"rate_plan_band_key", "tenancy_key", "emission_factor_key"}}
# Keys were the hexadecimal md5 of what their dimension still has.
_MICROS = "'|' || (extract(epoch from {0}.valid_from) * 1000000)::bigint"
_FORMER_KEYS = "\n".join(
    [
        "select w.*,",
        f"md5(p.tenant_id || '|' || p.property_id || {_MICROS.format('p')}) as former_property_key,",
        f"md5(u.tenant_id || '|' || u.unit_id || {_MICROS.format('u')}) as former_unit_key,",
        f"md5(m.tenant_id || '|' || m.meter_id || {_MICROS.format('m')}) as former_meter_key,",
        f"md5(r.tenant_id || '|' || r.rate_plan_id || {_MICROS.format('r')}) as former_rate_plan_key",
        f"from {WIDE_USAGE} as w",
        "left join core.dim_property as p using (property_key) left join core.dim_unit as u using (unit_key)",
        "left join core.dim_meter as m using (meter_key)",
        "left join core.dim_rate_plan as r using (rate_plan_key)",
    ]
)
DAYS = date(2026, 7, 1), date(2026, 7, 5)
RUN = date(2026, 7, 2), date(2026, 7, 3)
NO_TESTS = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
Shape = dict[str, dict[str, str]]
Rows = list[dict[str, Any]]
_COLUMNS = """
select n.nspname || '.' || c.relname as name, a.attname, pg_catalog.format_type(atttypid, atttypmod) as type
from pg_catalog.pg_attribute as a
join pg_catalog.pg_class as c on c.oid = attrelid join pg_catalog.pg_namespace as n on n.oid = relnamespace
where relkind = 'r' and nspname in ('raw', 'staging', 'core', 'marts', 'snapshots') and attnum > 0
    and not attisdropped
order by name, attnum
"""


@dataclass(frozen=True)
class Upgrade:
    """Tables before and after the upgrade, the columns that raw reported, and the database."""

    dsn: str
    target: Path
    now: Shape
    before: dict[str, Rows]
    after: dict[str, Rows]
    energy: tuple[Rows, Rows]
    named: dict[str, list[str]]

    def new_columns(self, table: str) -> set[str]:
        return set(self.now[table]) - set(FORMER.get(table, {}))


def shape_of(dsn: str) -> Shape:
    found: Shape = {}
    for row in fetch(dsn, sql.SQL(_COLUMNS)):
        found.setdefault(row["name"], {})[row["attname"]] = row["type"]
    return found


def table(name: str) -> sql.Identifier:
    return sql.Identifier(*name.split("."))


def read(dsn: str, shape: Shape) -> dict[str, Rows]:
    return {
        name: fetch(dsn, sql.SQL("select * from {}").format(table(name)))
        for name in shape
        if not name.startswith("raw.")
    }


def read_energy(dsn: str) -> Rows:
    query = "select * from bi.energy_daily_v1 order by tenant_id, meter_id, channel, reading_date"
    return fetch(dsn, sql.SQL(query))


def load_scenarios(dsn: str) -> None:
    for folder in sorted(path for path in SCENARIOS.iterdir() if path.is_dir()):
        load_scenario(dsn, folder)


def reduce_to_former(dsn: str, now: Shape) -> None:
    """Make the shape of the former release: without newer tables and columns, with those that are gone."""
    with psycopg.connect(dsn) as connection:
        connection.execute("drop schema bi cascade")
        reduce_fact(connection)
        for name in now.keys() - FORMER.keys():
            connection.execute(sql.SQL("drop table {} cascade").format(table(name)))
        for name, columns in FORMER.items():
            connection.execute(sql.SQL("create table if not exists {} ()").format(table(name)))
            if name == FACT:
                continue
            for column in now.get(name, {}).keys() - columns.keys():
                drop = sql.SQL("alter table {} drop column {} cascade")
                connection.execute(drop.format(table(name), sql.Identifier(column)))
            for column in columns.keys() - now.get(name, {}).keys():
                add = sql.SQL("alter table {} add column {} {}")
                kind = sql.SQL(columns[column])
                connection.execute(add.format(table(name), sql.Identifier(column), kind))
            for column in changed_types(name, now):
                alter = sql.SQL("alter table {} alter column {} type {}")
                kind = sql.SQL(columns[column])
                connection.execute(alter.format(table(name), sql.Identifier(column), kind))


def changed_types(name: str, now: Shape) -> set[str]:
    former = FORMER.get(name, {})
    return {column for column, kind in now.get(name, {}).items() if former.get(column, kind) != kind}


def reduce_fact(connection: psycopg.Connection[Any]) -> None:
    """Give the fact the ids, prices and keys of text that it had, from its dimensions."""
    columns = [
        sql.SQL("{}::{} as {}").format(
            sql.Identifier(f"former_{name}" if name.endswith("_key") else name),
            sql.SQL(kind),
            sql.Identifier(name),
        )
        for name, kind in FORMER[FACT].items()
    ]
    connection.execute(
        sql.SQL("create table core.former as select {} from ({}) as keyed").format(
            sql.SQL(", ").join(columns), sql.SQL(_FORMER_KEYS)
        )
    )
    connection.execute("drop table core.fact_energy_usage cascade")
    connection.execute("alter table core.former rename to fact_energy_usage")


def upgrade_raw(dsn: str) -> dict[str, list[str]]:
    """Bring the raw tables to this release as a load does; return the columns that it reports."""
    with closing(PostgresWarehouse(dsn)) as warehouse:
        named = {name: warehouse.ensure_table(entity) for name, entity in LOADED.items()}
    with psycopg.connect(dsn) as connection:
        for name in LOADED:
            connection.execute(sql.SQL("delete from raw.{}").format(sql.Identifier(name)))
    load_scenarios(dsn)
    return named


@pytest.fixture(scope="module")
def upgrade(
    fresh_database: Callable[[str], AbstractContextManager[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgrade]:
    target = tmp_path_factory.mktemp("upgrade")
    with fresh_database("upgrade") as dsn:
        create_raw(dsn)
        load_scenarios(dsn)
        check(run_dbt(dsn, target, ("build", *NO_TESTS), *DAYS))
        now = shape_of(dsn)
        before, energy = read(dsn, now), read_energy(dsn)
        reduce_to_former(dsn, now)
        assert {name: set(columns) for name, columns in shape_of(dsn).items()} == {
            name: set(columns) for name, columns in FORMER.items()
        }
        named = upgrade_raw(dsn)
        check(run_dbt(dsn, target, ("build", *NO_TESTS), *RUN))
        yield Upgrade(dsn, target, now, before, read(dsn, now), (energy, read_energy(dsn)), named)


def check(ran: DbtRun) -> None:
    assert ran.success, ran.failures


def key_of(row: dict[str, Any]) -> str:
    return repr(sorted(row.items()))


def assert_same(found: Rows, expected: Rows, name: str) -> None:
    assert sorted(map(key_of, found)) == sorted(map(key_of, expected)), name


def test_this_release_changes_the_type_of_keys_alone(upgrade: Upgrade) -> None:
    changed = {
        (name, column, FORMER[name][column], columns[column])
        for name, columns in upgrade.now.items()
        for column in changed_types(name, upgrade.now)
    }
    assert len(changed) > 10
    assert {(column.endswith("_key"), *kinds) for _, column, *kinds in changed} == {(True, "text", "bigint")}
    dated = {name for name, *_ in changed if "reading_date" in upgrade.now[name]}
    assert dated == {FACT}, "the other tables are made again from their sources"


def test_raw_tables_get_their_new_columns_and_report_them(upgrade: Upgrade) -> None:
    expected = {
        name: upgrade.new_columns(f"raw.{name}") if f"raw.{name}" in FORMER else set() for name in LOADED
    }
    assert any(expected.values())
    assert {name: set(columns) for name, columns in upgrade.named.items()} == expected


def test_tables_without_dates_are_as_if_built_by_this_release(upgrade: Upgrade) -> None:
    undated = [name for name in upgrade.before if "reading_date" not in upgrade.now[name]]
    assert any(upgrade.new_columns(name) for name in undated if name in FORMER)
    for name in undated:
        kept = [
            {column: value for column, value in row.items() if column in upgrade.now[name]}
            for row in upgrade.after[name]
        ]
        assert_same(kept, upgrade.before[name], name)


def test_dates_that_the_run_did_not_build_keep_their_figures(upgrade: Upgrade) -> None:
    dated = [name for name in upgrade.before if "reading_date" in upgrade.now[name] and name in FORMER]
    assert any(upgrade.new_columns(name) for name in dated)
    for name in dated:
        former = FORMER[name].keys() & upgrade.now[name].keys() | COMPUTED.get(name, set())
        built = [row for row in upgrade.after[name] if row["reading_date"] == RUN[0]]
        kept = [row for row in upgrade.after[name] if row["reading_date"] != RUN[0]]
        assert_same(
            [{column: row[column] for column in upgrade.now[name]} for row in built],
            [row for row in upgrade.before[name] if row["reading_date"] == RUN[0]],
            name,
        )
        others = [row for row in upgrade.before[name] if row["reading_date"] != RUN[0]]
        assert_same(
            [{column: row[column] for column in former} for row in kept],
            [{column: row[column] for column in former} for row in others],
            name,
        )
        assert all(row[column] is None for row in kept for column in upgrade.new_columns(name) - former)


def test_readers_of_energy_find_all_dates(upgrade: Upgrade) -> None:
    """The view read a fact in 0.2.0, and reads a mart now. In a fact of then no meter was held back."""
    new = upgrade.new_columns("core.fact_energy_daily")
    before, after = (
        [
            {name: value for name, value in row.items() if row["reading_date"] == RUN[0] or name not in new}
            for row in rows
        ]
        for rows in upgrade.energy
    )
    assert len({row["reading_date"] for row in before}) > 1
    assert after == before
    assert not any(row["is_held"] for row in upgrade.energy[1] if row["reading_date"] != RUN[0])


def test_a_converted_table_with_a_column_of_somebody_else_is_refused(upgrade: Upgrade) -> None:
    with psycopg.connect(upgrade.dsn) as connection:
        connection.execute(f"alter table {FACT} add column tenancy_id text, add column extra text")
    ran = run_dbt(upgrade.dsn, upgrade.target, ("run", "--select", "fact_energy_usage"), *RUN)
    with psycopg.connect(upgrade.dsn) as connection:
        connection.execute(f"alter table {FACT} drop column tenancy_id, drop column extra")
    assert f"{FACT} was not changed. extra is in the table" in ran.failures["fact_energy_usage"]
    assert "tenancy_id" not in ran.failures["fact_energy_usage"]


def test_a_column_of_another_type_is_refused_before_anything_is_written(upgrade: Upgrade) -> None:
    name = "marts.mart_solar_performance"
    with psycopg.connect(upgrade.dsn) as connection:
        connection.execute("drop schema bi cascade")
        connection.execute(
            f"alter table {name} alter column generation_kwh type double precision, add column extra text"
        )
    before = fetch(upgrade.dsn, sql.SQL("select * from {}").format(table(name)))
    ran = run_dbt(upgrade.dsn, upgrade.target, ("run", "--select", "mart_solar_performance"), *RUN)
    assert not ran.success
    refusal = ran.failures["mart_solar_performance"]
    assert f"{name} was not changed" in refusal
    assert "generation_kwh is numeric(20,9) in the model and of another type in the table" in refusal
    assert f"alter table {name} drop column extra" in refusal
    assert_same(fetch(upgrade.dsn, sql.SQL("select * from {}").format(table(name))), before, name)
