"""The page of schedules and sensors, generated from `dagster_project.environments`."""

from typing import get_args

from dagster_project.environments import AUTOMATIONS, FRESHNESS, POOLS, TENANT_DAYS, Automation
from myproperty.environments import Environment
from oltp_schema.pages import markdown_table


def schedules_page() -> str:
    """Return the page: what is on in which environment, the pools, and how fresh each layer must be."""
    environments = get_args(Environment)
    parts = [
        "# Schedules, sensors, pools\n",
        "`MYPROPERTY_ENVIRONMENT` says which of them are on. A person can switch each one in Dagster's UI; "
        "that wins over the table. Crons are in UTC. The night of a property is by its own time zone.\n",
        markdown_table(
            ("Name", "When", *environments, "Does"),
            [
                (
                    f"`{name}`",
                    _describe_time(automation),
                    *("on" if environment in automation.on_in else "off" for environment in environments),
                    automation.does,
                )
                for name, automation in AUTOMATIONS.items()
            ],
        ),
        "## Pools\n",
        "Runs whose steps share a pool wait for each other in the queue of the instance. A command does not "
        "wait in the queue: the lock of dbt keeps it apart.\n",
        markdown_table(("Pool", "Why"), [(f"`{name}`", why) for name, why in POOLS.items()]),
        "## Freshness\n",
        "In staging and production each asset that runs make has a freshness policy, by its layer. "
        f"The check `fresh_for_each_tenant` warns about a tenant whose newest published date ended more than "
        f"{TENANT_DAYS} days ago. The job `source_freshness` fails if a table of `raw` is too old.\n",
        markdown_table(
            ("Layer", "Warns after", "Fails after"),
            [(name, f"{each.warn_hours} h", f"{each.fail_hours} h") for name, each in FRESHNESS.items()],
        ),
    ]
    return "\n".join(parts)


def _describe_time(automation: Automation) -> str:
    return f"schedule `{automation.cron}`" if automation.cron else f"sensor, every {automation.seconds} s"
