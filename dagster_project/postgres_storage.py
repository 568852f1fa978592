"""The storage of a Dagster instance on PostgreSQL, with connections that stay open.

`dagster.yaml` names it as one, Dagster's chart as one for runs and one for events.

Dagster's own opens a connection for each of the thousands of events of a run: a process of the server, and a
login with TLS. Apart from `event_log`, because an instance in files need not load this.
"""

from typing import Any, Self

import sqlalchemy as db
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage, PostgresRunStorage
from dagster_postgres.auth import PgTokenProvider
from dagster_postgres.utils import create_pg_engine, get_token_provider_from_config, pg_url_from_config

# Beside the one that stays open: threads of a process that store at once.
MOST_MORE_CONNECTIONS = 10


class _Pooled:
    """A storage on PostgreSQL whose connection stays open; one that the server ended is found before use."""

    _engine: db.Engine

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: PgTokenProvider | None = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)  # type: ignore[call-arg]
        self._engine = create_pg_engine(
            postgres_url,
            token_provider,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=MOST_MORE_CONNECTIONS,
            pool_pre_ping=True,
        )

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Make the storage that `dagster.yaml` describes."""
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
            get_token_provider_from_config(config_value),
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
        self._event_log_storage = PooledPostgresEventLogStorage(
            postgres_url, False, token_provider=token_provider
        )
        self._run_storage = PooledPostgresRunStorage(postgres_url, False, token_provider=token_provider)

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
