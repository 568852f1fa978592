"""The event log of a Dagster instance in files, with connections that stay open.

Dagster's own opens a connection for each of the thousands of events of a run, compiles its statements anew
and waits for the disk. The storage on PostgreSQL is in `postgres_storage`.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import sqlalchemy as db
from dagster import EventLogEntry
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetKeyTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData, serialize_value

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
        """Store events of a run in one transaction of each file: all of them, or none.

        Dagster stores one after the other, and the planned events of a range are thousands. The row of an
        asset is written once, for the last of its events.
        """
        with self._db_lock, ExitStack() as held:
            held.callback(self._held.clear)
            for shard in (INDEX_SHARD_NAME, *dict.fromkeys(event.run_id for event in events)):
                self._held[shard] = held.enter_context(self._connect(shard))
            kinds = {event.dagster_event_type for event in events}
            if not kinds <= ASSET_EVENTS | ASSET_CHECK_EVENTS:
                super().store_event_batch(events)
                return
            rows = [(event, self._event_to_row(event)) for event in events]
            for run_id in dict.fromkeys(event.run_id for event in events):
                of_run = [row for event, row in rows if event.run_id == run_id]
                self._held[run_id].execute(SqlEventLogStorageTable.insert(), of_run)
            self._store_in_index(self._held[INDEX_SHARD_NAME], rows)

    def _store_in_index(self, index: db.Connection, rows: list[tuple[EventLogEntry, dict[str, Any]]]) -> None:
        index.execute(SqlEventLogStorageTable.insert(), [row for _, row in rows])
        # No other connection writes before this transaction ends, so the ids of its rows follow one another.
        last: int = index.execute(db.select(db.func.max(SqlEventLogStorageTable.c.id))).scalar_one()
        stored = [(event, last - len(rows) + place) for place, (event, _) in enumerate(rows, start=1)]
        of_assets = [each for each in stored if each[0].dagster_event_type in ASSET_EVENTS]
        if of_assets:
            self._store_asset_event_tags(index, *zip(*of_assets, strict=True))
        last_of = {
            (event.get_dagster_event().asset_key, event.dagster_event_type): (event, event_id)
            for event, event_id in of_assets
        }
        for event, event_id in last_of.values():
            self._store_asset_event(index, event, event_id)
        for event, event_id in stored:
            if event.dagster_event_type in ASSET_CHECK_EVENTS:
                self.store_asset_check_event(event, event_id)

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        planned = cast(AssetCheckEvaluationPlanned, event.get_dagster_event().event_specific_data)
        subset = planned.partitions_subset
        row = {
            "asset_key": planned.asset_key.to_string(),
            "check_name": planned.check_name,
            "run_id": event.run_id,
            "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
            "evaluation_event": serialize_value(event),
            "evaluation_event_timestamp": datetime.fromtimestamp(event.timestamp, UTC).replace(tzinfo=None),
            "evaluation_event_storage_id": event_id,
        }
        partitions: list[str | None] = [*subset.get_partition_keys()] if subset else [None]
        with self.index_connection() as index:
            rows = [row | {"partition": partition} for partition in partitions]
            index.execute(AssetCheckExecutionsTable.insert(), rows)

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

    def has_table(self, table_name: str) -> bool:
        """True: each file is made with all tables."""
        return True

    def _has_asset_key_col_on_connection(self, conn: db.Connection, column_name: str) -> bool:
        return column_name in AssetKeyTable.c

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
