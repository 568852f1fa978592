"""A tenant sees only its own rows: every table, partition and view of the catalogue, every role, both ways.

`MAY` in `rights` states once what a role may do. A table of the catalogue that is missing there fails a test.
"""

from typing import Any, Literal

import psycopg
import pytest
from psycopg import errors, sql

from myproperty.database.roles import ROLES
from tests.oltp.rights import DEFINER_FUNCTIONS, MAY, PARTITIONS, TABLES, WITHOUT_TENANT, May

pytestmark = pytest.mark.engine

Tenant = Literal["own", "other", "none"]
UNDER_POLICIES = tuple(role.name for role in ROLES if not role.bypasses_rls)
# Roles that people read with; the other roles own objects or write.
READERS = ("myproperty_app", "myproperty_readonly", "myproperty_auditor")


def test_every_table_and_role_is_in_the_matrix(company_db: psycopg.Connection) -> None:
    names = [row[0] for row in company_db.execute(TABLES) if not row[1]]
    assert sorted(names) == sorted(MAY)
    roles = {role.name.removeprefix("myproperty_") for role in ROLES}
    assert roles == set(May.__dataclass_fields__) - {"is_append_only"}


@pytest.mark.parametrize("tenant", ["own", "other", "none"])
@pytest.mark.parametrize("role", [role.name for role in ROLES])
def test_a_role_may_do_what_the_matrix_says_and_nothing_else(
    company_db: psycopg.Connection, companies: Any, sign_in: Any, role: str, tenant: Tenant
) -> None:
    """The tenant of the session is set to `tenant`; the rows tried are those of Acacia."""
    acacia, banksia = companies
    tables = company_db.execute(TABLES).fetchall()
    assert sum(is_partition for _, is_partition in tables) == 2
    sign_in(company_db, role, acacia if tenant == "own" else banksia)
    if tenant == "none":
        company_db.execute("select set_config('app.tenant_id', '', true)")
    rows = acacia.second_rows()
    wrong = []
    for table, is_partition in tables:
        row_of = table.removesuffix("_20260101")
        may = MAY[table] if not is_partition else PARTITIONS[row_of]
        row = rows[row_of]
        for action in "siud":
            seen = attempt(company_db, action, table, row)
            wanted = expected(table, may, role, action, tenant)
            if seen != wanted:
                wrong.append(f"{table} {action}: {seen}, not {wanted}")
    assert wrong == []


def expected(table: str, may: May, role: str, action: str, tenant: Tenant) -> str:
    """Return the expected outcome of an attempt on the row of Acacia."""
    if action not in may.actions(role):
        return "forbidden"
    if may.is_append_only and action in "ud":
        return "kept"
    missed = "refused" if action == "i" else "nothing"
    if table in WITHOUT_TENANT:
        return "done" if role not in UNDER_POLICIES and action == "i" else missed
    if role not in UNDER_POLICIES:
        return "done"
    if table == "myproperty.tenants" and action == "i":
        return "refused"  # a new tenant is never the one of the session
    return "done" if tenant == "own" else missed


def attempt(db: psycopg.Connection, action: str, table: str, row: dict[str, Any]) -> str:
    """Try one action on the rows of the tenant of `row`, and undo it.

    done: it touched a row. nothing: it touched none. refused: the policy said no. forbidden: no privilege.
    kept: the table is append-only, or the trail would not see it.
    """
    try:
        with db.transaction(force_rollback=True):
            return "done" if _act(db, action, table, row) else "nothing"
    except errors.InsufficientPrivilege as error:
        return "refused" if "row-level security" in str(error) else "forbidden"
    except (errors.RestrictViolation, errors.ForeignKeyViolation):
        if action != "d":
            raise
        return "done"  # it came to the row, which others refer to
    except psycopg.Error as error:
        if (action, error.sqlstate) == ("d", "MP011"):
            return "done"  # likewise: the ledger refers to it
        if error.sqlstate not in ("MP002", "MP014"):
            raise
        return "kept"


def _act(db: psycopg.Connection, action: str, table: str, row: dict[str, Any]) -> int:
    """Number of rows that the action touched."""
    target = sql.Identifier(*table.split("."))
    if action == "i":
        statement = sql.SQL("insert into {} ({}) values ({})").format(
            target,
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        )
        return db.execute(statement, list(row.values())).rowcount
    verb = {"s": "select 1 from {}", "u": "update {} set version = version", "d": "delete from {}"}[action]
    where: sql.Composable
    if table == "myproperty.tenants":
        where = sql.SQL("name = {}").format(sql.Literal(row["name"].removesuffix(" again")))
    elif "tenant_id" in row:
        where = sql.SQL("tenant_id = {}").format(sql.Literal(row["tenant_id"]))
    else:
        where = sql.SQL("false")
    return db.execute(sql.SQL(verb).format(target) + sql.SQL(" where ") + where).rowcount


@pytest.mark.parametrize("role", READERS)
def test_a_select_returns_all_rows_of_the_own_tenant_and_no_others(
    company_db: psycopg.Connection, companies: Any, sign_in: Any, role: str
) -> None:
    tables = [table for table, may in MAY.items() if "s" in may.actions(role) and table not in WITHOUT_TENANT]
    views = [row[0] for row in company_db.execute("select name from own_relations where relkind = 'v'")]
    assert len(views) >= 3
    mine = sql.SQL("select count(*) from {} where tenant_id = {}")
    every = sql.SQL("select array_agg(distinct tenant_id), count(*) from {}")
    tenant = companies[1].tenant
    for name in [*tables, *views]:
        relation = sql.Identifier(*name.split("."))
        number = company_db.execute(mine.format(relation, sql.Literal(tenant))).fetchone()
        assert number is not None
        with company_db.transaction(force_rollback=True):
            sign_in(company_db, role, companies[1])
            seen = company_db.execute(every.format(relation)).fetchone()
        assert number[0] > 0
        assert seen == ([tenant], number[0]), name


def test_the_search_finds_only_tickets_of_the_own_tenant(
    company_db: psycopg.Connection, companies: Any, sign_in: Any
) -> None:
    for company in companies:
        sign_in(company_db, "myproperty_readonly", company)
        found = company_db.execute("select ticket_id from myproperty.search_service_tickets('water')")
        assert found.fetchall() == [(company.ticket,)]
    company_db.execute("select set_config('app.tenant_id', '', true)")
    assert company_db.execute("select * from myproperty.search_service_tickets('water')").fetchall() == []


def test_the_loader_and_etl_see_every_tenant(
    company_db: psycopg.Connection, companies: Any, sign_in: Any
) -> None:
    for role in ("myproperty_loader", "myproperty_etl"):
        sign_in(company_db, role, companies[0])
        query = "select count(distinct tenant_id) from myproperty.meter_readings"
        assert company_db.execute(query).fetchone() == (2,), role


def test_a_row_cannot_be_moved_to_another_tenant(
    company_db: psycopg.Connection, companies: Any, sign_in: Any
) -> None:
    acacia, banksia = companies
    sign_in(company_db, "myproperty_app", acacia)
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        company_db.execute("update myproperty.properties set tenant_id = %s", (banksia.tenant,))


@pytest.mark.parametrize("schema", ["myproperty", "warehouse_staging"])
def test_a_grant_on_a_partition_by_mistake_still_shows_no_other_tenant(
    company_db: psycopg.Connection, companies: Any, sign_in: Any, schema: str
) -> None:
    partition = sql.Identifier(schema, "meter_readings_20260101")
    company_db.execute(sql.SQL("grant select on {} to myproperty_readonly").format(partition))
    query = sql.SQL("select array_agg(tenant_id) from {}").format(partition)
    for company in companies:
        sign_in(company_db, "myproperty_readonly", company)
        assert company_db.execute(query).fetchone() == ([company.tenant],)
    company_db.execute("select set_config('app.tenant_id', '', true)")
    assert company_db.execute(query).fetchone() == (None,)


@pytest.mark.parametrize("role", DEFINER_FUNCTIONS)
def test_a_role_executes_no_other_function_with_the_rights_of_its_owner(
    company_db: psycopg.Connection, role: str
) -> None:
    query = "select name from own_definer_functions where has_function_privilege(%s, oid, 'execute')"
    assert {row[0] for row in company_db.execute(query, (role,))} == DEFINER_FUNCTIONS[role]
