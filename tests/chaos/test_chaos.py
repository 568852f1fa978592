"""A seeded share of `make chaos`: loads that are killed, cut and doubled; and the page."""

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import psycopg
import pytest

from myproperty import engines
from myproperty.settings import Settings
from tests.chaos.findings import FINDINGS, write_findings
from tests.chaos.kinds import KINDS, Kind
from tests.chaos.loads import Ended
from tests.chaos.trials import PAGE, Trial, try_kind, write_table
from tests.chaos.worker import load_all
from tests.chaos.world import World, build_world
from tests.soak.site import drop_databases

pytestmark = [pytest.mark.engine, pytest.mark.slow(minutes=0.6)]
SEED = int(os.environ.get("CHAOS_SEED", "1"))
SHARE = 4


@pytest.fixture(scope="module")
def world(postgres_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    admin = engines.dsn(postgres_settings)
    yield build_world(admin, tmp_path_factory.mktemp("chaos"))
    drop_databases(admin, "chaos")


def choose_share(seed: int) -> list[Kind]:
    """Return a kill, and kinds that need neither root, nor an engine of their own, nor minutes."""
    quick = [
        kind
        for kind in KINDS[1:]
        if not (kind.is_run or kind.kills_server or kind.name == "full disk of files")
        and kind.warehouse == "postgres"
        and kind.weight < 20
    ]
    return [KINDS[0], *Random(seed).sample(quick, SHARE - 1)]


@pytest.mark.parametrize("kind", choose_share(SEED), ids=lambda kind: kind.name)
def test_a_disturbed_load_leaves_nothing_and_the_next_one_the_rows_of_an_undisturbed_one(
    world: World, kind: Kind
) -> None:
    assert try_kind(world, kind, str(SEED)).problem == ""


def test_a_load_that_loses_a_row_is_found(world: World) -> None:
    """A row is lost, a relation is left, and a lock is held: the trial names all three."""

    def lose(world: World, _: Random) -> Ended:
        load_all(world.settings)
        with psycopg.connect(world.dsn("oltp")) as connection:
            connection.execute("delete from myproperty.reading_issues where rule = 'VEE-GAP-SHORT'")
        with psycopg.connect(world.dsn("warehouse")) as connection:
            connection.execute("create table raw.x__dbt_tmp (id int)")
        holders.append(psycopg.connect(world.dsn("oltp"), autocommit=True))
        holders[0].execute("select pg_advisory_lock(1)")
        return Ended(["nothing that it may say"])

    holders: list[psycopg.Connection] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.chaos.world.QUIET_S", 0.1)
        problem = try_kind(world, Kind("loses", "", lose, ""), "1").problem
    holders[0].close()
    for found in ("unexpected: nothing", "an advisory lock in oltp", "issues differs", "relation x__dbt_tmp"):
        assert found in problem


def test_the_page_has_the_kinds_of_the_program() -> None:
    rows = [line.rsplit(" | ", 3)[0] for line in write_table([]) if line.startswith("| ")]
    page = PAGE.read_text().splitlines()
    findings = write_findings()
    assert [
        line.rsplit(" | ", 3)[0] for line in page if line.startswith("| ") and line not in findings
    ] == rows
    assert [line for line in page if line in findings[2:]] == findings[2:]


def test_each_finding_has_its_test() -> None:
    for finding in FINDINGS:
        assert (Path(__file__).parents[1] / finding.test).exists(), finding


def test_a_trial_counts_as_found_or_held() -> None:
    trials = [Trial(KINDS[0].name, "1-1", "", 1.0), Trial(KINDS[0].name, "1-2", "", 1.0, "a row is lost")]
    assert "| 2 | 1 | 1 |" in write_table(trials)[2]
