"""A job that waits for a lock says who holds it, and gives up after the limit of its login."""

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from myproperty.database.blockers import watch_locks
from myproperty.database.session import transaction
from myproperty.errors import DatabaseUnavailable
from tests.conftest import DatabaseMaker

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def dsn(fresh_database: DatabaseMaker) -> Iterator[str]:
    with fresh_database("locked") as found:
        with psycopg.connect(found) as connection:
            connection.execute("create table dimension as select 1 as n")
        yield found


@pytest.fixture
def holder(dsn: str) -> Iterator[psycopg.Connection]:
    """A person's session that read a table in a transaction and was left open."""
    with psycopg.connect(dsn, application_name="somebody's notebook") as connection:
        connection.execute("table dimension")
        yield connection


def test_who_holds_a_step_up_is_told_while_it_waits(dsn: str, holder: psycopg.Connection) -> None:
    lines: list[str] = []
    told = threading.Event()

    def tell(line: str) -> None:
        lines.append(line)
        told.set()

    def end_when_told() -> None:
        assert told.wait(20)
        time.sleep(0.3)  # two more looks: the same wait is told once
        holder.rollback()

    ending = threading.Thread(target=end_when_told)
    ending.start()
    with watch_locks(dsn, tell, patience_s=0.1), transaction(dsn) as session:
        session.execute("drop table if exists nothing")
        session.execute("lock table dimension in access exclusive mode")
    ending.join()
    pid = holder.info.backend_pid
    assert lines == [
        f"waiting for dimension behind session {pid} (login postgres, application somebody's notebook): "
        f"if that session hangs, end it as a superuser: select pg_terminate_backend({pid})"
    ]


def test_a_step_that_waits_for_nobody_says_nothing(dsn: str) -> None:
    lines: list[str] = []
    with watch_locks(dsn, lines.append, patience_s=0.05), transaction(dsn) as session:
        session.execute("lock table dimension in access exclusive mode")
        time.sleep(0.2)
    assert lines == []


def test_a_step_that_gives_up_names_the_holder(dsn: str, holder: psycopg.Connection) -> None:
    with (
        pytest.raises(DatabaseUnavailable) as refused,
        transaction(dsn) as session,
    ):
        session.execute("set local lock_timeout = '50ms'")
        session.execute("lock table dimension in access exclusive mode")
    message = str(refused.value)
    assert "gave up waiting for a lock, and changed nothing" in message
    assert f"session {holder.info.backend_pid} (login postgres, application somebody's notebook)" in message
    assert f"select pg_terminate_backend({holder.info.backend_pid})" in message


def test_a_lost_server_ends_the_watch_with_a_word(dsn: str) -> None:
    lines: list[str] = []
    with watch_locks(dsn.replace("postgres:", "nobody:"), lines.append, patience_s=0.05):
        time.sleep(0.5)
    assert len(lines) == 1 and lines[0].startswith("who holds up this step cannot be seen: ")
