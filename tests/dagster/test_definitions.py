"""The definitions load, hang together, and are what the stored snapshot says: a rename shows as a diff.

After a change that is meant: `MYPROPERTY_WRITE_SNAPSHOT=1 .venv/bin/python -m pytest tests/dagster`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_project.build import build_defs
from dagster_project.defs.warehouse.assets import STEPS
from myproperty.settings import Settings

SNAPSHOT = Path(__file__).with_name("definitions.json")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.Definitions]:
    """The definitions of a home without engines: loading them must need none."""
    yield build_defs(
        settings=Settings(home=tmp_path_factory.mktemp("home"), oltp_dsn=None, warehouse_dsn=None)
    )


def described(definitions: dg.Definitions) -> dict[str, Any]:
    """Keys, jobs, schedules, sensors and checks as JSON objects."""
    graph = definitions.resolve_asset_graph()
    repository = definitions.get_repository_def()
    return {
        "assets": {
            key.to_user_string(): {
                "group": graph.get(key).group_name,
                "partitioned": graph.get(key).partitions_def is not None,
                "upstream": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
            }
            for key in sorted(graph.get_all_asset_keys())
        },
        "checks": sorted(
            f"{check.asset_key.to_user_string()}:{check.name}" for check in graph.asset_check_keys
        ),
        "jobs": {
            job.name: sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys)
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


def test_definitions_are_those_of_the_snapshot(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)
    found = described(definitions)
    if os.environ.get("MYPROPERTY_WRITE_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    assert found == json.loads(SNAPSHOT.read_text())


def test_great_expectations_is_not_loaded_with_the_definitions() -> None:
    code = "import sys, dagster_project.build; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0


def test_no_asset_stands_alone(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
    assert [node.key for node in nodes if not node.parent_keys and not node.child_keys] == []


def test_what_leads_nowhere_is_published_or_a_view_of_staging(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    ends = {key for key in graph.materializable_asset_keys if not graph.get(key).child_keys}
    assert dg.AssetKey("published_dates") in ends
    assert {key.path[0] for key in ends} <= {"published_dates", "staging"}


def test_each_gate_blocks(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    gates = [key for key in graph.asset_check_keys if key.name.startswith("gate_")]
    assert {key.name for key in gates} == {"gate_a", "gate_b", "gate_c", "gate_d"}
    assert all(graph.get_check_spec(key).blocking for key in gates)


def test_every_landing_and_raw_asset_has_its_gate(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    gated = {(key.asset_key, key.name) for key in graph.asset_check_keys}
    for key in graph.get_all_asset_keys():
        expected = {"landing": "gate_b", "raw": "gate_c"}.get(key.path[0])
        assert expected is None or (key, expected) in gated


def test_every_dbt_model_is_in_exactly_one_step(definitions: dg.Definitions) -> None:
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
