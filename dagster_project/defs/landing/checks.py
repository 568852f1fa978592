"""Gate B: each landing table equals what its source was when it was copied, before it is loaded into raw."""

import pandas as pd

from dagster_project.defs.landing.assets import DATED, UNDATED, landing_key
from dagster_project.gates import FrameReader, gate_check, gate_checks
from dagster_project.resources.platform import Sources
from expectations.frames import compare_frames
from expectations.suites import load_suite
from myproperty.dates import Window


def compare_landing_with_source(entity: str) -> FrameReader:
    """Return a reader that compares the fingerprint of landing with that of its source when it was copied."""
    suite = load_suite("B", entity)

    def read_frame(sources: Sources, dates: Window | None) -> pd.DataFrame:
        from data.landing.read import fingerprint_landing, read_landed_source

        bounds = dates.bounds if dates else ()
        source = read_landed_source(entity, sources.oltp, *bounds)
        landed = fingerprint_landing(entity, sources.oltp, "warehouse_staging", *bounds)
        return compare_frames(source, landed, suite.id_columns, suite.measures)

    return read_frame


checks = [
    gate_checks(
        "landing_gate_b",
        "B",
        {landing_key(entity): load_suite("B", entity) for entity in UNDATED},
        compare_landing_with_source,
    ),
    *(
        gate_check(
            landing_key(entity),
            load_suite("B", entity),
            compare_landing_with_source(entity),
            partitioned=True,
        )
        for entity in DATED
    ),
]
