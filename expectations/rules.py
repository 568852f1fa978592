"""What a rule of a gate is, and how it travels on a Great Expectations expectation.

A rule has a stable id, `<gate>-<TABLE>-<number>`, that people search for and that never changes its
meaning. Suites live in `expectations.suites`; how a result becomes a verdict lives in `expectations.gate`.
Great Expectations takes seconds to import, so only `suite` does, when it is called.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

Severity = Literal["block", "warn"]

# Great Expectations knows three severities; ours say what happens next.
_GX_SEVERITY: dict[Severity, str] = {"block": "critical", "warn": "warning"}


@dataclass(frozen=True)
class Rule:
    """One rule: what must hold (`what`) and what the person on call does when it does not (`remedy`)."""

    id: str
    what: str
    remedy: str
    severity: Severity = "block"

    def expect(self, expectation: str, **kwargs: Any) -> dict[str, Any]:
        """The configuration of one expectation (its snake-case type) that carries this rule."""
        return {
            "type": expectation,
            "kwargs": kwargs,
            "severity": _GX_SEVERITY[self.severity],
            "meta": {
                "rule": self.id,
                "severity": self.severity,
                "what": self.what,
                "remedy": self.remedy,
            },
        }


def suite(gate: str, table: str, expectations: list[dict[str, Any]]) -> "ExpectationSuite":
    """The suite of one table at one gate. Raises on an expectation that Great Expectations does not know."""
    import great_expectations as gx

    return gx.ExpectationSuite(name=f"{gate}-{table}", expectations=expectations)
