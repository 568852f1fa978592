"""Settings of the platform, read from the environment (`MYPROPERTY_*`).

Only values are here; the state of the engines is in `myproperty.engines`.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from myproperty.addresses import find_fault
from myproperty.database.roles import (
    BILLING,
    DEMO,
    GATES,
    INGEST,
    KEYS,
    PIPELINE,
    WAREHOUSE_DBT,
    WAREHOUSE_GATES,
    WAREHOUSE_RAW,
    WAREHOUSE_READER,
    Login,
)
from myproperty.environments import ENVIRONMENTS, Environment
from myproperty.errors import PlatformError

CHECKOUT = Path(__file__).resolve().parent.parent
PREFIX = "MYPROPERTY_"
LogFormat = Literal["text", "json"]
WarehouseKind = Literal["postgres", "bigquery", "emulator"]


class SettingsError(PlatformError):
    """A setting is invalid; the message names its variable and the rule, and shows no value."""


def _dsn(description: str) -> Any:
    """Return the field of an address with a password: nothing that prints the settings shows it."""
    return Field(default=None, repr=False, description=description)


def _dsn_of(login: Login, more: str = "") -> Any:
    return _dsn(f"libpq URI of the login `{login.name}`, which {login.purpose}.{more}")


def _account_of(login: Login) -> Any:
    return Field(
        default=None,
        pattern=r"^[a-z0-9.-]+@[a-z0-9.-]+\.gserviceaccount\.com$",
        description=f"Service account on BigQuery that {login.purpose}: [what it may](logins.md#bigquery). "
        "Unset: Google's default credentials of the machine.",
    )


class Settings(BaseSettings):
    """One environment of the platform. An invalid value raises `pydantic.ValidationError`."""

    # An error of pydantic otherwise quotes what it was given, passwords included.
    model_config = SettingsConfigDict(env_prefix=PREFIX, hide_input_in_errors=True)

    home: Path = Field(
        default=CHECKOUT / ".local",
        description="Folder of all state: data of the embedded engines, logs, inbox, keys. Two homes can run "
        "side by side.",
    )
    environment: Environment = Field(
        default="local",
        description="Which schedules and sensors are on: [schedules](schedules.md); Dagster's UI can switch "
        "each one. What else it asks for: [environments](#environments).",
    )
    warehouse: WarehouseKind = Field(
        default="postgres",
        description="Engine of the warehouse: `postgres` (embedded), `bigquery` (production) or `emulator` "
        "(BigQuery on this machine).",
    )
    oltp_dsn: str | None = _dsn(
        "libpq URI of the OLTP database, for migrations and for every job without a DSN of its "
        "own. Unset: the embedded PostgreSQL, where each job has its [login](logins.md).",
    )
    warehouse_dsn: str | None = _dsn(
        "libpq URI of the warehouse when it is `postgres`, for its rights and for every job "
        "without a DSN of its own. Unset: the embedded PostgreSQL, where each job has its login.",
    )
    ingest_dsn: str | None = _dsn_of(INGEST)
    pipeline_dsn: str | None = _dsn_of(PIPELINE)
    gates_dsn: str | None = _dsn_of(GATES)
    billing_dsn: str | None = _dsn_of(BILLING)
    keys_dsn: str | None = _dsn_of(KEYS)
    demo_dsn: str | None = _dsn_of(DEMO)
    warehouse_raw_dsn: str | None = _dsn_of(WAREHOUSE_RAW)
    warehouse_dbt_dsn: str | None = _dsn_of(WAREHOUSE_DBT)
    warehouse_gates_dsn: str | None = _dsn_of(WAREHOUSE_GATES)
    warehouse_reader_dsn: str | None = _dsn(
        "libpq URI of the login `myproperty_reader`, which `myproperty query` needs where the "
        "warehouse is a PostgreSQL of your own. It reads `bi`, `marts` and `core`.",
    )
    inbox_url: str | None = Field(
        default=None,
        description="fsspec URL of the folder for new meter files, one subfolder for each tenant. "
        "Unset: `<home>/inbox`.",
    )
    archive_url: str | None = Field(
        default=None,
        description="fsspec URL of the folder for ingested files, in the same subfolders. "
        "Unset: `<home>/archive`.",
    )
    key_store_url: str | None = Field(
        default=None,
        description="fsspec URL of the wrapped keys of personal fields. Back it up, apart from the database. "
        "Unset: `<home>/keys`.",
    )
    master_keys: SecretStr | None = Field(
        default=None,
        description="Master keys as `id:base64` pairs, 32 bytes each; the first wraps, all unwrap. Required "
        "with `MYPROPERTY_OLTP_DSN`. Unset: `<home>/keys/master.key`, made at the first use.",
    )
    readings_retention_days: int | None = Field(
        default=None,
        gt=0,
        description="Number of days that a reading date stays in PostgreSQL before `partitions archive` "
        "moves it to a file. Unset: for ever.",
    )
    readings_archive_url: str | None = Field(
        default=None,
        description="fsspec URL of the folder for archived readings, one file for each date. "
        "Unset: `<home>/readings-archive`.",
    )
    bigquery_project: str = Field(
        default="local", description="Google Cloud project of the warehouse; any name for the emulator."
    )
    bigquery_location: str = Field(
        default="australia-southeast1", description="Location of the BigQuery datasets."
    )
    bigquery_endpoint: str | None = Field(
        default=None,
        description="URL of a BigQuery server. Unset: Google, or the emulator if it is the warehouse.",
    )
    bigquery_maximum_bytes_billed: int = Field(
        default=100 * 2**30,
        gt=0,
        description="Bytes that one statement of the pipeline may bill on BigQuery. A larger one fails, at "
        "no cost.",
    )
    bigquery_raw_account: str | None = _account_of(WAREHOUSE_RAW)
    bigquery_dbt_account: str | None = _account_of(WAREHOUSE_DBT)
    bigquery_gates_account: str | None = _account_of(WAREHOUSE_GATES)
    bigquery_reader_account: str | None = _account_of(WAREHOUSE_READER)
    dataset_prefix: str = Field(
        default="",
        description="Prefix of all datasets (BigQuery) or schemas (PostgreSQL) of the warehouse, for example "
        "`qa_`.",
    )
    alert_slack_url: SecretStr | None = Field(
        default=None,
        description="Incoming webhook of Slack, `https://hooks.slack.com/services/...`. Unset: no alerts to "
        "Slack.",
    )
    alert_email_url: SecretStr | None = Field(
        default=None,
        description="Mail server and addresses of alerts, "
        "`mailtos://USER:PASSWORD@HOST:PORT?from=FROM&to=TO`. Unset: no alerts by e-mail.",
    )
    alert_webhook_url: SecretStr | None = Field(
        default=None,
        description="URL that takes alerts as JSON: `title`, `message`, `type` and the facts in `alert`. "
        "Unset: no alerts to a webhook.",
    )
    alert_quiet_minutes: int = Field(
        default=60, ge=0, description="Number of minutes in which an alert of the same cause is not repeated."
    )
    alert_silent_hours: int = Field(
        default=36,
        gt=0,
        description="Number of hours without a file after which a sender (a tenant and a format) is silent.",
    )
    alert_backup_hours: int = Field(
        default=26,
        gt=0,
        description="Number of hours after which the newest base backup, or its copy, is too old.",
    )
    alert_digest_hour: int = Field(
        default=6, ge=0, le=23, description="Hour of the day, in UTC, from which the daily digest is sent."
    )

    docs_url: str | None = Field(
        default=None,
        description="URL of the folder `docs/` as people read it, to which Dagster's pages link. `myproperty "
        "dev` serves it. Unset: the pages are named without a link.",
    )

    log_format: LogFormat = Field(
        default="text",
        description="`json`: the command, Dagster's code location and its runs write their log to standard "
        "error, one JSON object a line: [on call](on-call.md#logs-are-searched).",
    )
    quality_url: str | None = Field(
        default=None,
        description="URL of the site of the gates as people read it, to which verdicts in Dagster link: the "
        "folder with `index.html`, below `<home>/quality`. Unset: no link.",
    )

    export_url: str | None = Field(
        default=None,
        description="fsspec URL of the folder or bucket for the answers of the saved queries, one Parquet "
        "and one CSV for each date: [exports](warehouse.md#exports). Unset: no exports.",
    )
    export_reader: str | None = Field(
        default=None,
        description="Reader of the seed `tenant_readers` as whom exports are asked: they have the rows of "
        "its tenants alone. Unset: every tenant.",
    )

    metrics_file: Path | None = Field(
        default=None,
        description="File of the [metrics](prometheus.md), in the folder of node_exporter's textfile "
        "collector; its name ends in `.prom`. Unset: `<home>/metrics/myproperty.prom`.",
    )

    @model_validator(mode="after")
    def check_addresses(self) -> Self:
        """Refuse an address that is no libpq URI, or that this environment may not connect to."""
        demands_tls = ENVIRONMENTS[self.environment].demands_tls
        wrong = [f"{PREFIX}{name.upper()} {why}" for name, why in self._find_wrong_addresses(demands_tls)]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def _find_wrong_addresses(self, demands_tls: bool) -> Iterator[tuple[str, str]]:
        for name in type(self).model_fields:
            dsn = getattr(self, name) if name.endswith("_dsn") else None
            if dsn and (why := find_fault(dsn, demands_tls)):
                yield name, why

    @property
    def inbox(self) -> str:
        """The folder of new meter files, with one subfolder for each tenant."""
        return self.inbox_url or str(self.home / "inbox")

    @property
    def archive(self) -> str:
        """The folder of ingested files, in the same subfolders."""
        return self.archive_url or str(self.home / "archive")

    @property
    def readings_archive(self) -> str:
        """The folder of archived readings, with one file for each date."""
        return self.readings_archive_url or str((self.home / "readings-archive").absolute())

    @property
    def key_store(self) -> str:
        """The folder of the wrapped keys of personal fields, with one subfolder for each tenant."""
        return self.key_store_url or str(self.home / "keys")

    @property
    def quality_folder(self) -> Path:
        """The project and site of the gates, which `myproperty quality-docs` builds."""
        return self.home.absolute() / "quality"

    @property
    def metrics_path(self) -> Path:
        """The file of the metrics."""
        return self.metrics_file or self.home / "metrics" / "myproperty.prom"

    @property
    def run_log(self) -> Path:
        """The log of Dagster and dbt when a command runs the pipeline."""
        return self.home / "logs" / "run.log"


@lru_cache
def get_settings() -> Settings:
    """Return the settings of this process, read once. Raises SettingsError if one is invalid."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(describe_invalid(error)) from None


def describe_invalid(error: ValidationError) -> str:
    """Say which variables are invalid and why, without their values."""
    faults = [
        ": ".join([f"{PREFIX}{part}".upper() for part in fault["loc"]] + [fault["msg"]])
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return f"invalid settings: {'; '.join(faults)} (docs/settings.md)"
