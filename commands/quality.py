"""The command `myproperty quality`: build the marts of quality, and show what stands out in them."""

from commands import console
from commands.options import AsJson, reports_errors
from myproperty.settings import Settings, get_settings

MOST_ROWS = 20
# What a person looks at first; the views have every date and run.
DATES = """
select tenant_name, reading_date, readings, readings_deviation_pct, energy_deviation_pct,
    publication, days_since_last_file, is_silent, is_late, is_unusual, open_severe_issues,
    open_quarantined_readings, refused_files
from {prefix}bi.data_quality_v1
where is_silent or is_late or is_unusual or publication <> 'published'
    or open_severe_issues + open_quarantined_readings + refused_files > 0
order by reading_date desc, tenant_name
limit 20
"""
RUNS = """
select job, launcher, reading_date_from, reading_date_to, status, ended_at, run_seconds,
    usual_seconds, is_slow, retries, gates_passed, gates_failed, broken_rules
from {prefix}bi.pipeline_runs_v1
order by ended_at desc
limit 10
"""


@reports_errors
def quality(json: AsJson = False) -> None:
    """Build the marts of quality, failed nights included; show what stands out in them, and the last runs."""
    from dagster_project.runner import build_quality

    settings = get_settings()
    with console.output_to(settings.run_log):
        build_quality(settings, console.show_progress)
    dates, runs = _read(settings)
    if json:
        console.print_json({"dates": dates, "runs": runs})
    else:
        console.print_table("Dates that stand out (bi.data_quality_v1)", dates)
        console.print_table("Last runs (bi.pipeline_runs_v1)", runs)


def _read(settings: Settings) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    from data.raw.warehouse import open_warehouse

    warehouse = open_warehouse(settings)
    try:
        queries = [query.format(prefix=settings.dataset_prefix) for query in (DATES, RUNS)]
        dates, runs = (warehouse.ask(query, MOST_ROWS).to_pylist() for query in queries)
    finally:
        warehouse.close()
    return dates, runs
