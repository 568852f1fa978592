"""Take the pictures of docs/dagster.md in a real browser: `make screenshots`.

The demo company runs through the real job in a home of its own; one reading is spoiled, so that gate A fails;
a backfill of two dates is launched in Dagster. Then Chromium opens the pages. It must be installed
(`apt-get install chromium`); without it the tests of hostile names in pages skip.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import psycopg

from commands.databases import prepare_databases
from dagster_project.instance import find_instance, open_instance
from dagster_project.runner import ingest_inbox, run_pending, run_pipeline, validate_due
from data.demo import apply_company, generate_files
from data.demo.billing import apply_billing
from expectations.data_docs import build_data_docs
from expectations.verdicts import recent_verdicts
from myproperty import engines
from myproperty.errors import PlatformError
from myproperty.settings import Settings, get_settings

PICTURES = Path(__file__).parent / "pictures"
DAYS = 6
PORT = 3939
DAGSTER = f"http://127.0.0.1:{PORT}"
WIDTH, HEIGHT = 1600, 1000
# The verdict shows its broken rule below the rules that passed.
TALL = {"data-docs-verdict": 1700}
# Dagster's pages ask its server again and again: the browser waits this long on its own clock.
SETTLED_MS = 20_000
PATIENCE_S = 300
LOCATION = "dagster_project.definitions"
_SPOIL = """
update myproperty.meter_readings set value_native = value_native * 1000, value_kwh = value_kwh * 1000
where reading_date = %s and channel = 'generation'
  and tenant_id = (select id from myproperty.tenants where name = 'demo-sonnenhof')
"""
_LAUNCH = """
mutation launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
_STATUS = """
query status($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } }
}
"""


def take_pictures(settings: Settings, browser: str) -> list[Path]:
    """Build the platform, plant the fault, launch the backfill and take every picture."""
    with _running_engines(settings):
        first = _build_platform(settings)
        with _running_dagster(settings):
            return _open_pages(settings, browser, first)


def _open_pages(settings: Settings, browser: str, first: date) -> list[Path]:
    dsn = engines.dsn(settings)
    backfill = _launch_backfill([first + timedelta(days=1), first + timedelta(days=2)])
    _execute(dsn, _SPOIL, first)
    run_pipeline(first, first + timedelta(days=1), settings)
    site = build_data_docs(recent_verdicts(dsn, 3), settings.home / "quality")
    pages = {
        "asset-graph": f"{DAGSTER}/asset-groups",
        "marts": f"{DAGSTER}/locations/{LOCATION}/asset-groups/marts/lineage",
        "failed-check": f"{DAGSTER}/assets/meter_readings?view=checks&checkDetail=gate_a",
        "backfill": f"{DAGSTER}/runs/b/{backfill}",
        "runs": f"{DAGSTER}/runs",
        "data-docs": site.as_uri(),
        "data-docs-verdict": _find_failed_page(site),
    }
    return [_take_picture(browser, name, address) for name, address in pages.items()]


def _build_platform(settings: Settings) -> date:
    """Run the demo company through the job; return its first reading date."""
    dsn = engines.dsn(settings)
    prepare_databases(settings)
    apply_company(dsn)
    plan = generate_files(Path(settings.inbox), "small", DAYS)
    ingest_inbox(settings)
    validate_due(settings)
    apply_billing(dsn, since=plan.start)
    run_pending(settings)
    return plan.start


def _execute(dsn: str, statement: str, *values: object) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(statement.encode(), values)


@contextmanager
def _running_engines(settings: Settings) -> Iterator[None]:
    engines.up(settings)
    try:
        yield
    finally:
        engines.down(settings)


@contextmanager
def _running_dagster(settings: Settings) -> Iterator[None]:
    """Run Dagster's web server and daemon: started after the first reading, its dates begin with it."""
    with open_instance(settings.home):
        home = find_instance(settings.home)
    words = [sys.executable, "-m", "dagster", "dev", "-m", LOCATION, "--port", str(PORT)]
    variables = {**os.environ, "DAGSTER_HOME": str(home)}
    with (settings.home / "dagster.log").open("w") as log:
        dagster = subprocess.Popen(words, env=variables, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_for(lambda: bool(_ask("query { version }")), "Dagster's web server")
            yield
        finally:
            dagster.terminate()
            dagster.wait(timeout=60)


def _ask(query: str, **variables: Any) -> dict[str, Any]:
    """Ask Dagster's GraphQL; raise OSError if it does not answer."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = Request(f"{DAGSTER}/graphql", body, {"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    if found.get("errors"):
        raise PlatformError(f"Dagster refused a query: {found['errors']}")
    data: dict[str, Any] = found["data"]
    return data


def _wait_for(is_ready: Any, what: str) -> None:
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        try:
            if is_ready():
                return
        except OSError:
            pass  # not yet listening
        time.sleep(1)
    raise PlatformError(f"{what} did not get ready in {PATIENCE_S} s")


def _launch_backfill(dates: list[date]) -> str:
    """Launch a backfill of all assets of the pipeline over the dates; return its id when it has ended."""
    from dagster_project.build import build_defs
    from dagster_project.defs.warehouse.jobs import pipeline

    job = build_defs().resolve_job_def(pipeline.name)
    dated = [key for key in job.asset_layer.executable_asset_keys if _is_dated(job, key)]
    launched = _ask(
        _LAUNCH,
        params={
            "assetSelection": [{"path": list(key.path)} for key in sorted(dated)],
            "partitionNames": [day.isoformat() for day in dates],
            "title": "Two dates again, after a corrected file",
        },
    )["launchPartitionBackfill"]
    if "backfillId" not in launched:
        raise PlatformError(f"Dagster refused the backfill: {launched}")
    backfill = str(launched["backfillId"])

    def has_ended() -> bool:
        status = _ask(_STATUS, id=backfill)["partitionBackfillOrError"]["status"]
        return status not in ("REQUESTED", "IN_PROGRESS")

    _wait_for(has_ended, "the backfill")
    return backfill


def _is_dated(job: Any, key: Any) -> bool:
    return job.asset_layer.get(key).partitions_def is not None


def _find_failed_page(site: Path) -> str:
    """Return the address of the first failed verdict of the site."""
    front = site.read_text()
    page = front.split("<a class=failed href='")[1].split("'")[0]
    return f"{site.parent.as_uri()}/{quote(page, safe='/%')}"


def _take_picture(browser: str, name: str, address: str) -> Path:
    """Open a page and write what the window shows."""
    picture = PICTURES / f"{name}.png"
    with tempfile.TemporaryDirectory() as profile:
        words = [browser, "--headless=new", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={profile}"]
        words += [
            f"--window-size={WIDTH},{TALL.get(name, HEIGHT)}",
            f"--virtual-time-budget={SETTLED_MS}",
            f"--screenshot={picture}",
        ]
        subprocess.run([*words, address], check=True, capture_output=True, timeout=PATIENCE_S)
    return picture


def main() -> None:
    """Take all pictures; exit with 1 if no browser is installed."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("Chromium is not installed: apt-get install chromium")
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pictures-") as home:
        Path(home).chmod(0o711)  # the account of the embedded PostgreSQL passes through
        os.environ["MYPROPERTY_HOME"] = home
        get_settings.cache_clear()
        for picture in take_pictures(get_settings(), browser):
            sys.stdout.write(f"wrote docs/pictures/{picture.name}\n")


if __name__ == "__main__":
    main()
