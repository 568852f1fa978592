"""`kill -9` of the real command while dbt builds: nothing of it lives on; the next run builds it again."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from dagster_project.runner import run_pipeline
from myproperty import engines
from myproperty.settings import Settings
from tests.chaos.world import find_orphans, list_family
from tests.end_to_end.support import Platform
from tests.soak.site import Site, adopt_site, drop_databases

pytestmark = [pytest.mark.engine, pytest.mark.slow]
PATIENCE_S = 300
BUSY = (
    "select count(*) from pg_stat_activity where datname ~ '^soak_' and backend_type = 'client backend'"
    " and (xact_start is not null or state <> 'idle')"
)


@pytest.fixture
def site(
    platform: Platform, postgres_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    admin, day = engines.dsn(postgres_settings), platform.plan.end - timedelta(days=5)
    yield adopt_site(admin, platform.settings, tmp_path_factory.mktemp("killed"), day)
    drop_databases(admin)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of temporary files, whose path is short enough for a socket below it."""
    with tempfile.TemporaryDirectory(prefix="killed-", dir="/tmp") as folder:
        monkeypatch.setattr("tempfile.tempdir", folder)
        monkeypatch.setattr("myproperty.files._YOUNG_S", 0)
        yield Path(folder)


def start_command(site: Site, log: Path, temporary: Path) -> "subprocess.Popen[bytes]":
    """Start `myproperty run` over a day, in a process of its own."""
    program = Path(sys.executable).parent / "myproperty"
    with log.open("wb") as output:
        return subprocess.Popen(
            [program, "run", "--from", str(site.day), "--to", str(site.day)],
            env=site.variables() | {"TMPDIR": str(temporary)},
            stdout=output,
            stderr=output,
        )


def wait_for(text: str, log: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while text not in log.read_text():
        assert time.monotonic() < until, log.read_text()[-3000:]
        time.sleep(0.05)


def count_busy(site: Site) -> int:
    with psycopg.connect(site.admin) as connection:
        return int(connection.execute(BUSY).fetchall()[0][0])


def test_a_run_killed_while_dbt_builds_leaves_nothing_behind_and_the_next_one_says_so(
    site: Site, tmp_path: Path, temporary: Path
) -> None:
    log = tmp_path / "run.log"
    command = start_command(site, log, temporary)
    try:
        wait_for("dbt built", log)
        family = list_family(command.pid)
        assert any("myproperty-dbt" in " ".join(each.cmdline()) for each in family)
    finally:
        command.kill()
        command.wait()
    assert find_orphans(family) == []
    until = time.monotonic() + 10
    while count_busy(site) and time.monotonic() < until:
        time.sleep(0.1)
    assert count_busy(site) == 0
    after_kill = site.figures()
    time.sleep(3)
    assert site.figures() == after_kill == site.base
    assert list(temporary.glob("myproperty-dbt-*")), "what a killed process could not remove"

    said: list[str] = []
    report = run_pipeline(site.day, site.day + timedelta(days=1), site.settings, said.append)
    assert report.success, report.error
    assert any(f"over {site.day} was killed" in line for line in said)
    assert site.figures() == site.base
    assert not site.pending().dates
    assert list(temporary.glob("myproperty-*")) == []
