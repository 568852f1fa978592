"""The storages of a Dagster instance, in files and on PostgreSQL, with connections that stay open.

Dagster's own open a connection for each of the thousands of events of a run. In SQLite each connection also
compiles its statements anew and waits for the disk; on PostgreSQL each is a process of the server, and a
login with TLS.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as db
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage, PostgresRunStorage
from dagster_postgres.auth import PgTokenProvider
from dagster_postgres.utils import create_pg_engine, get_token_provider_from_config, pg_url_from_config

# One file holds the events of assets of all runs, the others those of one run each.
MOST_OPEN_FILES = 8
# Beside the one that stays open: threads of a process that store at once.
MOST_MORE_CONNECTIONS = 10


class PooledSqliteEventLogStorage(SqliteEventLogStorage):
    """Dagster's event log in SQLite, with one open connection for each of the last files used.

    A crash of the machine may lose the last events of a run, not the files: SQLite writes its log ahead.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        # First: Dagster's constructor opens a file.
        self._engines: OrderedDict[str, db.Engine] = OrderedDict()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "PooledSqliteEventLogStorage":
        """Make the storage that `dagster.yaml` describes."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[db.Connection]:
        with self._db_lock:
            engine = self._open(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _open(self, shard: str) -> db.Engine:
        if shard not in self._engines:
            self._engines[shard] = _make_engine(self.conn_string_for_shard(shard))
            if len(self._engines) > MOST_OPEN_FILES:
                self._engines.popitem(last=False)[1].dispose()
        self._engines.move_to_end(shard)
        return self._engines[shard]

    @property
    def supports_asset_checks(self) -> bool:
        """True: each file is made with the table of checks. Dagster looks for it again with each event."""
        return True

    def wipe(self) -> None:
        """Close and delete the files."""
        self._close_all()
        super().wipe()

    def dispose(self) -> None:
        """Close the files."""
        self._close_all()
        super().dispose()

    def _close_all(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


class _Pooled:
    """A storage on PostgreSQL whose connection stays open; one that the server ended is found before use."""

    _engine: db.Engine

    def __init__(self, postgres_url: str, token_provider: PgTokenProvider | None) -> None:
        super().__init__(postgres_url, should_autocreate_tables=False, token_provider=token_provider)  # type: ignore[call-arg]
        self._engine = create_pg_engine(
            postgres_url,
            token_provider,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=MOST_MORE_CONNECTIONS,
            pool_pre_ping=True,
        )

    def dispose(self) -> None:
        """Close the connections."""
        super().dispose()  # type: ignore[misc]
        self._engine.dispose()


class PooledPostgresEventLogStorage(_Pooled, PostgresEventLogStorage):
    """Dagster's event log on PostgreSQL."""


class PooledPostgresRunStorage(_Pooled, PostgresRunStorage):
    """Dagster's runs on PostgreSQL."""


class PooledPostgresStorage(DagsterPostgresStorage):
    """Dagster's storage on PostgreSQL; a process keeps one connection for events and one for runs."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: PgTokenProvider | None = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)
        self._event_log_storage = PooledPostgresEventLogStorage(postgres_url, token_provider)
        self._run_storage = PooledPostgresRunStorage(postgres_url, token_provider)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "PooledPostgresStorage":
        """Make the storage that `dagster.yaml` describes."""
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
            get_token_provider_from_config(config_value),
        )


def _make_engine(address: str) -> db.Engine:
    # The storage hands out one connection at a time, to any thread; making a file takes a second one.
    engine = db.create_engine(
        address,
        poolclass=db.QueuePool,
        pool_size=1,
        max_overflow=1,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )
    db.event.listen(engine, "connect", _do_not_wait_for_the_disk)
    return engine


def _do_not_wait_for_the_disk(connection: Any, _: Any) -> None:
    connection.execute("pragma synchronous = normal")
