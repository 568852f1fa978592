"""What disturbs a load: each function does it at a random point and returns how the processes ended."""

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil
import psycopg
import pyarrow.parquet as pq

from data.landing.archive import archive_partitions, restore_date
from data.landing.entities import ENTITIES
from myproperty import engines
from myproperty.database.retry import is_retryable
from myproperty.errors import PlatformError
from tests.chaos.proxy import Proxy
from tests.chaos.worker import ARCHIVE_BEFORE, Orders, work
from tests.chaos.world import OLD, World, list_family
from tests.engine_support import kill_server
from tests.raw.job_server import Disturbance, JobServer

PATIENCE_S = 120
# Tables that a load writes, one of each stage.
WRITTEN = (
    ("oltp", "myproperty.ingestion_jobs"),
    ("oltp", "myproperty.ingestion_job_dates"),
    ("oltp", "myproperty.meter_reading_versions"),
    ("oltp", "warehouse_staging.quarantined_readings"),
    ("oltp", "myproperty.reading_issues"),
    ("oltp", "warehouse_staging.meters"),
    ("oltp", "warehouse_staging.meter_readings"),
    ("oltp", "warehouse_staging.published_dates"),
    ("oltp", "warehouse_staging.archived_dates"),
)
_RAISE = """
create sequence public.chaos_once;
create function public.chaos() returns trigger language plpgsql security definer as $$ begin
    if nextval('public.chaos_once') = {times} then
        raise exception using errcode = '{code}', message = '{message}';
    end if;
    return new;
end $$;
create trigger chaos before insert on {table} for each row execute function public.chaos();
"""
CUT = "select pg_terminate_backend(pid) from pg_stat_activity where datname ~ '^chaos_(oltp|warehouse)$'"


@dataclass
class Ended:
    """How the processes of a trial ended: `said` has the errors, `family` all processes that there were."""

    said: list[str] = field(default_factory=list)
    family: list[psutil.Process] = field(default_factory=list)
    point: str = ""
    killed: int = 0


_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.chaos.worker"])


class Worker:
    """A load in a process of its own."""

    def __init__(
        self, world: World, orders: Orders | None = None, dsns: tuple[str, str] | None = None
    ) -> None:
        oltp, warehouse = dsns or (world.dsn("oltp"), world.dsn("warehouse"))
        self.reached = _context.Event()
        self._home = world.settings.home
        arguments = (
            (str(self._home), world.warehouse, oltp, warehouse, str(world.temporary)),
            orders or Orders(),
            self.reached,
        )
        self.process = _context.Process(target=work, args=arguments)
        self.process.start()
        assert self.process.pid is not None
        self.pid: int = self.process.pid

    def wait(self) -> Ended:
        """Wait for its end and return it."""
        family = list_family(self.pid)
        self.process.join(PATIENCE_S)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            return Ended([f"HANGS: no end after {PATIENCE_S} s"], family)
        code = self.process.exitcode
        file = Path(f"{self._home}.{self.pid}.json")
        said = json.loads(file.read_text()) if file.exists() else None
        file.unlink(missing_ok=True)
        errors = [f"{said['error']}: {said['message']}"] if said else []
        if code not in (0, -signal.SIGKILL) and not errors:
            errors = [f"SILENT: exit code {code} without a message"]
        return Ended(errors, family, killed=int(code == -signal.SIGKILL))


def join(*ends: Ended) -> Ended:
    return Ended(
        [text for end in ends for text in end.said],
        [process for end in ends for process in end.family],
        "; ".join(end.point for end in ends if end.point),
        sum(end.killed for end in ends),
    )


def at_random_call(world: World, random: Random, act: int = 0, pause_s: float = 0) -> Orders:
    delay = random.choice([0, random.random() / 50, random.random() / 5])
    return Orders(call=random.randint(1, world.calls), delay=delay, act=act, pause_s=pause_s)


def kill_load(world: World, random: Random) -> Ended:
    """`kill -9` at a call, or up to 0.2 s later."""
    orders = at_random_call(world, random, signal.SIGKILL)
    ended = Worker(world, orders).wait()
    return Ended(ended.said, ended.family, f"call {orders.call} + {orders.delay:.3f} s", ended.killed)


def kill_again_and_again(world: World, random: Random) -> Ended:
    """The same load is killed three times."""
    return join(*(kill_load(world, random) for _ in range(3)))


def stop_load(world: World, random: Random) -> Ended:
    """SIGSTOP, a second load meanwhile, then SIGCONT."""
    orders = at_random_call(world, random, signal.SIGSTOP)
    first = Worker(world, orders)
    _wait_for_stop(first)
    second = Worker(world)
    time.sleep(random.choice([0.5, 3.0]))
    if first.process.is_alive():
        os.kill(first.pid, signal.SIGCONT)
    ended = join(second.wait(), first.wait())
    ended.point = f"call {orders.call} + {orders.delay:.3f} s"
    return ended


def _wait_for_stop(worker: "Worker") -> None:
    until = time.monotonic() + PATIENCE_S
    while worker.process.is_alive() and time.monotonic() < until:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED:
                return
        time.sleep(0.01)


def end_connections(world: World, random: Random) -> Ended:
    """The database ends all connections, a few times."""
    orders = at_random_call(world, random, pause_s=0.02)
    worker = Worker(world, orders)
    worker.reached.wait(world.seconds * 5 + 5)
    for _ in range(random.randint(1, 3)):
        with psycopg.connect(world.admin, autocommit=True) as connection:
            connection.execute(CUT)
        time.sleep(random.random() / 20)
    ended = worker.wait()
    ended.point = f"call {orders.call}"
    return ended


def cut_wire(world: World, random: Random) -> Ended:
    """The network resets all connections after so many bytes, in the middle of a message."""
    size = int(10 ** (3 + 2.7 * random.random()))
    with Proxy(world.admin, size) as proxy:
        dsns = proxy.through(world.dsn("oltp")), proxy.through(world.dsn("warehouse"))
        ended = Worker(world, dsns=dsns).wait()
    ended.point = f"after {size} bytes"
    return ended


def kill_postgres(world: World, random: Random) -> Ended:
    """`kill -9` of the server and its sessions, then `myproperty up`."""
    assert world.server is not None
    orders = at_random_call(world, random)
    worker = Worker(world, orders)
    worker.reached.wait(world.seconds * 5 + 5)
    time.sleep(orders.delay)
    kill_server(world.server)
    ended = worker.wait()
    engines.up(world.server, emulator=False)
    ended.point = f"call {orders.call} + {orders.delay:.3f} s"
    return ended


def raise_in_database(code: str, message: str) -> Callable[[World, Random], Ended]:
    """Let the database raise an error once, at a random row of a random table."""

    def disturb(world: World, random: Random) -> Ended:
        name, table = random.choice(WRITTEN)
        times = random.choice([1, 1, 2, 40])
        with psycopg.connect(world.dsn(name)) as connection:
            statement = _RAISE.format(table=table, code=code, message=message, times=times)
            connection.execute(statement.encode())
        ended = Worker(world).wait()
        with psycopg.connect(world.dsn(name)) as connection:
            connection.execute("drop function public.chaos() cascade; drop sequence public.chaos_once")
        ended.point = f"row {times} of {table}"
        return ended

    return disturb


def limit_files(world: World, random: Random) -> Ended:
    """No file may grow beyond some bytes: copies of the inbox, the archive, Parquet."""
    limit = random.choice([1, 100, 1000, 2000, 4000, 8000])
    ended = Worker(world, Orders(file_bytes=limit)).wait()
    ended.point = f"{limit} bytes"
    return ended


def fill_disk(world: World, random: Random) -> Ended:
    """A folder is on a disk of a few kilobytes: the archive of files or of readings, temporary files."""
    folder = random.choice(
        [Path(world.settings.archive), Path(world.settings.readings_archive), world.temporary]
    )
    size = random.choice([4096, 8192, 16384])
    with small_disk(folder, size):
        ended = Worker(world).wait()
        kept = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for path, content in kept.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    ended.point = f"{size} bytes for {folder.name}"
    return ended


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """Mount a small disk at a folder; it needs root. Raises CalledProcessError."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def load_twice(world: World, random: Random) -> Ended:
    """Two or three loads of the same inbox at once."""
    workers = []
    for _ in range(random.choice([2, 2, 3])):
        workers.append(Worker(world))
        time.sleep(random.random() * world.seconds / 2)
    return join(*(worker.wait() for worker in workers))


def deliver_at_random(world: World, random: Random) -> Ended:
    """Files come in another order, one by one, some twice under other names, some during a load."""
    names = ["a.csv", "b.csv", "c.csv.gz"]
    contents = {name: (world.inbox / name).read_bytes() for name in names}
    for name in names:
        (world.inbox / name).unlink()
    order = random.sample(names, 3) + random.choices(names, k=2)
    ends = []
    for number, name in enumerate(order):
        (world.inbox / f"{number}-{name}").write_bytes(contents[name])
        if random.random() < 0.7:
            worker = Worker(world)
            if random.random() < 0.5 and number + 1 < len(order):
                time.sleep(random.random() * world.seconds)
                part = world.inbox / f".{number}.part"
                part.write_bytes(contents[order[number + 1]])
                part.rename(world.inbox / f"{number}-during-{order[number + 1]}")
            ends.append(worker.wait())
    ended = join(*ends)
    ended.point = " ".join(order)
    return ended


def jump_clock(world: World, random: Random) -> Ended:
    """The clock of a load is wrong by minutes to years; it is killed, and the next has another time."""
    first, second = random.sample([-(10**8), -86_400, -3600, -60, 60, 3600, 86_400, 10**8], 2)
    orders = at_random_call(world, random, signal.SIGKILL)
    killed = Worker(world, Orders(call=orders.call, act=signal.SIGKILL, clock_s=first)).wait()
    return join(killed, Worker(world, Orders(clock_s=second)).wait(), Ended(point=f"{first} s, {second} s"))


def lose_files(world: World, random: Random) -> Ended:
    """Inbox, archive or temporary files vanish during a load; lost files of the inbox come again."""
    orders = at_random_call(world, random, pause_s=0.05)
    worker = Worker(world, orders)
    worker.reached.wait(world.seconds * 5 + 5)
    kept = {path.name: path.read_bytes() for path in world.inbox.glob("*.csv*")}
    target = random.choice(["inbox", "archive", "temporary files"])
    if target == "inbox":
        for name in kept:
            (world.inbox / name).unlink(missing_ok=True)
    else:
        folder = Path(world.settings.archive) if target == "archive" else world.temporary
        shutil.rmtree(folder, ignore_errors=True)
    ended = worker.wait()
    world.temporary.mkdir(exist_ok=True)
    if target == "inbox":
        for name, content in kept.items():
            (world.inbox / name).write_bytes(content)
    ended.point = f"{target} at call {orders.call}"
    return ended


def break_parquet(world: World, random: Random) -> Ended:
    """A file of archived readings is cut or altered: it is not restored; the right file is."""
    said = []
    dsn, url = world.dsn("oltp"), world.settings.readings_archive
    archive_partitions(dsn, url, before=ARCHIVE_BEFORE)
    (file,) = Path(url).glob("*.parquet")
    right = file.read_bytes()
    if random.random() < 0.7:
        cut = random.randrange(len(right))
        file.write_bytes(right[:cut])
    else:
        rows = pq.read_table(file)
        cut = random.randrange(rows.num_rows)
        pq.write_table(rows.slice(0, cut), file)
    try:
        restore_date(dsn, OLD)
    except PlatformError as error:
        said.append(f"{type(error).__name__}: {error}")
    else:
        said.append("TAKEN: a broken file was restored")
    file.write_bytes(right)
    restore_date(dsn, OLD)
    return Ended(said, point=f"cut at {cut}")


def send_half(world: World, random: Random) -> Ended:
    """A sender writes a file slowly, under its own name: half of it is there when a load begins."""
    file = world.inbox / random.choice(["a.csv", "c.csv.gz"])
    whole = file.read_bytes()
    cut = random.randrange(1, len(whole))
    file.write_bytes(whole[:cut])
    first = Worker(world).wait()
    file.write_bytes(whole)
    first.point = f"{cut} bytes of {file.name}"
    return first


ANSWERS = (
    Disturbance(403, "rateLimitExceeded"),
    Disturbance(403, "accessDenied"),
    Disturbance(404, "notFound"),
    Disturbance(429, "tooManyRequests"),
    Disturbance(500, "internalError"),
    Disturbance(503, "backendError"),
    Disturbance(seconds=1),
    Disturbance(is_half=True),
)


def refuse_in_bigquery(world: World, random: Random) -> Ended:
    """BigQuery answers a load with errors, late or half, and jobs fail; a step tries it again, as Dagster."""
    entity = ENTITIES["tenants"]
    said = []
    with JobServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        server.disturbances = random.choices(ANSWERS, k=random.randint(1, 4))
        server.failures = random.choices(["backendError", "rateLimitExceeded"], k=random.randint(0, 2))
        point = " ".join(f"{each.status or 'slow'}" for each in server.disturbances)
        for _ in range(12):
            try:
                server.open_warehouse().load_partitions(entity, [], None, "a run")
                break
            except Exception as error:  # noqa: BLE001  what it says is looked at
                if not is_retryable(error):
                    said.append(f"{type(error).__name__}: {error}")
        else:
            said.append("HANGS: it did not succeed in twelve attempts")
        server.shutdown()
    done = [job for job in server.jobs.values() if "errorResult" not in job["status"]]
    if len(done) != 1:
        said.append(f"DOUBLED: {len(done)} jobs succeeded")
    return Ended(said, point=point)
