"""Questions to the metrics of `models/semantic`, and their SQL, written by MetricFlow in this process.

Here: what may be asked, and its SQL. Not here: the metrics themselves, or running the SQL (`Warehouse.ask`,
as a reader). Sums that mean nothing are refused before MetricFlow sees them.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
from metricflow.protocols.sql_client import SqlClient, SqlEngine
from metricflow.sql.render.big_query import BigQuerySqlPlanRenderer
from metricflow.sql.render.postgres import PostgresSQLSqlPlanRenderer
from metricflow.sql.render.sql_plan_renderer import SqlPlanRenderer
from metricflow_semantics.errors.error_classes import MetricFlowException
from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

from myproperty.errors import PlatformError

# What MetricFlow calls the date of every metric.
TIME = "metric_time"


class MetricRefused(PlatformError):
    """A question that the metrics cannot answer."""


class AmbiguousSum(MetricRefused):
    """A question would add what does not add up."""


@dataclass(frozen=True)
class Question:
    """What is asked: metrics by dimensions, over [first, last] of the metrics' dates, or a saved query.

    `order_by` has names of metrics and dimensions, `-` before one that falls.
    """

    metrics: Sequence[str] = ()
    group_by: Sequence[str] = ()
    where: Sequence[str] = ()
    order_by: Sequence[str] = ()
    first: date | None = None
    last: date | None = None
    limit: int | None = None
    saved_query: str | None = None


class _Dialect:
    """All that MetricFlow asks of a client to write SQL; nothing is run here."""

    def __init__(self, engine: SqlEngine, renderer: SqlPlanRenderer) -> None:
        self.sql_engine_type = engine
        self.sql_plan_renderer = renderer

    def render_bind_parameter_key(self, bind_parameter_key: str) -> str:
        """Not reached: MetricFlow writes values of its own as literals."""
        raise MetricRefused(f"a parameter cannot be passed to the warehouse: {bind_parameter_key}")


class Metrics:
    """The metrics of one parse of the project, for the warehouse that it was parsed for."""

    def __init__(self, manifest: Path, warehouse: str) -> None:
        """`manifest` is dbt's `semantic_manifest.json`, `warehouse` a kind of the settings."""
        text = manifest.read_text(encoding="utf-8")
        self._manifest: dict[str, Any] = json.loads(text)
        parsed = parse_manifest_from_dbt_generated_manifest(manifest_json_string=text)
        dialect = (
            _Dialect(SqlEngine.POSTGRES, PostgresSQLSqlPlanRenderer())
            if warehouse == "postgres"
            else _Dialect(SqlEngine.BIGQUERY, BigQuerySqlPlanRenderer())
        )
        client: SqlClient = dialect  # type: ignore[assignment]  # the part of it that plans need
        self._engine = MetricFlowEngine(SemanticManifestLookup(parsed), client)

    def list_metrics(self) -> list[dict[str, str]]:
        """Return name, meaning and dimensions of each metric."""
        return [
            {
                "metric": metric.name,
                "meaning": metric.description or "",
                "dimensions": ", ".join(sorted(d.granularity_free_dunder_name for d in metric.dimensions)),
            }
            for metric in self._engine.list_metrics()
        ]

    def list_saved_queries(self) -> list[dict[str, str]]:
        """Return name, meaning, metrics and dimensions of each saved query."""
        return [
            {
                "saved_query": saved["name"],
                "meaning": saved["description"] or "",
                "metrics": ", ".join(saved["query_params"]["metrics"]),
                "dimensions": ", ".join(map(_name_of, saved["query_params"]["group_by"])),
            }
            for saved in self._manifest["saved_queries"]
        ]

    def list_dimensions(self, metrics: Sequence[str] = ()) -> list[str]:
        """Return the dimensions that all these metrics have, those of any metric for none."""
        with _say_why():
            found = self._engine.list_dimensions([name.lower() for name in metrics] or None)
        return sorted({dimension.granularity_free_dunder_name for dimension in found} | {TIME})

    def write_sql(self, question: Question) -> str:
        """Return the SQL of a question. Raises `MetricRefused`, which says what may be asked instead."""
        asked = self._with_saved(question)
        self._check_sums(asked)
        with _say_why():
            request = MetricFlowQueryRequest.create(
                metric_names=[name.lower() for name in asked.metrics],
                group_by_names=list(asked.group_by),
                where_constraints=list(asked.where),
                order_by_names=list(asked.order_by),
                time_constraint_start=_midnight(asked.first),
                time_constraint_end=_midnight(asked.last),
                limit=asked.limit,
            )
            return self._engine.explain(request).sql_statement.without_descriptions.sql

    def write_values_sql(self, dimension: str, metrics: Sequence[str] = ()) -> str:
        """Return the SQL of all values of a dimension, as a drop-down of a BI tool asks for them."""
        with _say_why():
            asked = self._engine.explain_get_dimension_values(
                metric_names=[name.lower() for name in metrics] or None, get_group_by_values=dimension
            )
            return asked.sql_statement.without_descriptions.sql

    def _with_saved(self, question: Question) -> Question:
        """Return the question with what the saved query that it names asks, and nothing of it lost."""
        if question.saved_query is None:
            if not question.metrics:
                raise MetricRefused(
                    "name --metrics or a --saved-query: `myproperty metrics list metrics` shows them"
                )
            return question
        known = {saved["name"]: saved["query_params"] for saved in self._manifest["saved_queries"]}
        if question.saved_query not in known:
            raise MetricRefused(f"no saved query is called {question.saved_query!r}: {', '.join(known)}")
        saved = known[question.saved_query]
        filters = [
            each["where_sql_template"] for each in (saved["where"] or {"where_filters": ()})["where_filters"]
        ]
        return replace(
            question,
            metrics=[*saved["metrics"], *question.metrics],
            group_by=[*map(_name_of, saved["group_by"]), *question.group_by],
            where=[*filters, *question.where],
        )

    def _check_sums(self, asked: Question) -> None:
        """Raise `AmbiguousSum` for a metric that would add what does not add up, such as two currencies.

        A metric says in `config.meta.adds_up_within` by which dimension its query is grouped, or to which
        value of it the query is filtered.
        """
        described = {metric["name"]: metric for metric in self._manifest["metrics"]}
        grouped = {each.lower() for each in asked.group_by}
        for metric in asked.metrics:
            for name in _with_inputs(described, metric.lower()):
                within = ((described[name].get("config") or {}).get("meta") or {}).get("adds_up_within")
                dimension = f"{self._entity_of(described[name])}__{within}" if within else ""
                # The whole condition: with an OR or a NOT beside it there would be several values.
                one_value = rf"\s*\{{\{{\s*Dimension\(\s*['\"]{dimension}['\"]\s*\)\s*\}}\}}\s*=\s*'[^']*'\s*"
                if not within or dimension in grouped:
                    continue
                if not any(re.fullmatch(one_value, each.lower(), re.IGNORECASE) for each in asked.where):
                    raise AmbiguousSum(
                        f"{metric} adds up within one {within} only: add {dimension} to --group-by, or "
                        f"""filter by --where "{{{{ Dimension('{dimension}') }}}} = '...'"."""
                    )

    def _entity_of(self, metric: dict[str, Any]) -> str:
        """Return the entity of the semantic model that has the measure of a simple metric."""
        measure = metric["type_params"]["measure"]["name"]
        for model in self._manifest["semantic_models"]:
            if any(each["name"] == measure for each in model["measures"]):
                return str(model["primary_entity"])
        raise ValueError(f"no semantic model has the measure {measure}")


def _with_inputs(described: dict[str, Any], name: str) -> list[str]:
    """Return a metric and its inputs; none for an unknown name, which MetricFlow refuses."""
    if name not in described:
        return []
    parameters = described[name]["type_params"]
    inputs = [parameters.get("numerator"), parameters.get("denominator"), *(parameters.get("metrics") or [])]
    return [name, *(found for each in inputs if each for found in _with_inputs(described, each["name"]))]


def _name_of(group_by: str) -> str:
    """Return the name of a dimension as a saved query has it: `Dimension('a__b')` or with a granularity."""
    found = re.findall(r"'([^']*)'", group_by)
    return "__".join(found) if found else group_by


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time())


@contextmanager
def _say_why() -> Iterator[None]:
    """Turn MetricFlow's refusals into one error; its words name the metrics and dimensions that there are."""
    try:
        yield
    except MetricFlowException as error:
        raise MetricRefused(str(error).strip()) from error
