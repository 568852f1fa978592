"""Test that each node of dbt has a transaction of its own on a connection that stays open."""

from multiprocessing import get_context
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from dbt.adapters.postgres.connections import PostgresCredentials

from data.warehouse.connections import KeptConnections

pytestmark = pytest.mark.engine


def test_a_statement_after_a_commit_begins_a_transaction(oltp_dsn: str) -> None:
    """Each node sets how PostgreSQL joins, and replaces rows by two statements: both need a transaction."""
    server = urlsplit(oltp_dsn)
    address: dict[str, Any] = {
        "host": server.hostname,
        "port": server.port,
        "user": server.username,
        "password": server.password,
        "database": server.path.lstrip("/"),
        "schema": "public",
    }
    profile: Any = SimpleNamespace(credentials=PostgresCredentials(**address))
    connections: Any = KeptConnections(profile, get_context("spawn"))  # type: ignore[no-untyped-call]

    backends = set()
    for number in range(3):
        connections.set_connection_name(f"node {number}")
        ask(connections, "set local enable_mergejoin = off")
        assert ask(connections, "show enable_mergejoin") == "off"
        backends.add(ask(connections, "select pg_backend_pid()"))
        connections.commit()
        connections.release()
    connections.cleanup_all()

    assert len(backends) == 1


def ask(connections: Any, query: str) -> Any:
    cursor = connections.add_query(query)[1]
    return cursor.fetchone()[0] if cursor.description else None
