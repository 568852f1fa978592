"""Leg 1: the dbt project describes every column, tests every model's key and names every reader.

Read from the manifest of the build for BigQuery. Not here: what the models compute (`tests/warehouse`).
"""

import re
from typing import Any

import pytest

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


def last_select(sql: str) -> list[str]:
    """The columns of the last SELECT of a model's file; the house style lists them one a line."""
    listed = re.split(r"^select\n", sql, flags=re.MULTILINE)[-1].split("\nfrom ")[0]
    return re.findall(r"^\s+(?:.*\bas )?(?:\w+\.)?(\w+),?$", listed, re.MULTILINE)


def test_no_column_of_a_model_is_left_out_of_its_description(manifest: dict[str, Any]) -> None:
    for node in of_type(manifest, "model"):
        columns = last_select((WAREHOUSE / node["original_file_path"]).read_text())
        assert columns, node["name"]
        assert set(columns) == set(node["columns"]), node["name"]


def test_every_model_has_a_test_of_its_key(manifest: dict[str, Any]) -> None:
    keyed = {
        node.get("attached_node")
        for node in of_type(manifest, "test")
        if (node.get("test_metadata") or {}).get("name") in {"unique", "unique_combination"}
    }
    assert {node["unique_id"] for node in of_type(manifest, "model")} - keyed == set()


def test_every_mart_has_a_consumer_with_owner_and_address(manifest: dict[str, Any]) -> None:
    exposures = list(manifest["exposures"].values())
    read = {name for exposure in exposures for name in exposure["depends_on"]["nodes"]}
    marts = {node["unique_id"] for node in of_type(manifest, "model") if "mart" in node["tags"]}
    assert marts
    assert marts - read == set()
    for exposure in exposures:
        assert exposure["owner"]["name"] and exposure["owner"]["email"], exposure["name"]
        assert re.match(r"https?://\S+", exposure["url"]), exposure["name"]
        assert exposure["description"].strip(), exposure["name"]


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
    models = {node["name"] for node in of_type(manifest, "model")}
    names = [path.stem for path in (WAREHOUSE / "tests").glob("*.sql")]
    assert names
    assert [name for name in names if name.rsplit("__", 1)[0] not in models] == []


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        (
            "with a as (\n    select\n        x\n    from b\n)\n\nselect\n    x,\n    y as z\nfrom a\n",
            ["x", "z"],
        ),
        ("-- a word\nselect\n    a.x,\n    {{ macro('y') }}\n        as z\nfrom a\n", ["x", "z"]),
    ],
)
def test_the_columns_of_a_file_are_read(sql: str, columns: list[str]) -> None:
    assert last_select(sql) == columns
