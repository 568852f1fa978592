"""Settings whose jobs connect as in production: each by its own login, none as the superuser."""

from urllib.parse import quote, urlsplit

import psycopg

from commands.databases import prepare_oltp
from data.raw.rights import prepare_warehouse
from myproperty import engines
from myproperty.database.roles import OLTP_LOGINS, WAREHOUSE_LOGINS, Login
from myproperty.settings import Settings


def with_logins(settings: Settings, server: Settings) -> Settings:
    """Return `settings`, whose databases are on the embedded server of `server`, with the DSN of each job.

    Migrate the OLTP database first.
    """
    passwords = engines.make_passwords(server)
    prepare_oltp(str(settings.oltp_dsn), passwords)
    with psycopg.connect(str(settings.warehouse_dsn)) as connection:
        prepare_warehouse(connection, settings.dataset_prefix, passwords)
    given = {
        login.setting: log_in(dsn, login, passwords[login.name])
        for dsn, logins in (
            (str(settings.oltp_dsn), OLTP_LOGINS),
            (str(settings.warehouse_dsn), WAREHOUSE_LOGINS),
        )
        for login in logins
        if login.setting
    }
    return settings.model_copy(update=given)


def log_in(dsn: str, login: Login, password: str) -> str:
    """Return a URI for another login."""
    return log_in_as(dsn, login.name, password)


def log_in_as(dsn: str, name: str, password: str) -> str:
    """Return a URI for another login, by its name."""
    parts = urlsplit(dsn)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{quote(name, safe='')}:{quote(password, safe='')}@{place}").geturl()
