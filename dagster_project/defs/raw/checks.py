"""Gate C: each raw table equals its landing table, before a model is built of it."""

import pandas as pd

from dagster_project.checks import Frame, gate_check, gate_checks
from dagster_project.defs.landing.assets import DATED, UNDATED
from dagster_project.defs.raw.assets import key
from dagster_project.partitions import Window
from dagster_project.resources.platform import Platform
from data.landing.entities import ENTITIES


def sides(entity: str) -> Frame:
    """The frame of gate C: fingerprints of landing and of the warehouse, side by side."""

    def frame(platform: Platform, dates: Window | None) -> pd.DataFrame:
        from data.landing.read import fingerprint_landing
        from expectations.frames import compare
        from expectations.gate import load_suite

        suite = load_suite("C", entity)
        bounds = dates.bounds if dates else ()
        landed = fingerprint_landing(entity, platform.oltp_dsn, "warehouse_staging", *bounds)
        with platform.warehouse() as warehouse:
            loaded = warehouse.fingerprint(ENTITIES[entity], *bounds)
        return compare(landed, loaded, suite.ID_COLUMNS, suite.MEASURES)

    return frame


checks = [
    gate_checks("raw_gate_c", "C", {entity: key(entity) for entity in UNDATED}, sides),
    *(gate_check(key(entity), "C", entity, sides(entity), partitioned=True) for entity in DATED),
]
