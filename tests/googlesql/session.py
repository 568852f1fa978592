"""What a test and the process that runs dbt for it hand to each other."""

from dataclasses import dataclass, field

from .in_memory import Statement, Stored


@dataclass(frozen=True)
class Run:
    """One dbt command, and the raw tables that replace those of the previous run."""

    words: list[str]
    raw: list[Stored]


@dataclass(frozen=True)
class Invocation:
    """What one dbt command sent, how it ended, and the tables after it."""

    words: list[str]
    success: bool
    failures: list[str]
    statements: list[Statement]
    tables: list[Stored]


@dataclass
class Session:
    """The commands to run one after the other on one parse of the project, and their results.

    `parse` is the command that leaves the parse in the folder `target`.
    """

    project: str
    target: str
    parse: list[str]
    runs: list[Run]
    invocations: list[Invocation] = field(default_factory=list)
