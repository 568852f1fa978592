"""How dbt's nodes are named and grouped as assets: by layer, with raw tables as the sources.

Which nodes run in which step is in `assets.py` beside this file.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator

LAYERS = ("staging", "core", "marts", "bi", "snapshots")


def asset_key(node: Mapping[str, Any]) -> dg.AssetKey:
    """`raw/<table>` for a source, `<layer>/<model>` for the rest; the layer is the model's dbt schema.

    Raises ValueError for a schema that is no layer, so that a typo makes no new group.
    """
    if node["resource_type"] == "source":
        return dg.AssetKey([node["source_name"], node["name"]])
    return dg.AssetKey([layer(node), node["name"]])


def layer(node: Mapping[str, Any]) -> str:
    """The layer of a model or snapshot."""
    found = node["config"].get("schema")
    if found not in LAYERS:
        raise ValueError(f"dbt node {node['name']} has schema {found!r}: one of {', '.join(LAYERS)}")
    return str(found)


class Translator(DagsterDbtTranslator):
    """Keys and groups by layer; dbt's tests become asset checks, as dagster-dbt does by itself."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """See `asset_key`."""
        return asset_key(dbt_resource_props)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The layer, for a model or snapshot; a source is another stage's asset, which has its own group."""
        return None if dbt_resource_props["resource_type"] == "source" else layer(dbt_resource_props)
