"""Say which sessions hold the locks that a job waits for, while it waits and after it gave up.

Any login may read what this reads: process, login and application of a session, never its statement.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg

# A lock that is held for less is not worth a line.
PATIENCE_S = 20.0
MOST_HOLDERS = 3
_WAITS: LiteralString = """
select waiting.pid, coalesce(wanted.relation::regclass::text, wanted.locktype || ' lock'),
    blocking.pid, holder.usename, holder.application_name
from pg_catalog.pg_stat_activity as waiting
inner join pg_catalog.pg_locks as wanted on wanted.pid = waiting.pid and not wanted.granted
cross join lateral unnest(pg_blocking_pids(waiting.pid)) as blocking (pid)
left join pg_catalog.pg_stat_activity as holder on holder.pid = blocking.pid
where waiting.datname = current_database() and waiting.usename = session_user
order by 1, 3
"""
_HOLDERS: LiteralString = """
select holder.pid, holder.usename, holder.application_name
from pg_catalog.pg_stat_activity as holder
where holder.datname = current_database() and holder.pid <> pg_backend_pid()
    and exists (
        select from pg_catalog.pg_locks as l
        where l.pid = holder.pid and l.granted and l.locktype <> 'virtualxid'
    )
order by holder.pid
"""


@contextmanager
def watch_locks(dsn: str, tell: Callable[[str], None], patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Inside the block, tell once of each session that holds up a session of the login of `dsn`."""
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(dsn, tell, patience_s, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join(timeout=patience_s)


def describe_holders(connection: psycopg.Connection) -> str:
    """Name the sessions that hold locks in this database now, at most MOST_HOLDERS of them."""
    found = connection.execute(_HOLDERS).fetchall()
    if not found:
        return "no session holds a lock any more: try again"
    named = [_describe(pid, login, application) for pid, login, application in found[:MOST_HOLDERS]]
    more = f" and {len(found) - MOST_HOLDERS} more" if len(found) > MOST_HOLDERS else ""
    return (
        f"sessions that hold locks now: {', '.join(named)}{more}. Wait for them, or end one as a superuser: "
        f"select pg_terminate_backend({found[0][0]})"
    )


def _watch(dsn: str, tell: Callable[[str], None], patience_s: float, done: threading.Event) -> None:
    known: set[tuple[int, int]] = set()
    try:
        while not done.wait(patience_s):
            with psycopg.connect(dsn, autocommit=True, application_name="myproperty locks") as connection:
                found = connection.execute(_WAITS).fetchall()
            for waiting, what, blocking, login, application in found:
                if (waiting, blocking) not in known:
                    known.add((waiting, blocking))
                    tell(
                        f"waiting for {what} behind {_describe(blocking, login, application)}: if that "
                        f"session hangs, end it as a superuser: select pg_terminate_backend({blocking})"
                    )
    except psycopg.Error as error:
        tell(f"who holds up this step cannot be seen: {str(error).splitlines()[0]}")


def _describe(pid: int, login: str | None, application: str | None) -> str:
    return f"session {pid} (login {login or 'unknown'}, application {application or 'unnamed'})"
