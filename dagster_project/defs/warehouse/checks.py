"""Gate D: facts, seeds and candidates, before a mart is built from them.

Each suite of `expectations.suites.warehouse` becomes a check.
"""

import dagster as dg
import pandas as pd

from dagster_project.gates import FrameReader, gate_check
from dagster_project.resources.platform import Platform
from expectations.frames import read_warehouse_frame
from expectations.rules import WarehouseSuite
from expectations.suites import warehouse_suites
from myproperty.dates import Window


def frame_reader(suite: WarehouseSuite) -> FrameReader:
    """Return a reader of the frame of a suite."""

    def read_frame(platform: Platform, dates: Window | None) -> pd.DataFrame:
        with platform.warehouse() as warehouse:
            return read_warehouse_frame(suite, warehouse, dates, prefix=platform.dataset_prefix)

    return read_frame


checks = [
    gate_check(
        dg.AssetKey([suite.schema, suite.table]),
        suite,
        frame_reader(suite),
        partitioned=suite.is_step_partitioned,
    )
    for suite in warehouse_suites()
]
