"""Validate a frame by the rules of a suite with Great Expectations, and spare what it computes in vain.

Here: the calls of Great Expectations. Not here: what a result means (`expectations.gate`). Great Expectations
is imported inside functions: it takes seconds, and Dagster's definitions must load without it.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from expectations.judge import find_judge
from expectations.rules import GateRule, GateSuite, Severity

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

SAMPLE_SIZE = 5
# Great Expectations has three severities; ours say what happens next.
_GX_SEVERITY: dict[Severity, str] = {"block": "critical", "warn": "warning"}
# The configurations computed so far, by the identity of their expectation, which is kept beside them.
_configurations: ContextVar[dict[int, tuple[Any, Any]] | None] = ContextVar("configurations", default=None)


def build_gx_suite(suite: GateSuite, rules: Sequence[GateRule] | None = None) -> "ExpectationSuite":
    """Build Great Expectations' suite, one expectation for each of `rules` (default: all of the suite).

    Raises what Great Expectations raises for an unknown expectation.
    """
    import great_expectations as gx

    expectations = [
        {
            "type": rule.condition.expectation,
            "kwargs": dict(rule.condition.arguments),
            "severity": _GX_SEVERITY[rule.severity],
            "notes": f"{rule.id} ({rule.severity}): {rule.what}. Next: {rule.remedy}",
            "meta": {
                "rule": rule.id,
                "severity": rule.severity,
                "what": rule.what,
                "remedy": rule.remedy,
            },
        }
        for rule in (suite.rules if rules is None else rules)
    ]
    return gx.ExpectationSuite(name=f"{suite.gate}-{suite.table}", expectations=expectations)


def validate_frame(suite: GateSuite, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Validate the frame; return the results as plain objects, in the order of rule ids.

    Samples cost as much as the check itself. So the first validation only counts, and a second one takes
    samples for the broken rules. Without an id column no sample can be taken: then no rule can be evaluated.
    """
    if not set(suite.id_columns) <= set(frame.columns):
        return _validate(suite, suite.rules, frame, "SUMMARY")
    results = _validate(suite, suite.rules, frame, "BASIC")
    broken_ids = {rule_id(result) for result in results if not result["success"]}
    if not broken_ids:
        return results
    broken = [rule for rule in suite.rules if rule.id in broken_ids]
    with_samples = {rule_id(result): result for result in _validate(suite, broken, frame, "COMPLETE")}
    return [with_samples.get(rule_id(result), result) for result in results]


def holds(suite: GateSuite, frame: pd.DataFrame) -> bool:
    """Return whether no row of the frame breaks a rule of the suite."""
    return all(result["success"] for result in _validate(suite, suite.rules, frame, "BASIC"))


def rule_id(result: dict[str, Any]) -> str:
    """Return the id of the rule that a result is about."""
    return str(result["expectation_config"]["meta"]["rule"])


def _validate(
    suite: GateSuite, rules: Sequence[GateRule], frame: pd.DataFrame, result_format: str
) -> list[dict[str, Any]]:
    # A suite of gate D has functions, which cannot be sent.
    named = GateSuite(gate=suite.gate, table=suite.table, id_columns=suite.id_columns, rules=())
    call = (named, tuple(rules), frame, result_format)
    judge = find_judge()
    results: list[dict[str, Any]] | None = judge.ask(*call) if judge else None
    return validate_here(*call) if results is None else results


def validate_here(
    suite: GateSuite, rules: Sequence[GateRule], frame: pd.DataFrame, result_format: str
) -> list[dict[str, Any]]:
    """Validate the frame by these rules in this process; see `validate_frame`."""
    details: dict[str, Any] = {"result_format": result_format, "partial_unexpected_count": SAMPLE_SIZE}
    if result_format != "BASIC":
        details["unexpected_index_column_names"] = list(suite.id_columns)
    with _configurations_computed_once():
        checkpoint = _define_checkpoint(suite, rules, details)
        ((key, validated),) = checkpoint.run(batch_parameters={"dataframe": frame}).run_results.items()
    # The verdict is kept in the database: here the rows of each gate would stay until the process ends.
    gates_project()[0].validation_results_store.remove_key(key)
    return sorted((result.to_json_dict() for result in validated.results), key=rule_id)


def _define_checkpoint(suite: GateSuite, rules: Sequence[GateRule], details: Mapping[str, Any]) -> Any:
    """Define the checkpoint of a suite in the project of this process, or define it anew.

    Counts and samples have a checkpoint each: they differ in their rules and in the form of results.
    """
    import great_expectations as gx

    context, frames = gates_project()
    expectations = build_gx_suite(suite, rules)
    if details["result_format"] != "BASIC":
        expectations.name += "-samples"
    check = gx.ValidationDefinition(name=expectations.name, data=frames, suite=expectations)
    return context.checkpoints.add_or_update(
        gx.Checkpoint(name=check.name, validation_definitions=[check], result_format=dict(details))
    )


@cache
def gates_project() -> tuple[Any, Any]:
    """Make the project of this process once, in memory, and the batch definition of data frames in it.

    A context costs more than most suites. `expectations.data_docs` writes a project to disk.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
    return context, asset.add_batch_definition_whole_dataframe("whole")


@contextmanager
def _configurations_computed_once() -> Iterator[None]:
    """Let each expectation compute its configuration once in this block.

    Great Expectations reads `Expectation.configuration` about 120 times for each rule and computes it each
    time: half of the time of a gate. An expectation does not change while it is validated.
    """
    _make_configurations_reusable()
    token = _configurations.set({})
    try:
        yield
    finally:
        _configurations.reset(token)


@cache
def _make_configurations_reusable() -> None:
    from great_expectations.expectations.expectation import Expectation

    compute: Callable[[Any], Any] = vars(Expectation)["configuration"].fget

    def configuration(expectation: Any) -> Any:
        computed = _configurations.get()
        if computed is None:
            return compute(expectation)
        if id(expectation) not in computed:
            computed[id(expectation)] = (expectation, compute(expectation))
        return computed[id(expectation)][1]

    Expectation.configuration = property(configuration)  # type: ignore[assignment]
