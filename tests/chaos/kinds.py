"""The kinds of chaos: what happens to a load or to a run at a random point, and what it may say about it.

A kind disturbs one or more processes and returns how each ended. What must be true afterwards is the same for
all and is checked in `trials`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from myproperty.settings import WarehouseKind
from tests.chaos import emulated, loads, pages, runs, servers
from tests.chaos.loads import Ended
from tests.chaos.world import World

LOST = r"connection|cannot be reached|terminat|closed|shut|consuming input|server"


@dataclass(frozen=True)
class Kind:
    """A kind of chaos. `says` is what an error of it must match; `weight` how often it is drawn.

    With `books`, the ledger and the files must be those of an undisturbed load too. `is_run`: the real
    command is disturbed, which takes minutes. `kills_server`: it needs a server of its own. `warehouse` is
    the engine that the load fills.
    """

    name: str
    what: str
    disturb: Callable[[World, Random], Ended]
    says: str
    weight: int = 10
    books: bool = True
    is_run: bool = False
    kills_server: bool = False
    warehouse: WarehouseKind = "postgres"


KINDS = (
    Kind("kill -9 of a load", "at a random call to the database", loads.kill_load, "", 30),
    Kind("kill -9 three times", "of the same load, at three points", loads.kill_again_and_again, "", 10),
    Kind("SIGSTOP of a load", "a second load runs meanwhile, then SIGCONT", loads.stop_load, LOST, 16),
    Kind(
        "ended connections",
        "`pg_terminate_backend` for all, up to three times",
        loads.end_connections,
        LOST,
        24,
    ),
    Kind(
        "cut network", "a proxy resets the connections in the middle of a message", loads.cut_wire, LOST, 24
    ),
    Kind(
        "kill -9 of PostgreSQL",
        "server and sessions, during a load",
        loads.kill_postgres,
        LOST,
        12,
        kills_server=True,
    ),
    Kind(
        "kill -9 of a session",
        "one process of PostgreSQL, during a load; it recovers by itself",
        servers.kill_session,
        LOST,
        8,
        kills_server=True,
    ),
    Kind(
        "SIGSTOP of PostgreSQL",
        "server and sessions, for up to five seconds of a load",
        servers.stop_server,
        "",
        8,
        kills_server=True,
    ),
    Kind(
        "full disk of the log",
        "the WAL of PostgreSQL, after some bytes of a load, then `myproperty up`",
        servers.fill_log,
        rf"No space left|{LOST}",
        10,
        kills_server=True,
    ),
    Kind(
        "deadlock",
        "the database picks the load",
        loads.raise_in_database("40P01", "deadlock detected"),
        "deadlock detected",
        10,
    ),
    Kind(
        "serialization failure",
        "the database cannot serialize a statement of the load",
        loads.raise_in_database("40001", "could not serialize access"),
        "could not serialize",
        8,
    ),
    Kind(
        "full disk of PostgreSQL",
        "no room for a row, at a random table",
        loads.raise_in_database("53100", "could not extend file: No space left on device"),
        "No space left",
        12,
    ),
    Kind(
        "no file may grow",
        "the system limits each file to some bytes",
        loads.limit_files,
        r"File too large|cannot be written",
        12,
    ),
    Kind(
        "full disk of files",
        "inbox copies, archive or readings on a disk of some kilobytes",
        loads.fill_disk,
        r"No space left|cannot be written",
        10,
    ),
    Kind("two loads at once", "or three, of the same inbox", loads.load_twice, "", 20),
    Kind(
        "reordered delivery",
        "files late, twice, in another order, during a load",
        loads.deliver_at_random,
        "",
        20,
        books=False,
    ),
    Kind(
        "clock jumps",
        "of the load, by a minute to three years, with a kill between",
        loads.jump_clock,
        "",
        10,
    ),
    Kind(
        "vanishing files",
        "inbox, archive or temporary files go during a load",
        loads.lose_files,
        r"No such file|cannot be|is not there|gone",
        16,
        books=False,
    ),
    Kind(
        "half a Parquet file",
        "of archived readings, is not restored",
        loads.break_parquet,
        "PartitionError",
        14,
        books=False,
    ),
    Kind(
        "half a file in the inbox",
        "it is refused or loaded in part; the whole one comes later",
        loads.send_half,
        r"refused|FILE-|CSV-HEADER|damaged|cut|header",
        14,
        books=False,
    ),
    Kind(
        "answers of BigQuery",
        "403, 404, 429, 500, 503, late, half, and failed jobs",
        loads.refuse_in_bigquery,
        "403|404",
        14,
    ),
    Kind(
        "kill -9 of the emulator",
        "of BigQuery, during a load, then `myproperty up`",
        emulated.kill_emulator,
        rf"{LOST}|is not running: start it with `myproperty up`",
        6,
        warehouse="emulator",
    ),
    Kind(
        "SIGSTOP of the emulator",
        "of BigQuery, for up to five seconds of a load",
        emulated.stop_emulator,
        "",
        4,
        warehouse="emulator",
    ),
    Kind(
        "kill -9 of a run", "`myproperty run` alone; dbt must die with it", runs.kill_run, "", 4, is_run=True
    ),
    Kind("kill -9 of dbt", "below a run", runs.kill_dbt, "dbt", 2, is_run=True),
    Kind("SIGSTOP of a run", "for ten seconds", runs.stop_run, LOST, 1, is_run=True),
    Kind("SIGSTOP of dbt", "below a run, for ten seconds", runs.stop_dbt, "", 1, is_run=True),
    Kind(
        "ended connections of a run",
        "all, once; Dagster tries again",
        runs.end_connections_of_run,
        LOST,
        2,
        is_run=True,
    ),
    Kind(
        "kill -9 of PostgreSQL in a run",
        "then `myproperty up`",
        runs.kill_postgres_of_run,
        LOST,
        2,
        is_run=True,
        kills_server=True,
    ),
    Kind(
        "kill -9 of `myproperty dev`",
        "the command, its web server, daemon or server of code, in a run that was launched in the pages",
        pages.kill_pages,
        "",
        3,
        is_run=True,
    ),
    Kind(
        "SIGSTOP of `myproperty dev`",
        "one of these for up to ten seconds; the run succeeds",
        pages.stop_pages,
        "",
        2,
        is_run=True,
    ),
    Kind("two runs at once", "of the same inbox", runs.run_twice, "", 1, is_run=True),
    Kind(
        "vanishing files of a run",
        "dbt's folder, Dagster's or the logs",
        runs.lose_files_of_run,
        r"No such file|dbt|missing|cannot|Dagster",
        2,
        is_run=True,
        books=False,
    ),
)


def matches(kind: Kind, said: str) -> bool:
    """Return whether a message says what happened."""
    return bool(kind.says) and re.search(kind.says, said) is not None
