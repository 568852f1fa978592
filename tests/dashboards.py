"""What the files of `dashboards/` name: views, columns, metrics, charts. Nothing here needs Superset."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from sqlglot import exp, parse_one

from data.warehouse.project import PROJECT_DIR
from myproperty.engines.superset.assets import FOLDER, SCHEMA

Document = Mapping[str, Any]
# Parts of a chart that name columns, metrics, or both; a chart has no key that is in none of the four lists.
COLUMNS = (
    "x_axis",
    "groupby",
    "groupbyRows",
    "groupbyColumns",
    "all_columns",
    "temporal_columns_lookup",
    "column_config",
)
METRICS = ("metric", "metrics", "timeseries_limit_metric")
EITHER = ("x_axis_sort",)
_STYLE = """
    viz_type adhoc_filters order_by_cols time_grain_sqla row_limit query_mode order_desc show_legend
    legendOrientation rich_tooltip y_axis_format markerEnabled stack orientation x_axis_sort_asc
    xAxisForceCategorical header_font_size show_cell_bars table_timestamp_format donut label_type
    number_format sort_x_axis sort_y_axis normalize_across legend_type linear_color_scheme
    show_percentage show_values xscale_interval yscale_interval left_margin bottom_margin
    x_axis_time_format value_bounds metricsLayout aggregateFunction valueFormat rowOrder colOrder
    date_format
    """
STYLE = set(_STYLE.split())


def read(kind: str) -> dict[str, dict[str, Any]]:
    """Return the documents of a kind by the name of their file."""
    return {path.name: yaml.safe_load(path.read_text()) for path in sorted((FOLDER / kind).glob("*.yaml"))}


def read_contracts() -> dict[str, dict[str, str]]:
    """Return the columns and types of each view of `bi`."""
    contracts: dict[str, dict[str, str]] = {}
    for path in (PROJECT_DIR / "models" / "bi").glob("*.yml"):
        for model in yaml.safe_load(path.read_text())["models"]:
            columns = {column["name"]: column["data_type"] for column in model["columns"]}
            contracts |= {f"{model['name']}_v{version['v']}": columns for version in model["versions"]}
    return contracts


def read_exposures() -> dict[str, dict[str, Any]]:
    listed = yaml.safe_load((PROJECT_DIR / "models" / "exposures.yml").read_text())["exposures"]
    return {each["name"]: each for each in listed}


def columns_of(sql: str) -> set[str]:
    """Return the columns that an expression names."""
    return {column.name for column in parse_one(sql, dialect="bigquery").find_all(exp.Column)}


def as_list(found: Any) -> list[Any]:
    if isinstance(found, Mapping):
        return list(found)
    return found if isinstance(found, list) else [found]


@dataclass(frozen=True)
class Chart:
    """A chart with its dataset; `columns` are those of the view that it needs, through its metrics too."""

    file: str
    document: Document
    dataset: Document
    params: Document = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", self.document["params"])

    @property
    def view(self) -> str:
        return str(self.dataset["table_name"])

    @cached_property
    def expressions(self) -> dict[str, str]:
        return {metric["metric_name"]: metric["expression"] for metric in self.dataset["metrics"]}

    @cached_property
    def metrics(self) -> list[str]:
        found = [name for key in METRICS for name in as_list(self.params.get(key, []))]
        either = [name for key in EITHER if (name := self.params.get(key)) in self.expressions]
        return [*found, *either]

    @cached_property
    def dimensions(self) -> set[str]:
        """The columns by which the chart tells rows apart."""
        either = [name for key in EITHER if (name := self.params.get(key)) and name not in self.expressions]
        return {name for key in COLUMNS for name in as_list(self.params.get(key, []))} | set(either)

    @cached_property
    def columns(self) -> set[str]:
        ordered = {json.loads(each)[0] for each in self.params.get("order_by_cols", [])}
        of_metrics = set().union(*(columns_of(self.expressions.get(name, "1")) for name in self.metrics))
        return self.dimensions | ordered | of_metrics | set(self._filtered())

    def _filtered(self) -> Iterator[str]:
        for each in self.params.get("adhoc_filters", []):
            if each["expressionType"] == "SQL":
                yield from columns_of(each["sqlExpression"])
            else:
                yield each["subject"]


def read_charts() -> dict[str, Chart]:
    """Return the charts by their uuid."""
    datasets = {document["uuid"]: document for document in read("datasets").values()}
    return {
        document["uuid"]: Chart(f"charts/{name}", document, datasets[document["dataset_uuid"]])
        for name, document in read("charts").items()
    }


def charts_of(dashboard: Document) -> list[str]:
    """Return the uuids of the charts of a dashboard."""
    return [part["meta"]["uuid"] for part in dashboard["position"].values() if part_is_chart(part)]


def part_is_chart(part: Any) -> bool:
    return isinstance(part, dict) and part["type"] == "CHART"


def find_breaks(contracts: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return what the charts need and these views do not have, each with the file of the chart."""
    breaks = []
    for chart in read_charts().values():
        if chart.view not in contracts:
            breaks.append(f"{chart.file}: {SCHEMA}.{chart.view} is no view")
            continue
        missing = sorted(chart.columns - contracts[chart.view].keys())
        breaks += [f"{chart.file}: {SCHEMA}.{chart.view} has no column {name}" for name in missing]
    return sorted(breaks)


def views_of(dashboard: Document) -> set[str]:
    """Return the views of the charts and filters of a dashboard."""
    charts = read_charts()
    return {charts[uuid].view for uuid in charts_of(dashboard)}


def referred_views(exposure: Document) -> set[str]:
    """Return what an exposure depends on, as views are named: `ref('arrears', v=1)` is arrears_v1."""
    pattern = re.compile(r"ref\('(\w+)'(?:, v=(\d+))?\)")
    found = [match for each in exposure["depends_on"] if (match := pattern.fullmatch(each))]
    assert len(found) == len(exposure["depends_on"]), exposure["depends_on"]
    return {f"{match[1]}_v{match[2]}" if match[2] else match[1] for match in found}


def files() -> list[Path]:
    return sorted(FOLDER.rglob("*.yaml"))
