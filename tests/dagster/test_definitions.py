"""The definitions load, fit together, and equal the stored snapshot, so that a renaming shows as a diff.

The snapshot has what is wired by hand. Structure that repeats for each table is asserted below; dbt's own
nodes and tests are counted for each group. After an intended change, write the snapshot again:
`MYPROPERTY_WRITE_SNAPSHOT=1 .venv/bin/python -m pytest tests/dagster`.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.api import create_execution_plan
from dagster._core.execution.plan.step import ExecutionStep

from dagster_project.build import build_defs, find_first_date
from dagster_project.defs.warehouse.assets import STEPS
from dagster_project.defs.warehouse.jobs import VERSIONED
from dagster_project.defs.warehouse.translator import LAYERS
from dagster_project.fences import LANDING_PASSED, READINGS_PASSED
from dagster_project.partitions import begin_with
from data.landing.entities import ENTITIES
from expectations.suites import warehouse_suites
from myproperty.settings import Settings

SNAPSHOT = Path(__file__).with_name("definitions.json")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def definitions(parsed_home: Path) -> Iterator[dg.Definitions]:
    """The definitions of a home without engines: loading them must not need any."""
    yield build_defs(settings=Settings(home=parsed_home, oltp_dsn=None, warehouse_dsn=None))


def describe_definitions(definitions: dg.Definitions) -> dict[str, Any]:
    """Describe groups, hand-wired assets, gates, jobs, schedules and sensors as JSON objects."""
    graph = definitions.resolve_asset_graph()
    repository = definitions.get_repository_def()
    nodes = [graph.get(key) for key in sorted(graph.get_all_asset_keys())]
    gates = [key for key in sorted(graph.asset_check_keys) if key.name.startswith("gate_")]
    return {
        "groups": {
            group: {
                "assets": count,
                "by_date": sum(node.partitions_def is not None for node in nodes if node.group_name == group),
            }
            for group, count in Counter(str(node.group_name) for node in nodes).items()
        },
        "assets": {
            node.key.to_user_string(): {
                "by_date": node.partitions_def is not None,
                "upstream": sorted(parent.to_user_string() for parent in node.parent_keys),
            }
            for node in nodes
            if node.group_name in ("ingest", "oltp") and node.is_materializable
        },
        "gates": {
            name: sorted(key.asset_key.to_user_string() for key in gates if key.name == name)
            for name in ("gate_a", "gate_d")
        }
        | {name: sum(key.name == name for key in gates) for name in ("gate_b", "gate_c")},
        "jobs": {
            job.name: Counter(str(graph.get(key).group_name) for key in job.asset_layer.executable_asset_keys)
            for job in repository.get_all_jobs()
            if not job.name.startswith("__")
        },
        "schedules": {
            schedule.name: [schedule.cron_schedule, schedule.job_name, schedule.default_status.value]
            for schedule in repository.schedule_defs
        },
        "sensors": {
            sensor.name: [sensor.job_name if sensor.targets else "", sensor.default_status.value]
            for sensor in repository.sensor_defs
        },
    }


def test_definitions_equal_the_snapshot(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)
    found = describe_definitions(definitions)
    if os.environ.get("MYPROPERTY_WRITE_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    assert found == json.loads(SNAPSHOT.read_text()), (
        "if the change is meant: MYPROPERTY_WRITE_SNAPSHOT=1 .venv/bin/python -m pytest tests/dagster"
    )


def test_great_expectations_is_not_loaded_with_the_definitions() -> None:
    code = "import sys, dagster_project.build; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0


def test_every_asset_has_a_neighbour(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
    assert [node.key for node in nodes if not node.parent_keys and not node.child_keys] == []


def test_an_asset_without_children_is_published_or_a_view_of_staging(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    ends = {key for key in graph.materializable_asset_keys if not graph.get(key).child_keys}
    assert dg.AssetKey("published_dates") in ends
    ends -= quality_keys(definitions)
    assert {key.path[0] for key in ends} <= {"published_dates", "staging"}


def test_each_entity_flows_from_oltp_through_landing_to_raw(definitions: dg.Definitions) -> None:
    """Tables without dates are landed after those with dates, whose rows refer to them."""
    graph = definitions.resolve_asset_graph()
    dated = {dg.AssetKey(["landing", name]) for name, entity in ENTITIES.items() if entity.is_dated}
    for name, entity in ENTITIES.items():
        landing, raw = (graph.get(dg.AssetKey([stage, name])) for stage in ("landing", "raw"))
        before = set() if entity.is_dated else dated
        assert landing.parent_keys == {dg.AssetKey(name), READINGS_PASSED} | before
        assert raw.parent_keys == {landing.key, LANDING_PASSED}
        for node in (landing, raw):
            assert (node.partitions_def is not None) == entity.is_dated, node.key


def test_dates_are_published_after_every_layer_that_people_read(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    read = {key for key in graph.get_all_asset_keys() if key.path[0] in LAYERS and key.path[0] != "staging"}
    read -= quality_keys(definitions)
    published = graph.get(dg.AssetKey("published_dates"))
    assert published.parent_keys == read
    assert published.partitions_def is not None


def test_each_asset_has_an_owner(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    assert [key for key in graph.get_all_asset_keys() if not graph.get(key).owners] == []


def test_runs_from_the_ui_use_one_process(definitions: dg.Definitions) -> None:
    assert definitions.executor is dg.in_process_executor
    assert all(job.executor_def is dg.in_process_executor for job in _jobs(definitions))


def test_reading_dates_begin_with_the_first_reading(parsed_home: Path) -> None:
    settings = Settings(home=parsed_home, oltp_dsn=None, warehouse_dsn=None)
    assert find_first_date(settings) is None, "definitions load without engines"
    first = date(2025, 10, 21)
    definitions = build_defs(settings=settings, first_date=first)
    graph = definitions.resolve_asset_graph()
    dated = [node for key in graph.get_all_asset_keys() if (node := graph.get(key)).partitions_def]
    assert len(dated) > 30
    assert {node.partitions_def for node in dated} == {begin_with(first)}
    job = definitions.resolve_job_def("pipeline")
    assert job.partitions_def == begin_with(first)


def quality_keys(definitions: dg.Definitions) -> set[dg.AssetKey]:
    """Return the assets of the job `quality`, which stands beside the pipeline."""
    return set(definitions.resolve_job_def("quality").asset_layer.executable_asset_keys)


def test_no_gate_and_no_date_stands_before_the_figures_of_quality(definitions: dg.Definitions) -> None:
    """They describe the nights that a gate stopped."""
    graph = definitions.resolve_asset_graph()
    keys = quality_keys(definitions)
    for name in ("data_quality", "pipeline_runs"):
        assert {dg.AssetKey(["marts", f"mart_{name}"]), dg.AssetKey(["bi", name])} <= keys
    for job in _jobs(definitions):
        if job.name not in ("quality", "__ASSET_JOB"):
            shared = keys & set(job.asset_layer.executable_asset_keys)
            assert shared <= {dg.AssetKey(["core", "tenant_readers"])}, job.name
    outside = {parent for key in keys for parent in graph.get(key).parent_keys} - keys
    assert {key.to_user_string() for key in outside} == {"meter_files", "reading_issues", "meter_readings"}
    assert not [key for key in graph.asset_check_keys if key.asset_key in keys and "gate" in key.name]
    assert not [key for key in keys if graph.get(key).partitions_def]


def _jobs(definitions: dg.Definitions) -> list[dg.JobDefinition]:
    return list(definitions.get_repository_def().get_all_jobs())


def test_each_gate_blocks(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    gates = [key for key in graph.asset_check_keys if key.name.startswith("gate_")]
    assert {key.name for key in gates} == {"gate_a", "gate_b", "gate_c", "gate_d"}
    assert all(graph.get_check_spec(key).blocking for key in gates)


STAGES = ("landing", "raw", "dbt_dimensions", "dbt_facts", "dbt_marts", "published_dates")
STEPS_OF_MANY_TABLES = {"land_entities": "landing", "load_entities": "raw"}
# The first stage that a failed gate must stop. Gate D: of tables without dates, and of the others.
STOPPED_BY = {"A": "landing", "B": "raw", "C": "dbt_dimensions"}
STOPPED_BY_D = {False: "dbt_facts", True: "dbt_marts"}


def stage_of(step: str) -> str | None:
    """Return the stage that a step builds; None for fences and the operational tables."""
    stage = STEPS_OF_MANY_TABLES.get(step, step.split("__", maxsplit=1)[0])
    return stage if stage in STAGES else None


@pytest.mark.parametrize("name", ["pipeline", "snapshots"])
def test_each_gate_is_an_ancestor_of_every_step_behind_it(definitions: dg.Definitions, name: str) -> None:
    """In the resolved job: if a gate fails, no later stage builds anything."""
    job = definitions.resolve_job_def(name)
    parents = {
        step.key: step.get_execution_dependency_keys()
        for step in create_execution_plan(job).get_all_steps_in_topo_order()
        if isinstance(step, ExecutionStep)
    }
    ancestors: dict[str, set[str]] = {}
    for step, keys in parents.items():
        ancestors[step] = set(keys).union(*(ancestors[key] for key in keys))
    gates = {step: gate for step in parents if (gate := job.get_node_named(step).tags.get("gate"))}
    assert set(gates.values()) == ({"A", "B", "C", "D"} if name == "pipeline" else {"B", "C"})
    dated = {f"{s.schema}__{s.table}_gate_d": s.is_step_partitioned for s in warehouse_suites()}
    unguarded = []
    for gate_step, gate in gates.items():
        first = STOPPED_BY.get(gate) or STOPPED_BY_D[dated[gate_step]]
        behind = STAGES[STAGES.index(first) :]
        unguarded += [
            f"{step} does not wait for {gate_step}"
            for step in parents
            if step not in gates and stage_of(step) in behind and gate_step not in ancestors[step]
        ]
    assert unguarded == []
    built = {stage_of(step) for step in parents if step not in gates} - {None}
    assert built == set(STAGES if name == "pipeline" else STAGES[:3])


def test_the_job_of_snapshots_has_the_entities_of_all_snapshots(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    kept = {key.path[1] for key in graph.get_all_asset_keys() if key.path[0] == "snapshots"}
    assert kept == {f"snap_{entity}" for entity in VERSIONED}


def test_each_landing_and_raw_asset_has_its_gate(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    gated = {(key.asset_key, key.name) for key in graph.asset_check_keys}
    for key in graph.get_all_asset_keys() - quality_keys(definitions):
        expected = {"landing": "gate_b", "raw": "gate_c"}.get(key.path[0])
        assert expected is None or (key, expected) in gated


def test_each_suite_of_gate_d_checks_an_asset_whose_step_has_the_dates_that_it_says(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    for suite in warehouse_suites():
        asset = dg.AssetKey([suite.schema, suite.table])
        assert dg.AssetCheckKey(asset, "gate_d") in graph.asset_check_keys
        assert (graph.get(asset).partitions_def is not None) == suite.is_step_partitioned


def test_each_candidate_of_a_mart_has_a_suite_of_gate_d(definitions: dg.Definitions) -> None:
    keys = definitions.resolve_asset_graph().get_all_asset_keys()
    candidates = {key.path[-1] for key in keys if key.path[-1].startswith("candidate_")}
    assert len(candidates) >= 8
    missing = candidates - {suite.table for suite in warehouse_suites()}
    assert not missing, f"write a suite in expectations/suites/warehouse for {sorted(missing)}"


def test_each_dbt_model_is_in_exactly_one_step(definitions: dg.Definitions) -> None:
    steps = {
        node.name: set(assets.keys)
        for assets in definitions.assets or []
        if isinstance(assets, dg.AssetsDefinition) and (node := assets.node_def).name in STEPS
    }
    assert set(steps) == set(STEPS)
    keys = [key for step in steps.values() for key in step]
    assert len(keys) == len(set(keys))
    assert dg.AssetKey(["marts", "mart_solar_performance"]) in steps["dbt_marts"]
    assert dg.AssetKey(["staging", "candidate_solar_performance"]) in steps["dbt_facts"]
