"""The advisory locks: the key of each, who takes it, and why.

Here: the only Python that calls `pg_advisory_lock` and its relatives. Functions of the migrations take two of
these locks too, `READING_DATES` and `LANDING_DATES`; a test compares their numbers with this module.

A lock ends with its transaction, except those of dbt and of landing, which end with the session. Who takes
several locks takes them in this order, dates ascending, so that no two wait for each other:
file, billing, meters, reading dates; or: landing, reading dates, landing dates. The others are taken alone.
"""

import datetime
import uuid
from collections.abc import Sequence
from typing import Protocol

from psycopg import sql

# Keys of one number, or the first of two numbers.
MIGRATIONS = 7_305_001
READING_DATES = 7305
LANDING_DATES = 7306
DBT = 7310
# Of a date, the second number: days since this date.
DAY_ZERO = "2000-01-01"
# Keys of text, hashed by `hashtextextended`.
BILLING = "billing of "


class Connection(Protocol):
    """A psycopg connection or a `Session`."""

    def execute(self, query: sql.Composed, /) -> object: ...


def lock_migrations(connection: Connection) -> None:
    """Wait until no other migration of this database runs. Taken by `oltp_schema.migrate`."""
    _lock(connection, sql.Literal(MIGRATIONS))


def lock_dbt_of_session(connection: Connection) -> None:
    """Wait until no other run builds with dbt; held until the connection closes.

    Taken by the Dagster assets of the warehouse. Not held by a transaction: that would stay open for minutes.
    """
    connection.execute(sql.SQL("select pg_advisory_lock({}, 0)").format(sql.Literal(DBT)))


def lock_file(connection: Connection, tenant_id: uuid.UUID, content: str) -> None:
    """Wait for another load of the same content, so that this load finds its job in the ingestion ledger.

    Taken by loads, by replays of the quarantine, and by validation, whose content is the name of its source.
    """
    _lock(connection, _text(f"file {content} of {tenant_id}"))


def lock_meters(connection: Connection, tenant_id: uuid.UUID) -> None:
    """Wait for another load that creates meters of the tenant. Taken by loads that may create meters."""
    _lock(connection, _text(f"meters of {tenant_id}"))


def lock_billing(connection: Connection) -> None:
    """Hold off loads and other billing runs of the tenant that the session has set. Taken by billing.

    Without it a load could change a period between the sum of its readings and its allocation.
    """
    tenant = sql.SQL("{} || current_setting('app.tenant_id')::uuid::text").format(sql.Literal(BILLING))
    _lock(connection, sql.SQL("hashtextextended({}, 0)").format(tenant))


def share_billing(connection: Connection, tenant_id: uuid.UUID) -> None:
    """Wait until billing allocates no period of the tenant, and hold off the next run. Taken by loads.

    Without it a load that began before a period was allocated, and ended after, would change it unseen.
    """
    _lock(connection, _text(f"{BILLING}{tenant_id}"), shared=True)


def lock_reading_dates(connection: Connection, dates: Sequence[datetime.date]) -> None:
    """Wait for the loads of these dates, and hold off the next ones. Taken by validation.

    A load takes the lock of each date in `myproperty.begin_readings_partition`.
    """
    _lock_dates(connection, dates, shared=False)


def share_reading_dates_of_session(connection: Connection, dates: Sequence[datetime.date]) -> None:
    """Wait for the loads of these dates, and let others that only wait pass.

    Taken by landing, and by a run from before gate A until its readings are landed.
    """
    _lock_dates(connection, dates, shared=True, of_session=True)


def lock_data_keys(connection: Connection, tenant_id: uuid.UUID) -> None:
    """Wait until nobody else changes the data keys of the tenant. Taken by the key ring."""
    _lock(connection, _text(f"data keys {tenant_id}"))


def lock_landing(connection: Connection, entity: str) -> None:
    """Wait until no other run replaces the landing rows of the entity. Taken by the records of quality.

    Two runs at once would both delete the old rows, and both insert the new ones.
    """
    _lock(connection, _landing(entity))


def lock_landing_of_session(connection: Connection, entity: str) -> None:
    """The same, held until the connection closes. Taken by landing, before the snapshot that it copies."""
    _lock(connection, _landing(entity), of_session=True)


def lock_raw_schema(connection: Connection, schema: str) -> None:
    """Wait until nobody else creates the schema or a table in it. Taken by the embedded warehouse."""
    _lock(connection, _text(schema))


def lock_raw_partition(
    connection: Connection, schema: str, entity: str, partition: datetime.date | None
) -> None:
    """Wait until no other run loads the partition of a raw table. Taken by the embedded warehouse.

    Two loads at once would each add its rows to those of the other.
    """
    _lock(connection, _text(f"{schema}.{entity} {partition}"))


def _landing(entity: str) -> sql.Composed:
    return _text(f"landing of {entity}")


def _text(key: str) -> sql.Composed:
    return sql.SQL("hashtextextended({}, 0)").format(sql.Literal(key))


def _lock(
    connection: Connection, key: sql.Composable, *, shared: bool = False, of_session: bool = False
) -> None:
    connection.execute(sql.SQL("select {}({})").format(_function(shared, of_session), key))


def _lock_dates(
    connection: Connection, dates: Sequence[datetime.date], *, shared: bool, of_session: bool = False
) -> None:
    connection.execute(
        sql.SQL("select {}({}, day - {}::date) from unnest({}::date[]) as day order by day").format(
            _function(shared, of_session),
            sql.Literal(READING_DATES),
            sql.Literal(DAY_ZERO),
            sql.Literal(list(dates)),
        )
    )


def _function(shared: bool, of_session: bool) -> sql.SQL:
    if of_session:
        return sql.SQL("pg_advisory_lock_shared" if shared else "pg_advisory_lock")
    return sql.SQL("pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock")
