"""Gate D: the fact and the candidate, before a mart is built of them."""

import dagster as dg
import pandas as pd

from dagster_project.checks import gate_check
from dagster_project.partitions import Window
from dagster_project.resources.platform import Platform


def gate_d(layer: str, table: str) -> dg.AssetChecksDefinition:
    """Gate D on one table of the warehouse."""

    def frame(platform: Platform, dates: Window | None) -> pd.DataFrame:
        from expectations.gate import load_suite

        if dates is None:
            raise ValueError("gate D judges reading dates: run it with a partition range")
        with platform.warehouse() as warehouse:
            built: pd.DataFrame = load_suite("D", table).profile(
                warehouse, dates.start, dates.end, platform.dataset_prefix
            )
        return built

    return gate_check(dg.AssetKey([layer, table]), "D", table, frame, partitioned=True)


checks = [gate_d("core", "fact_energy_usage"), gate_d("staging", "int_solar__daily_performance")]
