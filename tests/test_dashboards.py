"""Dashboards, exposures and the views of `bi` agree: a changed view names the charts that it breaks.

Superset is not started here; `tests/end_to_end/test_dashboards.py` does.
"""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from sqlglot import exp, parse_one

from myproperty.engines.settings import EngineSettings
from myproperty.engines.superset import assets
from myproperty.settings import CHECKOUT
from tests.dashboards import (
    COLUMNS,
    EITHER,
    METRICS,
    STYLE,
    charts_of,
    columns_of,
    files,
    find_breaks,
    read,
    read_charts,
    read_contracts,
    read_exposures,
    referred_views,
    views_of,
)

TYPES = {
    "string": "STRING",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "integer": "INTEGER",
    "boolean": "BOOLEAN",
}
# The same on PostgreSQL and BigQuery.
PORTABLE = (exp.Sum, exp.Avg, exp.Max, exp.Min, exp.Count, exp.Nullif, exp.Coalesce, exp.Case, exp.If)


def test_charts_read_columns_that_the_views_have() -> None:
    assert find_breaks(read_contracts()) == []


def test_a_view_without_a_column_names_the_charts_that_it_breaks() -> None:
    contracts = read_contracts()
    del contracts["solar_performance_v1"]["exported_kwh"]
    assert (
        "charts/where-the-generation-went-by-day-kwh.yaml: bi.solar_performance_v1 has no column exported_kwh"
        in find_breaks(contracts)
    )
    del contracts["roi_summary_v1"]
    assert "charts/returns.yaml: bi.roi_summary_v1 is no view" in find_breaks(contracts)


def test_every_view_is_a_dataset_with_the_columns_of_its_contract() -> None:
    contracts = {
        view: {name: TYPES.get(kind, "NUMERIC") for name, kind in columns.items()}
        for view, columns in read_contracts().items()
    }
    datasets = read("datasets").values()
    found = {each["table_name"]: {c["column_name"]: c["type"] for c in each["columns"]} for each in datasets}
    assert found == contracts
    for each in datasets:
        assert each["schema"] == assets.SCHEMA and not each.get("sql"), each["table_name"]
        times = {column["column_name"] for column in each["columns"] if column.get("is_dttm")}
        assert times == {c["column_name"] for c in each["columns"] if c["type"] in ("DATE", "TIMESTAMP")}
        assert each.get("main_dttm_col") in {None, *times}


def test_metrics_are_portable_and_read_columns_of_their_view() -> None:
    contracts = read_contracts()
    for dataset in read("datasets").values():
        for metric in dataset["metrics"]:
            name = f"{dataset['table_name']}.{metric['metric_name']}"
            assert columns_of(metric["expression"]) <= contracts[dataset["table_name"]].keys(), name
            for dialect in ("postgres", "bigquery"):
                functions = parse_one(metric["expression"], dialect=dialect).find_all(exp.Func)
                assert [
                    each for each in functions if not isinstance(each, (*PORTABLE, exp.And, exp.Or))
                ] == [], name


def test_the_keys_of_every_chart_are_known() -> None:
    """A new key may name a column: say so in `tests/dashboards.py`."""
    for chart in read_charts().values():
        assert chart.params.keys() - STYLE <= {*COLUMNS, *METRICS, *EITHER}, chart.file
        assert set(chart.metrics) <= chart.expressions.keys(), chart.file
        assert chart.document["viz_type"] == chart.params["viz_type"], chart.file


def test_a_chart_of_days_is_readable_after_a_year_and_on_its_first_day() -> None:
    by_time = [chart for chart in read_charts().values() if "time_grain_sqla" in chart.params]
    for chart in (each for each in by_time if str(each.params["viz_type"]).startswith("echarts")):
        by_day = chart.params["time_grain_sqla"] == "P1D"
        # A point for each of 365 days is a band, and hides the line.
        assert not (by_day and chart.params.get("markerEnabled")), chart.file
        # What Superset writes by itself is "December" below the one bar of 1 December.
        expected = "%Y-%m-%d" if by_day else "%b %Y"
        assert chart.params["x_axis_time_format"] == expected, chart.file


def test_an_axis_of_small_counts_does_not_repeat_its_numbers() -> None:
    # Lines of the grid stand at halves where the largest count is 2: whole numbers would read 2, 2, 1, 1, 0.
    for chart in read_charts().values():
        if str(chart.params["viz_type"]).startswith("echarts"):
            assert chart.params["y_axis_format"] != ",d", chart.file


def test_numbers_with_decimals_have_a_format_in_tables() -> None:
    contracts = read_contracts()
    for chart in read_charts().values():
        kinds = contracts[chart.view]
        decimals = {name for name in chart.params.get("all_columns", []) if kinds[name].startswith("numeric")}
        formats = chart.params.get("column_config", {})
        assert {name for name, each in formats.items() if "d3NumberFormat" in each} == decimals, chart.file


def test_money_is_never_added_over_currencies() -> None:
    for chart in read_charts().values():
        spent = {name for metric in chart.metrics for name in columns_of(chart.expressions[metric])}
        if any(name.endswith("_amount") for name in spent):
            assert "currency" in chart.dimensions, chart.file


def test_energy_of_one_chart_is_of_one_channel_or_by_channel() -> None:
    for chart in read_charts().values():
        if chart.view == "energy_daily_v1" and "energy_kwh" in chart.columns:
            assert "channel" in chart.columns, chart.file


def test_money_of_several_currencies_is_not_stacked() -> None:
    for chart in read_charts().values():
        spent = {name for metric in chart.metrics for name in columns_of(chart.expressions[metric])}
        if any(name.endswith("_amount") for name in spent) and "stack" in chart.params:
            assert chart.params["x_axis"] == "currency", chart.file


def test_every_chart_is_on_one_dashboard() -> None:
    shown = Counter(uuid for each in read("dashboards").values() for uuid in charts_of(each))
    assert shown == Counter(read_charts().keys())


def test_every_dashboard_is_an_exposure_with_its_address_and_its_views() -> None:
    exposures = {name: each for name, each in read_exposures().items() if each["type"] == "dashboard"}
    dashboards = {each["slug"]: each for each in read("dashboards").values()}
    assert exposures.keys() == dashboards.keys()
    port = EngineSettings.model_fields["superset_port"].default
    for slug, dashboard in dashboards.items():
        assert exposures[slug]["url"] == f"http://127.0.0.1:{port}/superset/dashboard/{slug}/"
        assert exposures[slug]["label"] == dashboard["dashboard_title"]
        assert referred_views(exposures[slug]) == views_of(dashboard), slug
        assert dashboard["published"]


def test_every_dashboard_is_shown_in_the_documents() -> None:
    slugs = {each["slug"] for each in read("dashboards").values()}
    page = (CHECKOUT / "docs" / "dashboards.md").read_text()
    assert set(re.findall(r"\(images/dashboard-([a-z]+)\.png\)", page)) == slugs
    assert {
        path.stem.removeprefix("dashboard-") for path in (CHECKOUT / "docs" / "images").glob("d*.png")
    } == slugs
    assert set(re.findall(r"/superset/dashboard/([a-z]+)/\)", page)) == slugs


def test_files_are_as_the_export_writes_them() -> None:
    exported = {path.relative_to(assets.FOLDER).as_posix(): path.read_text() for path in files()}
    assert assets.tidy(exported) == exported


def test_an_export_leaves_out_what_belongs_to_one_installation() -> None:
    chart = {
        "slice_name": "A b (c)",
        "query_context": "{}",
        "params": {"datasource": "7__table", "metric": "m"},
    }
    place = {"type": "CHART", "meta": {"chartId": 71, "uuid": "u"}}
    filters = [{"scope": {"excluded": [71]}, "chartsInScope": [71]}]
    dashboard = {
        "dashboard_title": "D",
        "position": {"v": "v2", "c": place},
        "metadata": {"native_filter_configuration": filters},
    }
    written = assets.tidy(
        {
            "charts/A_b_c_71.yaml": yaml.safe_dump(chart),
            "dashboards/D_3.yaml": yaml.safe_dump(dashboard),
            "databases/W.yaml": yaml.safe_dump(
                {"database_name": "W", "sqlalchemy_uri": "postgresql://a:b@c/d"}
            ),
            "datasets/W/t_1.yaml": yaml.safe_dump(
                {"table_name": "t", "schema": "qa_bi", "catalog": "warehouse"}
            ),
        }
    )
    assert sorted(written) == [
        "charts/a-b-c.yaml", "dashboards/d.yaml", "databases/w.yaml", "datasets/t.yaml", "metadata.yaml",
    ]  # fmt: skip
    assert not re.search("71|qa_|a:b|datasource|query_context|catalog", "".join(written.values()))


@pytest.mark.parametrize("changed", ["new", "gone"])
def test_saving_names_the_files_that_changed(tmp_path: Path, changed: str) -> None:
    folder = tmp_path
    assert assets.save({"charts/a.yaml": "1", "charts/b.yaml": "2"}, folder) == [
        "charts/a.yaml",
        "charts/b.yaml",
    ]
    files = {"charts/a.yaml": "1", "charts/b.yaml": "3"} if changed == "new" else {"charts/a.yaml": "1"}
    assert assets.save(files, folder) == ["charts/b.yaml"]
    assert assets.save(files, folder) == []
