"""The page of the settings, generated from the settings classes, dbt's files and the table below.

A variable that only dbt, the Makefile or the tests read has no class: its meaning is in `OTHERS`.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from myproperty.engines.settings import EngineSettings
from myproperty.environments import ENVIRONMENTS
from myproperty.settings import CHECKOUT, PREFIX, Settings
from oltp_schema.pages import markdown_table

_ENV_VAR = re.compile(r"env_var\('(MYPROPERTY_\w+)'(?:, '([^']*)')?")
_TYPES = {str: "text", int: "whole number", Path: "path", SecretStr: "secret text"}


class OtherVariable(NamedTuple):
    """A variable without a settings class."""

    type: str
    meaning: str
    reader: str


# `dagster_project/production/dagster.yaml` names them.
INSTANCE: Mapping[str, OtherVariable] = {
    "DAGSTER_HOME": OtherVariable(
        "path",
        "Folder of the `dagster.yaml` of the Dagster instance that the command, the daemon and the UI use. "
        "In production `dagster_project/production` or a copy. Unset: `<home>/dagster`, in files.",
        "platform, Dagster",
    ),
    "MYPROPERTY_DAGSTER_DB_HOST": OtherVariable(
        "text", "Host of the PostgreSQL database of Dagster: apart from the OLTP database.", "Dagster"
    ),
    "MYPROPERTY_DAGSTER_DB_PORT": OtherVariable("whole number", "Port of that database.", "Dagster"),
    "MYPROPERTY_DAGSTER_DB_NAME": OtherVariable("text", "Name of that database.", "Dagster"),
    "MYPROPERTY_DAGSTER_DB_USER": OtherVariable(
        "text", "Login of that database; it creates the tables at the first start.", "Dagster"
    ),
    "MYPROPERTY_DAGSTER_DB_PASSWORD": OtherVariable("secret text", "Password of that login.", "Dagster"),
    "MYPROPERTY_DAGSTER_FILES": OtherVariable(
        "path", "Folder of the output of steps and of the logs of runs: a volume that stays.", "Dagster"
    ),
}
OTHERS: Mapping[str, OtherVariable] = {
    "MYPROPERTY_DBT_TARGET": OtherVariable(
        "`postgres`, `bigquery` or `emulator`", "Target of the dbt profile. The command sets it.", "dbt"
    ),
    "MYPROPERTY_DBT_HOST": OtherVariable(
        "text", "Host of the PostgreSQL warehouse. The command sets it.", "dbt"
    ),
    "MYPROPERTY_DBT_PORT": OtherVariable(
        "whole number", "Port of the PostgreSQL warehouse. The command sets it.", "dbt"
    ),
    "MYPROPERTY_DBT_USER": OtherVariable(
        "text", "Login of the PostgreSQL warehouse. The command sets it.", "dbt"
    ),
    "MYPROPERTY_DBT_PASSWORD": OtherVariable(
        "secret text", "Password of the PostgreSQL warehouse. The command sets it.", "dbt"
    ),
    "MYPROPERTY_DBT_DATABASE": OtherVariable(
        "text", "Database of the PostgreSQL warehouse. The command sets it.", "dbt"
    ),
    "MYPROPERTY_DBT_ACCOUNT": OtherVariable(
        "text",
        "Service account that dbt acts as on BigQuery. Empty: the default credentials. The command sets it.",
        "dbt",
    ),
    "MYPROPERTY_DBT_THREADS": OtherVariable(
        "whole number", "Number of models that dbt builds at once; BigQuery has the larger default.", "dbt"
    ),
    "MYPROPERTY_DBT_MAXIMUM_BYTES_BILLED": OtherVariable(
        "whole number", "Bytes that one statement of dbt may bill on BigQuery. The command sets it.", "dbt"
    ),
    "MYPROPERTY_DBT_PARSED": OtherVariable(
        "path",
        "Folder of the parsed dbt project that `myproperty-dbt` runs on. A run of the pipeline sets it.",
        "dbt; set by Dagster",
    ),
    "MYPROPERTY_DBT_WARM": OtherVariable(
        "path",
        "Socket of the process that has dbt loaded and runs it for `myproperty-dbt`. A run of the pipeline "
        "sets it.",
        "dbt; set by Dagster",
    ),
    "MYPROPERTY_DBT_UNCHANGED": OtherVariable(
        "path",
        "File with the ids of nodes that `myproperty-dbt` does not build. A run of the pipeline sets it.",
        "dbt; set by Dagster",
    ),
    "MYPROPERTY_PARENT": OtherVariable(
        "whole number",
        "Id of the process that `myproperty-dbt` must not outlive. A run of the pipeline sets it.",
        "dbt; set by Dagster",
    ),
    "MYPROPERTY_RAW_PREFIX": OtherVariable(
        "text",
        "Prefix of the dataset `raw` that the models read. Unset: `MYPROPERTY_DATASET_PREFIX`.",
        "dbt; set by `make slim`",
    ),
    "MYPROPERTY_RUN_ID": OtherVariable(
        "text",
        "Id of the run in the labels of BigQuery's jobs. Unset: dbt's own invocation id.",
        "dbt; set by Dagster",
    ),
    "MYPROPERTY_KEEP_TEST_HOME": OtherVariable(
        "any text", "If set, the home of the tests stays after the session.", "tests"
    ),
    "MYPROPERTY_WRITE_SNAPSHOT": OtherVariable(
        "any text", "If set, the snapshot tests write their snapshots instead of comparing them.", "tests"
    ),
}


def settings_page() -> str:
    """Return the page: every variable with its type, default, meaning and readers."""
    defaults = read_dbt_defaults()
    head = ("Variable", "Type", "Default", "Meaning", "Read by")
    parts = [
        "# Settings\n",
        f"All settings are environment variables that begin with `{PREFIX}`. The command refuses "
        "an invalid value when it starts, and names the variable without its value. Secret ones are printed "
        "nowhere, but by `myproperty dsn` and `myproperty status --passwords`, which are asked for them.\n",
        "## Environments\n",
        "`MYPROPERTY_ENVIRONMENT` is one of these; another name is refused.\n",
        _describe_environments(),
        "Where TLS is required, a DSN of a server on another machine is refused unless it has "
        "`sslmode=verify-full`: the server proves its name by the certificate of `sslrootcert`. A socket and "
        "the loopback need none.\n",
        "## The platform\n",
        markdown_table(head, _describe_class(Settings, "platform", defaults)),
        "## The embedded engines\n",
        markdown_table(head, _describe_class(EngineSettings, "engines", defaults)),
        "## The Dagster instance of production\n",
        "`dagster_project/production/dagster.yaml` needs every one of these variables.\n",
        markdown_table(
            head,
            [(f"`{name}`", other.type, "", other.meaning, other.reader) for name, other in INSTANCE.items()],
        ),
        "Its database on another machine is reached by a verified connection if the process has libpq's own "
        "variables `PGSSLMODE=verify-full` and `PGSSLROOTCERT`; `myproperty doctor --production` looks.\n",
        "## dbt, make and the tests\n",
        "The command sets dbt's connection from the settings above. Set it yourself only to run dbt without "
        "the command.\n",
        markdown_table(head, _describe_others(OTHERS, defaults)),
    ]
    return "\n".join(parts)


def _describe_environments() -> str:
    return markdown_table(
        ("Environment", "Is", "Schedules and sensors start runs", "Alerts are sent", "TLS is required"),
        [
            (
                f"`{name}`",
                rules.purpose,
                *("yes" if is_so else "no" for is_so in (rules.runs_by_itself, rules.tells_people)),
                "yes" if rules.demands_tls else "no",
            )
            for name, rules in ENVIRONMENTS.items()
        ],
    )


def _describe_others(
    variables: Mapping[str, OtherVariable], defaults: Mapping[str, str]
) -> list[tuple[str, str, str, str, str]]:
    return [
        (f"`{name}`", other.type, defaults.get(name, ""), other.meaning, other.reader)
        for name, other in variables.items()
    ]


def read_dbt_defaults() -> dict[str, str]:
    """Return each variable that dbt's files read, with its default or defaults there."""
    found: dict[str, dict[str, None]] = {}
    for path in _list_dbt_files(CHECKOUT / "data" / "warehouse"):
        for name, default in _ENV_VAR.findall(path.read_text()):
            found.setdefault(name, {})[default] = None
    return {name: " or ".join(f"`{text}`" for text in texts if text) for name, texts in found.items()}


def _list_dbt_files(project: Path) -> Iterable[Path]:
    yield from sorted(project.glob("*.yml"))
    for folder in ("macros", "models", "seeds", "snapshots", "tests"):
        yield from sorted(path for path in (project / folder).rglob("*") if path.suffix in {".sql", ".yml"})


def _describe_class(
    settings: type[BaseSettings], reader: str, dbt: Mapping[str, str]
) -> list[tuple[str, str, str, str, str]]:
    rows = []
    for field, info in settings.model_fields.items():
        name = PREFIX + field.upper()
        readers = f"{reader}, dbt" if name in dbt else reader
        meaning = str(info.description)
        rows.append((f"`{name}`", _describe_type(info), _describe_default(info), meaning, readers))
    return rows


def _describe_type(info: FieldInfo) -> str:
    kinds = [kind for kind in get_args(info.annotation) or (info.annotation,) if kind is not NoneType]
    if get_origin(info.annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(info.annotation))
    (kind,) = kinds
    return ("" if info.repr else "secret ") + _TYPES[kind] + _describe_bounds(info.metadata)


def _describe_bounds(metadata: Iterable[Any]) -> str:
    bounds = [
        f", {words} {getattr(bound, name)}"
        for bound in metadata
        for name, words in (("gt", "more than"), ("ge", "at least"), ("le", "at most"))
        if hasattr(bound, name)
    ]
    return "".join(bounds)


def _describe_default(info: FieldInfo) -> str:
    if not info.default:
        return ""
    if isinstance(info.default, Path):
        return f"`{info.default.relative_to(CHECKOUT)}` in the checkout"
    return f"`{info.default}`"
