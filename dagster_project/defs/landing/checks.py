"""Gate B: each landing table equals its source, before it is loaded anywhere."""

import pandas as pd

from dagster_project.checks import Frame, gate_check, gate_checks
from dagster_project.defs.landing.assets import DATED, UNDATED, key
from dagster_project.partitions import Window
from dagster_project.resources.platform import Platform


def sides(entity: str) -> Frame:
    """The frame of gate B: fingerprints of the source and of landing, side by side."""

    def frame(platform: Platform, dates: Window | None) -> pd.DataFrame:
        from data.landing.read import fingerprint_landing
        from expectations.frames import compare
        from expectations.gate import load_suite

        suite = load_suite("B", entity)
        bounds = dates.bounds if dates else ()
        source = fingerprint_landing(entity, platform.oltp_dsn, "myproperty", *bounds)
        landed = fingerprint_landing(entity, platform.oltp_dsn, "warehouse_staging", *bounds)
        return compare(source, landed, suite.ID_COLUMNS, suite.MEASURES)

    return frame


checks = [
    gate_checks("landing_gate_b", "B", {entity: key(entity) for entity in UNDATED}, sides),
    *(gate_check(key(entity), "B", entity, sides(entity), partitioned=True) for entity in DATED),
]
