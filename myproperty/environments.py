"""The environments of the platform: one complete map, and what each one asks for.

An unknown name is refused by the settings. Here: facts. Not here: which schedule is on where
(`dagster_project.environments`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Environment = Literal["local", "ci", "staging", "production"]


@dataclass(frozen=True)
class EnvironmentRules:
    """What holds in one environment.

    `runs_by_itself`: schedules and sensors start runs. `tells_people`: alerts are sent. `demands_tls`: a
    PostgreSQL on another machine is reached by a verified connection, or not at all.
    """

    purpose: str
    runs_by_itself: bool
    tells_people: bool
    demands_tls: bool


ENVIRONMENTS: Mapping[Environment, EnvironmentRules] = {
    "local": EnvironmentRules("the machine of a person, who starts runs", False, True, False),
    "ci": EnvironmentRules("the tests of a change: nobody reads a message", False, False, False),
    "staging": EnvironmentRules("production, with data that may be lost", True, True, True),
    "production": EnvironmentRules("what people rely on", True, True, True),
}
