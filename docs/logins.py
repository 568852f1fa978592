"""The page of the logins: what each job connects as and may do, read from the catalogue of live databases."""

from collections import defaultdict
from typing import LiteralString

import psycopg

from docs.accounts import accounts_section
from myproperty.database.roles import (
    OLTP_LOGINS,
    ROLES,
    WAREHOUSE_LOGINS,
    WAREHOUSE_TENANT_READERS,
    Login,
)
from oltp_schema.pages import markdown_table as table

HEAD = """# Logins and roles

A job connects as its login. A login of the OLTP database has no right but to connect: it takes a role on
for a transaction (`set local role`), and after `reset role` it can do nothing. Only the commands for the
server itself connect as a superuser: `up`, `migrate`, `demo` and `dev`, which migrate first, `backup`,
`backups` and `restore`, and the job `base_backup`.

`myproperty migrate` makes the logins. On the embedded server they get passwords, in files that only your
account reads. On a server of your own you give them, for example `alter role myproperty_ingest login
password '...'`, and their DSNs in [settings](settings.md). A job without a DSN of its own uses
`MYPROPERTY_OLTP_DSN` or `MYPROPERTY_WAREHOUSE_DSN`. Run `migrate` once with `MYPROPERTY_DATASET_PREFIX` set,
so that readers may read the schemas with that prefix.

Everybody else (`PUBLIC`) may not connect to the databases, and may not make temporary objects, take advisory
locks, write large objects, send notifications or sleep in a query.

"""
READERS = f"""
`{WAREHOUSE_TENANT_READERS.name}` is a group that nobody logs in as. For each other reader of the seed
`tenant_readers` the command `myproperty migrate` makes a login, with the rights of the group and the limits
of `myproperty_reader`; [who sees which rows](isolation.md). `myproperty dsn warehouse --as READER` prints
its address for a BI tool, `myproperty query SQL --as READER` asks as it does.

"""
_ROLE_RIGHTS: LiteralString = """
select n.nspname, c.relname, a.privilege_type, a.is_of_columns
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join lateral (
    select x.privilege_type, x.grantee, false as is_of_columns from aclexplode(c.relacl) as x
    union
    select x.privilege_type, x.grantee, true
    from pg_catalog.pg_attribute as t cross join lateral aclexplode(t.attacl) as x
    where t.attrelid = c.oid and t.attacl is not null
) as a
where a.grantee = %(role)s::regrole and c.relkind in ('r', 'p', 'v') and not c.relispartition
    and n.nspname not in ('pg_catalog', 'information_schema') and c.relowner <> a.grantee
order by 1, 2, 3
"""
_MAY_TAKE_ON: LiteralString = """
select r.rolname from pg_catalog.pg_roles as r
where r.rolname <> %(login)s and pg_has_role(%(login)s, r.oid, 'set') order by 1
"""
_LIMITS: LiteralString = """
select unnest(rolconfig) from pg_catalog.pg_roles where rolname = %(login)s order by 1
"""
_SCHEMAS: LiteralString = """
select n.nspname,
    pg_get_userbyid(n.nspowner) = %(login)s as owns,
    has_schema_privilege(%(login)s, n.oid, 'usage') as uses,
    exists (
        select from pg_catalog.pg_default_acl as d cross join lateral aclexplode(d.defaclacl) as x
        where d.defaclnamespace = n.oid and x.grantee = %(login)s::regrole and x.privilege_type = 'SELECT'
    ) as reads
from pg_catalog.pg_namespace as n
where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'public') order by 1
"""
_VERBS = {
    "SELECT": "read",
    "INSERT": "add to",
    "UPDATE": "change",
    "DELETE": "delete from",
    "TRUNCATE": "empty",
}


def logins_page(oltp: str, warehouse: str) -> str:
    """Return the page, from two databases that `prepare_databases` has prepared."""
    with psycopg.connect(oltp) as connection:
        jobs = [_describe_job(connection, login) for login in OLTP_LOGINS]
        roles = [
            (f"`{role.name}`", "bypassed" if role.bypasses_rls else "apply", role.purpose, rights)
            for role in ROLES
            if (rights := _describe_rights(connection, role.name)) or not role.bypasses_rls
        ]
    with psycopg.connect(warehouse) as connection:
        logins = (*WAREHOUSE_LOGINS, WAREHOUSE_TENANT_READERS)
        readers = [_describe_reader(connection, login) for login in logins]
    return (
        HEAD
        + "## The OLTP database\n\n"
        + table(("Login", "Its job", "May take on", "Limits of a session"), jobs)
        + "\nThe rights of the roles, besides those of an owner on its own tables. Where policies apply, a "
        "role sees one tenant at a time.\n\n"
        + table(("Role", "Policies", "For", "May"), roles)
        + "\n## The warehouse on PostgreSQL\n\n"
        + table(("Login", "Its job", "Owns", "Reads", "Limits of a session"), readers)
        + READERS
        + accounts_section()
    )


def _describe_job(connection: psycopg.Connection, login: Login) -> tuple[str, ...]:
    taken = [name for (name,) in connection.execute(_MAY_TAKE_ON, {"login": login.name})]
    return (
        f"`{login.name}`",
        login.purpose,
        ", ".join(f"`{name}`" for name in taken),
        _describe_limits(connection, login),
    )


def _describe_limits(connection: psycopg.Connection, login: Login) -> str:
    return ", ".join(f"`{limit}`" for (limit,) in connection.execute(_LIMITS, {"login": login.name}))


def _describe_reader(connection: psycopg.Connection, login: Login) -> tuple[str, ...]:
    schemas = connection.execute(_SCHEMAS, {"login": login.name}).fetchall()
    return (
        f"`{login.name}`",
        login.purpose,
        ", ".join(f"`{name}`" for name, owns, _, _ in schemas if owns),
        ", ".join(f"`{name}`" for name, owns, uses, reads in schemas if uses and reads and not owns),
        _describe_limits(connection, login),
    )


def _describe_rights(connection: psycopg.Connection, role: str) -> str:
    """Say for each right which tables it holds for; more than eight of a schema are counted."""
    tables: dict[tuple[str, str], list[str]] = defaultdict(list)
    for schema, name, privilege, _ in connection.execute(_ROLE_RIGHTS, {"role": role}):
        if privilege in _VERBS and name not in tables[privilege, schema]:
            tables[privilege, schema].append(name)
    parts = []
    for privilege, verb in _VERBS.items():
        found = []
        for (right, schema), names in tables.items():
            if right == privilege and len(names) > 8:
                found.append(f"{len(names)} tables of `{schema}`")
            elif right == privilege:
                found += [f"`{schema}.{name}`" for name in names]
        if found:
            parts.append(f"{verb} {', '.join(found)}")
    return "; ".join(parts)
