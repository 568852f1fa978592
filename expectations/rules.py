"""The words in which a gate suite is declared: suites, rules and the conditions of rules.

A suite is data. What reads its frame is in `expectations.frames`, what runs it in `expectations.gate`, and
the suites are in `expectations.suites`. Great Expectations takes seconds to import and is not imported here.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

Severity = Literal["block", "warn"]
# The remedy of the rule <gate>-ROWS-000, which every suite with `rows_required` has.
NO_ROWS_REMEDY = "Look at the step before this gate: it wrote nothing, or it wrote to other dates."


@dataclass(frozen=True)
class Condition:
    """One Great Expectations expectation: its type in snake case and its arguments."""

    expectation: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class GateRule:
    """One rule of a gate.

    `id` is `<gate>-<TABLE>-<number>`; people search for it, so its meaning never changes. `condition` is what
    the frame is checked for, `what` the same in words, and `remedy` what the person on call does when the
    rule is broken; `{first}` and `{last}` in it stand for the first and last reading date of the run.
    """

    id: str
    condition: Condition
    what: str
    remedy: str
    severity: Severity = "block"


@dataclass(frozen=True, kw_only=True)
class GateSuite:
    """The rules of one table at one gate.

    `id_columns` identify a row of the frame and are shown in samples. `measures` are compared with the source
    of the table. `rows_required` fails the gate when the frame stands for no row.
    """

    gate: str
    table: str
    id_columns: tuple[str, ...]
    rules: tuple[GateRule, ...]
    measures: tuple[str, ...] = ()
    rows_required: bool = False


@dataclass(frozen=True, kw_only=True)
class WarehouseSuite(GateSuite):
    """A suite of gate D, with how its frame is read: see `expectations.frames.read_warehouse_frame`.

    `schema` is the schema or dataset of the table. `is_dated` says that `sql` selects reading dates;
    `is_step_partitioned`, that the Dagster step which builds the table runs by reading date. `source_sql`, if
    given, selects what the `measures` of the table must equal, and `counts` are columns of `sql` alone.
    `floats` and `integers` are converted to these types; then `derive` adds columns.
    """

    sql: str
    gate: str = "D"
    schema: str = "staging"
    is_dated: bool = False
    is_step_partitioned: bool = True
    source_sql: str = ""
    counts: tuple[str, ...] = ()
    floats: tuple[str, ...] = ()
    integers: tuple[str, ...] = ()
    derive: "Callable[[pd.DataFrame], pd.DataFrame] | None" = None


def is_between(column: str, low: float | None, high: float | None) -> Condition:
    """Expect each value in [low, high]; None leaves that end open. NULL passes."""
    arguments = {"column": column, "min_value": low, "max_value": high}
    given = {name: value for name, value in arguments.items() if value is not None}
    return Condition("expect_column_values_to_be_between", given)


def is_zero(column: str) -> Condition:
    """Expect each value to be 0. NULL passes."""
    return is_between(column, 0, 0)


def is_true(column: str) -> Condition:
    """Expect each value to be true. NULL passes."""
    return Condition("expect_column_values_to_be_in_set", {"column": column, "value_set": [True]})


def is_given(column: str) -> Condition:
    """Expect no NULL."""
    return Condition("expect_column_values_to_not_be_null", {"column": column})


def is_absent(column: str) -> Condition:
    """Expect only NULL."""
    return Condition("expect_column_values_to_be_null", {"column": column})


def is_none_of(column: str, values: Collection[str]) -> Condition:
    """Expect no value to be one of `values`. NULL passes."""
    return Condition("expect_column_values_to_not_be_in_set", {"column": column, "value_set": list(values)})


def are_unique(columns: Collection[str]) -> Condition:
    """Expect no two rows with the same values in `columns`."""
    return Condition("expect_compound_columns_to_be_unique", {"column_list": list(columns)})


def is_not_above(column: str, limit: str) -> Condition:
    """Expect `column` <= `limit`, both columns, in each row. A row with NULL in either passes.

    A figure without sufficient data is NULL by rule, so NULL beside a number breaks nothing.
    """
    return Condition(
        "expect_column_pair_values_a_to_be_greater_than_b",
        {
            "column_A": limit,
            "column_B": column,
            "or_equal": True,
            "ignore_row_if": "either_value_is_missing",
        },
    )


def equals_source(measure: str) -> Condition:
    """Expect `measure` to be equal on both sides of a frame by `frames.compare_frames`.

    A value that one side lacks is different.
    """
    return Condition(
        "expect_column_pair_values_to_be_equal",
        {"column_A": f"source_{measure}", "column_B": f"target_{measure}", "ignore_row_if": "neither"},
    )
