"""Fences: assets between two stages that exist only if every gate of the stage before has passed.

A gate blocks what reads the table that it checks. A fence depends on all checked tables of a stage, and each
step of the next stage depends on the fence, so that one failed gate stops every step behind it.
"""

from collections.abc import Iterable

import dagster as dg

# One for each gate, in the order of the data; gate D has two, since dbt builds in three steps.
READINGS_PASSED = dg.AssetKey(["gates", "readings_passed_gate_a"])
LANDING_PASSED = dg.AssetKey(["gates", "landing_passed_gate_b"])
RAW_PASSED = dg.AssetKey(["gates", "raw_passed_gate_c"])
DIMENSIONS_PASSED = dg.AssetKey(["gates", "dimensions_passed_gate_d"])
FACTS_PASSED = dg.AssetKey(["gates", "facts_passed_gate_d"])


def make_fence(key: dg.AssetKey, checked: Iterable[dg.AssetKey]) -> dg.AssetsDefinition:
    """Define the fence behind the gates on the assets `checked`."""

    @dg.asset(
        key=key,
        deps=sorted(checked),
        group_name="gates",
        description="Materialized in a run when every gate before it has passed in this run.",
    )
    def fence() -> None:
        return None

    return fence
