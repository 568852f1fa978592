"""Gates: a suite of Great Expectations over a frame becomes a verdict that blocks or lets pass.

Great Expectations is imported inside functions: it takes seconds, and definitions must load without it.
The rules are in `expectations.suites`, the frames in `expectations.frames`, and what keeps verdicts in
`expectations.verdicts`.
"""

import importlib
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from expectations.rules import Rule
from expectations.suites.equality import copy_suite
from expectations.verdicts import STAGES, Verdict, last_verdicts, save

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

__all__ = ["GateFailed", "Verdict", "last_verdicts", "load_suite", "run_gate", "save"]

SAMPLE_SIZE = 5
# A sample is shown to people and kept: it may name ids and dates, never a name, address or serial number.
_SAMPLE_TYPES = (bool, int, float, str)


class GateFailed(Exception):
    """A gate said no. The message is the verdict's; no retry mends it."""

    def __init__(self, verdicts: Iterable[Verdict]) -> None:
        self.verdicts = [verdict for verdict in verdicts if not verdict.passed]
        super().__init__("\n".join(verdict.message for verdict in self.verdicts))


def load_suite(gate: str, table: str) -> Any:
    """A table's rules at a gate: ID_COLUMNS, ROWS_REQUIRED, build_suite(), and MEASURES of what is compared.

    Gates A and D have a module a table. Raises `KeyError` on an unknown gate or table.
    """
    if STAGES[gate] in ("landing", "raw"):
        return copy_suite(gate, table)
    name = f"expectations.suites.{STAGES[gate]}.{table}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        raise KeyError(
            f"gate {gate} has no suite for {table}: write {name.replace('.', '/')}.py"
        ) from missing


def run_gate(
    gate: str,
    table: str,
    frame: pd.DataFrame,
    *,
    date_from: date | None = None,
    date_to: date | None = None,
    rows_expected: bool | None = None,
    run_id: str | None = None,
) -> Verdict:
    """Judge `frame` by the suite of this gate and table.

    `rows_expected` says that the frame must stand for at least one row (default: what the suite says);
    with none, the verdict fails by the rule `<gate>-ROWS-000`, whatever the suite finds, since Great
    Expectations calls nothing a success. An expectation that cannot be evaluated has failed.
    """
    suite = load_suite(gate, table)
    rows = int(frame["rows"].sum()) if _counts(frame) else len(frame)
    must = suite.ROWS_REQUIRED if rows_expected is None else rows_expected
    failed = [_no_rows(gate, table)] if must and rows == 0 else []
    results = _validate(suite.build_suite(), frame, suite.ID_COLUMNS)
    failed += [_broken(result, suite.ID_COLUMNS) for result in results if not result["success"]]
    return Verdict(
        gate=gate,
        table=table,
        passed=not any(broken["severity"] == "block" for broken in failed),
        failed=failed,
        expectations=len(results) + (1 if must else 0),
        rows=rows,
        date_from=date_from,
        date_to=date_to,
        run_id=run_id,
    )


def _counts(frame: pd.DataFrame) -> bool:
    return "rows" in frame and pd.api.types.is_numeric_dtype(frame["rows"])


def _no_rows(gate: str, table: str) -> dict[str, Any]:
    rule = Rule(
        f"{gate}-ROWS-000",
        f"{table} has rows",
        "Look at the step before this gate: it wrote nothing, or it wrote to other dates.",
    )
    return {
        "rule": rule.id,
        "severity": rule.severity,
        "expectation": "rows_expected",
        "column": None,
        "what": rule.what,
        "remedy": rule.remedy,
        "observed": "0 rows",
        "unexpected_count": 0,
        "sample": [],
    }


@cache
def _frames() -> Any:
    """Great Expectations' handle on data frames, made once: its context costs more than most suites."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
    return asset.add_batch_definition_whole_dataframe("whole")


def _validate(suite: "ExpectationSuite", frame: pd.DataFrame, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Validate the frame; the results as plain objects, in the order of the suite's rules."""
    batch = _frames().get_batch(batch_parameters={"dataframe": frame})
    validated = batch.validate(
        suite,
        result_format={
            "result_format": "SUMMARY",
            "unexpected_index_column_names": list(ids),
            "partial_unexpected_count": SAMPLE_SIZE,
        },
    )
    results = [result.to_json_dict() for result in validated.results]
    return sorted(results, key=lambda result: str(result["expectation_config"]["meta"]["rule"]))


def _broken(result: Mapping[str, Any], ids: Sequence[str]) -> dict[str, Any]:
    """What one failed expectation says, without anything personal."""
    config, details = result["expectation_config"], result["result"]
    kwargs, meta = config["kwargs"], config["meta"]
    column = kwargs.get("column") or " / ".join(
        kwargs[name] for name in ("column_A", "column_B") if kwargs.get(name)
    )
    columns = column.split(" / ") if column else list(kwargs.get("column_list", ()))
    return {
        "rule": meta["rule"],
        "severity": meta["severity"],
        "expectation": config["type"],
        "column": column or ", ".join(columns),
        "what": meta["what"],
        "remedy": meta["remedy"],
        "observed": _observed(result, details),
        "unexpected_count": int(details.get("unexpected_count") or 0),
        "sample": _sample(details, [*ids, *(name for name in columns if name not in ids)]),
    }


def _observed(result: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    if not details:
        raised = result.get("exception_info", {})
        told = raised.get("exception_message") or next(
            (error["exception_message"] for error in raised.values() if isinstance(error, dict)), "no result"
        )
        return f"could not be evaluated: {told}"
    if "unexpected_count" in details:
        return f"{details['unexpected_count']} of {details['element_count']} groups break it"
    return f"{details.get('observed_value')}"


def _sample(details: Mapping[str, Any], allowed: Sequence[str]) -> list[dict[str, Any]]:
    found = details.get("partial_unexpected_index_list") or []
    return [
        {name: _plain(example[name]) for name in allowed if name in example}
        for example in found[:SAMPLE_SIZE]
    ]


def _plain(value: Any) -> Any:
    """A value that JSON can hold; NaN becomes None."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, _SAMPLE_TYPES) else str(value)
