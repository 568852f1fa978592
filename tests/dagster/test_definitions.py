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
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_project.build import build_defs
from dagster_project.defs.warehouse.assets import STEPS
from dagster_project.defs.warehouse.translator import LAYERS
from data.landing.entities import ENTITIES
from expectations.suites import warehouse_suites
from myproperty.settings import Settings

SNAPSHOT = Path(__file__).with_name("definitions.json")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.Definitions]:
    """The definitions of a home without engines: loading them must not need any."""
    yield build_defs(
        settings=Settings(home=tmp_path_factory.mktemp("home"), oltp_dsn=None, warehouse_dsn=None)
    )


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
            sensor.name: [sensor.job_name, sensor.default_status.value] for sensor in repository.sensor_defs
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
    assert {key.path[0] for key in ends} <= {"published_dates", "staging"}


def test_each_entity_flows_from_oltp_through_landing_to_raw(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for name, entity in ENTITIES.items():
        landing, raw = (graph.get(dg.AssetKey([stage, name])) for stage in ("landing", "raw"))
        assert landing.parent_keys == {dg.AssetKey(name)}
        assert raw.parent_keys == {landing.key}
        for node in (landing, raw):
            assert (node.partitions_def is not None) == entity.is_dated, node.key


def test_dates_are_published_after_every_layer_that_people_read(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    read = {key for key in graph.get_all_asset_keys() if key.path[0] in LAYERS and key.path[0] != "staging"}
    published = graph.get(dg.AssetKey("published_dates"))
    assert published.parent_keys == read
    assert published.partitions_def is not None


def test_each_gate_blocks(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    gates = [key for key in graph.asset_check_keys if key.name.startswith("gate_")]
    assert {key.name for key in gates} == {"gate_a", "gate_b", "gate_c", "gate_d"}
    assert all(graph.get_check_spec(key).blocking for key in gates)


def test_each_landing_and_raw_asset_has_its_gate(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    gated = {(key.asset_key, key.name) for key in graph.asset_check_keys}
    for key in graph.get_all_asset_keys():
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
