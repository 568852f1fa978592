"""Measure the SQL of the models without dbt, as somebody would run it by hand.

The SELECT of each model, as dbt compiled it, makes a view or an unlogged table in a schema of the peer, and
the next models read that. So the peer has no dbt and no log, indexes, constraints or comments. Its sessions
are those of dbt: as many, by the same login, with the same settings, in an order of the graph. Seeds,
snapshots and raw tables are those of the build.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from data.warehouse import project as dbt
from myproperty import engines
from myproperty.database.roles import WAREHOUSE_DBT
from myproperty.settings import Settings

SCHEMA = "peer"
SESSIONS = 2
_HOOKS = ("hash_joins_alone", "joins_as_written")


@dataclass(frozen=True)
class Model:
    """A model as dbt built it. `settings` are its hooks, `reads` the models that must be there before."""

    name: str
    schema: str
    alias: str
    relation: str
    is_view: bool
    select: str
    settings: str
    reads: frozenset[str]

    @property
    def of_peer(self) -> str:
        """Return what the peer makes of it, with quotes."""
        return f'"{SCHEMA}"."{self.schema}.{self.alias}"'


def read_models(settings: Settings, target: Path) -> dict[str, Model]:
    """Return the models of the build in `target` by id."""
    nodes = json.loads((target / "manifest.json").read_text())["nodes"]
    hooks = _read_hooks(settings)
    return {
        name: Model(
            name,
            node["schema"],
            node["alias"],
            node["relation_name"],
            node["config"]["materialized"] == "view",
            node["compiled_code"],
            "; ".join(hooks[hook] for hook in hooks if _has_hook(node, hook)),
            _find_read(node, nodes),
        )
        for name, node in nodes.items()
        if _is_relation(node)
    }


def measure_peer(settings: Settings, models: Mapping[str, Model]) -> float:
    """Return the seconds that the peer takes, and drop what it made.

    Raises `RuntimeError` if one of its tables has other rows than the model.
    """
    dsn = engines.login_dsn(settings, WAREHOUSE_DBT)
    with psycopg.connect(engines.dsn(settings, "warehouse"), autocommit=True) as owner:
        peer, login = sql.Identifier(SCHEMA), sql.Identifier(WAREHOUSE_DBT.name)
        owner.execute(sql.SQL("drop schema if exists {} cascade").format(peer))
        owner.execute(sql.SQL("create schema {} authorization {}").format(peer, login))
        try:
            begun = time.perf_counter()
            _run_in_order(models, lambda model: _make(dsn, model, models.values()))
            taken = time.perf_counter() - begun
            for model in models.values():
                if not model.is_view:
                    _check_rows(owner, model)
        finally:
            owner.execute(sql.SQL("drop schema {} cascade").format(peer))
    return taken


def _read_hooks(settings: Settings) -> dict[str, str]:
    """Return the settings that dbt makes of each hook."""
    calls = "|".join(f"{{{{ {hook}() }}}}" for hook in _HOOKS)
    # In a folder of its own: the manifest of the build stays.
    command, variables = dbt.command_on_parse(
        settings, ["compile", "--inline", calls, "--quiet"], dbt.target_path(settings) / "hooks"
    )
    with dbt.environment(variables):
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(zip(_HOOKS, done.stdout.strip().split("|"), strict=True))


def _has_hook(node: Mapping[str, Any], hook: str) -> bool:
    return any(f"{hook}()" in each["sql"] for each in node["config"]["pre-hook"])


def _is_relation(node: Mapping[str, Any]) -> bool:
    return bool(node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral")


def _find_read(node: Mapping[str, Any], nodes: Mapping[str, Any]) -> frozenset[str]:
    """Return the models that make a relation and that a node reads, also by way of other nodes."""
    found: set[str] = set()
    for name in node["depends_on"].get("nodes", ()):
        if name in nodes:
            found |= {name} if _is_relation(nodes[name]) else _find_read(nodes[name], nodes)
    return frozenset(found)


def _run_in_order(models: Mapping[str, Model], make: Callable[[Model], None]) -> None:
    """Call `make` for each model after those that it reads, in as many threads as there are sessions."""
    order = TopologicalSorter({name: model.reads for name, model in models.items()})
    order.prepare()
    running: dict[Future[None], str] = {}
    with ThreadPoolExecutor(SESSIONS) as threads:
        while order.is_active():
            running |= {threads.submit(make, models[name]): name for name in order.get_ready()}
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                done.result()
                order.done(running.pop(done))


def _make(dsn: str, model: Model, models: Iterable[Model]) -> None:
    query = model.select
    for other in models:
        query = query.replace(other.relation, other.of_peer)
    kind = "view" if model.is_view else "unlogged table"
    with psycopg.connect(dsn) as session:
        session.execute(model.settings.encode())
        session.execute(f"create {kind} {model.of_peer} as {query}".encode())


def _check_rows(session: psycopg.Connection, model: Model) -> None:
    """Compare the number of rows and their sum. Raises `RuntimeError` if they differ."""
    columns = session.execute(
        "select string_agg(quote_ident(column_name), ', ' order by ordinal_position) "
        "from information_schema.columns where table_schema = %s and table_name = %s",
        (model.schema, model.alias),
    ).fetchall()[0][0]
    found = [
        session.execute(
            f"select count(*), sum(hash_record_extended(row({columns}), 0)) from {relation}".encode()  # noqa: S608
        ).fetchall()
        for relation in (model.relation, model.of_peer)
    ]
    if found[0] != found[1]:
        raise RuntimeError(f"{model.relation} has other rows than its SQL by hand: {found[0]}, {found[1]}")
