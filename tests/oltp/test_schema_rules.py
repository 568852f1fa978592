"""Rules that every table, view and function of the catalogue keeps; each is broken once below.

`RULES` finds what breaks a rule. `NOT_IN_THE_TRAIL` lists the changes that the audit trail does not log.
"""

from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from tests.oltp.rights import READINGS

pytestmark = pytest.mark.engine

# Each fault, and a query for the objects that have it.
RULES: dict[str, LiteralString] = {
    "row-level security is not enabled and forced": """
        select name from own_tables where not (relrowsecurity and relforcerowsecurity)
    """,
    "no policy": """
        select t.name from own_tables t where not exists (select from pg_policy p where p.polrelid = t.oid)
    """,
    "a grant on a partition": """
        select t.name from own_tables t
        where t.relispartition and exists (select from aclexplode(t.relacl) a where a.grantee <> t.relowner)
    """,
    "a view with the rights of its owner": """
        select name from own_relations
        where relkind = 'v' and not coalesce('security_invoker=true' = any (reloptions), false)
    """,
    "a column that every table has is not there": """
        select t.name from own_tables t
        where t.schema in ('myproperty', 'audit', 'originfd') and 4 <> (
            select count(*) from pg_attribute a
            where a.attrelid = t.oid and a.attnotnull and (a.attname::text, a.atttypid::regtype::text) in (
                ('tenant_id', 'uuid'), ('version', 'integer'),
                ('created_at', 'timestamp with time zone'), ('updated_at', 'timestamp with time zone')
            )
        )
    """,
    "updates do not move the version": """
        select t.name from own_tables t
        where t.schema = 'myproperty' and exists (
            select from aclexplode(t.relacl) a where a.grantee <> t.relowner and a.privilege_type = 'UPDATE'
            union all
            select from pg_attribute c, aclexplode(c.attacl) a
            where c.attrelid = t.oid and a.grantee <> t.relowner and a.privilege_type = 'UPDATE'
        ) and not exists (
            select from pg_trigger g
            where g.tgrelid = t.oid and g.tgfoid = 'myproperty.move_version'::regproc
              and g.tgenabled in ('O', 'A')
        )
    """,
    "a foreign key that does not restrict": """
        select name from own_foreign_keys where confdeltype <> 'r' or confupdtype <> 'a'
    """,
    "a foreign key without the tenant": """
        select f.name from own_foreign_keys f
        where not exists (
            select
            from unnest(f.conkey, f.confkey) as k (here, there)
            join pg_attribute h on h.attrelid = f.conrelid and h.attnum = k.here
            join pg_attribute t on t.attrelid = f.confrelid and t.attnum = k.there
            where h.attname = 'tenant_id'
              and (t.attname = 'tenant_id' or f.confrelid = 'myproperty.tenants'::regclass)
        )
    """,
    "no foreign key that always checks the tenant": """
        select t.name from own_tables t
        where t.schema = 'myproperty' and t.name <> 'myproperty.tenants' and not exists (
            select from own_foreign_keys f
            where f.conrelid = t.oid
              and (select bool_and(a.attnotnull) and bool_or(a.attname = 'tenant_id')
                   from pg_attribute a where a.attrelid = t.oid and a.attnum = any (f.conkey))
        )
    """,
    "a definer function that looks names up where its caller says": """
        select name from own_definer_functions
        where coalesce('search_path=pg_catalog, pg_temp' <> all (proconfig), true)
    """,
    "a function for everybody": """
        select name from own_functions
        where has_function_privilege('public', oid, 'execute')
          and oid <> 'myproperty.is_timezone(text)'::regprocedure -- checks of rows call it as who writes
    """,
    # Row-level security stops neither a truncate nor the action of a trigger.
    "a grant that no policy limits": """
        select t.name from own_tables t, aclexplode(t.relacl) as a
        where a.grantee <> t.relowner and a.privilege_type in ('TRUNCATE', 'TRIGGER', 'MAINTAIN')
          and (t.schema, t.relkind, a.grantee, a.privilege_type)
              is distinct from ('warehouse_staging', 'r', 'myproperty_etl'::regrole, 'TRUNCATE')
          and (a.grantee, a.privilege_type) is distinct from ('myproperty_maintainer'::regrole, 'MAINTAIN')
    """,
}
# The functions that log a change, or refuse it.
TRAIL = [
    "audit.log_action",
    "audit.log_readings",
    "myproperty.refuse_change",
    "myproperty.refuse_unseen_change",
]

# The changes that the trail does not log one by one, and why.
NOT_IN_THE_TRAIL = {
    "myproperty.ingestion_jobs": {"insert"},  # a job is the record of a load itself
    "myproperty.ingestion_job_dates": {"insert"},
    READINGS: {"insert"},  # logged by the job of the load
    f"{READINGS}_20260101": {"insert"},
    "warehouse_staging.invalid_files": {"insert"},  # written with the job
    "warehouse_staging.quarantined_readings": {"insert"},
    "myproperty.reading_totals": {"insert", "delete"},  # sums of readings, and computed again from them
    "myproperty.solar_reference_yields": {"insert"},  # computed, and the same whenever it is computed again
    "myproperty.meter_reading_versions": {"insert"},  # what an update of readings replaced, which is logged
}


def faults(db: psycopg.Connection) -> set[str]:
    """Return the objects of the catalogue that break a rule."""
    return {f"{row[0]}: {rule}" for rule, query in RULES.items() for row in db.execute(query)}


def test_no_table_function_or_view_breaks_a_rule(company_db: psycopg.Connection) -> None:
    assert faults(company_db) == set()


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
        (
            "create view myproperty.planted as select * from myproperty.units",
            "myproperty.planted: a view with the rights of its owner",
        ),
        (
            "create table audit.planted (tenant_id uuid not null, version integer not null)",
            "audit.planted: a column that every table has is not there",
        ),
        (
            "grant update (description) on myproperty.ledger_entries to myproperty_app",
            "myproperty.ledger_entries: updates do not move the version",
        ),
        (
            "create table audit.planted (tenant_id uuid references myproperty.tenants on delete cascade)",
            "audit.planted: a foreign key that does not restrict",
        ),
        (
            "create table myproperty.planted (tenant_id uuid, unit_id uuid references myproperty.units (id))",
            "myproperty.planted: a foreign key without the tenant",
        ),
        (
            "create table myproperty.planted (tenant_id uuid not null, user_id uuid, "
            "foreign key (tenant_id, user_id) references myproperty.users (tenant_id, id))",
            "myproperty.planted: no foreign key that always checks the tenant",
        ),
        (
            "create function myproperty.planted() returns int language sql security definer return 1",
            "myproperty.planted(): a definer function that looks names up where its caller says",
        ),
        (
            "create function audit.planted() returns int language sql security definer return 1",
            "audit.planted(): a function for everybody",
        ),
        (
            "create function myproperty.planted(a text) returns text language sql return a",
            "myproperty.planted(text): a function for everybody",
        ),
        (
            "grant truncate on myproperty.invoices to myproperty_app",
            "myproperty.invoices: a grant that no policy limits",
        ),
    ],
)
def test_a_planted_hole_is_found(
    company_db: psycopg.Connection, statement: LiteralString, fault: str
) -> None:
    company_db.execute(statement)
    assert fault in faults(company_db)


def unseen(db: psycopg.Connection) -> dict[str, set[str]]:
    """Table or partition to the changes of it that are neither logged nor refused."""
    query = """
        select t.name, coalesce(bit_or(g.tgtype), 0::int2)
        from own_tables t
        left join pg_trigger g
            on g.tgrelid = t.oid and g.tgenabled in ('O', 'A') and g.tgfoid = any (%s::text[]::regproc[])
        where t.schema = 'myproperty' or exists (
            select from pg_trigger l where l.tgrelid = t.oid and l.tgfoid = 'audit.log_action'::regproc
        )
        group by t.name
    """
    bits = {"insert": 4, "delete": 8, "update": 16, "truncate": 32}
    missed = {
        table: {event for event, bit in bits.items() if not type_ & bit}
        for table, type_ in db.execute(query, (TRAIL,))
    }
    return {table: events for table, events in missed.items() if events}


def test_every_change_is_logged_or_refused(company_db: psycopg.Connection) -> None:
    assert unseen(company_db) == NOT_IN_THE_TRAIL


@pytest.mark.parametrize(
    ("statement", "table", "events"),
    [
        (
            "create table myproperty.planted (tenant_id uuid)",
            "myproperty.planted",
            {"insert", "update", "delete", "truncate"},
        ),
        ("drop trigger refuse_truncate on myproperty.units", "myproperty.units", {"truncate"}),
        ("alter table myproperty.units disable trigger refuse_truncate", "myproperty.units", {"truncate"}),
        ("drop trigger refuse_truncate on myproperty.meter_readings", READINGS, {"insert", "truncate"}),
        (
            "create table myproperty.planted partition of myproperty.meter_readings default",
            "myproperty.planted",
            {"insert", "update", "delete", "truncate"},
        ),
    ],
)
def test_a_planted_table_that_the_trail_does_not_see_is_found(
    company_db: psycopg.Connection, statement: LiteralString, table: str, events: set[str]
) -> None:
    company_db.execute(statement)
    assert unseen(company_db) == {**NOT_IN_THE_TRAIL, table: events}


@pytest.mark.parametrize("role", ["myproperty_owner", "postgres"])
def test_no_table_of_the_trail_is_truncated(
    session: Any, company_db: psycopg.Connection, companies: Any, role: str
) -> None:
    query = (
        "select distinct tgrelid::regclass::text from pg_trigger where tgfoid = any (%s::text[]::regproc[])"
    )
    tables = [row[0] for row in company_db.execute(query, (TRAIL,))]
    assert {"myproperty.invoices", READINGS, f"{READINGS}_20260101"} < set(tables)
    session.sign_in(role, companies[0])
    for table in tables:
        if table.startswith("audit.") and role == "myproperty_owner":
            continue  # no privilege at all: the matrix
        statement = sql.SQL("truncate {} cascade").format(sql.Identifier(*table.split(".")))
        # The trail refers to users, and nobody but its guardian has any right on it.
        match = f"{table} |permission denied for table logged_actions"
        with pytest.raises(psycopg.Error, match=match) as caught, company_db.transaction():
            company_db.execute(statement)
        if caught.value.sqlstate == "42501":
            continue
        assert caught.value.sqlstate in ("MP002", "MP014"), table
        assert caught.value.diag.message_hint, table
