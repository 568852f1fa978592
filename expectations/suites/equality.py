"""The shared part of gates B and C: a copy equals what it was copied from, per tenant and date.

Which table, and which measures, is said in the module of the table.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from expectations.rules import Rule, suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

_COPY_AGAIN = {
    "B": "Run the same dates again: landing is replaced whole. If it fails again, compare the landing "
    "query of this table with its source.",
    "C": "Run the same dates again: the raw partition is replaced whole. If it fails again, look at the "
    "load job of this table and date.",
}


def rules(gate: str, table: str, measures: Sequence[str]) -> list[Rule]:
    """The rules of one copied table: first its keys, then one rule a measure, numbered in order."""
    name = table.upper().replace("_", "-")
    remedy = _COPY_AGAIN[gate]
    first = Rule(
        f"{gate}-{name}-001", "every tenant and date of the source is in the copy, and no other", remedy
    )
    rest = (
        Rule(f"{gate}-{name}-{number:03d}", f"{measure} of the copy equals the source", remedy)
        for number, measure in enumerate(measures, start=2)
    )
    return [first, *rest]


def build(gate: str, table: str, measures: Sequence[str]) -> "ExpectationSuite":
    """The suite over a frame of `expectations.frames.compare`."""
    keyed, *measured = rules(gate, table, measures)
    return suite(
        gate,
        table,
        [
            keyed.expect("expect_column_values_to_be_in_set", column="on_both_sides", value_set=[True]),
            *(same(measure, rule) for measure, rule in zip(measures, measured, strict=True)),
        ],
    )


def same(measure: str, rule: Rule) -> dict[str, Any]:
    """One measure is the same on both sides; missing on one side is different."""
    return rule.expect(
        "expect_column_pair_values_to_be_equal",
        column_A=f"source_{measure}",
        column_B=f"target_{measure}",
        ignore_row_if="neither",
    )
