"""Leg 1: the dbt project describes every column, tests every model's key and names every reader.

Read from the manifest of the build for BigQuery. Not here: what the models compute (`tests/warehouse`).
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from sqlglot import exp, parse_one

from .compile import Build
from .conftest import WAREHOUSE


@pytest.fixture
def manifest(bigquery_build: Build) -> dict[str, Any]:
    """The project as dbt parsed it."""
    return bigquery_build.manifest


def of_type(manifest: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] in kinds]


def test_every_model_and_every_column_is_described(manifest: dict[str, Any]) -> None:
    nodes = of_type(manifest, "model", "snapshot")
    assert len(nodes) >= 14
    bare = [
        node["name"] for node in [*nodes, *manifest["sources"].values()] if not node["description"].strip()
    ]
    bare += [
        f"{node['name']}.{column['name']}"
        for node in nodes
        for column in node["columns"].values()
        if not column["description"].strip()
    ]
    assert bare == []


def test_no_column_of_a_model_is_left_out_of_its_description(bigquery_build: Build) -> None:
    """An ephemeral model makes no relation: its columns are those of its compiled SQL."""
    made = {t.relation.path[2]: {c.name for c in t.relation.columns} for t in bigquery_build.tables}
    for node in of_type(bigquery_build.manifest, "model"):
        if node["config"]["materialized"] == "ephemeral":
            query = parse_one(node["compiled_code"], dialect="bigquery")
            assert isinstance(query, exp.Query)
            made[node["alias"]] = set(query.named_selects)
        assert made[node["alias"]] == set(node["columns"]), node["name"]


# Their key is asked once: by the OLTP, with which gates B and C compare each copy, and by gate D.
KEYED_BY_GATES = {"model.myproperty.stg_oltp__meter_readings", "model.myproperty.fact_energy_usage"}


def test_every_model_has_a_test_of_its_key(manifest: dict[str, Any]) -> None:
    keyed = KEYED_BY_GATES | {
        node.get("attached_node")
        for node in of_type(manifest, "test")
        if (node.get("test_metadata") or {}).get("name") in {"unique", "unique_combination"}
    }
    assert {node["unique_id"] for node in of_type(manifest, "model")} - keyed == set()


def test_every_mart_has_a_consumer_with_an_owner(manifest: dict[str, Any]) -> None:
    """A dashboard reads a mart through its public view, where it has one."""
    exposures = list(manifest["exposures"].values())
    read = {name for exposure in exposures for name in exposure["depends_on"]["nodes"]}
    marts = {node["unique_id"] for node in of_type(manifest, "model") if "mart" in node["tags"]}
    views = {
        node["unique_id"]: marts & set(node["depends_on"]["nodes"])
        for node in of_type(manifest, "model")
        if node["access"] == "public"
    }
    behind = {mart for view in read & set(views) for mart in views[view]}
    assert marts
    unread = sorted(marts - read - behind)
    assert not unread, f"name a reader under `exposures` in the yml of {unread}"
    assert {mart for seen in views.values() for mart in seen} & read == set(), "name its public view"
    for exposure in exposures:
        assert exposure["owner"]["name"] and exposure["owner"]["email"], exposure["name"]
        assert bool(exposure["url"]) == (exposure["type"] == "dashboard"), exposure["name"]
        assert exposure["description"].strip(), exposure["name"]


# Intermediates do not read candidates, with two exceptions: solar energy is shared out only on complete days,
# and returns have energy only where enough of a day is measured. The candidate determines these days. A
# second computation could give another answer.
# The marts of quality have no candidate: no gate stands before them.
READ_UPWARDS = {
    ("int_allocation__intervals", "candidate_data_completeness"),
    ("int_roi__days", "candidate_solar_performance"),
    ("mart_data_quality", "stg_oltp__quality_days"),
    ("mart_pipeline_runs", "stg_oltp__quality_runs"),
}


def test_layers_read_what_lies_below_them(manifest: dict[str, Any]) -> None:
    """Staging is 1:1 on a source, a public view reads only published tables, and nothing reads upwards."""
    allowed = {
        "staging": {"raw"},
        "intermediate": {"staging", "intermediate", "dimensions", "facts", "seed"},
        "dimensions": {"staging", "snapshot", "seed", "dimensions"},
        "facts": {"staging", "dimensions", "facts"},
        "candidates": {"staging", "intermediate", "candidates", "dimensions", "facts", "seed"},
        "marts": {"candidates", "dimensions", "facts"},
        "bi": {"marts", "dimensions", "facts", "seed"},
    }

    def layer(unique_id: str) -> str:
        if unique_id.startswith("source."):
            return "raw"
        node = manifest["nodes"][unique_id]
        return str(node["fqn"][1] if node["resource_type"] == "model" else node["resource_type"])

    wrong = []
    for node in of_type(manifest, "model"):
        parents = [
            parent
            for parent in node["depends_on"]["nodes"]
            if (node["name"], parent.split(".")[-1]) not in READ_UPWARDS
        ]
        read = {layer(parent) for parent in parents}
        wrong += [f"{node['name']} reads {below}" for below in read - allowed[layer(node["unique_id"])]]
        if layer(node["unique_id"]) == "staging" and len(node["depends_on"]["nodes"]) != 1:
            wrong.append(f"{node['name']} is not 1:1")
    assert wrong == []


# They name what a row belongs to; they have no figures.
DIMENSIONS = {"dim_meter", "dim_property", "dim_provider", "dim_tenant", "dim_unit"}


def test_public_views_stand_behind_gate_d(manifest: dict[str, Any]) -> None:
    """Facts are rebuilt before gate D: a view that read them would show what the gate refused."""
    read = {
        parent.split(".")[-1]
        for node in of_type(manifest, "model")
        if node["fqn"][1] == "bi"
        for parent in node["depends_on"]["nodes"]
    }
    assert {name for name in read if not name.startswith("mart_")} == {*DIMENSIONS, "tenant_readers"}


def test_every_model_has_an_owner_and_every_public_one_a_version(manifest: dict[str, Any]) -> None:
    for node in of_type(manifest, "model"):
        owner = manifest["groups"][f"group.myproperty.{node['group']}"]["owner"]
        assert owner["name"] and owner["email"], node["name"]
        assert (node["access"] == "public") == (node["fqn"][1] == "bi"), node["name"]
        if node["access"] == "public":
            # The check of a contract reads the view without dates, which BigQuery refuses of partitions.
            is_dated = "reading_date" in node["columns"] and "quality" not in node["tags"]
            assert node["version"] and node["contract"]["enforced"] != is_dated, node["name"]


CONTRACTS = Path(__file__).with_name("public_contracts.json")
CHANGELOG = WAREHOUSE / "CHANGELOG.md"


def test_a_change_of_a_public_view_is_in_the_changelog(bigquery_build: Build) -> None:
    """After an intended change add a changelog line and run once with `MYPROPERTY_WRITE_SNAPSHOT=1`."""
    public = {n["alias"] for n in of_type(bigquery_build.manifest, "model") if n["access"] == "public"}
    found = {
        t.relation.path[2]: {c.name: c.type.lower() for c in t.relation.columns}
        for t in bigquery_build.tables
        if t.relation.path[2] in public
    }
    if os.environ.get("MYPROPERTY_WRITE_SNAPSHOT"):
        CONTRACTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    assert found == json.loads(CONTRACTS.read_text())
    rows = [line.split("|") for line in CHANGELOG.read_text().splitlines() if line.startswith("| 2")]
    assert {row[2].strip().strip("`") for row in rows} >= set(found)
    assert {row[3].strip() for row in rows} <= {"yes", "no"}


def test_every_source_says_when_it_is_stale(manifest: dict[str, Any]) -> None:
    sources = list(manifest["sources"].values())
    assert sources
    for source in sources:
        assert source["loaded_at_field"] == "landed_at", source["name"]
        warn, error = (source["freshness"][key] for key in ("warn_after", "error_after"))
        assert (warn["period"], error["period"]) == ("hour", "hour"), source["name"]
        assert 0 < warn["count"] < error["count"], source["name"]
    (readings,) = [source for source in sources if source["name"] == "meter_readings"]
    assert "reading_date >=" in readings["freshness"]["filter"], "BigQuery refuses a read without a partition"


def test_singular_tests_are_named_after_the_model_they_guard(manifest: dict[str, Any]) -> None:
    models = {node["name"] for kind in ("model", "seed") for node in of_type(manifest, kind)}
    names = [path.stem for path in (WAREHOUSE / "tests").glob("*.sql")]
    assert names
    assert [name for name in names if name.rsplit("__", 1)[0] not in models] == []
