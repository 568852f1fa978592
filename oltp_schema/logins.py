"""Make the logins of the jobs in a cluster, and take from everybody what no job needs.

Here: what holds for any database of the platform. Not here: names and purposes (`myproperty.database.roles`),
or rights on tables (the migrations; for the warehouse `data.raw.rights`).
"""

from collections.abc import Iterable, Mapping
from typing import LiteralString

import psycopg
from psycopg import errors, sql

from myproperty.database.roles import ROLES, Login
from myproperty.errors import PlatformError

# Only a superuser may set these for a login.
_SET_BY_SUPERUSERS = {"temp_file_limit"}
# What PostgreSQL lets everybody do, and what holds up or burdens others: locks that a run waits for, large
# objects, messages and sleep.
_FUNCTIONS: LiteralString = """
select p.oid::regprocedure::text, p.proname ~ 'advisory'
from pg_catalog.pg_proc as p
where p.pronamespace = 'pg_catalog'::regnamespace
    and p.proname ~ '^(pg_.*advisory.*lock.*|lo_.*|loread|lowrite|pg_notify|pg_sleep(_for|_until)?)$'
    and (
        %(role)s::text is not null and not has_function_privilege(%(role)s, p.oid, 'execute')
        or %(role)s::text is null and exists (
            select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a where a.grantee = 0
        )
    )
"""

_DOES_MORE: LiteralString = """
select exists (
    select from pg_catalog.pg_roles
    where rolname = %s and (rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls)
)
"""
_IS_MEMBER: LiteralString = """
select exists (
    select from pg_catalog.pg_auth_members as m
    where m.roleid = %s::regrole and m.member = quote_ident(%s)::regrole
        and m.inherit_option and not m.set_option
)
"""


class LoginRefused(PlatformError):
    """A login cannot be made as it is asked for."""


def ensure_login(
    connection: psycopg.Connection, login: Login, database: str, password: str | None = None
) -> None:
    """Make a login without rights of its own, its memberships and limits; the caller commits.

    It is no longer a member of the roles that an earlier release gave it.

    With a password it may log in. Without one a new login may not: the operator gives it one. Raises
    `psycopg.errors.InsufficientPrivilege` if this login may not make it.
    """
    name = sql.Identifier(login.name)
    _make(connection, login.name)
    for role in login.roles:
        _grant_role(connection, role, login.name)
    for role in _list_former_roles(connection, login):
        connection.execute(sql.SQL("revoke {} from {}").format(sql.Identifier(role), name))
    _limit(connection, login.name, login.limits)
    connection.execute(sql.SQL("grant connect on database {} to {}").format(sql.Identifier(database), name))
    if password is not None:
        _let_in(connection, login.name, password)


def ensure_member(
    connection: psycopg.Connection,
    name: str,
    group: Login,
    limits: Mapping[str, str],
    password: str | None = None,
) -> None:
    """Make a login that has the rights of `group` and no others; the caller commits.

    A login that is there already, made by the operator, is taken into the group. Raises `LoginRefused` if it
    may do more than any reader. The rest is as for `ensure_login`.
    """
    if _ask(connection, _DOES_MORE, (name,)):
        raise LoginRefused(f"{name} may do more than read: choose another name for the reader")
    _make(connection, name)
    _limit(connection, name, limits)
    if not _ask(connection, _IS_MEMBER, (group.name, name)):
        connection.execute(
            sql.SQL("grant {} to {} with inherit true, set false, admin false").format(
                sql.Identifier(group.name), sql.Identifier(name)
            )
        )
    if password is not None:
        _let_in(connection, name, password)


def _limit(connection: psycopg.Connection, name: str, limits: Mapping[str, str]) -> None:
    is_superuser = _ask(connection, "select rolsuper from pg_catalog.pg_roles where rolname = current_user")
    for setting, value in limits.items():
        if is_superuser or setting not in _SET_BY_SUPERUSERS:
            connection.execute(
                sql.SQL("alter role {} set {} = {}").format(
                    sql.Identifier(name), sql.Identifier(setting), sql.Literal(value)
                )
            )


def _let_in(connection: psycopg.Connection, name: str, password: str) -> None:
    connection.execute(
        sql.SQL("alter role {} login password {}").format(sql.Identifier(name), sql.Literal(password))
    )


def restrict_public(
    connection: psycopg.Connection,
    database: str,
    *,
    with_connection: Iterable[str] = (),
    with_temporary: Iterable[str],
    with_locks: Iterable[str],
) -> None:
    """Take from PUBLIC the connection, temporary objects, advisory locks, large objects and sleep.

    The roles named keep the connection, temporary objects, or advisory locks. The caller
    commits. A login that owns neither database nor functions changes nothing: PostgreSQL only warns.
    """
    connection.execute(
        sql.SQL("revoke connect, temporary on database {} from public").format(sql.Identifier(database))
    )
    for right, roles in (("connect", with_connection), ("temporary", with_temporary)):
        for role in roles:
            connection.execute(
                sql.SQL("grant {} on database {} to {}").format(
                    sql.SQL(right), sql.Identifier(database), sql.Identifier(role)
                )
            )
    is_superuser = _ask(connection, "select rolsuper from pg_catalog.pg_roles where rolname = current_user")
    if not is_superuser:
        return
    for function, _ in connection.execute(_FUNCTIONS, {"role": None}).fetchall():
        connection.execute(sql.SQL("revoke execute on function {} from public").format(sql.SQL(function)))
    for role in with_locks:
        for function, is_lock in connection.execute(_FUNCTIONS, {"role": role}).fetchall():
            if is_lock:
                connection.execute(
                    sql.SQL("grant execute on function {} to {}").format(
                        sql.SQL(function), sql.Identifier(role)
                    )
                )


def _make(connection: psycopg.Connection, login: str) -> None:
    query = (
        "select rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls or rolinherit "
        "from pg_catalog.pg_roles where rolname = %s"
    )
    name = sql.Identifier(login)
    row = connection.execute(query, (login,)).fetchone()
    if row is None:
        try:
            with connection.transaction():
                connection.execute(
                    sql.SQL("create role {} nologin noinherit connection limit 50").format(name)
                )
        except (errors.DuplicateObject, errors.UniqueViolation):
            return  # another database of this cluster made it in between
    elif row[0]:
        connection.execute(
            sql.SQL(
                "alter role {} nosuperuser nocreatedb nocreaterole noreplication nobypassrls noinherit"
            ).format(name)
        )


def _grant_role(connection: psycopg.Connection, role: str, login: str) -> None:
    query = """
        select exists (
            select from pg_catalog.pg_auth_members m
            where m.roleid = %s::regrole and m.member = %s::regrole and m.set_option and not m.inherit_option
        )
    """
    if not _ask(connection, query, (role, login)):
        connection.execute(
            sql.SQL("grant {} to {} with inherit false, set true, admin false").format(
                sql.Identifier(role), sql.Identifier(login)
            )
        )


def _list_former_roles(connection: psycopg.Connection, login: Login) -> list[str]:
    """Return the platform's roles that the login may take on and its job no longer needs."""
    query = """
        select r.rolname from pg_catalog.pg_auth_members as m
        inner join pg_catalog.pg_roles as r on r.oid = m.roleid
        where m.member = %s::regrole and r.rolname = any (%s) and r.rolname <> all (%s)
    """
    names = [role.name for role in ROLES]
    return [name for (name,) in connection.execute(query, (login.name, names, list(login.roles)))]


def _ask(connection: psycopg.Connection, query: LiteralString, values: tuple[str, ...] = ()) -> bool:
    row = connection.execute(query, values or None).fetchone()
    return row is not None and bool(row[0])
