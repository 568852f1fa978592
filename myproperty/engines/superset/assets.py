"""The files of `dashboards/`: what Superset exports, without what differs between two installations.

Here: their form on disk. Not here: the import, which takes them as they are (`inside.py`).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from myproperty.settings import CHECKOUT

FOLDER = CHECKOUT / "dashboards"
KINDS = ("databases", "datasets", "charts", "dashboards")
# Whatever server and prefix a home has, a file names these; the import puts the home's own in their place.
ADDRESS = "postgresql+psycopg2://127.0.0.1/warehouse"
SCHEMA = "bi"
_NAMES = {
    "databases": "database_name",
    "datasets": "table_name",
    "charts": "slice_name",
    "dashboards": "dashboard_title",
}
# What a new object has anyway.
_DEFAULTS = {
    "allow_run_async": False,
    "annotation_layers": [],
    "configuration_method": "sqlalchemy_form",
    "filter_select_enabled": True,
    "filterable": True,
    "groupby": True,
    "impersonate_user": False,
    "is_active": True,
    "is_dttm": False,
    "label_colors": {},
    "normalize_columns": False,
    "always_filter_main_dttm": False,
    "offset": 0,
}
# Ids of one installation, and what Superset computes again.
_OWN = {
    "catalog",
    "chart_configuration",
    "chartsInScope",
    "color_scheme_domain",
    "dashboards",
    "datasource",
    "global_chart_configuration",
    "map_label_colors",
    "query_context",
    "shared_label_colors",
    "slice_id",
    "tabsInScope",
    "theme_uuid",
}


def tidy(exported: Mapping[str, str]) -> dict[str, str]:
    """Return the files for the texts that Superset exported, by path below `FOLDER`."""
    files = {"metadata.yaml": {"type": "assets", "version": "1.0.0"}}
    for name, text in exported.items():
        kind = name.split("/", maxsplit=1)[0]
        if kind in KINDS:
            document = _drop(yaml.safe_load(text))
            files[f"{kind}/{_make_slug(document[_NAMES[kind]])}.yaml"] = _TIDY.get(kind, dict)(document)
    return {name: write(document) for name, document in sorted(files.items())}


def write(document: Mapping[str, Any]) -> str:
    """Return the text of a file: innermost lists and mappings on one line, keys in order."""
    text: str = yaml.safe_dump(document, default_flow_style=None, allow_unicode=True, width=110)
    return text


def save(files: Mapping[str, str], folder: Path = FOLDER) -> list[str]:
    """Write the files in place of those that are there; return the names of changed, new and removed ones."""
    there = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.yaml")}
    changed = sorted(name for name in {*there, *files} if there.get(name) != files.get(name))
    for name in changed:
        path = folder / name
        if name in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[name])
        else:
            path.unlink()
    return changed


def _make_slug(name: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-")


def _drop(found: Any) -> Any:
    """Leave out own ids, defaults and what is not set, at every depth."""
    if isinstance(found, list):
        return [_drop(each) for each in found]
    if not isinstance(found, dict):
        return found
    return {
        key: _drop(value)
        for key, value in found.items()
        if key not in _OWN and value is not None and value != "" and _DEFAULTS.get(key, ...) != value
    }


def _tidy_dashboard(document: dict[str, Any]) -> dict[str, Any]:
    """Number the charts by their place in the file, where Superset has ids of one installation."""
    parts = [part for _, part in sorted(document["position"].items()) if isinstance(part, dict)]
    charts = [part["meta"] for part in parts if "chartId" in part.get("meta", {})]
    numbers = {meta["chartId"]: number for number, meta in enumerate(charts, 1)}
    for meta in charts:
        meta["chartId"] = numbers[meta["chartId"]]
    for each in document.get("metadata", {}).get("native_filter_configuration", []):
        each["scope"]["excluded"] = [numbers[chart] for chart in each["scope"].get("excluded", [])]
    return document


def _tidy_dataset(document: dict[str, Any]) -> dict[str, Any]:
    """Sort columns and metrics, which Superset gives in any order."""
    ordered = {
        kind: sorted(document.get(kind, []), key=lambda each: str(each[name]))
        for kind, name in (("columns", "column_name"), ("metrics", "metric_name"))
    }
    return document | ordered | {"schema": SCHEMA}


_TIDY = {
    "databases": lambda document: document | {"sqlalchemy_uri": ADDRESS},
    "datasets": _tidy_dataset,
    "dashboards": _tidy_dashboard,
}
