"""What disturbs the server of the databases during a load: stopped, a session lost, its log full.

Each function needs a server of its own (`World.server`); `fill_log` needs root, since it mounts a small disk.
"""

import contextlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import psutil
import psycopg

from myproperty import engines
from myproperty.engines.environment import find_postgres
from myproperty.settings import Settings
from tests.chaos.loads import Ended, Worker, at_random_call, small_disk
from tests.chaos.world import World
from tests.engine_support import list_server

SEGMENT = 16 * 2**20
# What a load writes to the log is a few megabytes, whole pages after a checkpoint included.
MOST_LEFT = 4 * 2**20
# The log of the small disk: its segments, and one more while the server starts.
DISK = 24 * SEGMENT


def stop_server(world: World, random: Random) -> Ended:
    """SIGSTOP of the server and its sessions for some seconds, then SIGCONT."""
    assert world.server is not None
    orders = at_random_call(world, random)
    worker = Worker(world, orders)
    worker.reached.wait(world.seconds * 5 + 5)
    stopped = list_server(world.server)
    for process in stopped:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    seconds = random.uniform(0.2, 5)
    time.sleep(seconds)
    for process in stopped:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
    ended = worker.wait()
    ended.point = f"call {orders.call}, {seconds:.1f} s"
    return ended


def kill_session(world: World, random: Random) -> Ended:
    """`kill -9` of one process of the server: it ends all others and recovers by itself."""
    assert world.server is not None
    orders = at_random_call(world, random)
    worker = Worker(world, orders)
    worker.reached.wait(world.seconds * 5 + 5)
    _, *others = list_server(world.server)
    victim = random.choice(others)
    with contextlib.suppress(psutil.NoSuchProcess):
        victim.kill()
    ended = worker.wait()
    engines.up(world.server, emulator=False)
    ended.point = f"call {orders.call}"
    return ended


def fill_log(world: World, random: Random) -> Ended:
    """The disk of the server's log (WAL) is full after some bytes of a load; then there is room again."""
    assert world.server is not None
    left = random.randrange(MOST_LEFT)
    with log_on_small_disk(world.server) as log:
        filler = log / "filler"
        _use_spare_segments(world, left)
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(SEGMENT // 256))
        ended = Worker(world).wait()
        filler.unlink()
        engines.up(world.server, emulator=False)
    ended.point = f"{left} bytes were left"
    return ended


@contextmanager
def log_on_small_disk(server: Settings) -> Iterator[Path]:
    """Move the log of a server to a small disk meanwhile; the server is restarted before and after."""
    log = find_postgres(server).data / "pg_wal"
    kept = log.with_name("kept_wal")
    engines.down(server)
    shutil.copytree(log, kept)
    with small_disk(log, DISK):
        _copy_log(kept, log)
        shutil.rmtree(kept)
        engines.up(server, emulator=False)
        try:
            yield log
        finally:
            engines.down(server)
            shutil.copytree(log, kept)
    _copy_log(kept, log)
    shutil.rmtree(kept)
    engines.up(server, emulator=False)


def _copy_log(source: Path, log: Path) -> None:
    """Let a folder have the files of another one, owned by the account of the server."""
    for path in log.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(source, log, dirs_exist_ok=True)
    owner = log.parent.stat()
    for path in (log, *log.rglob("*")):
        shutil.chown(path, owner.st_uid, owner.st_gid)
    log.chmod(0o700)


def _use_spare_segments(world: World, left: int) -> None:
    """Write to the log until `left` bytes of its last segment are free."""
    with psycopg.connect(world.admin, autocommit=True) as connection:
        connection.execute("checkpoint")
        for _ in range(_count_spare_segments(connection)):
            connection.execute("select pg_logical_emit_message(false, 'chaos', 'x'), pg_switch_wal()")
        row = connection.execute(
            "select %s - ((pg_current_wal_insert_lsn() - '0/0'::pg_lsn) %% %s)::bigint", (SEGMENT, SEGMENT)
        ).fetchone()
        assert row is not None
        if (used := row[0] - left) > 0:
            connection.execute("select pg_logical_emit_message(false, 'chaos', repeat('x', %s))", (used,))


def _count_spare_segments(connection: psycopg.Connection) -> int:
    """Return how many segments the server has made for later."""
    row = connection.execute(
        "select count(*) from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$' "
        "and name > pg_walfile_name(pg_current_wal_insert_lsn())"
    ).fetchone()
    assert row is not None
    return int(row[0])
