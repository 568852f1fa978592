"""What Dagster shows of a finished run: one state for each gate, and tags that say what the run is."""

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from dagster_project.build import build_defs, find_first_date
from dagster_project.instance import open_instance
from tests.end_to_end.support import Platform


def test_each_gate_has_one_result_for_the_range_of_a_run(platform: Platform) -> None:
    """A check with partitions had no result for any date of the range, and was shown as skipped."""
    graph = build_defs(settings=platform.settings).resolve_asset_graph()
    gates = [key for key in graph.asset_check_keys if key.name.startswith("gate_")]
    with open_instance(platform.settings.home) as opened:
        latest = opened.event_log_storage.get_latest_asset_check_execution_by_key(gates)
    assert set(latest) == set(gates)
    for key, record in latest.items():
        # A sender of the demo is silent on its last date: a warning, which Dagster counts as not passed.
        warned = record.evaluation is not None and record.evaluation.severity == dg.AssetCheckSeverity.WARN
        assert record.status == AssetCheckExecutionRecordStatus.SUCCEEDED or warned, record.evaluation
        assert record.partition is None, key


def test_a_run_is_tagged_with_dates_tenants_and_launcher(platform: Platform) -> None:
    report = platform.reports[0]
    with open_instance(platform.settings.home) as opened:
        run = opened.get_run_by_id(report.run_id)
    assert run is not None
    assert run.tags["reading_dates"] == f"{report.dates[0]} to {report.dates[-1]}"
    assert run.tags["launched_by"].endswith("by the command")
    assert "demo-sonnenhof" in run.tags["tenants"]


def test_the_pages_begin_with_the_first_date_of_the_ledger(platform: Platform) -> None:
    assert find_first_date(platform.settings) == min(
        day for report in platform.reports for day in report.dates
    )
