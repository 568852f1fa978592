"""What a test and the process that runs dbt for it hand to each other."""

from dataclasses import dataclass, field

from .in_memory import Statement, Stored


@dataclass
class Invocation:
    """What one dbt command sent and how it ended."""

    words: list[str]
    success: bool
    failures: list[str]
    statements: list[Statement]


@dataclass
class Session:
    """The tables before and after, and the invocations between."""

    project: str
    tables: list[Stored]
    invocations: list[Invocation] = field(default_factory=list)
