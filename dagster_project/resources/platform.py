"""The platform as a Dagster resource: settings, connections, and results for a caller in the same process.

The resource of dbt is in `dagster_project.resources.dbt`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

import dagster as dg

from dagster_project.processes import has_ended
from expectations.verdicts import Verdict
from myproperty.database.locks import share_reading_dates_of_session
from myproperty.database.roles import ETL_ROLE, GATES, PIPELINE, WAREHOUSE_LOGINS, Login
from myproperty.dates import Window
from myproperty.errors import PlatformError
from myproperty.logs import is_json
from myproperty.settings import Settings

if TYPE_CHECKING:
    import psycopg

    from data.ingest.readings.results import IngestResult
    from data.ingest.validation.run import Validation
    from data.raw.warehouse import Warehouse
    from myproperty.database.session import Connections


def _log(line: str) -> None:
    """Log the progress of a step as a JSON line; as text drop it, since Dagster's events have everything."""
    if is_json():
        dg.get_dagster_logger("progress").info(line)


class HoldLost(PlatformError):
    """Loads were not held off between gate A and landing."""


class Sources:
    """What gates read: connections that stay open while a step judges, each opened at its first use."""

    def __init__(self, platform: "Platform", opened: ExitStack) -> None:
        self.platform, self._opened = platform, opened

    @cached_property
    def oltp(self) -> "Connections":
        """Return connections to the OLTP database as the login of the gates."""
        from myproperty.database.session import Connections

        return self._opened.enter_context(Connections(self.platform.dsn_of(GATES)))

    @cached_property
    def warehouse(self) -> "Warehouse":
        """Return the warehouse."""
        return self._opened.enter_context(self.platform.warehouse())


@dataclass
class Platform:
    """One environment. `verdicts`, `ingested` and `validated` collect the results of runs in this process.

    `raw_digests` has a digest of the rows of each raw table that gate C has read whole. `_holding` is the
    connection that holds off loads.
    """

    settings: Settings
    progress: Callable[[str], None] = _log
    verdicts: list[Verdict] = field(default_factory=list)
    ingested: list["IngestResult"] = field(default_factory=list)
    validated: list["Validation"] = field(default_factory=list)
    raw_digests: dict[str, str] = field(default_factory=dict)
    _holding: "psycopg.Connection | None" = None

    @property
    def oltp_dsn(self) -> str:
        """Return the DSN of the OLTP database by which the pipeline connects.

        Raises EngineError if the embedded engine is not running.
        """
        return self.dsn_of(PIPELINE)

    def dsn_of(self, login: Login) -> str:
        """Return the DSN of a job. Raises EngineError if the embedded engine is not running."""
        from myproperty import engines

        return engines.login_dsn(self.settings, login)

    @contextmanager
    def watch_locks(self, context: dg.AssetExecutionContext, *logins: Login) -> Iterator[None]:
        """Inside the block, warn in the log of the run who holds up a session of these logins."""
        from myproperty.database.blockers import watch_locks

        def tell(line: str) -> None:
            self.progress(line)
            context.log.warning(line)

        with ExitStack() as watching:
            for login in logins:
                if login in WAREHOUSE_LOGINS and self.settings.warehouse != "postgres":
                    continue
                watching.enter_context(watch_locks(self.dsn_of(login), tell))
            yield

    def hold_loads(self, dates: Window) -> None:
        """Wait for the loads of these dates, and hold off the next ones until `release_loads`.

        The server ends the hold with this process. Raises psycopg.Error.
        """
        import psycopg

        self.release_loads()
        connection = psycopg.connect(
            self.oltp_dsn, autocommit=True, application_name="holds off loads until the readings are landed"
        )
        try:
            connection.execute(f"set role {ETL_ROLE}")
            share_reading_dates_of_session(connection, dates.dates)
        except BaseException:
            connection.close()
            raise
        self._holding = connection

    def is_holding(self) -> bool:
        """Return whether this run holds off loads."""
        return self._holding is not None

    def require_hold(self) -> None:
        """Raise `HoldLost` if loads are no longer held off."""
        import psycopg

        assert self._holding is not None
        try:
            self._holding.execute("select 1")
        except psycopg.Error as error:
            self.release_loads()
            raise HoldLost(
                f"the connection that held off loads of these dates was lost: {error}. Nothing of them was "
                "published. Run them again, `myproperty run`: gate A then judges what has come meanwhile"
            ) from error

    def release_loads(self) -> None:
        """Let loads go on."""
        if self._holding is not None:
            self._holding.close()
            self._holding = None

    @contextmanager
    def open_sources(self) -> Iterator[Sources]:
        """Open what gates read, and close it at the end."""
        with ExitStack() as opened:
            yield Sources(self, opened)

    @property
    def dataset_prefix(self) -> str:
        """Return the prefix of the warehouse's schemas or datasets."""
        return self.settings.dataset_prefix

    @contextmanager
    def warehouse_to_write(self, context: dg.AssetExecutionContext) -> Iterator["Warehouse"]:
        """Open the warehouse for a step that writes it, and close it at the end.

        Jobs that run in it for an ended run are cancelled first: they would write over what this run writes.
        """
        with self.warehouse(context.run.run_id) as warehouse:
            for job in warehouse.cancel_jobs(partial(has_ended, context.instance)):
                context.log.warning(
                    f"the job {job} of a run that has ended was still running: it is cancelled"
                )
            yield warehouse

    @contextmanager
    def warehouse(self, run_id: str | None = None) -> Iterator["Warehouse"]:
        """Open the warehouse, for a run, and close it at the end."""
        from data.raw.warehouse import open_warehouse

        warehouse = open_warehouse(self.settings, run_id)
        try:
            yield warehouse
        finally:
            warehouse.close()
