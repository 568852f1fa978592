"""Gates B and C: a copy equals what it was copied from, per tenant and date: rows, sums and checksum.

The rules of a table follow from the description of its entity (`data.landing.entities`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data.landing.entities import ENTITIES
from expectations.rules import Rule, suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

# Without these there is nothing to build a warehouse of: an empty table is a fault of the copy.
_NEVER_EMPTY = ("tenants", "properties", "meters", "meter_registers")
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


@dataclass(frozen=True)
class CopySuite:
    """The rules of one copied table at gate B or C, with the names that a module of rules has."""

    GATE: str
    TABLE: str
    ID_COLUMNS: tuple[str, ...]
    MEASURES: tuple[str, ...]
    ROWS_REQUIRED: bool

    def build_suite(self) -> "ExpectationSuite":
        """The suite over a frame of `expectations.frames.compare`."""
        keyed, *measured = rules(self.GATE, self.TABLE, self.MEASURES)
        return suite(
            self.GATE,
            self.TABLE,
            [
                keyed.expect("expect_column_values_to_be_in_set", column="on_both_sides", value_set=[True]),
                *(same(measure, rule) for measure, rule in zip(self.MEASURES, measured, strict=True)),
            ],
        )


def copy_suite(gate: str, table: str) -> CopySuite:
    """The rules of an entity at gate B or C. Raises KeyError for what is no entity."""
    entity = ENTITIES[table]
    return CopySuite(
        GATE=gate,
        TABLE=table,
        ID_COLUMNS=("tenant_id", *([entity.partition_column] if entity.partition_column else [])),
        MEASURES=("rows", *(f"sum_{name}" for name in entity.measures), "checksum"),
        ROWS_REQUIRED=table in _NEVER_EMPTY,
    )


def same(measure: str, rule: Rule) -> dict[str, Any]:
    """One measure is the same on both sides; missing on one side is different."""
    return rule.expect(
        "expect_column_pair_values_to_be_equal",
        column_A=f"source_{measure}",
        column_B=f"target_{measure}",
        ignore_row_if="neither",
    )
