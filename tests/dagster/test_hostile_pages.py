"""Hostile names in Dagster's own pages, in a real browser: nothing of them runs, and they show as text."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.error import URLError
from urllib.request import urlopen

import dagster as dg
import pytest

from myproperty.settings import CHECKOUT
from tests.dagster import hostile_location
from tests.hostile import ALL, MARK
from tests.test_browser import is_owned, read, squeeze

pytestmark = pytest.mark.slow(minutes=0.6)
PATIENCE_S = 120
# The pages ask their server again and again: the browser waits this long on its own clock.
SETTLED_MS = 15_000


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The addresses of pages of a finished run, whose names and tags are hostile."""
    home = tmp_path_factory.mktemp("dagster")
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\nnux:\n  enabled: false\n")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        job = hostile_location.defs.get_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, tags={"tenants": ALL}, raise_on_error=False)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["-W", "ignore", "-m", "dagster_webserver", "-m", "tests.dagster.hostile_location"]
    server = subprocess.Popen(
        [sys.executable, *words, "-p", str(port), "--read-only"],
        env={**os.environ, "DAGSTER_HOME": str(home), "PYTHONPATH": str(CHECKOUT)},
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        await_answer(f"{address}/server_info")
        yield {
            "the failed check": f"{address}/assets/meter_files?view=checks&checkDetail=gate_a",
            "the asset": f"{address}/assets/meter_files?view=overview",
            "its events": f"{address}/assets/meter_files?view=events",
            "the run": f"{address}/runs/{result.run_id}",
            "all runs": f"{address}/runs",
        }
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


def await_answer(address: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            urlopen(address, timeout=5).close()
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(f"{address} does not answer")


@pytest.fixture(scope="module")
def doms(pages: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each page has become in Chromium after its scripts ran."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here, so no page was opened: apt-get install chromium")
    words = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    words += [f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]
    return {
        name: subprocess.run(
            [*words, f"--virtual-time-budget={SETTLED_MS}", "--dump-dom", address],
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        ).stdout
        for name, address in pages.items()
    }


def test_nothing_of_a_name_runs(doms: dict[str, str]) -> None:
    for name, dom in doms.items():
        assert not is_owned(dom), name
        assert read(dom).runs == [], name


def test_the_pages_show_the_names(doms: dict[str, str]) -> None:
    """So that the first test has looked at something: each page has loaded and shows a name as text."""
    for name, dom in doms.items():
        assert f"<script>{MARK}" in squeeze("".join(read(dom).text)), name


def test_the_failed_check_shows_its_table_of_rules(doms: dict[str, str]) -> None:
    shown = squeeze("".join(read(doms["the failed check"]).text))
    assert f"meter_id m2 {squeeze(ALL)}" in shown
