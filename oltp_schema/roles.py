"""Create the roles of the platform in a cluster, and check their attributes.

Here: attributes and memberships, which belong to the whole cluster. Not here: names
(`myproperty.database.roles`), and rights on tables, which the migrations grant. Nobody logs in as one of
these roles: a login of `oltp_schema.logins`, or another one that the operator makes a member, takes it on
with SET ROLE.
"""

from typing import LiteralString

import psycopg
from psycopg import errors, sql

from myproperty.database.roles import OWNER_ROLE, OWNERS, PARTITIONER_ROLE, ROLES, Role
from myproperty.errors import PlatformError


class RoleError(PlatformError):
    """The roles cannot be created or have the wrong attributes; the message says what to run."""


# A migration uses the rights of the partitioner as the owner, but the owner cannot take on that role, which
# bypasses the policies: inherit without set.
MEMBERSHIPS = ((PARTITIONER_ROLE, OWNER_ROLE),)


def ensure_roles(connection: psycopg.Connection) -> None:
    """Create the missing roles; the caller commits, and holds the migration lock of its database.

    All databases of a cluster share the roles, but not the lock: a role that another database creates at the
    same moment is accepted. Raises `RoleError` if a role has the wrong attributes, or if this login may not
    create roles. A login that may not grant a parameter omits that grant; then the foreign keys of merged
    readings are checked row by row, and loads are slower.
    """
    for role in ROLES:
        _ensure_role(connection, role)
    for group, member in MEMBERSHIPS:
        _grant_membership(connection, group, member, sql.SQL("INHERIT TRUE, SET FALSE"))
    for role in OWNERS:
        _let_this_login_act_as(connection, role.name)
    _grant_switching_triggers_off(connection)


def _ensure_role(connection: psycopg.Connection, role: Role) -> None:
    attributes = _attributes(connection, role.name)
    if attributes is None:
        _create(connection, role)
        attributes = _attributes(connection, role.name)
    if attributes == (False, role.bypasses_rls):
        return
    wanted = "NOSUPERUSER " + ("BYPASSRLS" if role.bypasses_rls else "NOBYPASSRLS")
    raise RoleError(
        f"role {role.name} does not have the attributes that this schema needs ({role.purpose}): "
        f"as a superuser run ALTER ROLE {role.name} {wanted}"
    )


def _attributes(connection: psycopg.Connection, name: str) -> tuple[bool, bool] | None:
    """Return (superuser, bypasses row-level security) of a role, or None if the role is missing."""
    query = "select rolsuper, rolbypassrls from pg_catalog.pg_roles where rolname = %s"
    row = connection.execute(query, (name,)).fetchone()
    return None if row is None else (bool(row[0]), bool(row[1]))


def _create(connection: psycopg.Connection, role: Role) -> None:
    statement = sql.SQL("create role {} nologin {}").format(
        sql.Identifier(role.name), sql.SQL("bypassrls" if role.bypasses_rls else "nobypassrls")
    )
    try:
        with connection.transaction():
            connection.execute(statement)
    except (errors.DuplicateObject, errors.UniqueViolation):
        return  # another database of this cluster created it in between
    except errors.InsufficientPrivilege as error:
        raise RoleError(
            f"role {role.name} is missing and this login may not create it ({error.diag.message_primary}): "
            f"migrate once as a superuser, or as a role with CREATEROLE and BYPASSRLS"
        ) from error


def _grant_membership(connection: psycopg.Connection, group: str, member: str, options: sql.SQL) -> None:
    query: LiteralString = """
        select exists (
            select from pg_catalog.pg_auth_members m
            where m.roleid = %s::regrole and m.member = %s::regrole and m.inherit_option
        )
    """
    statement = sql.SQL("grant {} to {} with {}").format(
        sql.Identifier(group), sql.Identifier(member), options
    )
    _grant(connection, statement, query, (group, member))


def _grant_switching_triggers_off(connection: psycopg.Connection) -> None:
    """Let the partitioner switch row triggers off, if this login may grant that.

    `myproperty.merge_readings` does it after it has checked the references of all rows.
    """
    parameter = "session_replication_role"
    query = "select has_parameter_privilege(%s, 'SET WITH GRANT OPTION')"
    if connection.execute(query, (parameter,)).fetchall()[0][0]:
        statement = sql.SQL("grant set on parameter {} to {}").format(
            sql.Identifier(parameter), sql.Identifier(PARTITIONER_ROLE)
        )
        is_granted: LiteralString = "select has_parameter_privilege(%s, %s, 'SET')"
        _grant(connection, statement, is_granted, (PARTITIONER_ROLE, parameter))


def _grant(
    connection: psycopg.Connection,
    statement: sql.Composed,
    is_granted: LiteralString,
    parameters: tuple[str, ...],
    attempts: int = 5,
) -> None:
    for attempt in range(1, attempts + 1):
        row = connection.execute(is_granted, parameters).fetchone()
        if row is not None and row[0]:
            return
        try:
            with connection.transaction():
                connection.execute(statement)
        except (errors.InternalError_, errors.UniqueViolation):  # "tuple concurrently updated": try again
            if attempt == attempts:
                raise


def _let_this_login_act_as(connection: psycopg.Connection, role: str) -> None:
    """Make this login a member of the role, unless it may act as the role already, like a superuser."""
    row = connection.execute("select current_user, pg_has_role(%s, 'SET')", (role,)).fetchone()
    if row is None or row[1]:
        return
    try:
        with connection.transaction():
            _grant_membership(connection, role, str(row[0]), sql.SQL("INHERIT TRUE, SET TRUE"))
    except errors.InsufficientPrivilege as error:
        raise RoleError(
            f"{row[0]} may not act as {role}: as a superuser run GRANT {role} TO {row[0]}"
        ) from error
