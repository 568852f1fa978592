"""The event log of a Dagster instance in files, with connections that stay open.

Dagster's own opens a connection for each of the thousands of events of a run, compiles its statements anew
and waits for the disk. The storage on PostgreSQL is in `postgres_storage`.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import sqlalchemy as db
from dagster import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData

# One file holds the events of assets of all runs, the others those of one run each.
MOST_OPEN_FILES = 8


class PooledSqliteEventLogStorage(SqliteEventLogStorage):
    """Dagster's event log in SQLite, with one open connection for each of the last files used.

    A crash of the machine may lose the last events of a run, not the files: SQLite writes its log ahead.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        # First: Dagster's constructor opens a file.
        self._engines: OrderedDict[str, db.Engine] = OrderedDict()
        self._held: dict[str, db.Connection] = {}
        super().__init__(base_dir, inst_data)
        # Not Dagster's plain lock: a batch holds it while each of its events is stored.
        self._db_lock = threading.RLock()  # type: ignore[assignment]

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "PooledSqliteEventLogStorage":
        """Make the storage that `dagster.yaml` describes."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[db.Connection]:
        with self._db_lock:
            if shard in self._held:
                yield self._held[shard]
                return
            engine = self._open(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of a run in one transaction of each file: all of them, or none."""
        with self._db_lock, ExitStack() as held:
            held.callback(self._held.clear)
            for shard in (INDEX_SHARD_NAME, *dict.fromkeys(event.run_id for event in events)):
                self._held[shard] = held.enter_context(self._connect(shard))
            super().store_event_batch(events)

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
