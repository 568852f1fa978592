"""A tenant sees only its own rows: every table and partition of the catalogue, every role, both ways.

What a role may do is written down once, in `MAY`. A table of the catalogue that is not there fails, so that
someone says who may do what with it.
"""

from collections.abc import Iterator
from typing import Any, Literal

import psycopg
import pytest
from psycopg import errors, sql

pytestmark = pytest.mark.engine

Tenant = Literal["own", "other", "none"]
UNDER_POLICIES = ("myproperty_app", "myproperty_readonly", "myproperty_auditor")
ABOVE_POLICIES = ("myproperty_loader", "myproperty_etl")
WITHOUT_TENANT = ("warehouse_staging.gate_results", "warehouse_staging.published_dates")

# Per table and role: s(elect), i(nsert), u(pdate), d(elete). Order of roles as in the tuples above.
MAY: dict[str, tuple[str, str, str, str, str]] = {
    "myproperty.tenants": ("su", "s", "s", "s", "s"),
    "myproperty.properties": ("siu", "s", "", "s", "s"),
    "myproperty.units": ("siu", "s", "", "s", "s"),
    "myproperty.meters": ("siu", "s", "", "si", "s"),
    "myproperty.meter_registers": ("siud", "s", "", "si", "s"),
    "myproperty.meter_assignments": ("siud", "s", "", "s", "s"),
    "myproperty.ingestion_jobs": ("s", "s", "s", "siu", "s"),
    "myproperty.ingestion_job_dates": ("s", "s", "s", "siu", "s"),
    "myproperty.meter_readings": ("s", "s", "", "siu", "s"),
    "myproperty.meter_reading_versions": ("s", "s", "s", "si", "s"),
    "warehouse_staging.invalid_files": ("s", "s", "s", "si", "s"),
    "warehouse_staging.quarantined_readings": ("su", "s", "s", "siu", "s"),
    "warehouse_staging.tenants": ("", "", "", "", "siud"),
    "warehouse_staging.properties": ("", "", "", "", "siud"),
    "warehouse_staging.units": ("", "", "", "", "siud"),
    "warehouse_staging.meters": ("", "", "", "", "siud"),
    "warehouse_staging.meter_registers": ("", "", "", "", "siud"),
    "warehouse_staging.meter_assignments": ("", "", "", "", "siud"),
    "warehouse_staging.meter_readings": ("", "", "", "", "siud"),
    "warehouse_staging.published_dates": ("", "", "", "", "siud"),
    "warehouse_staging.gate_results": ("", "", "", "", "si"),
}

TABLES = """
    select c.oid::regclass::text as name, c.relispartition,
           c.relrowsecurity and c.relforcerowsecurity as is_forced,
           exists (select from pg_policy p where p.polrelid = c.oid) as has_policy,
           exists (select from aclexplode(c.relacl) a where a.grantee <> c.relowner) as is_granted
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'f', 'm') and n.nspname not in ('pg_catalog', 'information_schema')
      and n.nspname not like 'pg\\_%' and c.oid is distinct from to_regclass('public.alembic_version')
    order by 1
"""


def faults(db: psycopg.Connection) -> list[str]:
    """What the catalogue shows to be unprotected."""
    found = []
    for name, is_partition, is_forced, has_policy, is_granted in db.execute(TABLES):
        if not is_forced:
            found.append(f"{name}: row-level security is not enabled and forced")
        if not has_policy:
            found.append(f"{name}: no policy")
        if is_partition and is_granted:
            found.append(f"{name}: a grant on a partition")
    return found


@pytest.fixture
def company_db(db: psycopg.Connection, companies: Any) -> psycopg.Connection:
    """The rolled-back connection to a database with rows of two companies."""
    return db


def test_every_table_and_partition_is_protected(company_db: psycopg.Connection) -> None:
    names = [row[0] for row in company_db.execute(TABLES) if not row[1]]
    assert sorted(names) == sorted(MAY)
    assert faults(company_db) == []


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("create table myproperty.planted (tenant_id uuid)", "myproperty.planted: no policy"),
        ("create table public.planted (a int)", "planted: row-level security is not enabled and forced"),
        (
            "alter table myproperty.meter_readings_20260101 no force row level security",
            "myproperty.meter_readings_20260101: row-level security is not enabled and forced",
        ),
        (
            "grant select on myproperty.meter_readings_20260101 to myproperty_app",
            "myproperty.meter_readings_20260101: a grant on a partition",
        ),
        (
            "create table myproperty.planted partition of myproperty.meter_readings default",
            "myproperty.planted: no policy",
        ),
    ],
)
def test_a_planted_hole_is_found(company_db: psycopg.Connection, statement: str, fault: str) -> None:
    company_db.execute(statement)
    assert fault in faults(company_db)


@pytest.mark.parametrize("tenant", ["own", "other", "none"])
@pytest.mark.parametrize("role", UNDER_POLICIES)
def test_under_policies(company_db: psycopg.Connection, companies: Any, role: str, tenant: Tenant) -> None:
    """The tenant of the session is set to `tenant`; the rows tried are those of Acacia."""
    acacia, banksia = companies
    setting = {"own": str(acacia.tenant), "other": str(banksia.tenant), "none": ""}[tenant]
    wrong = []
    for table, may in MAY.items():
        allowed = may[UNDER_POLICIES.index(role)]
        for action in "siud":
            seen = attempt(company_db, role, setting, action, table, company=acacia)
            wanted = expected(allowed, action, tenant)
            if seen != wanted:
                wrong.append(f"{table} {action}: {seen}, not {wanted}")
    assert wrong == []


@pytest.mark.parametrize("role", ABOVE_POLICIES)
def test_above_policies_grants_are_the_limit(
    company_db: psycopg.Connection, companies: Any, role: str
) -> None:
    wrong = []
    for table, may in MAY.items():
        allowed = may[len(UNDER_POLICIES) + ABOVE_POLICIES.index(role)]
        for action in "siud":
            seen = attempt(company_db, role, "", action, table, company=companies[0])
            wanted = "done" if action in allowed else "forbidden"
            if table in WITHOUT_TENANT and wanted == "done" and action != "i":
                wanted = "nothing"
            if seen != wanted:
                wrong.append(f"{table} {action}: {seen}, not {wanted}")
    assert wrong == []


def expected(allowed: str, action: str, tenant: Tenant) -> str:
    """What an attempt on Acacia's row should come to under the policies."""
    if action not in allowed:
        return "forbidden"
    if tenant == "own":
        return "done"
    return "refused" if action == "i" else "nothing"


def attempt(db: psycopg.Connection, role: str, tenant: str, action: str, table: str, *, company: Any) -> str:
    """Try one action on the rows of `company` and undo it.

    done: it touched a row. nothing: it touched none. refused: the policy said no. forbidden: no privilege.
    """
    with db.transaction(force_rollback=True):
        db.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        db.execute("select set_config('app.tenant_id', %s, true)", (tenant,))
        try:
            with db.transaction():
                return "done" if _act(db, action, table, company) else "nothing"
        except errors.InsufficientPrivilege as error:
            return "refused" if "row-level security" in str(error) else "forbidden"


def _act(
    db: psycopg.Connection, action: str, table: str, company: Any, row: dict[str, Any] | None = None
) -> int:
    """Number of rows that the action touched."""
    target = sql.Identifier(*table.split("."))
    if action == "i":
        row = row or _new_row(table, company)
        statement = sql.SQL("insert into {} ({}) values ({})").format(
            target,
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        )
        return db.execute(statement, list(row.values())).rowcount
    where = (
        sql.SQL("false")
        if table in WITHOUT_TENANT
        else sql.SQL("tenant_id = {}").format(sql.Literal(company.tenant))
    )
    verb = {"s": "select 1 from {}", "u": "update {} set version = version", "d": "delete from {}"}[action]
    return db.execute(sql.SQL(verb).format(target) + sql.SQL(" where ") + where).rowcount


def _new_row(table: str, company: Any) -> dict[str, Any]:
    system: dict[str, dict[str, Any]] = {
        "warehouse_staging.published_dates": {"reading_date": "2026-01-01", "run_id": "r"},
        "warehouse_staging.gate_results": {
            "gate": "A", "table_name": "t", "run_id": "r", "passed": True, "expectations": 1,
        },
    }  # fmt: skip
    return system[table] if table in system else company.second_rows()[table]


def test_a_select_returns_all_of_ones_own_and_nothing_else(
    company_db: psycopg.Connection, companies: Any
) -> None:
    company_db.execute("set local role myproperty_readonly")
    company_db.execute("select set_config('app.tenant_id', %s, true)", (str(companies[1].tenant),))
    for table, may in MAY.items():
        if "s" in may[1]:
            query = sql.SQL("select array_agg(distinct tenant_id), count(*) from {}")
            row = company_db.execute(query.format(sql.Identifier(*table.split(".")))).fetchone()
            assert row == ([companies[1].tenant], 1), table


def test_the_loader_and_etl_see_every_tenant(company_db: psycopg.Connection, companies: Any) -> None:
    for role in ABOVE_POLICIES:
        company_db.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        query = "select count(distinct tenant_id) from myproperty.meter_readings"
        assert company_db.execute(query).fetchone() == (2,), role


def test_a_row_cannot_be_moved_to_another_tenant(company_db: psycopg.Connection, companies: Any) -> None:
    acacia, banksia = companies
    company_db.execute("set local role myproperty_app")
    company_db.execute("select set_config('app.tenant_id', %s, true)", (str(acacia.tenant),))
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        company_db.execute("update myproperty.properties set tenant_id = %s", (banksia.tenant,))


def test_another_tenants_meter_cannot_be_used(
    company_db: psycopg.Connection, companies: Any, insert: Any
) -> None:
    acacia, banksia = companies
    row = {**acacia.second_rows()["myproperty.meter_registers"], "meter_id": banksia.meter}
    company_db.execute("set local role myproperty_app")
    company_db.execute("select set_config('app.tenant_id', %s, true)", (str(acacia.tenant),))
    with pytest.raises(errors.ForeignKeyViolation):
        insert(company_db, "myproperty.meter_registers", row)


@pytest.fixture(params=["myproperty", "warehouse_staging"])
def partition(request: pytest.FixtureRequest) -> Iterator[sql.Identifier]:
    """A partition with rows of both companies."""
    yield sql.Identifier(request.param, "meter_readings_20260101")


@pytest.mark.parametrize("role", [*UNDER_POLICIES, *ABOVE_POLICIES])
def test_nobody_touches_a_partition_by_its_name(
    company_db: psycopg.Connection, companies: Any, role: str
) -> None:
    partitions = [row[0] for row in company_db.execute(TABLES) if row[1]]
    assert len(partitions) == 2
    for table in partitions:
        row_as_in = table.removesuffix("_20260101")
        company_db.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        for action in "siud":
            refused = pytest.raises(errors.InsufficientPrivilege, match="permission denied")
            with refused, company_db.transaction():
                _act(company_db, action, table, companies[0], _new_row(row_as_in, companies[0]))


def test_a_grant_on_a_partition_by_mistake_still_shows_no_other_tenant(
    company_db: psycopg.Connection, companies: Any, partition: sql.Identifier
) -> None:
    company_db.execute(sql.SQL("grant select on {} to myproperty_readonly").format(partition))
    if "warehouse_staging" in partition.as_string(company_db):
        company_db.execute("grant usage on schema warehouse_staging to myproperty_readonly")
    company_db.execute("set local role myproperty_readonly")
    query = sql.SQL("select array_agg(tenant_id) from {}").format(partition)
    assert company_db.execute(query).fetchone() == (None,)
    company_db.execute("select set_config('app.tenant_id', %s, true)", (str(companies[0].tenant),))
    assert company_db.execute(query).fetchone() == ([companies[0].tenant],)


def test_the_owner_is_under_the_policies_too(company_db: psycopg.Connection, companies: Any) -> None:
    company_db.execute("set local role myproperty_owner")
    for table in ("myproperty.tenants", "myproperty.meter_readings", "warehouse_staging.published_dates"):
        query = sql.SQL("select count(*) from {}").format(sql.Identifier(*table.split(".")))
        assert company_db.execute(query).fetchone() == (0,), table


@pytest.mark.parametrize("role", [*UNDER_POLICIES, "myproperty_etl", "public"])
def test_only_the_loader_makes_partitions_of_readings(company_db: psycopg.Connection, role: str) -> None:
    query = """
        select p.oid::regprocedure::text from pg_proc p, aclexplode(p.proacl) a
        where p.prosecdef and p.pronamespace = 'myproperty'::regnamespace
          and a.grantee = (case when %(role)s = 'public' then 0 else to_regrole(%(role)s)::oid end)
    """
    assert company_db.execute(query, {"role": role}).fetchall() == []


def test_every_security_definer_function_sets_its_search_path(company_db: psycopg.Connection) -> None:
    query = """
        select oid::regprocedure::text, proconfig from pg_proc
        where prosecdef and pronamespace in ('myproperty'::regnamespace, 'warehouse_staging'::regnamespace)
    """
    settings = [tuple(row[1] or ()) for row in company_db.execute(query)]
    assert len(settings) >= 5
    assert set(settings) == {("search_path=pg_catalog, pg_temp",)}
