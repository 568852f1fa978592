"""Name and group dbt's nodes as assets: by layer, with raw tables as the sources.

`assets.py` says which nodes run in which step.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator

LAYERS = ("staging", "core", "marts", "bi", "snapshots")


def asset_key(node: Mapping[str, Any]) -> dg.AssetKey:
    """Return `raw/<table>` for a source and `<layer>/<model>` for others; the layer is the dbt schema.

    Raises ValueError for an unknown schema, so that a typo does not make a new group.
    """
    if node["resource_type"] == "source":
        return dg.AssetKey([node["source_name"], node["name"]])
    return dg.AssetKey([layer(node), node["name"]])


def layer(node: Mapping[str, Any]) -> str:
    """Return the layer of a model or snapshot. Raises ValueError for an unknown schema."""
    found = node["config"].get("schema")
    if found not in LAYERS:
        raise ValueError(f"dbt node {node['name']} has schema {found!r}: use one of {', '.join(LAYERS)}")
    return str(found)


class Translator(DagsterDbtTranslator):
    """Name and group by layer, behind a fence if there is one; dagster-dbt makes dbt's tests asset checks."""

    def __init__(self, fence: dg.AssetKey | None) -> None:
        super().__init__()
        self.fence = [dg.AssetDep(fence)] if fence else []

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:
        """Return the specification with the fence of the step beside dbt's own dependencies."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        return spec.replace_attributes(deps=[*spec.deps, *self.fence])

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return the key by `asset_key`."""
        return asset_key(dbt_resource_props)

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: Any
    ) -> dg.AssetCheckSpec | None:
        """Return a check that blocks nothing: a failed test ends dbt, and with it the step.

        A step that leaves out what is unchanged asks some tests not at all.
        """
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and spec._replace(blocking=False)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Return the layer of a model or snapshot; the asset of a source is grouped in its own stage."""
        return None if dbt_resource_props["resource_type"] == "source" else layer(dbt_resource_props)
