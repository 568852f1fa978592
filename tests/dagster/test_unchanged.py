"""The step of the dimensions builds what a change of a raw table, a file or a relation can reach, no more."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dagster_project.defs.warehouse.assets import DIMENSIONS_STEP, STEPS
from dagster_project.defs.warehouse.unchanged import (
    Built,
    Unchanged,
    adopt_built,
    find_unchanged,
    keep_built,
    read_built,
)
from data.warehouse import project as dbt
from data.warehouse.preparsed import leave_out
from myproperty.settings import Settings


@pytest.fixture(scope="module")
def manifest(parsed_home: Path) -> dict[str, Any]:
    """The manifest of the real project."""
    found: dict[str, Any] = json.loads(
        dbt.manifest(Settings(home=parsed_home, warehouse="postgres")).read_text()
    )
    return found


# Gate C takes no digest of them: it reads the dates of the run.
DATED = ("meter_readings", "reading_issues", "solar_reference_yields")


@pytest.fixture(scope="module")
def built(manifest: dict[str, Any]) -> Built:
    """All raw tables but the readings, and all relations, as a first run leaves them."""
    tables = {each["name"]: "as before" for each in manifest["sources"].values()}
    for dated in DATED:
        del tables[dated]
    relations = {
        f"{node['schema']}.{node['alias']}": "1" for node in manifest["nodes"].values() if "alias" in node
    }
    return Built("files", tables, relations)


def names(found: Unchanged) -> set[str]:
    return _short(found.nodes)


def _short(ids: Iterable[str]) -> set[str]:
    return {each.split(".")[2] for each in ids}


def undated(manifest: dict[str, Any]) -> set[str]:
    tags = {word.split(":")[1].split(",")[0] for word in STEPS[DIMENSIONS_STEP][0].split()} - {"fact"}
    return {node["name"] for node in manifest["nodes"].values() if tags.intersection(node.get("tags", ()))}


def test_with_the_same_rows_only_what_has_readings_or_a_clock_is_built(
    manifest: dict[str, Any], built: Built
) -> None:
    left = undated(manifest) - names(find_unchanged(manifest, built, built))
    assert left == {f"stg_oltp__{table}" for table in DATED}
    # It compares the instant of landing with a due date.
    assert "fact_service_ticket" not in names(find_unchanged(manifest, built, built))


def test_a_changed_table_reaches_all_that_is_built_from_it(manifest: dict[str, Any], built: Built) -> None:
    now = replace(built, tables=built.tables | {"units": "other"})
    lost = names(find_unchanged(manifest, built, built)) - names(find_unchanged(manifest, built, now))
    assert {"stg_oltp__units", "snap_units", "dim_unit"} <= lost
    reached = {
        unique_id.split(".")[2]
        for unique_id in _descendants(manifest, "source.myproperty.raw.units")
        if unique_id.split(".")[0] in ("model", "snapshot")
    }
    assert lost <= reached
    assert "dim_date" not in lost


def _descendants(manifest: dict[str, Any], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        children = set(manifest["child_map"].get(waiting.pop(), ())) - found
        found |= children
        waiting += children
    return found


@pytest.mark.parametrize("name", ["core.dim_unit", "staging.stg_oltp__units"])
@pytest.mark.parametrize("stamp", [None, "2"])
def test_a_relation_that_is_gone_or_was_changed_by_hand_is_built(
    manifest: dict[str, Any], built: Built, name: str, stamp: str | None
) -> None:
    relations = {key: value for key, value in built.relations.items() if key != name}
    now = replace(built, relations=relations | ({name: stamp} if stamp else {}))
    assert "dim_unit" not in names(find_unchanged(manifest, built, now))


def test_another_project_and_a_first_run_build_everything(
    manifest: dict[str, Any], built: Built, tmp_path: Path
) -> None:
    assert find_unchanged(manifest, built, replace(built, project="other files")) == Unchanged()
    assert find_unchanged(manifest, read_built(tmp_path / "none.json"), built) == Unchanged()


def test_parents_come_first(manifest: dict[str, Any], built: Built) -> None:
    found = find_unchanged(manifest, built, built).nodes
    for number, unique_id in enumerate(found):
        assert not set(manifest["parent_map"][unique_id]).intersection(found[number:])


def test_marts_without_readings_and_a_clock_stay_and_the_views_of_all_marts(
    manifest: dict[str, Any], built: Built
) -> None:
    found = find_unchanged(manifest, built, built)
    assert {"int_roi__assumptions", "mart_payments", "mart_invoice_lines", "payments"} <= names(found)
    assert not {"mart_energy_daily", "mart_arrears", "candidate_data_completeness"} & names(found)
    public = {each for each, node in manifest["nodes"].items() if node["config"].get("schema") == "bi"}
    assert public <= {*found.nodes, *found.views}
    assert all(manifest["nodes"][each]["config"]["materialized"] == "view" for each in found.views)
    now = replace(built, tables=built.tables | {"payments": "other"})
    changed = find_unchanged(manifest, built, now)
    assert "mart_payments" not in names(changed)
    assert "payments" in _short(changed.views)


@pytest.mark.parametrize("code", ["select 1 where {{ in_range() }}", "{{ range_bound('start_date') }}"])
def test_a_node_that_takes_the_dates_of_the_run_is_built(
    manifest: dict[str, Any], built: Built, code: str
) -> None:
    node = "model.myproperty.int_roi__assumptions"
    nodes = manifest["nodes"] | {node: manifest["nodes"][node] | {"raw_code": code}}
    assert "int_roi__assumptions" not in names(find_unchanged(manifest | {"nodes": nodes}, built, built))


def test_what_stays_is_not_selected_and_its_tests_are_unless_no_row_of_them_has_changed() -> None:
    def node(unique_id: str, tags: list[str], *parents: str) -> Any:
        config = SimpleNamespace(tags=tags)
        return SimpleNamespace(unique_id=unique_id, tags=tags, config=config, depends_on_nodes=list(parents))

    described = [
        node("model.table", ["mart"]),
        node("model.view", ["public"]),
        node("model.other", ["fact"]),
        node("test.table", [], "model.table"),
        node("test.view", [], "model.view"),
        node("test.table_in_other", [], "model.table", "model.other"),
    ]
    nodes = {each.unique_id: each for each in described}
    leave_out(cast("Any", SimpleNamespace(nodes=nodes)), ["model.table"], ["model.view"])
    assert {name: found.tags for name, found in nodes.items() if found.tags} == {
        "model.other": ["fact"],
        "test.view": ["public"],
        "test.table_in_other": ["mart"],
    }


def test_what_a_published_run_built_is_kept_and_that_of_another_is_not(built: Built, tmp_path: Path) -> None:
    kept, of_run = tmp_path / "kept.json", tmp_path / "run.json"
    keep_built(of_run, built)
    assert read_built(kept) is None
    adopt_built(kept, of_run)
    assert read_built(kept) == built
    adopt_built(kept, of_run)  # of a run of chosen assets, which wrote nothing
    assert read_built(kept) == built
