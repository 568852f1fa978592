"""Gate D: facts and candidates, before a mart is built of them."""

import dagster as dg
import pandas as pd

from dagster_project.checks import gate_check
from dagster_project.partitions import Window
from dagster_project.resources.platform import Platform


def gate_d(
    layer: str, table: str, *, dated: bool = True, partitioned: bool = True
) -> dg.AssetChecksDefinition:
    """Gate D on one table of the warehouse.

    `dated`: it is judged by reading date, else whole. `partitioned`: it is built by a step that has dates.
    """

    def frame(platform: Platform, dates: Window | None) -> pd.DataFrame:
        from expectations.gate import load_suite

        if dated and dates is None:
            raise ValueError(f"gate D judges {table} by reading date: run it with a partition range")
        bounds = dates.bounds if dated and dates is not None else ()
        with platform.warehouse() as warehouse:
            built: pd.DataFrame = load_suite("D", table).profile(warehouse, *bounds, platform.dataset_prefix)
        return built

    return gate_check(dg.AssetKey([layer, table]), "D", table, frame, partitioned=partitioned)


checks = [
    gate_d("core", "emission_factors", dated=False, partitioned=False),
    gate_d("core", "fact_energy_usage"),
    gate_d("staging", "candidate_solar_performance"),
    gate_d("staging", "candidate_carbon_savings"),
    gate_d("staging", "candidate_allocation_differences", dated=False),
    gate_d("staging", "candidate_roi_summary", dated=False),
    gate_d("staging", "candidate_data_completeness"),
    gate_d("staging", "candidate_billing_reconciliation", dated=False),
    gate_d("staging", "candidate_arrears", dated=False),
    gate_d("staging", "candidate_ticket_sla", dated=False),
]
