"""The command `bi`: the dashboards, Apache Superset on the warehouse, and their files in `dashboards/`."""

from contextlib import ExitStack, suppress
from typing import Annotated
from urllib.parse import quote, urlencode

import psycopg
import typer
from psycopg.conninfo import conninfo_to_dict

from commands import console
from commands.options import reports_errors
from myproperty.database.roles import WAREHOUSE_DASHBOARDS
from myproperty.engines.superset.server import ADMIN, Superset, Viewer
from myproperty.settings import Settings, get_settings


@reports_errors
def bi(
    export: Annotated[
        bool,
        typer.Option(
            "--export",
            help="Write the dashboards of this home to `dashboards/`, list the files that changed, and end.",
        ),
    ] = False,
) -> None:
    """Open the dashboards on the warehouse, until Ctrl-C: Apache Superset on 127.0.0.1.

    It installs Superset once, imports the files of `dashboards/`, and makes an account for each reader of the
    seed `tenant_readers`, who sees its tenants. Changes made in Superset are lost at the next start unless
    they are exported.
    """
    from myproperty.engines.environment import find_superset

    settings = get_settings()
    superset = find_superset(settings)
    if export:
        for name in superset.export():
            console.out.print(f"dashboards/{name}", markup=False)
        return
    viewers = prepare_dashboards(settings, superset)
    with ExitStack() as stack:
        with console.step("Starting Superset"):
            server = stack.enter_context(superset.running())
        console.out.print(f"Dashboards: {superset.url}/dashboard/list/   Ctrl-C ends them.")
        console.out.print(
            f"Log in as {', '.join(viewers)}, who see their tenants, or as {ADMIN}, who sees all."
        )
        console.out.print(f"Their passwords are in {superset.passwords_file}, which only you can read.")
        with suppress(KeyboardInterrupt):
            server.wait()


def prepare_dashboards(settings: Settings, superset: Superset) -> dict[str, Viewer]:
    """Install Superset, start the engines and import the dashboards; return who may log in.

    Raises `EngineError`.
    """
    from commands.databases import prepare_databases
    from myproperty import engines

    if settings.warehouse != "postgres":
        raise engines.EngineError(
            "`myproperty bi` opens dashboards on PostgreSQL: set MYPROPERTY_WAREHOUSE=postgres. A Superset "
            "on BigQuery imports the same files: docs/dashboards.md has the steps"
        )
    engines.up(settings)
    prepare_databases(settings)
    database = as_uri(engines.reader_dsn(settings, WAREHOUSE_DASHBOARDS.name))
    _check_views(settings)
    viewers = find_viewers(settings)
    with console.step("Installing Superset, which takes minutes the first time"):
        superset.install()
    with console.step("Importing the dashboards"):
        superset.prepare(database, f"{settings.dataset_prefix}bi", viewers)
    return viewers


def find_viewers(settings: Settings) -> dict[str, Viewer]:
    """Return the readers of the seed that are people, each with its tenants and the address of its login."""
    from data.warehouse.readers import list_own_logins, list_readers
    from myproperty import engines

    tenants = list_readers()
    return {
        name: Viewer(tenants[name], as_uri(engines.reader_dsn(settings, name))) for name in list_own_logins()
    }


def _check_views(settings: Settings) -> None:
    from myproperty import engines

    dsn = engines.reader_dsn(settings, WAREHOUSE_DASHBOARDS.name)
    with psycopg.connect(dsn) as connection:
        query = "select count(*) from pg_views where schemaname = %s"
        views = connection.execute(query, (f"{settings.dataset_prefix}bi",)).fetchone()
    if not views or not views[0]:
        raise engines.EngineError(
            "the warehouse has no views for dashboards yet: run `myproperty demo`, or load files and run "
            "`myproperty run`"
        )


def as_uri(dsn: str) -> str:
    """Return a libpq address as SQLAlchemy writes it. Raises psycopg.ProgrammingError if it is invalid."""
    parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    user, password = parts.pop("user", ""), parts.pop("password", "")
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    place = f"{parts.pop('host', '127.0.0.1')}:{parts.pop('port', '5432')}/{parts.pop('dbname', 'warehouse')}"
    return f"postgresql+psycopg2://{login}@{place}" + (f"?{urlencode(parts)}" if parts else "")
