"""The table of environments is what the definitions do: status, time, pools, freshness, retries."""

from pathlib import Path
from typing import get_args

import dagster as dg
import pytest

from dagster_project.build import build_defs
from dagster_project.environments import AUTOMATIONS, DEPLOYED, FRESHNESS, INGEST_POOL, WAREHOUSE_POOL
from dagster_project.failures import RETRY
from dagster_project.instance import PRODUCTION
from myproperty.environments import Environment
from myproperty.settings import Settings

pytestmark = pytest.mark.slow
ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)


@pytest.fixture(scope="module")
def definitions(parsed_home: Path) -> dict[Environment, dg.Definitions]:
    return {
        environment: build_defs(
            settings=Settings(home=parsed_home, environment=environment, oltp_dsn=None, warehouse_dsn=None)
        )
        for environment in ENVIRONMENTS
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_schedules_and_sensors_are_on_where_the_table_says(
    definitions: dict[Environment, dg.Definitions], environment: Environment
) -> None:
    repository = definitions[environment].get_repository_def()
    found = {
        schedule.name: (schedule.cron_schedule, 0, schedule.default_status.value == "RUNNING")
        for schedule in repository.schedule_defs
    } | {
        sensor.name: ("", sensor.minimum_interval_seconds, sensor.default_status.value == "RUNNING")
        for sensor in repository.sensor_defs
    }
    assert found == {
        name: (automation.cron, automation.seconds, environment in automation.on_in)
        for name, automation in AUTOMATIONS.items()
    }


def test_every_step_that_writes_the_warehouse_is_in_its_pool(
    definitions: dict[Environment, dg.Definitions],
) -> None:
    pipeline = definitions["production"].resolve_job_def("pipeline")
    writers = {node.name for node in pipeline.nodes if _writes_warehouse(node.name)}
    pools = {node.name: node.definition.pools for node in pipeline.nodes}
    assert {"load_entities", "dbt_marts", "raw__meter_readings"} <= writers
    assert {name for name, found in pools.items() if found == {WAREHOUSE_POOL}} == writers
    ingest = definitions["production"].resolve_job_def("ingest")
    assert [node.definition.pools for node in ingest.nodes] == [{INGEST_POOL}]
    config = (PRODUCTION / "dagster.yaml").read_text()
    assert "default_limit: 1\n    granularity: run\n" in config


def _writes_warehouse(step: str) -> bool:
    return step == "load_entities" or (step.startswith(("raw__", "dbt_")) and "gate" not in step)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_each_asset_that_runs_make_is_fresh_by_its_layer(
    definitions: dict[Environment, dg.Definitions], environment: Environment
) -> None:
    graph = definitions[environment].resolve_asset_graph()
    made = [graph.get(key) for key in graph.materializable_asset_keys]
    others = [graph.get(key) for key in graph.get_all_asset_keys() - graph.materializable_asset_keys]
    expected = {node.key: FRESHNESS.get(str(node.group_name)) for node in made}
    assert {str(node.group_name) for node in made if expected[node.key] is None} == {"gates"}
    for node in made:
        layer = expected[node.key] if environment in DEPLOYED else None
        assert node.freshness_policy == (layer.as_policy() if layer else None), node.key
    assert {node.freshness_policy for node in others} == {None}


def test_steps_retry_what_can_pass_and_fences_nothing(
    definitions: dict[Environment, dg.Definitions],
) -> None:
    """The policy retries only what `permanent_unless_retryable` passes on: see test_arguments."""
    for name in ("ingest", "validate", "pipeline", "snapshots", "source_freshness", "quality_docs"):
        nodes = definitions["production"].resolve_job_def(name).nodes
        steps = [node.definition for node in nodes if isinstance(node.definition, dg.OpDefinition)]
        policies = {step.name: step.retry_policy for step in steps}
        without = {step for step, policy in policies.items() if policy is None}
        assert set(policies.values()) <= {RETRY, None}
        assert all("passed" in step for step in without), without
