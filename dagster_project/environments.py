"""Which schedule and sensor is on in which environment, the pools, and how fresh each layer must be.

These tables are read by the definitions and printed in docs/schedules.md. Not here: what a schedule requests
(`defs/<stage>`).
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import dagster as dg

from myproperty.environments import ENVIRONMENTS, Environment

Switched = TypeVar("Switched", dg.ScheduleDefinition, dg.SensorDefinition)

EVERYWHERE: frozenset[Environment] = frozenset(ENVIRONMENTS)
ATTENDED: frozenset[Environment] = frozenset(name for name in ENVIRONMENTS if ENVIRONMENTS[name].tells_people)
# Elsewhere a person starts runs: a run that begins by itself would change what they look at.
DEPLOYED: frozenset[Environment] = frozenset(
    name for name in ENVIRONMENTS if ENVIRONMENTS[name].runs_by_itself
)


@dataclass(frozen=True)
class Automation:
    """A schedule (`cron`, in UTC) or a sensor (`seconds` between two ticks), and where it is on."""

    does: str
    on_in: frozenset[Environment]
    cron: str = ""
    seconds: int = 0


AUTOMATIONS = {
    "ingest_hourly": Automation(
        "Ingests every file of the inbox, those too that the sensor has tried.", DEPLOYED, cron="5 * * * *"
    ),
    "pipeline_nightly": Automation(
        "Takes to the marts the day that has ended, for the properties whose local time is between 4 and 5.",
        DEPLOYED,
        cron="45 * * * *",
    ),
    # A state that lasts less than the time between two snapshots is lost.
    "snapshots_six_hourly": Automation("Keeps the state of changing rows.", DEPLOYED, cron="35 */6 * * *"),
    "source_freshness_six_hourly": Automation(
        "Fails if a table of `raw` was not loaded in time.", DEPLOYED, cron="20 */6 * * *"
    ),
    "base_backup_nightly": Automation(
        "Takes a base backup of the embedded PostgreSQL and copies it to the bucket.",
        DEPLOYED,
        cron="15 2 * * *",
    ),
    # Behind the nights of Asia, Australia and Europe.
    "exports_daily": Automation(
        "Writes the answers of the saved queries as Parquet and CSV, where `MYPROPERTY_EXPORT_URL` is set.",
        DEPLOYED,
        cron="30 6 * * *",
    ),
    "copied_wal": Automation("Copies archived WAL to the bucket of backups.", DEPLOYED, seconds=60),
    "inbox_files": Automation("Ingests files that are complete.", DEPLOYED, seconds=60),
    "due_dates": Automation("Validates dates that are due.", DEPLOYED, seconds=300),
    "pending_dates": Automation("Takes pending dates to the marts.", DEPLOYED, seconds=300),
    "failed_ranges": Automation(
        "Runs again what a gate stopped: the good dates, and the good tenants of the bad dates.",
        DEPLOYED,
        seconds=30,
    ),
    "quality_marts": Automation(
        "Builds the marts of quality when a run of the pipeline has ended.", DEPLOYED, seconds=300
    ),
    "recorded_runs": Automation("Records the runs for `myproperty pending`.", EVERYWHERE, seconds=60),
    "new_verdicts": Automation(
        "Builds the site of the gates again, after runs and at most once for runs that follow each other.",
        DEPLOYED,
        seconds=60,
    ),
    "metrics_file": Automation("Writes the metrics for Prometheus to a file.", DEPLOYED, seconds=120),
    "failed_runs": Automation("Tells people about a failed run.", ATTENDED, seconds=30),
    "recovered_runs": Automation("Tells people that a failure has ended.", ATTENDED, seconds=30),
    "silent_senders": Automation("Tells people about senders without new files.", ATTENDED, seconds=3600),
    "refused_files": Automation("Tells people about files that were refused.", ATTENDED, seconds=300),
    "old_backups": Automation(
        "Tells people that the newest backup or its copy is too old.", ATTENDED, seconds=3600
    ),
    "daily_digest": Automation("Tells people once a day what is open.", ATTENDED, seconds=600),
    "unsent_alerts": Automation("Sends the messages that wait.", ATTENDED, seconds=60),
}

# Runs whose steps share a pool wait for each other in the queue; `dagster.yaml` allows one run for each pool.
WAREHOUSE_POOL = "warehouse"
INGEST_POOL = "ingest"
POOLS = {
    WAREHOUSE_POOL: "One run at a time writes the warehouse: two would collide on dbt's temporary tables.",
    INGEST_POOL: "One run at a time empties the inbox: it reads up to 200 files, in parallel by date.",
}


@dataclass(frozen=True)
class Freshness:
    """Hours since the last materialization after which an asset of a layer warns and fails."""

    warn_hours: int
    fail_hours: int

    def as_policy(self) -> dg.FreshnessPolicy:
        """Return Dagster's policy."""
        return dg.FreshnessPolicy.time_window(
            fail_window=timedelta(hours=self.fail_hours), warn_window=timedelta(hours=self.warn_hours)
        )


# A night and two hours for the run; two nights fail. Only assets that runs make have a policy.
_NIGHTLY = Freshness(warn_hours=26, fail_hours=50)
FRESHNESS = {
    "ingest": Freshness(warn_hours=2, fail_hours=6),
    "oltp": _NIGHTLY,
    "landing": _NIGHTLY,
    "raw": _NIGHTLY,
    "staging": _NIGHTLY,
    "snapshots": Freshness(warn_hours=7, fail_hours=14),
    "core": _NIGHTLY,
    "marts": _NIGHTLY,
    "bi": _NIGHTLY,
    "published": _NIGHTLY,
}

# A tenant is late if its newest published date ended longer ago than this: senders deliver a day after.
TENANT_DAYS = 3


def switch(definitions: Iterable[Switched], environment: Environment) -> list[Switched]:
    """Return schedules or sensors with the default status that `AUTOMATIONS` gives them.

    Raises KeyError if one is not in the table.
    """
    return [_switch(definition, environment) for definition in definitions]


def freshness_policy(group: str | None, environment: Environment) -> dg.FreshnessPolicy | None:
    """Return the policy of a group of assets; None where no schedule materializes them."""
    found = FRESHNESS.get(group or "")
    return found.as_policy() if found and environment in DEPLOYED else None


def _switch(definition: Switched, environment: Environment) -> Switched:
    is_on = environment in AUTOMATIONS[definition.name].on_in
    switched = copy.copy(definition)
    # Dagster takes the status only when a definition is made, and these are made when their modules load.
    if isinstance(switched, dg.ScheduleDefinition):
        switched._default_status = (
            dg.DefaultScheduleStatus.RUNNING if is_on else dg.DefaultScheduleStatus.STOPPED
        )
    else:
        switched._default_status = dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED
    return switched
