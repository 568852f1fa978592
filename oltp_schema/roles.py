"""The roles of the platform: who they are, and how a cluster gets them.

Here: attributes and memberships, which belong to the whole cluster. What a role may do with a table is
granted by the migration that makes the table. Nobody logs in as one of these: a login is made a member by
whoever runs the server, or a superuser takes the role on with SET ROLE.
"""

from typing import LiteralString

import psycopg
from psycopg import errors, sql

from myproperty.database.roles import OWNER_ROLE, OWNERS, PARTITIONER_ROLE, ROLES, Role
from myproperty.errors import PlatformError


class RoleError(PlatformError):
    """The roles cannot be made or are not as they must be; the message says what to run."""


# The owner may act on the partitioned tables in a migration, but may not become the role that passes the
# policies by: inherit without set.
MEMBERSHIPS = ((PARTITIONER_ROLE, OWNER_ROLE),)


def ensure_roles(connection: psycopg.Connection) -> None:
    """Make the roles that are missing; the caller commits, and holds a lock against its own database.

    Roles are shared by all databases of a cluster and an advisory lock is not: a role that someone else makes
    at the same moment from another database is taken as it is. Raises `RoleError` if a role has the wrong
    attributes or this login may not create roles. A login that may not grant a parameter leaves it out: then
    the foreign keys of merged readings are checked row by row, and loads are slower.
    """
    for role in ROLES:
        _ensure_role(connection, role)
    for group, member in MEMBERSHIPS:
        _grant_membership(connection, group, member, sql.SQL("INHERIT TRUE, SET FALSE"))
    for role in OWNERS:
        _let_this_login_act_as(connection, role.name)
    _let_rows_be_checked_at_once(connection)


def _ensure_role(connection: psycopg.Connection, role: Role) -> None:
    attributes = _attributes(connection, role.name)
    if attributes is None:
        _create(connection, role)
        attributes = _attributes(connection, role.name)
    if attributes == (False, role.bypasses_rls):
        return
    wanted = "NOSUPERUSER " + ("BYPASSRLS" if role.bypasses_rls else "NOBYPASSRLS")
    raise RoleError(
        f"role {role.name} exists with other attributes than this schema needs ({role.purpose}): "
        f"as a superuser run ALTER ROLE {role.name} {wanted}"
    )


def _attributes(connection: psycopg.Connection, name: str) -> tuple[bool, bool] | None:
    """(superuser, bypasses row-level security) of a role, or None if there is no such role."""
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
        return  # made by another database of this cluster between our look and our statement
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


def _let_rows_be_checked_at_once(connection: psycopg.Connection) -> None:
    """Let the owner of partitions switch row triggers off, where this login may grant that.

    `myproperty.merge_readings` does, once it has proved the references of all rows.
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
        except (errors.InternalError_, errors.UniqueViolation):  # "tuple concurrently updated": look again
            if attempt == attempts:
                raise


def _let_this_login_act_as(connection: psycopg.Connection, role: str) -> None:
    """A superuser may act as anyone; a login with CREATEROLE has to say that it wants to."""
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
