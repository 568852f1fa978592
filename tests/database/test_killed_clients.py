"""The server ends what a killed client asked for, so that nobody waits for a dead process."""

import os
import subprocess
import sys
import time
from urllib.parse import quote

import psycopg
import pytest

from myproperty import engines
from myproperty.settings import CHECKOUT, Settings

pytestmark = pytest.mark.engine

CLIENT = """
import sys
import psycopg
from myproperty.database.session import transaction
if sys.argv[2] == "session":
    with transaction(sys.argv[1]) as session:
        session.execute("select pg_advisory_xact_lock(83)")
        print("locked", flush=True)
        session.execute("select pg_sleep(60)")
else:
    with psycopg.connect(sys.argv[1]) as connection:
        connection.execute("select pg_advisory_xact_lock(83)")
        print("locked", flush=True)
        connection.execute("select pg_sleep(60)")
"""


@pytest.mark.parametrize(("kind", "setting"), [("session", "0"), ("other", "")])
def test_the_lock_of_a_killed_client_is_free_within_seconds(
    postgres_settings: Settings, kind: str, setting: str
) -> None:
    """Transactions of the platform ask for it themselves; dbt relies on the setting of the server."""
    dsn = engines.dsn(postgres_settings)
    given = f"{dsn}?options={quote(f'-c client_connection_check_interval={setting}')}" if setting else dsn
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, given, kind],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    assert client.stdout is not None
    assert client.stdout.readline() == "locked\n"
    time.sleep(0.2)  # the statement that it dies in has begun
    client.kill()
    client.wait()
    client.stdout.close()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set lock_timeout = '10s'")
        connection.execute("select pg_advisory_lock(83)")
