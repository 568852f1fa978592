"""Gate C: each raw table equals its landing table, before a model is built from it."""

import hashlib

import pandas as pd

from dagster_project.defs.landing.assets import DATED, UNDATED
from dagster_project.defs.raw.assets import raw_key
from dagster_project.gates import FrameReader, gate_check, gate_checks
from dagster_project.resources.platform import Sources
from data.landing.entities import ENTITIES
from expectations.frames import compare_frames
from expectations.suites import load_suite
from myproperty.dates import Window


def compare_raw_with_landing(entity: str) -> FrameReader:
    """Return a reader that compares the fingerprints of landing and raw."""
    suite = load_suite("C", entity)

    def read_frame(sources: Sources, dates: Window | None) -> pd.DataFrame:
        from data.landing.read import fingerprint_landing

        bounds = dates.bounds if dates else ()
        landed = fingerprint_landing(entity, sources.oltp, "warehouse_staging", *bounds)
        loaded = sources.warehouse.fingerprint(ENTITIES[entity], *bounds)
        if dates is None:
            sources.platform.raw_digests[entity] = hashlib.sha256(loaded.to_csv().encode()).hexdigest()
        return compare_frames(landed, loaded, suite.id_columns, suite.measures)

    return read_frame


checks = [
    gate_checks(
        "raw_gate_c",
        "C",
        {raw_key(entity): load_suite("C", entity) for entity in UNDATED},
        compare_raw_with_landing,
    ),
    *(
        gate_check(
            raw_key(entity), load_suite("C", entity), compare_raw_with_landing(entity), partitioned=True
        )
        for entity in DATED
    ),
]
