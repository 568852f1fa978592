"""Gate C: each raw table equals what its source was when it was landed, before a model is built from it.

Gate B has shown that landing equals it too, so a row that was changed on the way is found on either side.
"""

import hashlib

from dagster_project.defs.landing.assets import DATED, UNDATED
from dagster_project.defs.raw.assets import raw_key
from dagster_project.gates import FrameReader, Sides, copies_check, frame_of_copy, gate_check
from dagster_project.resources.platform import Sources
from data.landing.entities import ENTITIES
from expectations.suites import load_suite
from myproperty.dates import Window


def read_sides(sources: Sources, entity: str, dates: Window | None) -> Sides:
    """Read the fingerprints of what was landed and of raw; keep the digest of a table that is read whole."""
    from data.landing.read import read_landed_source

    bounds = dates.bounds if dates else ()
    landed = read_landed_source(entity, sources.oltp, *bounds)
    loaded = sources.warehouse.fingerprint(ENTITIES[entity], *bounds)
    if dates is None:
        sources.platform.raw_digests[entity] = hashlib.sha256(loaded.to_csv().encode()).hexdigest()
    return landed, loaded


def compare_raw_with_landing(entity: str) -> FrameReader:
    """Return a reader that compares the fingerprints of what was landed and of raw."""
    return frame_of_copy("C", entity, read_sides)


checks = [
    copies_check("raw_gate_c", "C", {raw_key(entity): entity for entity in UNDATED}, read_sides),
    *(
        gate_check(
            raw_key(entity),
            load_suite("C", entity),
            compare_raw_with_landing(entity),
            partitioned=True,
        )
        for entity in DATED
    ),
]
