"""The checklist of the first day in production: settings, and what only Google's own BigQuery can show.

Here: what `myproperty doctor --production` looks at besides the checks of any machine. Its statements are dry
runs, or read no table. Not here: how accounts and grants are made (docs/logins.md).
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import psutil
from dagster_postgres.event_log import PostgresEventLogStorage
from sqlalchemy import make_url, text

from dagster_project.diagnosis import UI_PORT, Check, Finding
from dagster_project.instance import open_instance
from myproperty import engines
from myproperty.addresses import is_loopback
from myproperty.database.roles import DEMO, OLTP_LOGINS, WAREHOUSE_LOGINS, WAREHOUSE_RAW, WAREHOUSE_READER
from myproperty.environments import ENVIRONMENTS
from myproperty.settings import Settings

if TYPE_CHECKING:
    from data.raw.bigquery import BigQueryWarehouse

GRANTS = "docs/logins.md lists the grants of each account, and the commands that make them"


def list_checks(settings: Settings) -> tuple[Check, ...]:
    """Return the checks of production; those of BigQuery where it is the warehouse."""
    return OF_SETTINGS + (OF_BIGQUERY if settings.warehouse == "bigquery" else ())


def check_environment(settings: Settings) -> Finding:
    """The environment is production."""
    if settings.environment == "production":
        return Finding("environment", "ok", "production")
    found = f"{settings.environment}: {ENVIRONMENTS[settings.environment].purpose}"
    return Finding("environment", "problem", found, "set MYPROPERTY_ENVIRONMENT=production")


def check_warehouse(settings: Settings) -> Finding:
    """The warehouse is not the embedded one."""
    is_own = settings.warehouse == "postgres" and settings.warehouse_dsn is None
    if settings.warehouse == "bigquery" or (settings.warehouse == "postgres" and not is_own):
        return Finding("warehouse", "ok", settings.warehouse)
    found = f"the embedded {settings.warehouse}, which is lost with this machine"
    return Finding("warehouse", "problem", found, "set MYPROPERTY_WAREHOUSE=bigquery")


def check_logins(settings: Settings) -> Finding:
    """Each job has a login of its own on the operational database."""
    if settings.oltp_dsn is None:
        return Finding(
            "logins", "problem", "the OLTP store is the embedded server", "set MYPROPERTY_OLTP_DSN"
        )
    missing = [
        f"MYPROPERTY_{login.setting.upper()}"
        for login in OLTP_LOGINS
        if login.setting and login is not DEMO and getattr(settings, login.setting) is None
    ]
    if not missing:
        return Finding("logins", "ok", "each job has its own")
    found = f"without a login of their own, these act as the owner: {', '.join(missing)}"
    return Finding("logins", "problem", found, "give each login a password, and set its DSN (docs/logins.md)")


def check_keys(settings: Settings) -> Finding:
    """The master keys come from the environment, and not from a file of this machine."""
    if settings.master_keys is not None:
        return Finding("keys", "ok", "from the environment")
    found = "the master key would be a file of this machine"
    return Finding("keys", "problem", found, "set MYPROPERTY_MASTER_KEYS from your store of secrets")


def check_stores(settings: Settings) -> Finding:
    """Files and keys are where somebody decided, not in the home by default: a container loses its home."""
    in_home = [f"MYPROPERTY_{name.upper()}" for name in STORES if getattr(settings, name) is None]
    if not in_home:
        return Finding("stores", "ok", "inbox, archives and keys are where the settings say")
    remedy = "set them to buckets, or to folders of a volume that stays"
    return Finding("stores", "problem", f"below MYPROPERTY_HOME, as unset: {', '.join(in_home)}", remedy)


def check_instance(settings: Settings) -> Finding:
    """Dagster keeps runs and events in PostgreSQL."""
    if not os.environ.get("DAGSTER_HOME"):
        return Finding(
            "instance",
            "problem",
            "runs and events are in files of this machine",
            "copy dagster_project/production, and set DAGSTER_HOME",
        )
    with open_instance(settings.home) as instance:
        storage = instance.event_log_storage
        if not isinstance(storage, PostgresEventLogStorage):
            found, remedy = "runs and events are in files of this machine", "take its storage from"
            return Finding("instance", "problem", found, f"{remedy} dagster_project/production/dagster.yaml")
        if _is_readable_on_the_way(storage):
            remedy = "set PGSSLMODE=verify-full and PGSSLROOTCERT for all of Dagster's processes"
            return Finding("instance", "problem", "its database is reached without TLS", remedy)
    return Finding("instance", "ok", "runs and events are in PostgreSQL")


def check_listening(_: Settings) -> Finding:
    """Dagster's pages, which ask nobody who they are, can be opened on this machine only."""
    opened = {
        each.laddr.ip
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr.port == UI_PORT and not is_loopback(each.laddr.ip)
    }
    if not opened:
        return Finding("listening", "ok", f"port {UI_PORT} of Dagster's pages is closed to other machines")
    found = (
        f"port {UI_PORT} is open on {', '.join(sorted(opened))}: whoever reaches it may start and stop runs"
    )
    remedy = "bind it to 127.0.0.1, and put a login in front (docs/production.md#the-login-in-front)"
    return Finding("listening", "problem", found, remedy)


def check_alerts(settings: Settings) -> Finding:
    """Somebody is told."""
    channels = [name for name in ALERT_CHANNELS if getattr(settings, name)]
    if channels:
        return Finding("alerts", "ok", f"{len(channels)} channels; `myproperty alerts test` writes to each")
    names = " or ".join(f"MYPROPERTY_{name.upper()}" for name in ALERT_CHANNELS)
    return Finding("alerts", "problem", "nobody is told of a failure", f"set {names}")


def check_accounts(settings: Settings) -> Finding:
    """Each job acts as its own account, and the reader's is another one than the loader's."""
    wrong = []
    with _bigquery(settings) as warehouse:
        for login in WAREHOUSE_LOGINS:
            wanted = engines.account(settings, login) if login.account else None
            if wanted and (found := warehouse.name_account(login)) != wanted:
                wrong.append(f"{login.name} acts as {found}, not as {wanted}")
    if wrong:
        return Finding("accounts", "problem", "; ".join(wrong), GRANTS)
    said = engines.describe_accounts(settings)
    is_apart = said == "one for each job"
    return Finding("accounts", "ok" if is_apart else "problem", said, "" if is_apart else GRANTS)


def check_location(settings: Settings) -> Finding:
    """The datasets lie where the settings say."""
    with _bigquery(settings) as warehouse:
        found = warehouse.find_location()
    is_right = found.lower() == settings.bigquery_location.lower()
    remedy = f"the settings say {settings.bigquery_location}: a dataset cannot move, set its location"
    return Finding(
        "location", "ok" if is_right else "problem", f"raw lies in {found}", "" if is_right else remedy
    )


def check_readers(settings: Settings) -> Finding:
    """A reader may ask `bi`, and is refused what lies below it."""
    with _bigquery(settings) as warehouse:
        below = warehouse.find_refusal(WAREHOUSE_READER, "raw", "tenants")
        bi = warehouse.find_refusal(WAREHOUSE_READER, "bi", "arrears_v1")
    if below is None:
        return Finding("readers", "problem", "the reader's account may read raw", GRANTS)
    if bi is not None:
        return Finding("readers", "problem", f"the reader's account may not read bi: {bi}", GRANTS)
    return Finding("readers", "ok", "the reader's account reads bi, and is refused raw")


def check_filters(settings: Settings) -> Finding:
    """A question that would scan all readings is refused."""
    with _bigquery(settings) as warehouse:
        refusal = warehouse.find_refusal(WAREHOUSE_RAW, "raw", "meter_readings")
    if refusal is not None and "partition" in refusal:
        return Finding("filters", "ok", "raw.meter_readings is asked by reading date alone")
    found = refusal or "raw.meter_readings can be scanned whole"
    remedy = "bq update --require_partition_filter PROJECT:raw.meter_readings"
    return Finding("filters", "problem", found, remedy)


def _is_readable_on_the_way(storage: PostgresEventLogStorage) -> bool:
    if is_loopback(make_url(storage.postgres_url).host or ""):
        return False
    with storage.index_connection() as connection:
        row = connection.execute(text("select ssl from pg_stat_ssl where pid = pg_backend_pid()")).fetchone()
    return row is None or not row[0]


@contextmanager
def _bigquery(settings: Settings) -> Iterator["BigQueryWarehouse"]:
    # Google's libraries take seconds to import.
    from data.raw.bigquery import open_bigquery

    with closing(open_bigquery(settings)) as warehouse:
        yield warehouse


STORES = ("inbox_url", "archive_url", "key_store_url", "readings_archive_url")
ALERT_CHANNELS = ("alert_slack_url", "alert_email_url", "alert_webhook_url")
OF_SETTINGS: tuple[Check, ...] = (
    check_environment,
    check_warehouse,
    check_logins,
    check_keys,
    check_stores,
    check_instance,
    check_listening,
    check_alerts,
)
OF_BIGQUERY: tuple[Check, ...] = (check_accounts, check_location, check_readers, check_filters)
