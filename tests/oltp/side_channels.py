"""What a tenant can try to learn about another one past the policies: each attempt, and what comes out.

Here: the attempts as data, for the test that makes them and for the page of docs. `{...}` are ids and words
of the other tenant.
"""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["nothing", "refused", "tells"]


@dataclass(frozen=True)
class Attempt:
    """One statement of a role for its own tenant, and what it tells about the other tenant.

    `shows` is a regular expression for the message, or for the rows as text. `told` says what a result tells,
    `answer` what to do about it.
    """

    id: str
    tried: str
    statement: str
    outcome: Outcome
    shows: str
    told: str
    role: str = "myproperty_readonly"
    answer: str = ""


_SETTING = (
    "`app.tenant_id` is set by the application alone: give no person a login that is a member of a role"
)
_COUNT = "the number of rows of all tenants together"
_NO_CURE = "PostgreSQL shows it to every login; give logins to programs only"

ATTEMPTS: tuple[Attempt, ...] = (
    # Keys
    Attempt(
        "unique-key", "Insert a person with the e-mail address of the other tenant's person",
        "insert into myproperty.users (tenant_id, email, role) values ('{mine}', '{email}', 'resident')",
        "nothing", r"^INSERT 0 1$", "keys begin with the tenant: the row is inserted", role="myproperty_app",
    ),
    Attempt(
        "tenant-name", "Rename the own tenant to the other's name",
        "update myproperty.tenants set name = '{tenant_name}' where id = '{mine}'",
        "refused", r"^permission denied for table tenants$",
        "names are unique over all tenants, so a rename would tell who is a tenant; an operator renames",
        role="myproperty_app",
    ),
    Attempt(
        "row-id", "Insert a row with the id of the other tenant's row",
        "insert into myproperty.properties (id, tenant_id, name, timezone) "
        "values ('{property}', '{mine}', 'a', 'UTC')",
        "tells", r'^duplicate key value violates unique constraint "properties_pkey"$',
        "that the id is in use, not by whom", role="myproperty_app",
        answer="ids are random (74 bits): nobody finds one by trying",
    ),
    Attempt(
        "row-id-update", "The same, and update the row that is there",
        "insert into myproperty.properties (id, tenant_id, name, timezone) "
        "values ('{property}', '{mine}', 'a', 'UTC') "
        "on conflict (id) do update set name = 'b' returning name",
        "refused", r"violates row-level security policy", "the policy holds", role="myproperty_app",
    ),
    Attempt(
        "foreign-key", "Refer to the other tenant's row",
        "insert into myproperty.units (tenant_id, property_id, label) values ('{mine}', '{property}', 'a')",
        "nothing", r'violates foreign key constraint "units_tenant_id_property_id_fkey"$',
        "the message is that of an id that nobody has", role="myproperty_app",
    ),
    Attempt(
        "row-lock", "Lock the other tenant's row",
        "select id from myproperty.properties where id = '{property}' for update nowait",
        "nothing", r"^$", "no row is found or locked", role="myproperty_app",
    ),
    # Messages and functions
    Attempt(
        "cast-error", "Make every value an error message",
        "select count(name::integer) from myproperty.properties",
        "nothing", r'^invalid input syntax for type integer: "House"$',
        "the policy comes first: the message quotes an own value",
    ),
    Attempt(
        "cheap-function", "Call a function on every value before the policy",
        "select count(*) from myproperty.properties where pg_temp.show(name)",
        "nothing", r"^1$", "only functions that PostgreSQL calls leakproof come first; nobody may make one",
        role="myproperty_app",
    ),
    Attempt(
        "search", "Search tickets for the other tenant's words",
        "select ticket_id from myproperty.search_service_tickets('{word}')",
        "nothing", r"^$", "the function, which passes the policies, asks for the tenant",
        role="myproperty_app",
    ),
    Attempt(
        "erase-function", "Erase the texts of the other tenant's person",
        "select * from audit.erase_texts('{{{user}}}', '[]')",
        "refused", r"^the person \S+ is not erased, so their texts stay$",
        "the message is that of an id that nobody has", role="myproperty_app",
    ),
    Attempt(
        "policies-off", "Switch the policies off", "select id from myproperty.units",
        "refused", r"^query would be affected by row-level security policy", "PostgreSQL refuses the query",
    ),
    Attempt(
        "role", "Take on a role that passes the policies", "set role myproperty_etl",
        "refused", r"^permission denied to set role", "no role of the application is a member of it",
    ),
    # Statistics and plans
    Attempt(
        "statistics", "Read samples of the values of a column",
        "select count(*) from pg_stats where schemaname in ('myproperty', 'audit')",
        "nothing", r"^0$", "the view hides tables with policies",
    ),
    Attempt(
        "statistics-table", "Read the table behind that view", "select count(*) from pg_statistic",
        "refused", r"^permission denied for table pg_statistic$", "a superuser's",
    ),
    Attempt(
        "row-count", "Read the estimated number of rows",
        "select reltuples from pg_class where oid = 'myproperty.units'::regclass",
        "tells", r"^1\d\d\.0$", _COUNT, answer=_NO_CURE,
    ),
    Attempt(
        "row-activity", "Read how many rows were inserted and changed",
        "select n_live_tup from pg_stat_user_tables where relid = 'myproperty.units'::regclass",
        "tells", r"^\d+$", "the number of changes of all tenants together", answer=_NO_CURE,
    ),
    Attempt(
        "plan-filter", "Let a plan count the rows that the policy removed",
        "explain (analyze, costs off, timing off, summary off, buffers off) select * from myproperty.units",
        "tells", r"Rows Removed by Filter: 1\d\d", _COUNT, answer=_NO_CURE,
    ),
    Attempt(
        "plan-estimate", "Compare estimates for a value that the other tenant often has",
        "explain select * from myproperty.units where label = '{word}'",
        "tells", r"rows=(?!1 )\d+ ", "that a guessed value is frequent somewhere", answer=_NO_CURE,
    ),
    Attempt(
        "row-place", "Read where the own rows lie between those of others",
        "select max(row) - min(row) from (select (ctid::text::point)[1] as row from myproperty.units) as r",
        "tells", r"^\d", "how many rows others inserted in between", answer=_NO_CURE,
    ),
    Attempt(
        "partitions", "List the partitions of readings",
        "select count(*) from pg_inherits where inhparent = 'myproperty.meter_readings'::regclass",
        "tells", r"^1$", "the dates on which any tenant has readings", answer=_NO_CURE,
    ),
    Attempt(
        "write-volume", "Read the position of the write-ahead log", "select pg_current_wal_lsn()",
        "tells", r"^[0-9A-F]+/[0-9A-F]+$", "how much all tenants write", answer=_NO_CURE,
    ),
    Attempt(
        "sequences", "Read the last value of a sequence", "select count(*) from pg_sequences",
        "nothing", r"^0$", "ids are random: there is no sequence",
    ),
    # Other sessions
    Attempt(
        "statements", "Read the statements of the other tenant's sessions by the login itself",
        "select query from pg_stat_activity where query like '%{word}%' and pid <> pg_backend_pid()",
        "tells", r"zeugma", "the text of the statement",
        answer="values that are parameters are not in the text; jobs need the view for locks",
    ),
    Attempt(
        "locks", "Look for the lock of the other tenant's keys",
        "select count(*) from pg_locks where locktype = 'advisory'",
        "tells", r"^\d+$", "that keys of a tenant change, if its id is known", answer=_NO_CURE,
    ),
    Attempt(
        "large-objects", "Keep values where every session of the role reads them", "select lo_create(0)",
        "refused", r"^permission denied for function lo_create$", "large objects have no policies",
    ),
    Attempt(
        "other-tenant", "Set the other tenant, whose id is known",
        "select count(*) from myproperty.units where tenant_id = '{theirs}'",
        "tells", r"^\d+$", "everything that the role may read", answer=_SETTING,
    ),
)  # fmt: skip
# What has to run before, in the same session.
BEFORE = {
    "policies-off": "set row_security = off",
    "other-tenant": "set app.tenant_id = '{theirs}'",
    "cheap-function": """
        create function pg_temp.show(value text) returns boolean language plpgsql cost 0.0000001
        as $$ begin raise notice 'value: %', value; return true; end $$
    """,
}
