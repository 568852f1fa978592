"""The real daemon of staging splits a failed backfill: the good tenant is published without the bad one.

All schedules and sensors are on, so the daemon does much besides: too long for the tests of a merge.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from dagster_project.build import build_defs
from dagster_project.defs.warehouse.jobs import pipeline
from dagster_project.instance import open_instance
from dagster_project.partitions import LEFT_OUT, SPLIT_FROM
from data.demo.company import list_tenants
from myproperty import engines
from myproperty.settings import Settings
from tests.soak.site import Site, build_site

PATIENCE_S = 900
BAD, GOOD = "demo-wattlebird", "demo-sonnenhof"
IDS = {tenant.name: str(tenant.id) for tenant in list_tenants("small")}
SPOIL = """
update myproperty.meter_readings set value_native = value_native * %s, value_kwh = value_kwh * %s
where tenant_id = %s and reading_date = %s and channel = 'generation'
"""
SHOWN = "select meter_id, energy_kwh from bi.energy_daily_v1 where tenant_id = %s and reading_date = %s"


@contextmanager
def started_daemon(site: Site, home: Path, log: Path) -> Iterator[None]:
    """Run the daemon with all its schedules and sensors; at the end kill it and what it started."""
    words = ["-m", "dagster._daemon", "run", "-m", "dagster_project.definitions"]
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            [sys.executable, "-W", "ignore", *words],
            env=site.variables() | {"MYPROPERTY_ENVIRONMENT": "staging", "DAGSTER_HOME": str(home)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(daemon.pid, signal.SIGTERM)
        daemon.wait()


def wait_for(is_so: Callable[[], bool], log: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until, log.read_text()[-5000:]
        time.sleep(0.5)


def request_backfill(site: Site, instance: dg.DagsterInstance) -> str:
    """Ask for the dated assets of the pipeline on the day, as Dagster's page does."""
    definitions = build_defs(settings=site.settings)
    graph = definitions.resolve_asset_graph()
    job = definitions.resolve_job_def(pipeline.name)
    dated = [key for key in job.asset_layer.executable_asset_keys if graph.get(key).partitions_def]
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id="split",
        asset_graph=graph,
        partition_names=[site.day.isoformat()],
        asset_selection=dated,
        backfill_timestamp=time.time(),
        tags={},
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=None,
        description=None,
        run_config=None,
    )
    instance.add_backfill(backfill)
    return backfill.backfill_id


def split_backfill(site: Site, folder: Path) -> None:
    """Spoil a day of one tenant, ask for a backfill of the day, and check what the daemon makes of it."""
    bad = site.ask(site.warehouse, SHOWN, IDS[BAD], site.day)
    good = site.ask(site.warehouse, SHOWN, IDS[GOOD], site.day)
    site.change(site.oltp, SPOIL, 100_000, 100_000, IDS[BAD], site.day)
    site.change(site.oltp, SPOIL, 2, 2, IDS[GOOD], site.day)
    log = folder / "daemon.log"
    with open_instance(site.settings.home) as instance:
        backfill = request_backfill(site, instance)
        split = dg.RunsFilter(tags={"launched_by": "sensor failed_ranges"})
        with started_daemon(site, Path(instance.root_directory), log):
            wait_for(lambda: any(run.is_finished for run in instance.get_runs(split)), log)
        found = instance.get_backfill(backfill)
        (failed,) = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill}))
        (part,) = instance.get_runs(split)
    assert found is not None and found.status in (BulkActionStatus.FAILED, BulkActionStatus.COMPLETED_FAILED)
    assert failed.status == dg.DagsterRunStatus.FAILURE
    assert part.status == dg.DagsterRunStatus.SUCCESS
    assert (part.tags[SPLIT_FROM], part.tags[LEFT_OUT]) == (failed.run_id, IDS[BAD])
    assert sorted(site.ask(site.warehouse, SHOWN, IDS[BAD], site.day)) == sorted(bad)
    assert sorted(site.ask(site.warehouse, SHOWN, IDS[GOOD], site.day)) != sorted(good)
    (left,) = site.pending().tenants
    assert (left.tenant, left.first) == (BAD, site.day)


def main() -> None:
    """Build the platform on a server of its own, and let its daemon split a backfill."""
    with tempfile.TemporaryDirectory(prefix="soak-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        server = Settings(home=folder / "server", warehouse="postgres", oltp_dsn=None, warehouse_dsn=None)
        engines.up(server, emulator=False)
        try:
            split_backfill(build_site(server, folder), folder)
        finally:
            engines.down(server)
    print("a failed backfill was split, and its good tenant published", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
