"""Gate B: each landing table equals what its source was when it was copied, before it is loaded into raw."""

from dagster_project.defs.landing.assets import DATED, UNDATED, landing_key
from dagster_project.gates import FrameReader, Sides, copies_check, frame_of_copy, gate_check
from dagster_project.resources.platform import Sources
from expectations.suites import load_suite
from myproperty.dates import Window


def read_sides(sources: Sources, entity: str, dates: Window | None) -> Sides:
    """Read the fingerprints of a source, when it was copied, and of its landing table."""
    from data.landing.read import fingerprint_landing, read_landed_source

    bounds = dates.bounds if dates else ()
    return (
        read_landed_source(entity, sources.oltp, *bounds),
        fingerprint_landing(entity, sources.oltp, "warehouse_staging", *bounds),
    )


def compare_landing_with_source(entity: str) -> FrameReader:
    """Return a reader that compares the fingerprint of landing with that of its source when it was copied."""
    return frame_of_copy("B", entity, read_sides)


checks = [
    copies_check("landing_gate_b", "B", {landing_key(entity): entity for entity in UNDATED}, read_sides),
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
