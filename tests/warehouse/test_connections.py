"""Test that each node of dbt has a transaction of its own on a connection that stays open."""

from multiprocessing import get_context
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from dbt.adapters.postgres.connections import PostgresCredentials

from data.warehouse.connections import KeptConnections

pytestmark = pytest.mark.engine


def test_a_statement_after_a_commit_begins_a_transaction(oltp_dsn: str) -> None:
    """Each node sets how PostgreSQL joins, and replaces rows by two statements: both need a transaction."""
    connections = make_connections(oltp_dsn)
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


def test_what_a_node_drops_after_its_commit_is_gone(oltp_dsn: str) -> None:
    """dbt renames a view, makes the new one, commits, and then drops the former one; a test follows."""
    connections = make_connections(oltp_dsn)
    connections.set_connection_name("view")
    ask(connections, "create view kept as select 1 as n")
    ask(connections, "create view former as select 1 as n")
    connections.commit()
    connections.add_query("drop view former", auto_begin=False)
    connections.release()
    connections.set_connection_name("test")
    ask(connections, "create view tried as select 1 as n")
    connections.release()
    connections.cleanup_all()

    with psycopg.connect(oltp_dsn) as other:
        found = other.execute("select viewname from pg_views where viewname in ('kept', 'former', 'tried')")
        assert found.fetchall() == [("kept",)]


def make_connections(dsn: str) -> Any:
    server = urlsplit(dsn)
    address: dict[str, Any] = {
        "host": server.hostname,
        "port": server.port,
        "user": server.username,
        "password": server.password,
        "database": server.path.lstrip("/"),
        "schema": "public",
    }
    profile: Any = SimpleNamespace(credentials=PostgresCredentials(**address))
    return KeptConnections(profile, get_context("spawn"))  # type: ignore[no-untyped-call]


def ask(connections: Any, query: str) -> Any:
    cursor = connections.add_query(query)[1]
    return cursor.fetchone()[0] if cursor.description else None
