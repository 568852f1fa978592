"""Bring the databases of an environment to this release: schema, roles, logins of the jobs, rights."""

import psycopg

from data.raw.rights import prepare_warehouse
from data.warehouse.readers import list_own_logins
from myproperty import engines
from myproperty.database.locks import lock_migrations
from myproperty.database.roles import APP_ROLE, BILLER_ROLE, ETL_ROLE, LOADER_ROLE, OLTP_LOGINS, OWNERS, ROLES
from myproperty.settings import Settings
from oltp_schema.logins import ensure_login, restrict_public
from oltp_schema.migrate import upgrade


def prepare_databases(settings: Settings) -> tuple[str, list[str]]:
    """Return the revision reached, and notes on what this login was not allowed to do.

    On the embedded server the logins get their passwords; elsewhere the operator gives them. A second call
    changes nothing. Raises `MigrationError` or `EngineError`.
    """
    admin = engines.dsn(settings)
    revision = upgrade(admin)
    passwords = engines.make_passwords(settings) if settings.oltp_dsn is None else {}
    notes = []
    try:
        prepare_oltp(admin, passwords)
    except psycopg.errors.InsufficientPrivilege as error:
        notes.append(_describe_refusal("the logins of the jobs", "MYPROPERTY_OLTP_DSN", error))
    # The embedded server has both databases, whichever warehouse is in use: the setting may change.
    is_here = settings.oltp_dsn is None and settings.warehouse_dsn is None
    if is_here or settings.warehouse == "postgres":
        readers = list_own_logins()
        passwords = engines.make_passwords(settings, readers) if settings.warehouse_dsn is None else {}
        try:
            with psycopg.connect(engines.dsn(settings, "warehouse")) as connection:
                prepare_warehouse(connection, settings.dataset_prefix, passwords, readers)
        except psycopg.errors.InsufficientPrivilege as error:
            notes.append(_describe_refusal("the rights in the warehouse", "MYPROPERTY_WAREHOUSE_DSN", error))
    return revision, notes


def prepare_oltp(admin: str, passwords: dict[str, str]) -> None:
    """Make the logins of the OLTP database, and take from everybody what no job needs.

    Raises `psycopg.errors.InsufficientPrivilege` if the login of `admin` may not.
    """
    with psycopg.connect(admin, application_name="myproperty migrate") as connection:
        # Two at once would change the same roles.
        lock_migrations(connection)
        for login in OLTP_LOGINS:
            ensure_login(connection, login, connection.info.dbname, passwords.get(login.name))
        jobs = [role.name for role in ROLES]
        makers = [*(role.name for role in OWNERS), APP_ROLE, LOADER_ROLE, ETL_ROLE]
        restrict_public(
            connection,
            connection.info.dbname,
            with_connection=jobs,
            with_temporary=makers,
            with_locks=[*makers, BILLER_ROLE],
        )
        # Each job compares it with its release before it starts.
        connection.execute("grant select on public.alembic_version to public")


def _describe_refusal(what: str, setting: str, error: psycopg.Error) -> str:
    return (
        f"{what} were left as they are, because the login of {setting} may not change them "
        f"({error.diag.message_primary}): run `myproperty migrate` once with a superuser's DSN"
    )
