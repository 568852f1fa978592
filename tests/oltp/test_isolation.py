"""A tenant sees only its own rows: every table, partition and view of the catalogue, every role, both ways.

What a role may do is written down once, in `MAY`. A table of the catalogue that is not there fails, so that
someone says who may do what with it. What holds for all tables is in `RULES`, each broken once below.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, LiteralString

import psycopg
import pytest
from psycopg import errors, sql

from data.landing.entities import ENTITIES
from myproperty.database.roles import ROLES

pytestmark = pytest.mark.engine

Tenant = Literal["own", "other", "none"]
UNDER_POLICIES = tuple(role.name for role in ROLES if not role.bypasses_rls)
# They are granted what they need and log in for people; the others own something.
READERS = ("myproperty_app", "myproperty_readonly", "myproperty_auditor")


@dataclass(frozen=True)
class May:
    """Per role: s(elect), i(nsert), u(pdate), d(elete). The owner may do everything with what it owns."""

    app: str = ""
    readonly: str = "s"
    auditor: str = ""
    loader: str = ""
    etl: str = "s"
    owner: str = "siud"
    originfd: str = ""
    guardian: str = ""
    partitioner: str = ""
    is_append_only: bool = False

    def actions(self, role: str) -> str:
        """What the role of this full name may do."""
        allowed: str = getattr(self, role.removeprefix("myproperty_"))
        return allowed


# What the application deletes has no status, and nothing that was billed or said refers to it.
MAY = {
    "myproperty.tenants": May(app="su", auditor="s", loader="s"),
    "myproperty.properties": May(app="siu", loader="s", guardian="su"),
    "myproperty.units": May(app="siu", loader="s"),
    "myproperty.meters": May(app="siu", loader="si", partitioner="su"),
    "myproperty.meter_registers": May(app="siud", loader="si"),
    "myproperty.meter_assignments": May(app="siud", loader="s"),
    "myproperty.solar_assets": May(app="siu"),
    "myproperty.solar_reference_yields": May(app="s", auditor="s", etl="siud"),
    "myproperty.solar_appraisals": May(app="siud", auditor="s"),
    "myproperty.ingestion_jobs": May(app="s", auditor="s", loader="siu", partitioner="su"),
    "myproperty.ingestion_job_dates": May(app="s", auditor="s", loader="siu", partitioner="s"),
    "myproperty.meter_readings": May(app="s", loader="siu", guardian="s", partitioner="siud"),
    "myproperty.meter_reading_versions": May(
        app="s", auditor="s", loader="si", partitioner="si", is_append_only=True
    ),
    "myproperty.vee_thresholds": May(app="siud", auditor="s", loader="s"),
    "myproperty.register_reads": May(app="siud", auditor="s", loader="siu"),
    "myproperty.reading_issues": May(app="su", auditor="s", loader="siu"),
    "myproperty.validated_dates": May(app="s", auditor="s", loader="siu"),
    "myproperty.users": May(app="siu"),
    "myproperty.data_keys": May(app="siu", auditor="s"),
    "myproperty.notification_preferences": May(app="siud"),
    "myproperty.tenancies": May(app="siud"),
    "myproperty.providers": May(app="siu"),
    "myproperty.rate_plans": May(app="siu"),
    "myproperty.rate_plan_bands": May(app="siud", auditor="s", guardian="s"),
    "myproperty.rate_plan_assignments": May(app="siud"),
    "myproperty.emission_factor_regions": May(app="siud"),
    "myproperty.allocation_methods": May(app="siud"),
    "myproperty.allocation_keys": May(app="siud", guardian="s"),
    "myproperty.allocation_periods": May(app="siu", auditor="s", loader="s", guardian="s"),
    "myproperty.allocation_ledger": May(app="siu", auditor="s", guardian="s"),
    "myproperty.allocation_adjustments": May(app="s", auditor="s", guardian="i", is_append_only=True),
    "myproperty.adjustment_tasks": May(app="su", auditor="s", loader="siu"),
    "myproperty.adjustment_task_readings": May(app="s", auditor="s", loader="si", is_append_only=True),
    "myproperty.invoices": May(app="siu", auditor="s", guardian="su"),
    "myproperty.invoice_lines": May(app="siud", auditor="s", guardian="s"),
    "myproperty.payments": May(app="siu", auditor="s", guardian="s"),
    "myproperty.ledger_accounts": May(app="siu", auditor="s", guardian="s"),
    "myproperty.ledger_entries": May(app="si", auditor="s", guardian="s", is_append_only=True),
    "myproperty.project_links": May(app="siu"),
    "myproperty.compliance_rule_states": May(app="siu"),
    "myproperty.service_tickets": May(app="siu", guardian="s"),
    "myproperty.ticket_quotes": May(app="siu"),
    "myproperty.ticket_schedules": May(app="siu"),
    "myproperty.ticket_activities": May(app="si", is_append_only=True),
    "myproperty.agent_messages": May(app="si", is_append_only=True),
    "myproperty.agent_audit": May(app="si", auditor="s", is_append_only=True),
    "originfd.projects": May(app="s", owner="", originfd="siud"),
    "audit.logged_actions": May(
        readonly="", auditor="s", etl="", owner="", guardian="siud", is_append_only=True
    ),
    "audit.invoices_history": May(app="s", auditor="s", owner="", guardian="siud"),
    "audit.ledger_entries_history": May(app="s", auditor="s", owner="", guardian="siud"),
    "warehouse_staging.invalid_files": May(app="s", auditor="s", loader="si"),
    "warehouse_staging.quarantined_readings": May(app="su", auditor="s", loader="siu"),
    **{
        f"warehouse_staging.{name}": May(readonly="", etl="siud")
        for name, entity in ENTITIES.items()
        if not entity.is_dated
    },
    "warehouse_staging.meter_readings": May(readonly="", etl="siud", partitioner="siud"),
    "warehouse_staging.solar_reference_yields": May(readonly="", etl="siud"),
    "warehouse_staging.archived_dates": May(readonly="", loader="s", partitioner="sid"),
    "warehouse_staging.published_dates": May(readonly="", etl="siud", partitioner="s"),
    "warehouse_staging.gate_results": May(readonly="", etl="si"),
}
# Of the system: what the pipeline writes about itself, which only its role sees.
WITHOUT_TENANT = (
    "warehouse_staging.archived_dates",
    "warehouse_staging.gate_results",
    "warehouse_staging.published_dates",
)
# Granted to nobody; the owner has it through the role that owns the partitions. Changes of a partition of
# readings itself are refused: the trail would not see them.
PARTITION = May(readonly="", etl="", partitioner="siud")
PARTITIONS = {
    "myproperty.meter_readings": replace(PARTITION, is_append_only=True),
    "warehouse_staging.meter_readings": PARTITION,
}

# What each role may execute with the rights of another.
DEFINER_FUNCTIONS = {
    "myproperty_app": {"myproperty.search_service_tickets(text,integer)"},
    "myproperty_readonly": {"myproperty.search_service_tickets(text,integer)"},
    "myproperty_auditor": set(),
    "myproperty_loader": {
        "myproperty.begin_readings_partition(date,uuid,uuid)",
        "myproperty.attach_readings_partition(date)",
        "myproperty.ensure_readings_partition(date)",
        "myproperty.ensure_readings_partitions(date,date)",
        "myproperty.begin_readings_archive(date,boolean)",
        "myproperty.drop_readings_partition(date,bigint,text,bigint,boolean)",
        "myproperty.begin_readings_restore(date)",
        "myproperty.attach_restored_readings(date)",
        "myproperty.lock_ledger()",
        "myproperty.begin_readings_merge()",
        "myproperty.merge_readings(uuid,date[])",
        "myproperty.index_readings_partition(date)",
    },
    "myproperty_etl": {"warehouse_staging.ensure_readings_partition(date)"},
    "originfd": set(),
    "public": set(),
}

# The catalogue without what PostgreSQL, Alembic and the extensions have put there.
CATALOGUE: LiteralString = """
    create temporary view own_relations as
    select c.*, c.oid::regclass::text as name, c.relnamespace::regnamespace::text as schema
    from pg_class c
    where c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
      and c.oid is distinct from to_regclass('public.alembic_version')
      and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e');
    create temporary view own_tables as select * from own_relations where relkind in ('r', 'p', 'f', 'm');
    create temporary view own_foreign_keys as
    select f.*, f.conrelid::regclass::text as name
    from pg_constraint f join own_tables t on t.oid = f.conrelid
    where f.contype = 'f';
    create temporary view own_functions as
    select p.*, p.oid::regprocedure::text as name
    from pg_proc p
    where p.pronamespace::regnamespace::text !~ '^(pg_|information_schema)'
      and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e');
    create temporary view own_definer_functions as select * from own_functions where prosecdef
"""
# A fault, and a query for what has it.
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
    # Row-level security does not stop a truncate, nor what a trigger does.
    "a grant that no policy limits": """
        select t.name from own_tables t, aclexplode(t.relacl) as a
        where a.grantee <> t.relowner and a.privilege_type in ('TRUNCATE', 'TRIGGER', 'MAINTAIN')
          and (t.schema, t.relkind, a.grantee, a.privilege_type)
              is distinct from ('warehouse_staging', 'r', 'myproperty_etl'::regrole, 'TRUNCATE')
    """,
}
# By what a change is logged, or refused for want of it.
TRAIL = [
    "audit.log_action",
    "audit.log_readings",
    "myproperty.refuse_change",
    "myproperty.refuse_unseen_change",
]
TABLES: LiteralString = "select name, relispartition from own_tables order by name"

# The changes that the trail does not log one by one, and why.
READINGS = "myproperty.meter_readings"
NOT_IN_THE_TRAIL = {
    "myproperty.ingestion_jobs": {"insert"},  # a job is the record of a load itself
    "myproperty.ingestion_job_dates": {"insert"},
    READINGS: {"insert"},  # logged by the job of the load
    f"{READINGS}_20260101": {"insert"},
    "warehouse_staging.invalid_files": {"insert"},  # written with the job
    "warehouse_staging.quarantined_readings": {"insert"},
    "myproperty.solar_reference_yields": {"insert"},  # computed, and the same whenever it is computed again
    "myproperty.meter_reading_versions": {"insert"},  # what an update of readings replaced, which is logged
}


def faults(db: psycopg.Connection) -> set[str]:
    """What the catalogue shows to break a rule."""
    return {f"{row[0]}: {rule}" for rule, query in RULES.items() for row in db.execute(query)}


@pytest.fixture
def company_db(db: psycopg.Connection, companies: Any) -> psycopg.Connection:
    """The rolled-back connection to a database with rows of two companies, and views of its catalogue."""
    db.execute(CATALOGUE)
    return db


def test_every_table_and_role_is_in_the_matrix(company_db: psycopg.Connection) -> None:
    names = [row[0] for row in company_db.execute(TABLES) if not row[1]]
    assert sorted(names) == sorted(MAY)
    roles = {role.name.removeprefix("myproperty_") for role in ROLES}
    assert roles == set(May.__dataclass_fields__) - {"is_append_only"}


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
            "grant update (body) on myproperty.ticket_activities to myproperty_app",
            "myproperty.ticket_activities: updates do not move the version",
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
        with pytest.raises(psycopg.Error, match=f"{table} ") as caught, company_db.transaction():
            company_db.execute(statement)
        assert caught.value.sqlstate in ("MP002", "MP014"), table
        assert caught.value.diag.message_hint, table


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
    """What an attempt on Acacia's row should come to."""
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
def test_a_select_returns_all_of_ones_own_and_nothing_else(
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


def test_the_search_finds_ones_own_tickets_and_no_others(
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
