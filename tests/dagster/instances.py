"""Helpers: the Dagster instance of production on a database of the test session's server."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from dagster_project.instance import PRODUCTION


def production_variables(dsn: str, files: Path, home: Path = PRODUCTION) -> dict[str, str]:
    """Return the variables that an operator sets for the instance of production, on the database `dsn`."""
    parts = urlsplit(dsn)
    return {
        "DAGSTER_HOME": str(home),
        "MYPROPERTY_DAGSTER_DB_HOST": str(parts.hostname),
        "MYPROPERTY_DAGSTER_DB_PORT": str(parts.port),
        "MYPROPERTY_DAGSTER_DB_NAME": parts.path.lstrip("/"),
        "MYPROPERTY_DAGSTER_DB_USER": unquote(str(parts.username)),
        "MYPROPERTY_DAGSTER_DB_PASSWORD": unquote(str(parts.password)),
        "MYPROPERTY_DAGSTER_FILES": str(files),
    }
