"""Gate D: facts, seeds and candidates, before a mart is built from them; and how fresh each tenant is.

Each suite of `expectations.suites.warehouse` becomes a check.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pandas as pd

from dagster_project.environments import TENANT_DAYS
from dagster_project.failures import RETRY, permanent_unless_retryable
from dagster_project.gates import FrameReader, gate_check
from dagster_project.markdown import escape_text, write_table
from dagster_project.resources.platform import Platform, Sources
from data.landing.published_dates import read_newest_dates
from expectations.frames import read_warehouse_frame
from expectations.rules import WarehouseSuite
from expectations.suites import warehouse_suites
from myproperty.dates import Window


def frame_reader(suite: WarehouseSuite) -> FrameReader:
    """Return a reader of the frame of a suite."""

    def read_frame(sources: Sources, dates: Window | None) -> pd.DataFrame:
        prefix = sources.platform.dataset_prefix
        return read_warehouse_frame(suite, sources.warehouse, dates, prefix=prefix)

    return read_frame


@dg.asset_check(
    asset=dg.AssetKey("published_dates"),
    name="fresh_for_each_tenant",
    description=f"Warns if the newest published date of a tenant ended over {TENANT_DAYS} days ago.",
    retry_policy=RETRY,
)
def fresh_for_each_tenant(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
    """Name the tenants whose files stopped: other tenants keep the assets fresh."""
    with permanent_unless_retryable():
        newest = read_newest_dates(platform.oltp_dsn)
    late = find_late_tenants(newest, datetime.now(UTC).date())
    rows = [[escape_text(name), str(day or "none")] for name, day in late]
    return dg.AssetCheckResult(
        passed=not late,
        severity=dg.AssetCheckSeverity.WARN,
        description=write_table(("tenant", "newest published date with files"), rows) if late else None,
        metadata={"tenants": len(newest), "late": len(late)},
    )


def find_late_tenants(
    newest: Sequence[tuple[str, date | None]], today: date
) -> list[tuple[str, date | None]]:
    """Return the tenants without a published date, or whose newest one is too old."""
    first = today - timedelta(days=TENANT_DAYS)
    return [(name, day) for name, day in newest if day is None or day < first]


gates = [
    gate_check(
        dg.AssetKey([suite.schema, suite.table]),
        suite,
        frame_reader(suite),
        partitioned=suite.is_step_partitioned,
    )
    for suite in warehouse_suites()
]

checks = [*gates, fresh_for_each_tenant]
