"""MetricFlow's program without its question to the package index, and without sums that mean nothing.

Started as `python -m data.warehouse.ask_metrics`, with the words of `mf`, in the folder of the dbt project.
Python looks there first, so no file of that folder may have the name of a package.
"""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dbt_metricflow.cli import main

from myproperty.errors import PlatformError

# Written when the project is parsed, before each call.
MANIFEST = Path("target") / "semantic_manifest.json"


class AmbiguousSum(PlatformError):
    """A query would add what does not add up."""


class NoUpdates:
    """Stands for the checker of newer versions, and finds none."""

    def check(self, *_: str) -> None:
        """Ask nobody."""


def check_sums(
    manifest: dict[str, Any], metrics: Sequence[str], group_by: Sequence[str], where: Sequence[str]
) -> None:
    """Raise `AmbiguousSum` for a metric that would add what does not add up, such as two currencies.

    A metric says in `config.meta.adds_up_within` by which dimension its query is grouped, or to which value
    of it the query is filtered.
    """
    described = {metric["name"]: metric for metric in manifest["metrics"]}
    for asked in metrics:
        for name in _with_inputs(described, asked.lower()):
            within = ((described[name].get("config") or {}).get("meta") or {}).get("adds_up_within")
            if not within:
                continue
            dimension = f"{_entity(manifest, described[name])}__{within}"
            one_value = rf"Dimension\(\s*['\"]{dimension}['\"]\s*\)\s*\}}\}}\s*=\s*'[^']*'\s*$"
            if dimension in (each.lower() for each in group_by):
                continue
            if not any(re.search(one_value, each) for each in where):
                raise AmbiguousSum(
                    f"{asked} adds up within one {within} only: add {dimension} to --group-by, or filter by "
                    f"""--where "{{{{ Dimension('{dimension}') }}}} = '...'"."""
                )


def _with_inputs(described: dict[str, Any], name: str) -> list[str]:
    """Return a metric and its inputs; none for an unknown name, which MetricFlow refuses."""
    if name not in described:
        return []
    parameters = described[name]["type_params"]
    inputs = [parameters.get("numerator"), parameters.get("denominator"), *(parameters.get("metrics") or [])]
    return [name, *(found for each in inputs if each for found in _with_inputs(described, each["name"]))]


def _entity(manifest: dict[str, Any], metric: dict[str, Any]) -> str:
    """Return the entity of the semantic model that has the measure of a simple metric."""
    measure = metric["type_params"]["measure"]["name"]
    for model in manifest["semantic_models"]:
        if any(each["name"] == measure for each in model["measures"]):
            return str(model["primary_entity"])
    raise ValueError(f"no semantic model has the measure {measure}")


def run() -> None:
    """Run the program with the arguments of this process."""
    main.__dict__["UpdateChecker"] = NoUpdates
    ask: Any = main.query.callback

    def query(*arguments: Any, **options: Any) -> Any:
        if options.get("metrics") and MANIFEST.is_file():
            lists = (options[each] or () for each in ("metrics", "group_by", "where"))
            try:
                check_sums(json.loads(MANIFEST.read_text()), *lists)
            except AmbiguousSum as error:
                sys.exit(str(error))
        return ask(*arguments, **options)

    main.query.callback = query
    main.cli()


if __name__ == "__main__":
    run()
